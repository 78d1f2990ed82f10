"""OpenBao and Vault: a token for the transit engine, for the token of a ServiceAccount.

Source: "OpenBao/Vault Kubernetes auth" of docs/spec/v1/kustomizations.md of fluxcd/kustomize-controller; the HTTP API
of the auth methods `kubernetes` and `jwt`.

VaultError    there is no token to be had; `str()` is a sentence for users, free of secrets
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml

from fluxtui.api.faults import sentence
from fluxtui.engine.adapters.web import Answer, WebError, ask

_KEYS = "hc_vault"
_ADDRESS = "vault_address"
_OFF = ("", "0", "f", "false")


class VaultError(Exception):
    """A server gives no token, or must not be asked."""


class _Instance(msgspec.Struct, rename="camel"):
    address: str
    login_path: str


class _Config(msgspec.Struct):
    instances: list[_Instance] = []


class Instances(msgspec.Struct, frozen=True):
    """The servers that may be asked."""

    where: str
    """What errors call the list."""
    paths: Mapping[str, str]
    """Address → where one logs in."""

    @classmethod
    def parse(cls, text: str, where: str) -> Instances:
        """The list in the YAML of a ConfigMap. Raises VaultError."""
        try:
            document = yaml.safe_load(text)
            found = msgspec.convert({} if document is None else document, _Config)
        except yaml.YAMLError as error:
            raise VaultError(f"{where}: it is no YAML") from error
        except msgspec.ValidationError as error:
            raise VaultError(f"{where}: {sentence(error)}") from error
        return cls(where, {instance.address: instance.login_path for instance in found.instances})


class Login:
    """Logs a ServiceAccount in, once at each server, when something is met that was encrypted there."""

    def __init__(
        self, instances: Callable[[], Awaitable[Instances]], identify: Callable[[str], Awaitable[tuple[str, str]]]
    ) -> None:
        """`identify` gives the role and a token of the ServiceAccount for a server. Both raise VaultError."""
        self._instances = instances
        self._identify = identify
        self._tokens: dict[str, str] = {}

    async def token(self, data: bytes, kind: str) -> str | None:
        """A token of the server that can decrypt a file of a format of SOPS; None when it is not for any server.

        Raises VaultError, also for a file with keys of several servers: SOPS would show each the token of the other.
        """
        found = await asyncio.to_thread(addresses, data, kind)
        if not found:
            return None
        if len(found) > 1:
            raise VaultError(f"it has keys of several OpenBao or Vault servers: {', '.join(sorted(found))}")
        address = found.pop()
        if address not in self._tokens:
            self._tokens[address] = await self._log_in(address)
        return self._tokens[address]

    async def _log_in(self, address: str) -> str:
        instances = await self._instances()
        path = instances.paths.get(address)
        if not path:
            raise VaultError(f"no Vault login path configured for address '{address}' in {instances.where}")
        if urlsplit(address).scheme not in ("http", "https"):
            raise VaultError(f"{instances.where}: address '{address}' is no http(s) URL")
        role, shown = await self._identify(address)
        who = f"Vault '{address}' at login path '{path}' as role '{role}'"
        namespace = os.environ.get("VAULT_NAMESPACE", "")
        headers = {"X-Vault-Request": "true", **({"X-Vault-Namespace": namespace} if namespace else {})}
        url = f"{address.rstrip('/')}/v1/{path.strip('/')}"
        try:
            answer = await ask("PUT", url, headers=headers, body={"role": role, "jwt": shown}, tls=_tls(address))
        except (WebError, OSError) as error:
            raise VaultError(f"failed to authenticate with {who}: {error}") from error
        if answer.status >= 400:
            raise VaultError(f"failed to authenticate with {who}: {_reason(answer)}")
        token = (answer.object().get("auth") or {}).get("client_token")
        if not isinstance(token, str) or not token:
            raise VaultError(f"Vault '{address}' returned no token for login at '{path}' as role '{role}'")
        return token


def addresses(data: bytes, kind: str) -> set[str]:
    """The addresses of the servers whose keys a file is encrypted with, as SOPS will read them.

    Raises VaultError when that is not certain: a token shown to another server is lost.
    """
    if kind == "dotenv":
        return set(_of_dotenv(data))
    if kind == "ini":
        if _KEYS.encode() in data.lower():
            raise VaultError("files in INI format can't be decrypted with OpenBao or Vault as a ServiceAccount")
        return set()
    try:
        if kind == "yaml":
            documents = list(yaml.load_all(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        else:
            documents = [json.loads(data, object_pairs_hook=_object)]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise VaultError(f"it is no {kind}") from error
    return set(_of_metadata([document.get("sops") for document in documents if isinstance(document, dict)]))


def _of_metadata(value: Any) -> Iterator[str]:
    """Addresses anywhere in the metadata. Go takes field names in any case, and the last of them."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if not isinstance(value, list | dict) or id(value) in seen:
            continue
        # Aliases make one object stand in many places.
        seen.add(id(value))
        if isinstance(value, list):
            waiting += value
            continue
        for name, item in value.items():
            if str(name).lower() == _ADDRESS:
                yield str(item)
            else:
                waiting.append(item)


def _of_dotenv(data: bytes) -> Iterator[str]:
    for line in data.decode("utf-8", "replace").split("\n"):
        name, _, value = line.partition("=")
        if name.lower().startswith("sops_") and _ADDRESS in name.lower():
            yield value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _tls(address: str) -> ssl.SSLContext | None:
    """As the variables of Vault's own client say; None for the system's authorities. Raises OSError."""
    if not address.startswith("https:"):
        return None
    skip = os.environ.get("VAULT_SKIP_VERIFY", "").lower() not in _OFF
    file, folder = os.environ.get("VAULT_CACERT") or None, os.environ.get("VAULT_CAPATH") or None
    if not (skip or file or folder):
        return None
    context = ssl.create_default_context(cafile=file, capath=folder)
    if skip:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _reason(answer: Answer) -> str:
    errors = answer.object().get("errors")
    first = next((each for each in errors if isinstance(each, str) and each), "") if isinstance(errors, list) else ""
    return f"it answered {answer.status}" + (f": {' '.join(first.split())[:300]}" if first else "")
