"""One cluster kept live: connect, discover, watch every Flux kind it serves, and say how it goes.

kube.watch does the watching and the reconnecting; here its news are folded into the mirror, and what it says about each
kind becomes the state of the cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from fluxtui.api.kinds import BY_KIND
from fluxtui.fleet.clusters import ClusterInfo, Phase
from fluxtui.fleet.lookout import Lookout
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.served import flux_resources
from fluxtui.fleet.states import LOST_AFTER
from fluxtui.fleet.text import one_line
from fluxtui.fleet.wire import Wire, lenient
from fluxtui.kube.errors import AuthError, ConfigError, KubeError, Unauthorized
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.liveness import full_jitter
from fluxtui.kube.resources import Resource, Resources

if TYPE_CHECKING:
    from fluxtui.kube.client import Client
    from fluxtui.kube.watch import Batch, Gate, WatchState

GATHER = 0.05
"""Seconds from news of a cluster's state to telling the mirror: one report says it for many."""
CHUNK = 100
"""Objects folded into the mirror before the loop may do something else: some 2 ms."""
DISCOVERY_EVERY = 60.0
"""Seconds between discoveries; an unchanged answer costs the server a 304."""
DISCOVERY_WITHOUT_FLUX = 10.0
"""The same while the cluster serves no Flux kind."""

KindKey = tuple[str, str]

logger = logging.getLogger("fluxtui.fleet")


class Collector:
    """Keeps one cluster of the mirror live; `run` does it all."""

    def __init__(
        self, context: Context, mirror: Mirror, gate: Gate, on_connected: Callable[[], None] = lambda: None
    ) -> None:
        """`on_connected` is called when `client` may be used."""
        self.context = context
        self.client: Client | None = None
        self._mirror = mirror
        self._gate = gate
        self._on_connected = on_connected
        self.ended = False
        """Set before `run` is cancelled: before Python 3.13, a TaskGroup that ends for an error of its own drops a
        cancellation meanwhile."""
        self._served: Resources | None = None
        """What the kinds to watch were taken from."""
        self._states: dict[KindKey, WatchState] = {}
        self._listed: set[KindKey] = set()
        self._resources: dict[KindKey, Resource] = {}
        self._discovered = False
        self._problem: KubeError | None = None
        self._problem_since = 0.0
        self._news = asyncio.Event()
        facts = ClusterInfo(id=context.id, server=context.host)
        self._lookout = Lookout(facts, lambda: mirror.clock(), self._found_out)
        self._reported: object = None
        """What small requests had found out when the mirror was told last."""

    def look(self) -> None:
        """Look at the Leases at once: who reconciles the cluster, or whether it still lets us in, has just changed."""
        self._lookout.look()

    async def run(self) -> None:
        """Keep the cluster live until cancelled. A mistake of ours ends this cluster's reading and no other's."""
        while True:
            try:
                await self._connect()
            except* KubeError as errors:
                self._trouble(next(_leaves(errors)))
            except* Exception as errors:
                logger.exception("%s: unexpected error", self.context.id, exc_info=errors)
                self._trouble(KubeError(f"unexpected error: {next(_leaves(errors))}"))
            if self.ended:
                return
            self._report()
            await asyncio.sleep(LOST_AFTER * random.uniform(0.3, 0.5))

    async def _connect(self) -> None:
        from fluxtui.kube.client import Client

        async with Client(self.context) as client:
            self.client = client
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._keep_reporting(), name=f"state of {self.context.id}")
                    served = await self._first_discovery(client)
                    self._on_connected()
                    self._resources.clear()
                    self._states.clear()
                    self._watch_new(group, client, served)
                    group.create_task(self._keep_discovering(group, client), name=f"discovery of {self.context.id}")
                    group.create_task(self._lookout.run(client), name=f"leases of {self.context.id}")
            finally:
                self.client = None

    # what the cluster serves

    async def _first_discovery(self, client: Client) -> Resources:
        attempt = 0
        while True:
            try:
                # What it serves is as good a question to find out whether it is there as any other.
                await client.alive(client.resources)
                served = await client.resources()
            except KubeError as error:
                self._trouble(error)
                attempt += 1
                await asyncio.sleep(full_jitter(attempt))
            else:
                self._problem = None
                self._discovered = True
                return served

    async def _keep_discovering(self, group: asyncio.TaskGroup, client: Client) -> None:
        while True:
            every = DISCOVERY_EVERY if self._resources else DISCOVERY_WITHOUT_FLUX
            await asyncio.sleep(every * random.uniform(0.8, 1.2))
            try:
                await client.alive()
                self._watch_new(group, client, await client.resources(refresh=True))
            except KubeError as error:
                if not self._resources:
                    self._trouble(error)
            else:
                self._problem = None
                self._found_out()

    def _watch_new(self, group: asyncio.TaskGroup, client: Client, served: Resources) -> None:
        """Watch the kinds that are not watched yet; forget the rows of kinds that a server before this one served."""
        if served is self._served:
            return
        self._served = served
        for resource in flux_resources(served):
            key = (resource.group, resource.kind)
            if key not in self._resources:
                self._resources[key] = resource
                group.create_task(self._watch(client, resource), name=f"{resource.name} of {self.context.id}")
        for key in {(ref.group, ref.kind) for ref in self._mirror.refs(self.context.id)} - self._resources.keys():
            self._mirror.retain(self.context.id, *key, ())
        self._news.set()

    async def _watch(self, client: Client, resource: Resource) -> None:
        from fluxtui.kube.watch import watch

        key = (resource.group, resource.kind)
        known = BY_KIND.get(key)
        manifests = self._mirror.manifests
        batches = watch(
            client,
            resource,
            Wire if known else None,
            keep=manifests.pack if manifests is not None else None,
            fallback=lambda data: lenient(msgspec.json.decode(data)),
            gate=self._gate,
            on_state=lambda state: self._heard(key, state),
        )
        async with contextlib.aclosing(batches):
            async for batch in batches:
                await self._fold(resource, batch)
                # A quiet kind says nothing for minutes; what was read in full must not wait for the next word.
                del batch

    async def _fold(self, resource: Resource, batch: Batch[Any]) -> None:
        cluster = self.context.id
        group, kind, manifests = resource.group, resource.kind, self._mirror.manifests
        seen: set[Ref] = set()
        if manifests is not None and batch.invalid:
            # What was kept of them is older than what the server has.
            manifests.forget(Ref(cluster, group, kind, *invalid.key) for invalid in batch.invalid)
        for start in range(0, len(batch.upserts), CHUNK):
            chunk = batch.upserts[start : start + CHUNK]
            for obj in chunk:
                if isinstance(obj, Wire) and not obj.kind:
                    obj.api_version, obj.kind = resource.api_version, kind
            refs = self._mirror.upsert(cluster, chunk)
            if batch.replace:
                seen.update(refs)
            if manifests is not None:
                manifests.put(refs, batch.kept[start : start + CHUNK])
            if len(batch.upserts) > CHUNK:
                await self._gate.breathe()
        self._mirror.remove(Ref(cluster, group, kind, *key) for key in batch.deletes)
        self._lookout.stir()
        if batch.replace:
            seen.update(Ref(cluster, group, kind, *invalid.key) for invalid in batch.invalid)
            self._mirror.retain(cluster, group, kind, seen)
            self._listed.add((group, kind))
            self._news.set()

    # how it goes

    def _heard(self, key: KindKey, state: WatchState) -> None:
        from fluxtui.kube.watch import Phase as Watching

        self._states[key] = state
        if state.phase is Watching.FORBIDDEN:
            self._mirror.retain(self.context.id, *key, ())
        self._news.set()

    def _trouble(self, error: KubeError | BaseException) -> None:
        if self._problem is None:
            self._problem_since = time.time()
        self._problem = error if isinstance(error, KubeError) else KubeError(str(error))
        self._news.set()

    def _found_out(self) -> None:
        """A small request was answered or not: that is news only where it tells something else than the one before."""
        if self._standing() != self._reported:
            self._news.set()

    def _standing(self) -> object:
        return self._lookout.facts, self._problem, self.client.liveness.error if self.client else None

    async def _keep_reporting(self) -> None:
        """Tell the mirror of changes, many at once; and once more when a silence has become a loss."""
        while True:
            lost = self._report()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.1, lost + LOST_AFTER - time.time()) if lost else None):
                    await self._news.wait()
            # Where one kind has news the others soon have some, too: a list ended, a server is gone.
            await asyncio.sleep(GATHER)
            self._news.clear()

    def _report(self) -> float:
        """Set the cluster's state and that of its kinds; returns since when it is silent while that is not a loss yet,
        else 0.0."""
        from fluxtui.kube.watch import Phase as Watching

        self._reported = self._standing()
        problem, since = self._silence()
        for key, state in self._states.items():
            broken = state.since if state.phase is Watching.BROKEN else 0.0
            self._mirror.set_lost(self.context.id, *key, min(broken or since, since or broken))
        info = self._judged(problem, since)
        self._mirror.set_cluster(info)
        if info.lost_since:
            return 0.0 if info.is_lost else info.lost_since
        soon = [since for since in self._broken().values() if not _is_long_ago(since)]
        return min(soon, default=0.0)

    def _broken(self) -> dict[KindKey, float]:
        """The kinds whose watch fails, and since when."""
        from fluxtui.kube.watch import Phase as Watching

        return {key: state.since for key, state in self._states.items() if state.phase is Watching.BROKEN}

    def _silence(self) -> tuple[KubeError | None, float]:
        """What keeps the whole cluster from being heard, and since when; (None, 0.0) when it is heard."""
        from fluxtui.kube.watch import Phase as Watching

        if self._problem is not None:
            return self._problem, self._problem_since
        if self.client is not None and self.client.liveness.error is not None:
            return self.client.liveness.error, self.client.liveness.last_heard
        readable = [
            state for state in self._states.values() if state.phase not in (Watching.FORBIDDEN, Watching.ABSENT)
        ]
        broken = [state for state in readable if state.phase is Watching.BROKEN]
        if broken and len(broken) == len(readable):
            return broken[0].error, min(state.since for state in broken)
        return None, 0.0

    def _judged(self, problem: KubeError | None, since: float) -> ClusterInfo:
        from fluxtui.kube.watch import Phase as Watching

        states = self._states
        forbidden = sorted(key for key, state in states.items() if state.phase is Watching.FORBIDDEN)
        absent = {key for key, state in states.items() if state.phase is Watching.ABSENT}
        kinds = self._resources.keys() - absent
        info = msgspec.structs.replace(
            self._lookout.facts,
            kinds=len(kinds),
            synced=len(kinds & (self._listed | set(forbidden))),
            forbidden=tuple(self._resources[key].name for key in forbidden),
            silent=tuple(
                sorted(self._resources[key].name for key, since in self._broken().items() if _is_long_ago(since))
            ),
        )
        phase = self._reading(info)
        if problem is None:
            broken = next((state for state in states.values() if state.phase is Watching.BROKEN), None)
            words = one_line(str(broken.error)) if broken and broken.error else ""
            return msgspec.structs.replace(info, phase=phase, error=words or info.refused)
        if isinstance(problem, (AuthError, ConfigError, Unauthorized)):
            phase = Phase.DENIED
        elif _is_long_ago(since) or not self._listed:
            phase = Phase.UNREACHABLE
        words = one_line(str(problem))
        return msgspec.structs.replace(info, phase=phase, lost_since=since, error=words, refused="", distrusted=False)

    def _reading(self, info: ClusterInfo) -> Phase:
        if not self._discovered:
            return Phase.CONNECTING
        if info.synced < info.kinds:
            return Phase.SYNCING
        return Phase.DEGRADED if info.forbidden or info.silent or info.refused else Phase.LIVE


def _is_long_ago(since: float) -> bool:
    """Whether a silence has become a loss."""
    return time.time() - since > LOST_AFTER


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
