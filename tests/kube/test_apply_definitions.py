"""Definitions that come and go while they are applied: on the sandbox, and on a real kube-apiserver."""

from __future__ import annotations

from typing import Any

import pytest

from fluxtui.kube.apply import Applier
from fluxtui.kube.changes import Action
from fluxtui.kube.client import Client
from fluxtui.kube.health import wait_until_ready
from tests.engine.polling import eventually
from tests.kube.applying import OPTIONS, Object, definition_of, get, patch


async def test_a_definition_that_is_being_deleted_is_made_anew(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = f"Gadget{namespace.replace('-', '')}"
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition = definition_of(kind, "Namespaced", schema)
    gadget = {"apiVersion": "example.com/v1", "kind": kind, "metadata": {"name": "g", "namespace": namespace}}
    applier = Applier(client)
    await applier.apply([definition, gadget], OPTIONS)
    # Of a manager whose fields are not taken over: that would let it go at once.
    await patch(client, definition, {"metadata": {"finalizers": ["example.com/wait"]}}, "guard")
    before = await get(client, definition)
    crds = await client.resource_for(definition)
    await client.delete(crds, f"{plural}.example.com")
    waits: list[object] = []

    async def vanishing(*arguments: Any, **options: Any) -> None:
        """It is gone when the others are waited for to be ready."""
        waits.append(arguments)
        if len(waits) == 1:
            assert await _is_deleting(client, definition)
            await patch(client, definition, {"metadata": {"finalizers": None}})
            await eventually(lambda: _is_gone(client, definition))
        await wait_until_ready(*arguments, **options)

    monkeypatch.setattr("fluxtui.kube.apply.wait_until_ready", vanishing)
    changes = {change.identity.kind: change.action for change in await applier.apply([definition, gadget], OPTIONS)}
    assert changes["CustomResourceDefinition"] == "created"
    after = await get(client, definition)
    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] != after["metadata"]["uid"]
    assert await get(client, gadget) is not None
    await client.delete(crds, f"{plural}.example.com")


async def test_a_version_that_is_new_is_applied_at_once_and_takes_the_fields_along(
    client: Client, namespace: str
) -> None:
    kind = f"Thing{namespace.replace('-', '')}"
    plural = f"{kind.lower()}s"
    size: Object = {"size": {"type": "integer"}}
    mode: Object = {"mode": {"type": "string", "default": "fast"}}

    def version(name: str, properties: Object, stored: str) -> Object:
        schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
        return {"name": name, "served": True, "storage": name == stored, "schema": {"openAPIV3Schema": schema}}

    def definition(*versions: Object) -> Object:
        names = {"kind": kind, "plural": plural, "singular": kind.lower()}
        spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": list(versions)}
        metadata = {"name": f"{plural}.example.com"}
        crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
        return {**crd, "metadata": metadata, "spec": spec}

    def thing(version: str, **spec: Any) -> Object:
        metadata = {"name": "t", "namespace": namespace}
        return {"apiVersion": f"example.com/{version}", "kind": kind, "metadata": metadata, "spec": spec}

    applier = Applier(client)
    older, newer = version("v1beta1", size, "v1beta1"), version("v1", {**size, **mode}, "v1")
    await applier.apply([definition(older), thing("v1beta1", size=1)], OPTIONS)
    both = definition(version("v1beta1", size, "v1"), newer)
    changes = await applier.apply([both, thing("v1", size=1, mode="slow")], OPTIONS)
    assert {change.action for change in changes} == {Action.CONFIGURED}
    live = await get(client, thing("v1"))
    assert live is not None
    assert live["spec"] == {"size": 1, "mode": "slow"}
    assert {entry["apiVersion"] for entry in live["metadata"]["managedFields"]} == {"example.com/v1"}
    await client.delete(await client.resource_for(both), f"{plural}.example.com")


async def _is_gone(client: Client, obj: Object) -> bool:
    return await get(client, obj) is None


async def _is_deleting(client: Client, obj: Object) -> bool:
    return bool((await get(client, obj) or {"metadata": {}})["metadata"].get("deletionTimestamp"))
