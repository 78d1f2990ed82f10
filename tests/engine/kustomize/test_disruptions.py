"""What happens to work that is disrupted: by a server that goes away, by Leases that are lost, by a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fluxtui.engine.process import Engine
from fluxtui.engine.runtime.leases import LEASES
from fluxtui.engine.runtime.objects import micro_timestamp
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.kubeconfig import Context
from fluxtui.sandbox.cluster import SandboxCluster
from tests.engine.harness import QUICK, create, running, state
from tests.engine.kustomize.world import NAMESPACE, World, config_map
from tests.engine.polling import eventually
from tests.engine.source.repositories import Repository

NAMES = [f"m{number:02}" for number in range(30)]
AIM = 9
"""The first write that is held up."""


class Writes:
    """The ConfigMaps that the engine writes; from the ninth on they are held up until `go_on`."""

    def __init__(self, before: Callable[[web.Request], Awaitable[None]]) -> None:
        self._before = before
        self.made: list[str] = []
        self.dry = 0
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def hook(self, request: web.Request) -> None:
        """Note a request before it is served."""
        if request.method == "PATCH" and "/configmaps/" in request.path:
            if "dryRun" in request.query:
                self.dry += 1
            else:
                self.made.append(request.path)
                if len(self.made) >= AIM:
                    self.reached.set()
                    await self.go_on.wait()
        await self._before(request)


@pytest.fixture
def writes(sandbox: SandboxCluster, monkeypatch: pytest.MonkeyPatch) -> Writes:
    """The writes to the sandbox from now on."""
    found = Writes(sandbox.faults.before)
    monkeypatch.setattr(sandbox.faults, "before", found.hook)
    return found


async def config_maps(world: World) -> dict[str, str]:
    """Name → UID of those that Kustomizations own."""
    resource = await world.resource("ConfigMap")
    found = await world.client.list(resource, "default", label_selector="kustomize.toolkit.fluxcd.io/name")
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in found.items}


def owned(status: dict[str, Any]) -> set[str]:
    """The names in an inventory."""
    return {entry["id"].split("_")[1] for entry in status["inventory"]["entries"]}


@pytest.mark.parametrize("fault", ["refuse", "error"])
async def test_a_server_that_goes_away_while_objects_are_applied(
    world: World, sandbox: SandboxCluster, writes: Writes, fault: str
) -> None:
    await world.publish({f"{name}.yaml": config_map(name) for name in NAMES})
    await world.kustomization("apps", retryInterval="1s")
    async with world.running():
        await asyncio.wait_for(writes.reached.wait(), 60)
        await sandbox.faults.set(fault)
        writes.go_on.set()
        await asyncio.sleep(0)
        await sandbox.faults.clear()
        before = await config_maps(world)
        # Whatever was written is owned.
        assert set(before) <= owned(await world.status("apps"))
        status = await world.ready("apps")
    after = await config_maps(world)
    assert set(after) == set(NAMES) == owned(status)
    assert {name: after[name] for name in before} == before
    # Some did not come through the first time.
    assert len(writes.made) > len(NAMES)


async def test_leases_that_are_lost_while_objects_are_applied(
    world: World, client: Client, context: Context, writes: Writes, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "repositories" / "apps")
    await asyncio.to_thread(repository.commit, "first", {f"{name}.yaml": config_map(name) for name in NAMES})
    await create(client, repository.url)
    await world.kustomization("apps")
    engine = Engine(QUICK, tmp_path / "engine", "fluxtui_one")
    async with running(engine, context):
        await asyncio.wait_for(writes.reached.wait(), 60)
        for name in ("source", "kustomize", "helm"):
            taken = {"holderIdentity": "upstream_1", "renewTime": micro_timestamp(), "leaseDurationSeconds": 600}
            lease = f"{name}-controller-leader-election"
            await client.patch(LEASES, lease, NAMESPACE, {"spec": taken}, type=PatchType.MERGE)
        await eventually(lambda: state(engine, context.id) == "waiting", 60)
        count = len(writes.made)
        resource = await world.resource("Kustomization")
        version = (await client.get(resource, "apps", NAMESPACE))["metadata"]["resourceVersion"]
        writes.go_on.set()
    # No write came after the loss, neither of objects nor of status, and what was written has an owner.
    assert len(writes.made) == count < len(NAMES)
    left = await client.get(resource, "apps", NAMESPACE)
    assert left["metadata"]["resourceVersion"] == version
    assert set(await config_maps(world)) <= owned(left["status"])


async def test_many_after_a_restart_are_looked_at_once_each_and_nothing_is_written(
    world: World, writes: Writes
) -> None:
    writes.go_on.set()
    names = [f"k{number:02}" for number in range(24)]
    revision = await world.publish({f"{name}/a.yaml": config_map(name) for name in names})
    for name in names:
        await world.kustomization(name, path=f"./{name}")
    async with world.running():
        for name in names:
            await world.ready(name, revision)
    before, made = await config_maps(world), len(writes.made)
    world.store.prepare()
    async with world.running(drift_detection=False) as controller:
        busiest = 0

        async def counted() -> bool:
            nonlocal busiest
            busiest = max(busiest, len(controller.queue.processing))
            statuses = [await world.status(name) for name in names]
            return all(status["history"][0]["totalReconciliations"] == 2 for status in statuses)

        await eventually(counted, 60)
        await eventually(lambda: not controller.queue.processing and not len(controller.queue), 60)
        assert controller.runs == len(names)
        assert busiest <= controller.concurrency
    assert len(writes.made) == made
    assert await config_maps(world) == before
    # The artifact was unpacked once for all of them.
    assert len(list((world.store.root / ".unpacked").iterdir())) == 1
