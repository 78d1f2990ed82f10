"""The watches for drift of one engine: of its own cluster, and of every other one that it applies to.

All share one budget. Another cluster is watched with the credentials that applied there last; when it no longer takes
them, with those of the next run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from fluxtui.engine.controllers.kustomize.drift import Budget, DriftWatch
from fluxtui.engine.runtime.objects import Key
from fluxtui.kube.client import Client
from fluxtui.kube.errors import KubeError
from fluxtui.kube.kubeconfig import Context

logger = logging.getLogger("fluxtui.engine.drift")


class Remote(msgspec.Struct, frozen=True):
    """Another cluster than the engine's own."""

    id: str
    """Tells it from others, whatever the credentials."""
    context: Context


class _Other(msgspec.Struct):
    watch: DriftWatch
    context: Context
    task: asyncio.Task[None] | None = None


class Drifts:
    """A watch for each cluster, made with the first Kustomization that applies there. `run` it beside the workers."""

    def __init__(self, client: Client, budget: Budget) -> None:
        self._client = client
        self._budget = budget
        self._own = DriftWatch(client.id, budget)
        self._others: dict[str, _Other] = {}
        self._changed = asyncio.Event()

    def of(self, remote: Remote | None) -> DriftWatch:
        """The watch of another cluster, or of the engine's own."""
        if remote is None:
            return self._own
        found = self._others.get(remote.id)
        if found is None:
            name = f"{self._client.id}: {remote.context.id}"
            found = self._others[remote.id] = _Other(DriftWatch(name, self._budget), remote.context)
            self._changed.set()
        elif found.context != remote.context and (found.task is None or found.task.done() or found.watch.faulty):
            found.context = remote.context
            self._stop(found)
        return found.watch

    def forget(self, key: Key, *, but: DriftWatch | None = None) -> None:
        """Watch nothing of a Kustomization any more, but in one cluster."""
        for watch in (self._own, *(other.watch for other in self._others.values())):
            if watch is not but:
                watch.forget(key)
        for name, other in list(self._others.items()):
            if other.watch.idle and other.watch is not but:
                del self._others[name]
                self._stop(other)

    async def run(self, wake: Callable[[Key], None]) -> None:
        """Watch until cancelled; `wake` is called with a Kustomization whose objects somebody else changed."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._own.run(self._client, wake), name=f"drift in {self._client.id}")
            while True:
                for other in self._others.values():
                    if other.task is None:
                        other.task = group.create_task(self._watch(other, wake), name=f"drift in {other.context.id}")
                await self._changed.wait()
                self._changed.clear()

    async def _watch(self, other: _Other, wake: Callable[[Key], None]) -> None:
        from fluxtui.engine.runtime.guard import GuardedClient

        try:
            async with GuardedClient(other.context, lambda: 0.0) as client:
                await other.watch.run(client, wake)
        except KubeError as error:
            logger.warning("%s: is not watched for drift: %s", other.context.id, error)

    def _stop(self, other: _Other) -> None:
        if other.task is not None:
            other.task.cancel()
            other.task = None
        self._changed.set()
