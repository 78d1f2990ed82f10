"""With what a Kustomization is decrypted: the keys of a Secret, and the ServiceAccount that asks key services.

Source: docs/spec/v1/kustomizations.md "Decryption" and "Controller global decryption".
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec

from fluxtui.api.kustomize import Decryption
from fluxtui.engine.adapters.vault import Instances, Login, VaultError
from fluxtui.engine.controllers.kustomize.work import Run
from fluxtui.engine.runtime import service_accounts
from fluxtui.engine.runtime.objects import Key
from fluxtui.engine.runtime.service_accounts import ServiceAccount, ServiceAccountError
from fluxtui.kube.errors import KubeError, NotFound

_AGE = ".agekey"
_VAULTS = "config.yaml"


class DecryptionError(Exception):
    """Something can't be decrypted; `str()` is a sentence for users."""


class Secret(msgspec.Struct, frozen=True):
    """The private keys, whose identity key services are asked with, and a digest of both."""

    data: dict[str, bytes]
    account: ServiceAccount | None
    digest: str
    lacking: str = ""
    """Why the ServiceAccount that was named is not here."""


async def read_keys(run: Run, decryption: Decryption) -> Secret:
    """What the Secret and the ServiceAccount say; nothing for those that are not named. Raises DecryptionError."""
    settings = run.cluster.settings
    if decryption.secret_ref is not None:
        data = await _data(run, Key(run.key.namespace, decryption.secret_ref.name), "sops decryption Secret")
    elif settings.sops_age_secret:
        # Others than age keys would be an identity of the engine.
        found = await _data(run, Key(settings.namespace, settings.sops_age_secret), "sops age decryption Secret")
        data = {name: value for name, value in found.items() if name.endswith(_AGE)}
    else:
        data = {}
    name = decryption.service_account_name or settings.default_decryption_service_account
    account, lacking = None, ""
    if name:
        try:
            account = await service_accounts.read(run.cluster.client, Key(run.key.namespace, name))
        except ServiceAccountError as error:
            # It matters only to what needs a key service.
            lacking = str(error)
    if not data and not name:
        return Secret({}, None, "")
    who = (run.key.namespace, name, account.annotations if account is not None else None) if name else None
    whole = msgspec.json.encode((data, who), order="deterministic")
    return Secret(data, account, hashlib.sha256(whole).hexdigest(), lacking)


def login_of(run: Run, secret: Secret) -> Login:
    """How OpenBao and Vault are logged in at: as the ServiceAccount, else as the engine's own."""
    settings = run.cluster.settings
    key = Key(settings.namespace, settings.sops_vault_configmap)
    client, where = run.cluster.client, f"ConfigMap '{key}'"

    async def instances() -> Instances:
        try:
            found = await client.get(await client.resource_for(("", "v1", "ConfigMap")), key.name, key.namespace)
        except KubeError as error:
            raise VaultError(f"failed to get Vault {where}: {error}") from error
        text = (found.get("data") or {}).get(_VAULTS)
        if text is None:
            raise VaultError(f"Vault {where} is missing the '{_VAULTS}' key")
        return Instances.parse(text, where)

    async def identify(address: str) -> tuple[str, str]:
        if secret.lacking:
            raise VaultError(secret.lacking)
        try:
            account = secret.account or await service_accounts.own(client)
            # Each server has an audience of its own: none can use what another one was shown.
            return f"{account.namespace}_{account.name}", await account.token([address])
        except ServiceAccountError as error:
            raise VaultError(str(error)) from error

    return Login(instances, identify)


async def _data(run: Run, key: Key, title: str) -> dict[str, bytes]:
    client = run.cluster.client
    try:
        found = await client.get(await client.resource_for(("", "v1", "Secret")), key.name, key.namespace)
        return {name: base64.b64decode(value) for name, value in (found.get("data") or {}).items()}
    except NotFound as error:
        raise DecryptionError(f"{title} '{key}' not found") from error
    except (KubeError, binascii.Error) as error:
        raise DecryptionError(f"cannot get {title} '{key}': {error}") from error
