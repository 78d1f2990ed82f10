"""A watch beside a test, and a reader that applies its batches as every reader shall."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fluxtui.kube.client import Client
from fluxtui.kube.liveness import Liveness
from fluxtui.kube.resources import Resource
from fluxtui.kube.watch import Batch, Phase, Timing, WatchState, watch
from tests.kube.support import CONFIG_MAPS, context

FAST = Timing(recheck=0.1, max_pause=0.2)


class Mirror:
    """Applies batches, and remembers what it was told."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.batches: list[Batch[Any]] = []
        self.states: list[WatchState] = []

    def apply(self, batch: Batch[Any]) -> None:
        """Take one batch."""
        self.batches.append(batch)
        if batch.replace:
            self.objects.clear()
        for obj in batch.upserts:
            name = obj["metadata"]["name"] if isinstance(obj, dict) else obj.metadata.name
            self.objects[name] = obj
        for _, name in batch.deletes:
            self.objects.pop(name, None)

    @property
    def lists(self) -> int:
        """How many batches replaced everything."""
        return sum(batch.replace for batch in self.batches)

    @property
    def phase(self) -> Phase | None:
        """The phase told last."""
        return self.states[-1].phase if self.states else None

    @property
    def phases(self) -> list[Phase]:
        """All phases told."""
        return [state.phase for state in self.states]


@asynccontextmanager
async def follow(client: Client, resource: Resource, *args: Any, **options: Any) -> AsyncIterator[Mirror]:
    """A running watch and the mirror it feeds; ends with the block."""
    mirror = Mirror()

    async def run() -> None:
        async for batch in watch(client, resource, *args, on_state=mirror.states.append, **options):
            mirror.apply(batch)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        try:
            yield mirror
        finally:
            task.cancel()


@asynccontextmanager
async def following(url: str, *args: Any, liveness: Liveness | None = None, **options: Any) -> AsyncIterator[Mirror]:
    """A watch that runs beside the test."""
    options.setdefault("timing", FAST)
    async with (
        Client(context(url), liveness=liveness or Liveness(max_pause=0.1)) as client,
        follow(client, CONFIG_MAPS, *args, **options) as mirror,
    ):
        yield mirror
