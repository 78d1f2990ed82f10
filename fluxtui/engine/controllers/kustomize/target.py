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
from fluxtui.engine.controllers.kustomize.impersonation import client_for
from fluxtui.engine.controllers.kustomize.work import Run
from fluxtui.engine.runtime.guard import GuardedClient
from fluxtui.kube.client import Client
from fluxtui.kube.errors import ConfigError, KubeError
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.remote import context_of

_KEYS = ("value", "value.yaml")
_CLOUDS = ("aws", "azure", "gcp")
_TOKEN_LIFETIME = 3600


class TargetError(Exception):
    """The target can't be reached; `str()` is a sentence for users and holds no secret."""


class Target(msgspec.Struct, frozen=True):
    """A cluster to apply to."""

    client: Client
    id: str
    """Tells one remote cluster from another; empty for the engine's own."""


async def target_of(run: Run) -> Target:
    """The target of a run; its connection ends with the run. Raises TargetError."""
    spec = run.object.spec
    account = spec.service_account_name or run.cluster.settings.default_service_account
    try:
        if spec.kube_config is None:
            return Target(client_for(run.cluster.client, run.key.namespace, account), "")
        context = await _context(run, spec.kube_config)
        cluster = run.cluster
        remote = GuardedClient(context, lambda: math.inf if cluster.leading else 0.0)
        client = await run.resources.enter_async_context(remote)
        return Target(client_for(client, run.key.namespace, account), _id(context))
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
        return await _generic(run, reference.config_map_ref.name)
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


async def _generic(run: Run, name: str) -> Context:
    """A cluster that trusts the ServiceAccount tokens of this one."""
    where = f"KubeConfig ConfigMap '{run.key.namespace}/{name}'"
    data = (await _read(run, "ConfigMap", name, where)).get("data") or {}
    provider = data.get("provider", "")
    if provider in _CLOUDS:
        raise ConfigError(f"{where}: this engine can't log in to {provider}; only the provider generic is supported")
    if provider != "generic":
        raise ConfigError(f"{where}: provider {provider!r} is not one of generic, {', '.join(_CLOUDS)}")
    address, account = data.get("address", ""), data.get("serviceAccountName", "")
    if not address.startswith("https://"):
        raise ConfigError(f"{where}: address {address!r} is not https://")
    if not account:
        raise ConfigError(f"{where}: serviceAccountName is needed: the engine has no ServiceAccount of its own")
    audiences = data.get("audiences", "").split() or [address]
    cluster: dict[str, Any] = {"server": address}
    if data.get("ca.crt"):
        cluster["certificate-authority-data"] = base64.b64encode(data["ca.crt"].encode()).decode()
    token = await _token(run, account, audiences)
    return Context(where, where, where, address.rstrip("/"), cluster=cluster, user={"token": token})


async def _token(run: Run, account: str, audiences: list[str]) -> str:
    client = run.cluster.client
    resource = await client.resource_for(("", "v1", "ServiceAccount"))
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": audiences, "expirationSeconds": _TOKEN_LIFETIME},
    }
    path = resource.path(run.key.namespace, account, "token")
    try:
        answer = await client.request("POST", path, body=msgspec.json.encode(request))
        return str(msgspec.json.decode(answer.body)["status"]["token"])
    except KubeError as error:
        raise ConfigError(f"ServiceAccount '{run.key.namespace}/{account}': no token: {error}") from error
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"ServiceAccount '{run.key.namespace}/{account}': the server gave no token") from error


async def _read(run: Run, kind: str, name: str, where: str) -> dict[str, Any]:
    client = run.cluster.client
    try:
        return await client.get(await client.resource_for(("", "v1", kind)), name, run.key.namespace)
    except KubeError as error:
        raise ConfigError(f"unable to read {where} error: {error}") from error
