"""Manifests of this machine built as a Kustomization would build them, with the variables of a cluster or without any.

Encrypted values are not decrypted but masked. Source: `flux build kustomization`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec

from fluxtui.api.faults import sentence
from fluxtui.api.kustomize import Kustomization, KustomizationSpec
from fluxtui.engine.adapters import sops
from fluxtui.engine.controllers.kustomize import policy
from fluxtui.engine.controllers.kustomize.build import BuildFailed, Order, RemoteBases, make
from fluxtui.engine.controllers.kustomize.generate import additions_of
from fluxtui.engine.controllers.kustomize.preview import Local, PreviewError
from fluxtui.engine.controllers.kustomize.substitute import SubstituteError, load_variables
from fluxtui.engine.runtime.objects import Object, key_of
from fluxtui.kube.errors import NotFound
from fluxtui.kube.identity import labels_of
from fluxtui.kube.normalize import is_secret

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

MASK = "**SOPS**"


class Variable(msgspec.Struct, frozen=True):
    """A variable of `spec.postBuild`."""

    value: str
    secret: bool
    """Whether a Secret has it."""


async def build_local(
    raw: Object, local: Local, client: Client | None = None, *, strict: bool = True, remotes: RemoteBases | None = None
) -> list[Object]:
    """The objects of a Kustomization, with its owner labels on them.

    Without a client, the variables of ConfigMaps and Secrets are left out. `strict` refuses variables without a value
    or default; without `remotes`, remote bases are refused. Raises PreviewError, and KubeError when the cluster does
    not answer.
    """
    spec, key = spec_of(raw), key_of(raw)
    post_build, variables = spec.post_build, None
    if post_build is not None:
        found = await variables_of(spec, key.namespace, client)
        variables = {name: variable.value for name, variable in found.items()}
    order = Order(
        root=local.root,
        directory=local.directory,
        additions=additions_of(spec),
        variables=variables,
        always=post_build is not None and post_build.substitute_strategy == "Always",
        strict=strict,
        ignored=local.ignored,
        remotes=remotes,
    )
    try:
        built = await asyncio.to_thread(make, order)
    except BuildFailed as error:
        raise PreviewError(str(error)) from error
    objects = [_masked(obj) for obj in policy.with_metadata(built.objects, spec)]
    owner = policy.owner_labels(key)
    return [{**obj, "metadata": {**obj["metadata"], "labels": {**labels_of(obj), **owner}}} for obj in objects]


async def variables_of(spec: KustomizationSpec, namespace: str, client: Client | None) -> dict[str, Variable]:
    """The variables of a spec as the last one that sets them does; without a client, those that the spec itself has.

    Raises PreviewError, and KubeError when the cluster does not answer.
    """
    post_build = spec.post_build
    if post_build is None:
        return {}
    if client is None:
        post_build = msgspec.structs.replace(post_build, substitute_from=[])
    secret: dict[str, bool] = {}

    async def read(kind: str, name: str) -> Object | None:
        assert client is not None, "without a client there are no references"
        try:
            source = await client.get(await client.resource_for(("", "v1", kind)), name, namespace)
        except NotFound:
            return None
        secret.update(dict.fromkeys(source.get("data") or {}, kind == "Secret"))
        return source

    try:
        values = await load_variables(post_build, read)
    except SubstituteError as error:
        raise PreviewError(f"post build failed: {error}") from error
    secret.update(dict.fromkeys(post_build.substitute or {}, False))
    return {name: Variable(value, secret[name]) for name, value in values.items()}


def spec_of(raw: Object) -> KustomizationSpec:
    """The spec of a Kustomization. Raises PreviewError."""
    try:
        return msgspec.convert(raw, Kustomization).spec
    except msgspec.ValidationError as error:
        raise PreviewError(f"Kustomization {key_of(raw)}: {sentence(error)}") from error


def _masked(obj: Object) -> Object:
    """An object whose encrypted values say only that they are."""
    if not is_secret(obj):
        return obj
    whole = isinstance(obj.get("sops"), dict)
    done = {name: value for name, value in obj.items() if name != "sops" or not whole}
    mask = {"data": base64.b64encode(MASK.encode()).decode(), "stringData": MASK}
    for field, text in mask.items():
        values = obj.get(field)
        if isinstance(values, dict):
            done[field] = {
                name: text if whole or _is_encrypted(value, field) else value for name, value in values.items()
            }
    return done


def _is_encrypted(value: Any, field: str) -> bool:
    try:
        data = base64.b64decode(value, validate=True) if field == "data" else str(value).encode()
    except (TypeError, ValueError, binascii.Error):
        return False
    return bool(sops.encrypted_format(data))
