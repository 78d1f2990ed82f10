"""Pruning: on the sandbox, and on a real kube-apiserver with the same results."""

from __future__ import annotations

from typing import Any

import pytest

from fluxtui.kube.apply import Applier
from fluxtui.kube.changes import Action
from fluxtui.kube.client import Client
from fluxtui.kube.errors import Forbidden
from fluxtui.kube.inventory import Inventory
from fluxtui.kube.prune import PruneError, PruneOptions, prune
from tests.kube.applying import OPTIONS, OWNER, config_map, get, patch


async def test_prune_takes_its_own_and_nothing_else(client: Client, namespace: str) -> None:
    applier = Applier(client)
    objects = [config_map(name, namespace) for name in ("own", "kept", "lost", "living")]
    changes = await applier.apply(objects, OPTIONS)
    await patch(client, objects[1], {"metadata": {"annotations": {"example.com/prune": "disabled"}}})
    await patch(client, objects[2], {"metadata": {"labels": {"example.com/name": "other"}}})
    living = await get(client, objects[3])
    assert living is not None
    stale = changes.inventory | Inventory.of_objects([config_map("absent", namespace)])
    options = PruneOptions(
        owner=OWNER, keep=(("example.com/prune", "disabled"),), never=frozenset({living["metadata"]["uid"]})
    )
    done = await prune(client, stale, options)
    assert {change.identity.name: change.action for change in done} == {
        "own": Action.DELETED,
        "kept": Action.SKIPPED,
        "lost": Action.SKIPPED,
        "living": Action.SKIPPED,
        "absent": Action.DELETED,
    }
    assert [await get(client, obj) is not None for obj in objects] == [False, True, True, True]


async def test_prune_leaves_what_another_owner_takes_at_the_same_moment(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    obj = config_map("a", namespace)
    changes = await Applier(client).apply([obj], OPTIONS)
    delete = client.delete

    async def overtaken(resource: Any, name: str, *args: Any, **options: Any) -> Any:
        await patch(client, obj, {"metadata": {"labels": {"example.com/name": "other"}}})
        return await delete(resource, name, *args, **options)

    monkeypatch.setattr(client, "delete", overtaken)
    (change,) = await prune(client, changes.inventory, PruneOptions(owner=OWNER))
    assert change.action is Action.SKIPPED
    assert await get(client, obj) is not None


async def test_prune_goes_on_after_a_failure(client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [config_map("a", namespace), config_map("b", namespace)]
    changes = await Applier(client).apply(objects, OPTIONS)
    delete = client.delete

    async def refusing(resource: Any, name: str, *args: Any, **options: Any) -> Any:
        if name == "a":
            raise Forbidden(403, "Forbidden", "not today")
        return await delete(resource, name, *args, **options)

    monkeypatch.setattr(client, "delete", refusing)
    with pytest.raises(PruneError) as caught:
        await prune(client, changes.inventory, PruneOptions(owner=OWNER))
    assert str(caught.value) == f"delete failed, errors: ConfigMap/{namespace}/a delete failed: not today;"
    assert [change.identity.name for change in caught.value.changes] == ["b"]
    assert await get(client, objects[1]) is None
