"""The values of a release: ConfigMaps and Secrets in order, inline values over them, target paths over all.

Source: docs/spec/v2/helmreleases.md, "Values".
"""

from __future__ import annotations

import asyncio
import base64
import binascii

from fluxtui.api.helm import HelmRelease, ValuesReference
from fluxtui.engine.adapters import helm
from fluxtui.engine.adapters.helm import Values, ValuesError
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.objects import Object
from fluxtui.kube.errors import NotFound

DEFAULT_KEY = "values.yaml"


async def compose(cluster: Cluster, obj: HelmRelease) -> Values:
    """The values of a release.

    Raises ValuesError that names the reference when a ConfigMap, Secret or key is missing or can't be read, and
    KubeError when the cluster does not answer.
    """
    values: Values = {}
    paths: list[tuple[ValuesReference, str]] = []
    for reference in obj.spec.values_from:
        text = await _read(cluster, obj.metadata.namespace, reference)
        if text is None:
            continue
        if reference.target_path:
            paths.append((reference, text))
        else:
            helm.merge(values, await asyncio.to_thread(helm.values_from_yaml, text, _source(obj, reference)))
    helm.merge(values, obj.spec.values or {})
    for reference, text in paths:
        await asyncio.to_thread(helm.set_path, values, reference.target_path, text, literal=reference.literal)
    return values


async def _read(cluster: Cluster, namespace: str, reference: ValuesReference) -> str | None:
    """The text of a reference, None when it is optional and not there."""
    resource = await cluster.client.resource_for(("", "v1", reference.kind))
    key = reference.values_key or DEFAULT_KEY
    where = f"could not resolve {reference.kind} chart values reference '{namespace}/{reference.name}' with key '{key}'"
    try:
        found = await cluster.client.get(resource, reference.name, namespace)
    except NotFound:
        if reference.optional:
            return None
        raise ValuesError(f'{where}: {resource.plural} "{reference.name}" not found') from None
    text = _key(found, key, where)
    if text is None:
        if reference.optional:
            return None
        raise ValuesError(f"{where}: missing key '{key}'")
    return text


def _key(found: Object, key: str, where: str) -> str | None:
    data = found.get("data") or {}
    if key not in data:
        return None
    if found.get("kind") == "ConfigMap":
        return str(data[key])
    try:
        return base64.b64decode(data[key], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValuesError(f"{where}: not text") from None


def _source(obj: HelmRelease, reference: ValuesReference) -> str:
    return f"{reference.kind} '{obj.metadata.namespace}/{reference.name}'"
