"""A controller at work on a cluster, a reconciler that does what the test says, and hands to play the user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from fluxtui.api.kinds import GIT_REPOSITORY
from fluxtui.api.meta import FINALIZER, REQUESTED_AT, Condition
from fluxtui.api.source import GitRepository
from fluxtui.engine.runtime.artifacts import ArtifactStore
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.conditions import violations
from fluxtui.engine.runtime.controller import Controller
from fluxtui.engine.runtime.guard import GuardedClient
from fluxtui.engine.runtime.limits import Limits
from fluxtui.engine.runtime.objects import Key
from fluxtui.engine.runtime.outcomes import Failed
from fluxtui.engine.runtime.reconciler import Reconciler
from fluxtui.engine.runtime.reconciliation import Reconciliation
from fluxtui.engine.runtime.settings import EngineSettings
from fluxtui.engine.runtime.workers import WorkerPool
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.errors import NotFound
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.resources import Resource
from tests.engine.polling import eventually

Run = Reconciliation[GitRepository]
Script = Callable[[Run], Awaitable[None]]
KEY = Key("flux-system", "fleet")


class Scripted(Reconciler[GitRepository]):
    """A reconciler whose only step is whatever the test says; the last script repeats."""

    kind = GIT_REPOSITORY
    type = GitRepository
    manager = "gotk-test-controller"
    controller = "test-controller"
    owned = ("FetchFailed", "ArtifactInStorage")
    negative = ("FetchFailed",)

    def __init__(self) -> None:
        self.scripts: list[Script] = [succeed]
        self.finalizer: Script = _nothing
        self.runs: list[Run] = []
        self.retry: float | None = None

    async def play(self, run: Run) -> None:
        self.runs.append(run)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        await script(run)

    steps = (play,)

    async def finalize(self, run: Run) -> None:
        await self.finalizer(run)

    def interval(self, obj: GitRepository) -> float:
        return 3600.0

    def retry_interval(self, obj: GitRepository) -> float | None:
        return self.retry


async def _nothing(run: Run) -> None:
    return


async def succeed(run: Run) -> None:
    run.conditions.delete("FetchFailed")
    run.conditions.set("ArtifactInStorage", "True", "Succeeded", "stored")


def fails(message: str = "no route") -> Script:
    async def script(run: Run) -> None:
        raise Failed("GitOperationFailed", message, condition="FetchFailed")

    return script


class Bench:
    """A controller at work, and hands to play the user."""

    def __init__(self, client: Client, resource: Resource, controller: Controller[GitRepository]) -> None:
        self.client = client
        self.resource = resource
        self.controller = controller
        self.leading = True

    async def create(self, name: str = KEY.name, **spec: object) -> dict[str, Any]:
        return await self.client.create(
            self.resource,
            {
                "apiVersion": self.resource.api_version,
                "kind": "GitRepository",
                "metadata": {"name": name, "namespace": KEY.namespace},
                "spec": {"interval": "10m", "url": "https://host/x", **spec},
            },
        )

    async def get(self) -> dict[str, Any]:
        return await self.client.get(self.resource, KEY.name, KEY.namespace)

    async def is_gone(self) -> bool:
        try:
            await self.get()
        except NotFound:
            return True
        return False

    async def patch(self, patch: dict[str, Any], subresource: str = "") -> None:
        await self.client.patch(
            self.resource, KEY.name, KEY.namespace, patch, type=PatchType.MERGE, subresource=subresource
        )

    async def request(self, text: str) -> None:
        await self.patch({"metadata": {"annotations": {REQUESTED_AT: text}}})

    async def settled(self, reason: str, status: str | None = None) -> dict[str, Any]:
        """The object once Ready has a reason; its conditions are sane then."""

        async def look() -> dict[str, Any] | None:
            obj = await self.get()
            ready = conditions(obj).get("Ready")
            wanted = ready is not None and ready.reason == reason and status in (None, ready.status)
            return obj if wanted else None

        obj: dict[str, Any] = await eventually(look)
        assert violations(conditions(obj).values()) == []
        return obj


def conditions(obj: dict[str, Any]) -> dict[str, Condition]:
    items = (obj.get("status") or {}).get("conditions") or []
    return {item["type"]: msgspec.convert(item, Condition) for item in items}


@asynccontextmanager
async def working(context: Context, client: Client, scripted: Scripted, tmp_path: Path) -> AsyncIterator[Bench]:
    """A controller that leads until the bench says otherwise, at work as long as the block."""
    found: list[Bench] = []

    def leading() -> bool:
        return found[0].leading

    async with GuardedClient(context, lambda: 30.0 if leading() else 0.0) as guarded:
        store = ArtifactStore(tmp_path / "storage")
        settings = EngineSettings(min_retry=0.05, interval_jitter=0.0)
        cluster = Cluster(guarded, store.for_cluster("alpha"), settings, WorkerPool(1), Limits(settings), leading)
        controller = Controller(scripted, cluster, 2)
        bench = Bench(client, await cluster.resource(GIT_REPOSITORY), controller)
        found.append(bench)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part.run()) for part in (cluster.cache, controller, cluster.recorder)]
            try:
                yield bench
            finally:
                for task in tasks:
                    task.cancel()


async def finalized(bench: Bench) -> bool:
    """Whether the object of the bench bears the finalizer alone."""
    return bool((await bench.get())["metadata"].get("finalizers") == [FINALIZER])
