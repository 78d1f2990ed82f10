"""One cluster of the engine process: its reconcilers, for as long as its Leases are held.

What goes wrong with a cluster is retried with back-off and never reaches another.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from fluxtui.api.kinds import GIT_REPOSITORY, HELM_RELEASE, KUSTOMIZATION, Kind
from fluxtui.engine.metrics import Led, Metrics
from fluxtui.engine.runtime.artifacts import ArtifactStore, slug
from fluxtui.engine.runtime.backoff import Backoff
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.controller import Controller
from fluxtui.engine.runtime.leases import LeaderElection, Standing
from fluxtui.engine.runtime.limits import Limits
from fluxtui.engine.runtime.settings import EngineSettings
from fluxtui.engine.runtime.workers import WorkerPool
from fluxtui.engine.unreconciled import LOOK_AGAIN, left_out, unreconciled
from fluxtui.kube.errors import KubeError
from fluxtui.kube.gate import Gate
from fluxtui.kube.kubeconfig import Context

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

RECONCILERS: Mapping[Kind, str] = {
    GIT_REPOSITORY: "fluxtui.engine.controllers.source.gitrepository:GitRepositoryReconciler",
    KUSTOMIZATION: "fluxtui.engine.controllers.kustomize.kustomization:KustomizationReconciler",
    HELM_RELEASE: "fluxtui.engine.controllers.helm.helmrelease:HelmReleaseReconciler",
}
"""Kind → `module:class` of its reconciler; the class is made once per cluster as `class(cluster)`."""

logger = logging.getLogger("fluxtui.engine")


class ClusterState(msgspec.Struct, frozen=True):
    """What the engine does with a cluster at the moment."""

    context: str
    state: str
    """"connecting", "waiting" (somebody else holds the Leases), "leading", "unreachable" or "stopped"."""
    message: str = ""


class Shared(msgspec.Struct, frozen=True):
    """What all clusters of the process use."""

    settings: EngineSettings
    artifacts: ArtifactStore
    workers: WorkerPool
    limits: Limits
    gate: Gate
    """Order in the start-up storm of many clusters."""
    identity: str
    annotations: dict[str, str]
    metrics: Metrics


class ClusterEngine:
    """All reconcilers of one cluster: connects, stands for election, reconciles while leading, again and again."""

    def __init__(
        self,
        context: Context,
        shared: Shared,
        on_state: Callable[[ClusterState], None],
        after: asyncio.Task[None] | None = None,
    ) -> None:
        self.context = context
        self.state = ClusterState(context.id, "connecting")
        self.has_led = False
        self._shared = shared
        self._on_state = on_state
        self._after = after
        self._stop = asyncio.Event()
        self._leading = False
        self._election: LeaderElection | None = None
        self._controllers: tuple[Controller[Any], ...] = ()

    @property
    def led(self) -> Led:
        """What metrics tell of the cluster."""
        leases = self._election.leases if self._election is not None else ()
        return Led(self.context.id, self._leading, leases, self._controllers)

    async def run(self) -> None:
        """Reconcile until `stop` or until cancelled; begins when `after`, the engine before, has ended."""
        if self._after is not None:
            await asyncio.wait((self._after,))
        backoff: Backoff[str] = Backoff(1.0, 60.0)
        while not self._stop.is_set():
            try:
                await self._connect(backoff)
            except* KubeError as errors:
                self._set("unreachable", "; ".join(map(str, _leaves(errors))))
            except* Exception as errors:
                logger.error("%s: unexpected error", self.context.id, exc_info=errors)
                self._set("unreachable", f"unexpected error: {'; '.join(map(str, _leaves(errors)))}")
            if not self._stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), backoff.next(""))
        self._set("stopped")

    def stop(self) -> None:
        """Begin nothing more, finish what is under way, give the Leases back; `run` returns when that is done."""
        self._stop.set()

    async def _connect(self, backoff: Backoff[str]) -> None:
        from fluxtui.engine.runtime.guard import GuardedClient
        from fluxtui.kube.client import Client

        # The Leases have a connection of their own: renewing never waits behind other requests.
        guarded = GuardedClient(self.context, self._may_write, self._requested)
        async with Client(self.context) as lease_client, guarded as client, asyncio.TaskGroup() as group:
            running = group.create_task(self._stand_for(lease_client, client, backoff), name=f"engine of {client.id}")
            stopping = group.create_task(self._stop.wait())
            await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not self._leading:
                running.cancel()
            await asyncio.wait((running,))
            stopping.cancel()

    async def _stand_for(self, lease_client: Client, client: Client, backoff: Backoff[str]) -> None:
        """Stand for election, once the server answers, and lead when elected."""
        await client.version()
        backoff.forget("")
        election = self._election = LeaderElection(
            lease_client,
            sorted({kind.controller for kind in RECONCILERS}),
            # Of its own for each context: two contexts of one cluster never lead it both.
            f"{self._shared.identity}_{slug(self.context.id)}",
            self._shared.settings,
            annotations=self._shared.annotations,
            on_change=self._stand,
        )
        await election.run(lambda: self._lead(client), ended=self._stop.is_set)

    def _requested(self, method: str, code: str) -> None:
        self._shared.metrics.requested(self.context.id, self.context.host, method, code)

    def _may_write(self) -> float:
        return self._election.remaining if self._election is not None else 0.0

    async def _lead(self, client: Client) -> None:
        """Reconcile while the Leases are held, from a fresh look at the cluster, until the stop."""
        shared = self._shared
        cluster = Cluster(
            client,
            shared.artifacts.for_cluster(self.context.id),
            shared.settings,
            shared.workers,
            shared.limits,
            lambda: self._may_write() > 0,
            shared.gate,
            shared.metrics,
        )
        reconcilers = [load(path)(cluster) for path in RECONCILERS.values()]
        controllers = [Controller(reconciler, cluster, shared.settings.concurrent) for reconciler in reconcilers]
        self._controllers = tuple(controllers)
        self._leading = self.has_led = True
        self._set("leading")
        try:
            async with asyncio.TaskGroup() as group:
                recorder = group.create_task(cluster.recorder.run(), name=f"events of {client.id}")
                cache = group.create_task(cluster.cache.run(), name=f"watches of {client.id}")
                looking = group.create_task(self._look(cluster), name=f"unreconciled of {client.id}")
                runs = [group.create_task(controller.run()) for controller in controllers]
                await self._stop.wait()
                cache.cancel()
                looking.cancel()
                await self._drain(controllers, runs)
                await cluster.recorder.flush(shared.settings.release_deadline)
                recorder.cancel()
        finally:
            self._leading = False
            self._controllers = ()

    async def _look(self, cluster: Cluster) -> None:
        """Say which objects wait in vain, because their controller is kept out by the Leases."""
        kinds = left_out(RECONCILERS)
        while True:
            found = await unreconciled(cluster, kinds)
            message = f"not reconciled by this engine, nor by anybody else while it leads: {found}" if found else ""
            if message != self.state.message:
                if message:
                    logger.warning("%s: %s", self.context.id, message)
                self._set("leading", message)
            await asyncio.sleep(LOOK_AGAIN)

    async def _drain(self, controllers: Sequence[Controller[Any]], runs: Sequence[asyncio.Task[None]]) -> None:
        """Let the runs in flight end; those that don't in time are cancelled and still write what they observed."""
        for controller, run in zip(controllers, runs, strict=True):
            controller.stop()
            if not controller.started:
                run.cancel()
        _, late = await asyncio.wait(runs, timeout=self._shared.settings.drain_deadline)
        for run in late:
            run.cancel()
        if late:
            stuck = [str(key) for controller in controllers for key in controller.queue.processing]
            logger.warning("%s: cut short: %s", self.context.id, ", ".join(stuck))
            await asyncio.wait(late)

    def _stand(self, standing: Standing) -> None:
        if standing.holders:
            self._set("waiting", "; ".join(map(str, standing.holders)))
        elif standing.problem:
            self._set("waiting" if standing.reachable else "unreachable", standing.problem)

    def _set(self, state: str, message: str = "") -> None:
        new = ClusterState(self.context.id, state, message)
        if (new.state, _stable(new.message)) != (self.state.state, _stable(self.state.message)):
            logger.info("%s: %s%s", self.context.id, state, f": {message}" if message else "")
        self.state = new
        self._on_state(new)


def load(path: str) -> Callable[[Cluster], Any]:
    """The reconciler class of a `module:class` path."""
    module, _, name = path.partition(":")
    found: Callable[[Cluster], Any] = getattr(importlib.import_module(module), name)
    return found


def _leaves(errors: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in errors.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _stable(message: str) -> str:
    """A message without what changes by the second."""
    return message.partition(" (renewed")[0]
