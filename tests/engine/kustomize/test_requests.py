"""What the API server is asked: what is known is not asked again, and what is known is never believed too long."""

from __future__ import annotations

from typing import Any

import pytest

from fluxtui.engine.controllers.kustomize.kustomization import KustomizationReconciler
from fluxtui.engine.runtime import reconciliation
from fluxtui.engine.runtime.controller import Controller
from fluxtui.kube.client import PatchType
from tests.engine.kustomize.world import World, config_map, counting
from tests.engine.polling import eventually

Requests = list[tuple[str, str]]


def about(requests: Requests, plural: str) -> list[str]:
    """The methods of the requests about a kind, watches and lists left out."""
    return [method for method, path in requests if f"/{plural}/" in path]


def reconciler(controller: Controller[Any]) -> KustomizationReconciler:
    assert isinstance(controller.reconciler, KustomizationReconciler)
    return controller.reconciler


async def request(world: World, value: str) -> None:
    await world.change("apps", {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": value}}})

    async def handled() -> bool:
        return (await world.status("apps")).get("lastHandledReconcileAt") == value

    await eventually(handled, 60)


async def streamed(controller: Controller[Any]) -> None:
    """Wait until the stream has shown what was applied."""
    drift = reconciler(controller)._drifts.of(None)
    await eventually(lambda: drift._streaming and all(found.seen for found in drift._tracked.values()), 60)


async def test_what_a_stream_shows_to_be_unchanged_is_not_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.publish({f"{name}.yaml": config_map(name) for name in "abcd"})
    await world.kustomization("apps")
    async with world.running() as controller:
        await world.ready("apps")
        await streamed(controller)
        counted = counting(world, monkeypatch)
        await request(world, "one")
        assert not [path for _, path in counted if "configmaps" in path]
        # Somebody else's change is corrected all the same.
        resource = await world.resource("ConfigMap")
        patch = {"data": {"k": "theirs"}}
        await world.client.patch(resource, "a", "default", patch, type=PatchType.MERGE, field_manager="someone")

        async def corrected() -> bool:
            return bool((await world.get("ConfigMap", "a") or {})["data"] == {"k": "v"})

        await eventually(corrected, 60)


async def test_a_stream_that_is_broken_is_not_believed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps")
    async with world.running() as controller:
        await world.ready("apps")
        await streamed(controller)
        reconciler(controller)._drifts.of(None)._streaming.clear()
        counted = counting(world, monkeypatch)
        await request(world, "one")
        assert about(counted, "configmaps") == ["GET"]


async def test_a_new_revision_costs_a_dry_run_and_a_write(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine a run takes long, which is another test's matter.
    monkeypatch.setattr(reconciliation, "ANNOUNCED", 3600.0)
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps")
    async with world.running() as controller:
        await world.ready("apps")
        await streamed(controller)
        counted = counting(world, monkeypatch)
        revision = await world.publish({"a.yaml": config_map("a", k="new")})
        await world.ready("apps", revision)
        assert about(counted, "configmaps") == ["PATCH", "PATCH"]
        # One write for all that is said of it.
        assert sum(path.endswith("apps/status") for method, path in counted if method == "PATCH") == 1


async def test_a_deletion_reads_nothing_that_is_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.publish({name: config_map(name[0]) for name in ("a.yaml", "b.yaml")})
    await world.kustomization("apps")
    async with world.running(drift_detection=False) as controller:
        await world.ready("apps")
        counted = counting(world, monkeypatch)
        await world.delete("Kustomization", "apps", "flux-system")
        await world.gone("Kustomization", "apps", "flux-system")
        assert about(counted, "configmaps") == ["DELETE", "DELETE"]
        assert len(reconciler(controller)._memories[""]) == 0
    assert await world.get("ConfigMap", "a") is None


async def test_what_changed_is_looked_at_before_it_is_deleted(world: World) -> None:
    await world.publish({name: config_map(name[0]) for name in ("a.yaml", "b.yaml")})
    await world.kustomization("apps")
    async with world.running(drift_detection=False):
        await world.ready("apps")
        resource = await world.resource("ConfigMap")
        keep = {"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}}
        await world.client.patch(resource, "a", "default", keep, type=PatchType.MERGE)
        await world.delete("Kustomization", "apps", "flux-system")
        await world.gone("Kustomization", "apps", "flux-system")
    assert await world.get("ConfigMap", "a") is not None
    assert await world.get("ConfigMap", "b") is None


async def test_what_another_has_taken_over_is_not_deleted(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps")
    async with world.running(drift_detection=False):
        await world.ready("apps")
        await world.kustomization("heirs")
        await world.ready("heirs")
        await world.delete("Kustomization", "apps", "flux-system")
        await world.gone("Kustomization", "apps", "flux-system")
        assert await world.get("ConfigMap", "a") is not None


async def test_a_run_that_takes_long_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "ANNOUNCED", 0.0)
    await world.publish({"a.yaml": config_map("a")})
    counted = counting(world, monkeypatch)
    await world.kustomization("apps")
    async with world.running():
        await world.ready("apps")
    assert sum(path.endswith("apps/status") for method, path in counted if method == "PATCH") == 3
