"""The engine process: the reconcilers of every embedded cluster; clusters come and go while it runs.

Clusters share the artifact storage, the build workers and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from fluxtui.engine.embedding import ClusterEngine, ClusterState, Shared
from fluxtui.engine.endpoints import Address, Answer, Endpoints
from fluxtui.engine.metrics import CONTENT_TYPE, Metrics
from fluxtui.engine.runtime.artifact_server import ArtifactServer
from fluxtui.engine.runtime.artifacts import ArtifactStore
from fluxtui.engine.runtime.limits import Limits
from fluxtui.engine.runtime.settings import EngineSettings
from fluxtui.engine.runtime.workers import WorkerPool
from fluxtui.engine.states import StatesFile
from fluxtui.kube.gate import Gate
from fluxtui.kube.kubeconfig import Context

LOG_ANNOTATION = "engine.fluxtui.dev/log-file"
HOST_ANNOTATION = "engine.fluxtui.dev/host"
"""On the Leases while they are held: where the engine's log is, for a reader on the same host."""

_PLAIN = "text/plain; charset=utf-8"

logger = logging.getLogger("fluxtui.engine")


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Where the process answers; nothing at None."""

    artifacts: Address = Address("127.0.0.1", 0)
    advertised: str = ""
    """Host and port of the artifacts in the clusters' eyes, when it is another."""
    metrics: Address | None = None
    health: Address | None = None


class Engine:
    """Clusters come and go with the kubeconfig; `run` until `stop` is set."""

    def __init__(
        self,
        settings: EngineSettings,
        storage: Path,
        identity: str,
        *,
        listening: Listening | None = None,
        log_file: Path | None = None,
        on_ready: Callable[[dict[str, Any]], None] = lambda _: None,
        states: StatesFile | None = None,
    ) -> None:
        self._settings = settings
        self._storage = storage
        self._identity = identity
        self._listening = listening or Listening()
        self._log_file = log_file
        self._on_ready: Callable[[dict[str, Any]], None] | None = on_ready
        self._states = states
        self._clusters: dict[Context, tuple[ClusterEngine, asyncio.Task[None]]] = {}
        self._leaving: dict[str, tuple[ClusterEngine, asyncio.Task[None]]] = {}
        self._artifacts_url = ""
        self._addresses: dict[str, str] = {}
        self._has_led = False
        self.stop = asyncio.Event()

    @property
    def states(self) -> list[ClusterState]:
        """What happens to each cluster."""
        return [cluster.state for cluster, _ in self._clusters.values()]

    @property
    def has_led(self) -> bool:
        """Whether any cluster could be reconciled so far."""
        return self._has_led or any(cluster.has_led for cluster, _ in self._clusters.values())

    async def run(self, contexts: Sequence[Context], changes: AsyncIterator[Sequence[Context]] | None = None) -> None:
        """Reconcile the clusters of `contexts`; each item of `changes` is what they are from then on, its end the stop.

        Raises ArtifactError when the storage or its port can't be used, EndpointError for another port.
        """
        store = ArtifactStore(self._storage, ttl=self._settings.artifact_ttl, records=self._settings.artifact_records)
        await asyncio.to_thread(store.prepare)
        workers = WorkerPool(self._settings.build_workers)
        annotations = {HOST_ANNOTATION: socket.gethostname()}
        if self._log_file is not None:
            annotations[LOG_ANNOTATION] = str(self._log_file.absolute())
        metrics = Metrics(lambda: [cluster.led for cluster, _ in self._clusters.values()])
        limits = Limits(self._settings)
        shared = Shared(self._settings, store, workers, limits, Gate(), self._identity, annotations, metrics)
        served = self._listening.artifacts
        try:
            async with (
                ArtifactServer(store, served.host, served.port, self._listening.advertised),
                self._endpoints(metrics) as self._addresses,
            ):
                self._artifacts_url = store.base_url
                async with asyncio.TaskGroup() as aside:
                    telling = aside.create_task(self._states.run()) if self._states is not None else None
                    async with asyncio.TaskGroup() as group:
                        self._update(contexts, shared, group)
                        follow = group.create_task(self._follow(changes, shared, group))
                        await self.stop.wait()
                        follow.cancel()
                        for cluster, _ in self._clusters.values():
                            cluster.stop()
                    if telling is not None:
                        telling.cancel()
        finally:
            await workers.close()

    @asynccontextmanager
    async def _endpoints(self, metrics: Metrics) -> AsyncIterator[dict[str, str]]:
        """Serve metrics and health; yields their URLs."""
        listening, served = self._listening, {}
        places: dict[Address, dict[str, Answer]] = {}
        if listening.metrics is not None:
            places.setdefault(listening.metrics, {})["/metrics"] = lambda: (200, CONTENT_TYPE, metrics.text())
        if listening.health is not None:
            places.setdefault(listening.health, {}).update({"/healthz": _healthy, "/readyz": self._ready})
        async with AsyncExitStack() as stack:
            for place, answers in places.items():
                endpoints = await stack.enter_async_context(Endpoints(place, answers))
                if "/metrics" in answers:
                    served["metrics"] = f"http://{endpoints.address}/metrics"
                if "/healthz" in answers:
                    served["health"] = f"http://{endpoints.address}/healthz"
            yield served

    def _ready(self) -> tuple[int, str, bytes]:
        """Ready once every cluster has had its first answer; who leads it plays no part, as upstream."""
        connecting = [state.context for state in self.states if state.state == "connecting"]
        if connecting:
            return 503, _PLAIN, f"connecting to {', '.join(connecting)}\n".encode()
        return _healthy()

    async def _follow(
        self, changes: AsyncIterator[Sequence[Context]] | None, shared: Shared, group: asyncio.TaskGroup
    ) -> None:
        if changes is None:
            return
        async for contexts in changes:
            self._update(contexts, shared, group)
        self.stop.set()

    def _update(self, contexts: Sequence[Context], shared: Shared, group: asyncio.TaskGroup) -> None:
        """Start clusters that are new and stop those that are gone; the others are not disturbed."""
        for context in [context for context in self._clusters if context not in contexts]:
            cluster, task = self._clusters.pop(context)
            self._has_led |= cluster.has_led
            self._leaving[context.id] = cluster, task
            logger.info("%s: not wanted any more, or changed", context.id)
            cluster.stop()
        for context in contexts:
            if context not in self._clusters:
                _, before = self._leaving.pop(context.id, (None, None))
                cluster = ClusterEngine(context, shared, self._heard, before)
                self._clusters[context] = cluster, group.create_task(cluster.run(), name=f"cluster {context.id}")
        self._tell()

    def _tell(self) -> None:
        """Put into the file how the clusters stand, with those that are let go of and have not ended yet."""
        if self._states is not None:
            left = [cluster.state for cluster, _ in self._leaving.values() if cluster.state.state != "stopped"]
            stopping = [ClusterState(state.context, "stopping", state.message) for state in left]
            self._states.tell([*self.states, *stopping])

    def _heard(self, _: ClusterState) -> None:
        """Tell how the clusters stand; say once that every one of them has had its first answer."""
        self._tell()
        if self._on_ready is None or any(state.state == "connecting" for state in self.states):
            return
        on_ready, self._on_ready = self._on_ready, None
        on_ready(
            {
                "ready": True,
                "pid": os.getpid(),
                "artifacts": self._artifacts_url,
                **self._addresses,
                "logFile": str(self._log_file) if self._log_file else "",
                "clusters": [msgspec.to_builtins(state) for state in self.states],
            }
        )


def _healthy() -> tuple[int, str, bytes]:
    return 200, _PLAIN, b"ok\n"
