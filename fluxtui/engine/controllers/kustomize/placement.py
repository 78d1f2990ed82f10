"""The inventory of objects before they are applied: under the identities they will have in the cluster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fluxtui.kube.client import Client
from fluxtui.kube.errors import UnknownKind
from fluxtui.kube.identity import Object, identity_of, version_of
from fluxtui.kube.inventory import Inventory
from fluxtui.kube.normalize import is_definition


async def placed(client: Client, objects: Iterable[Object]) -> Inventory:
    """The inventory of a set, without the namespaces that were put on cluster-scoped objects.

    An object whose kind neither the server nor the set defines is left out: it can't be applied.
    """
    objects = list(objects)
    scopes = {
        (spec.get("group"), (spec.get("names") or {}).get("kind")): spec.get("scope") != "Cluster"
        for obj in objects
        if is_definition(obj) and isinstance(spec := obj.get("spec"), dict)
    }
    versions = {}
    for obj in objects:
        identity = identity_of(obj)
        kind: tuple[Any, Any] = (identity.group, identity.kind)
        if kind not in scopes:
            try:
                scopes[kind] = (await client.resource_for(obj)).namespaced
            except UnknownKind:
                continue
        if not scopes[kind]:
            identity = identity._replace(namespace="")
        versions[identity] = version_of(obj)
    return Inventory(versions)
