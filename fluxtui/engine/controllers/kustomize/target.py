"""Where a Kustomization is applied, and as whom: the engine's cluster or the one of `spec.kubeConfig`.

Source: docs/spec/v1/kustomizations.md "KubeConfig" and "Role-based access control".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from typing import Any

import msgspec

from fluxtui.api.fields import KubeConfigReference
from fluxtui.engine.adapters.clouds.clusters import PROVIDERS, canonical, endpoint_of
from fluxtui.engine.adapters.clouds.tokens import CloudError
from fluxtui.engine.controllers.kustomize.drifts import Remote
from fluxtui.engine.controllers.kustomize.impersonation import client_for
from fluxtui.engine.controllers.kustomize.work import Run
from fluxtui.engine.runtime import service_accounts
from fluxtui.engine.runtime.guard import GuardedClient
from fluxtui.engine.runtime.objects import Key
from fluxtui.engine.runtime.service_accounts import ServiceAccountError
from fluxtui.kube.client import Client
from fluxtui.kube.errors import ConfigError, KubeError
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.remote import context_of

_KEYS = ("value", "value.yaml")
_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")


class TargetError(Exception):
    """The target can't be reached; `str()` is a sentence for users and holds no secret."""


class Target(msgspec.Struct, frozen=True):
    """A cluster to apply to."""

    client: Client
    remote: Remote | None = None
    """None for the engine's own."""


async def target_of(run: Run) -> Target:
    """The target of a run; its connection ends with the run. Raises TargetError."""
    spec = run.object.spec
    account = spec.service_account_name or run.cluster.settings.default_service_account
    try:
        if spec.kube_config is None:
            return Target(client_for(run.cluster.client, run.key.namespace, account))
        context = await _context(run, spec.kube_config)
        if account:
            # The ServiceAccount takes the place of whom the kubeconfig impersonates.
            user = {name: value for name, value in context.user.items() if name not in _IMPERSONATION}
            context = msgspec.structs.replace(context, user=user)
        cluster = run.cluster
        remote = GuardedClient(context, lambda: math.inf if cluster.leading else 0.0)
        client = await run.resources.enter_async_context(remote)
        return Target(client_for(client, run.key.namespace, account), Remote(_id(context), context))
    except KubeError as error:
        raise TargetError(f"failed to build kube client: {error}") from error


def _id(context: Context) -> str:
    authority = context.cluster.get("certificate-authority-data", "")
    return hashlib.sha256(f"{context.server}\n{authority}".encode()).hexdigest()


async def _context(run: Run, reference: KubeConfigReference) -> Context:
    if reference.secret_ref is not None:
        name, key = reference.secret_ref.name, reference.secret_ref.key
        return context_of(await _kubeconfig(run, name, key), f"KubeConfig secret '{run.key.namespace}/{name}'")
    if reference.config_map_ref is not None:
        return await _by_identity(run, reference.config_map_ref.name)
    raise ConfigError("spec.kubeConfig names neither a secretRef nor a configMapRef")


async def _kubeconfig(run: Run, name: str, key: str) -> bytes:
    where = f"KubeConfig secret '{run.key.namespace}/{name}'"
    data = (await _read(run, "Secret", name, where)).get("data") or {}
    wanted = (key,) if key else _KEYS
    found = next((data[entry] for entry in wanted if data.get(entry) is not None), None)
    if found is None:
        raise ConfigError(f"{where} does not contain a '{wanted[0]}' key with a kubeconfig")
    try:
        return base64.b64decode(found)
    except binascii.Error as error:
        raise ConfigError(f"{where}: {wanted[0]} is no base64") from error


async def _by_identity(run: Run, name: str) -> Context:
    """A cluster that trusts the identity of a ServiceAccount of this one: its own tokens, or those of a cloud."""
    where = f"KubeConfig ConfigMap '{run.key.namespace}/{name}'"
    data = (await _read(run, "ConfigMap", name, where)).get("data") or {}
    provider = data.get("provider", "")
    wanted = data.get("serviceAccountName", "") or run.cluster.settings.default_kubeconfig_service_account
    if provider not in PROVIDERS:
        raise ConfigError(f"{where}: provider {provider!r} is not one of {', '.join(PROVIDERS)}")
    client, address = run.cluster.client, data.get("address", "")
    try:
        account = await service_accounts.read(client, Key(run.key.namespace, wanted)) if wanted else None
        if provider == "generic":
            server = canonical(address)
            account = account or await service_accounts.own(client)
            token = await account.token(data.get("audiences", "").split() or [address])
            authority = base64.b64encode(data.get("ca.crt", "").encode()).decode()
        else:
            async with run.cluster.limits.remotes:
                endpoint = await endpoint_of(data, account)
            server, token, authority = canonical(endpoint.server), endpoint.token.text, endpoint.authority
    except (CloudError, ServiceAccountError) as error:
        raise ConfigError(f"{where}: {error}") from error
    cluster: dict[str, Any] = {"server": server}
    if authority:
        cluster["certificate-authority-data"] = authority
    return Context(where, where, where, server, cluster=cluster, user={"token": token})


async def _read(run: Run, kind: str, name: str, where: str) -> dict[str, Any]:
    client = run.cluster.client
    try:
        return await client.get(await client.resource_for(("", "v1", kind)), name, run.key.namespace)
    except KubeError as error:
        raise ConfigError(f"unable to read {where} error: {error}") from error
