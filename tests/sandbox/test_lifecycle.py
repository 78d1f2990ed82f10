"""What a cluster does by itself: garbage collection, namespaces and CRDs that end, finalizers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.test_objects import config_map
from tests.engine.polling import eventually
from tests.sandbox.conftest import World

Object = dict[str, Any]

GROUP = "test.example.com"
HOLD = "example.com/hold"
MERGE = "application/merge-patch+json"


def owned(name: str, *owners: Object, **reference: Any) -> Object:
    """A ConfigMap that ConfigMaps own."""
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": item["metadata"]["name"], "uid": item["metadata"]["uid"]}
        | reference
        for item in owners
    ]
    return {"metadata": {"name": name, "ownerReferences": references}}


def definition(plural: str = "things", kind: str = "Thing") -> Object:
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    return {
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


async def define(world: World, **names: str) -> str:
    """Create a CRD and wait for it; its path."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    answer = await world.send("POST", path, definition(**names))
    assert answer.status == 201, answer
    path = f"{path}/{answer.body['metadata']['name']}"

    async def established() -> bool:
        found = (await world.send("GET", path)).body
        conditions = {item["type"]: item["status"] for item in found.get("status", {}).get("conditions") or []}
        return conditions.get("Established") == "True" and bool(found["metadata"].get("finalizers"))

    await eventually(established)
    return path


async def test_what_is_owned_goes_with_its_owner(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    child = await world.made("configmaps", owned("child", owner))
    await world.made("configmaps", owned("grandchild", child))
    await world.made("configmaps", config_map("stranger"))
    await world.send("DELETE", world.path("configmaps", "owner"))
    await world.gone("configmaps", "grandchild")
    assert [item["metadata"]["name"] for item in await world.items("configmaps")] == ["stranger"]


async def test_with_two_owners_the_last_one_takes_it_along(world: World) -> None:
    owners = [await world.made("configmaps", config_map(name)) for name in ("one", "two")]
    await world.made("configmaps", owned("child", *owners))
    await world.made("configmaps", owned("only", owners[0]))
    await world.send("DELETE", world.path("configmaps", "one"))
    await world.gone("configmaps", "only")
    assert (await world.get("configmaps", "child")).status == 200
    await world.send("DELETE", world.path("configmaps", "two"))
    await world.gone("configmaps", "child")


async def test_orphans_stay(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    await world.made("configmaps", owned("child", owner))
    await world.send("DELETE", world.path("configmaps", "owner"), {"propagationPolicy": "Orphan"})
    await world.gone("configmaps", "owner")
    child = (await world.get("configmaps", "child")).body
    assert not child["metadata"].get("ownerReferences")


async def test_in_the_foreground_an_owner_waits_for_what_it_owns(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    child = owned("child", owner, blockOwnerDeletion=True)
    child["metadata"]["finalizers"] = [HOLD]
    await world.made("configmaps", child)
    answer = await world.send("DELETE", world.path("configmaps", "owner"), {"propagationPolicy": "Foreground"})
    assert answer.body["metadata"]["finalizers"] == ["foregroundDeletion"]

    async def deleting() -> bool:
        return "deletionTimestamp" in (await world.get("configmaps", "child")).body["metadata"]

    await eventually(deleting)
    assert (await world.get("configmaps", "owner")).status == 200
    await world.patch("configmaps", "child", {"metadata": {"finalizers": None}}, MERGE)
    await world.gone("configmaps", "owner")


async def test_a_child_of_nobody_does_not_live(world: World) -> None:
    ghost = {"metadata": {"name": "ghost", "uid": "00000000-0000-0000-0000-000000000000"}}
    await world.made("configmaps", owned("child", ghost))
    await world.gone("configmaps", "child")


async def test_a_finalizer_holds_and_can_not_be_added_late(world: World) -> None:
    obj = config_map()
    obj["metadata"]["finalizers"] = [HOLD]
    await world.made("configmaps", obj)
    first = (await world.send("DELETE", world.path("configmaps", "a"))).body["metadata"]["deletionTimestamp"]
    again = await world.send("DELETE", world.path("configmaps", "a"))
    assert again.body["metadata"]["deletionTimestamp"] == first
    change = {"metadata": {"finalizers": [HOLD, "example.com/late"]}}
    answer = await world.patch("configmaps", "a", change, MERGE)
    assert answer.status == 422
    assert "no new finalizers can be added if the object is being deleted" in answer.body["message"]
    assert (await world.patch("configmaps", "a", {"data": {"x": "1"}}, MERGE)).status == 200
    await world.patch("configmaps", "a", {"metadata": {"finalizers": None}}, MERGE)
    await world.gone("configmaps", "a")


async def test_a_namespace_ends_with_all_that_is_in_it(world: World) -> None:
    held = config_map("held")
    held["metadata"]["finalizers"] = [HOLD]
    await world.made("configmaps", held)
    await world.made("configmaps", config_map("free"))
    path = f"/api/v1/namespaces/{world.namespace}"
    answer = await world.send("DELETE", path)
    assert answer.body["status"]["phase"] == "Terminating"
    await world.gone("configmaps", "free")
    assert (await world.send("GET", path)).status == 200
    answer = await world.create("configmaps", config_map("late"))
    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
    assert "because it is being terminated" in answer.body["message"]
    await world.patch("configmaps", "held", {"metadata": {"finalizers": None}}, MERGE)

    async def ended() -> bool:
        return (await world.send("GET", path)).status == 404

    await eventually(ended)


async def test_a_new_namespace_has_a_service_account(world: World) -> None:
    async def there() -> bool:
        return (await world.get("serviceaccounts", "default")).status == 200

    await eventually(there)


async def test_custom_resources_end_with_their_definition(world: World) -> None:
    path = await define(world)
    held = {"apiVersion": f"{GROUP}/v1", "kind": "Thing", "metadata": {"name": "held", "finalizers": [HOLD]}}
    await world.made("things", held, f"{GROUP}/v1")
    await world.made("things", {**held, "metadata": {"name": "free"}}, f"{GROUP}/v1")
    await world.send("DELETE", path)
    await world.gone("things", "free", f"{GROUP}/v1")
    assert (await world.send("GET", path)).body["metadata"]["deletionTimestamp"]
    assert (await world.get("things", "held", f"{GROUP}/v1")).status == 200
    await world.patch("things", "held", {"metadata": {"finalizers": None}}, MERGE, f"{GROUP}/v1")

    async def ended() -> bool:
        return (await world.send("GET", path)).status == 404

    await eventually(ended)
    assert (await world.send("GET", world.path("things", group=f"{GROUP}/v1"))).status == 404
    names = [item["name"] for item in (await world.send("GET", "/apis")).body["groups"]]
    assert GROUP not in names


@pytest.mark.parametrize("part", ["apis", "resources", "openapi/v3"])
async def test_a_definition_is_discovered_at_once(world: World, part: str) -> None:
    await define(world)
    if part == "apis":
        assert GROUP in [item["name"] for item in (await world.send("GET", "/apis")).body["groups"]]
    elif part == "resources":
        found = (await world.send("GET", f"/apis/{GROUP}/v1")).body["resources"]
        assert [item["name"] for item in found] == ["things"]
    else:
        assert f"apis/{GROUP}/v1" in (await world.send("GET", "/openapi/v3")).body["paths"]
