"""All clusters, kept live: what the console and the verbs hold in their hands.

Making one costs nothing and connects nowhere; `run` does, and loads the Kubernetes client in a thread.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from fluxtui.api import durations
from fluxtui.config import Settings
from fluxtui.fleet.actions import Action, Plan, plan_of
from fluxtui.fleet.audit import AuditLog, Entry, timestamp, who
from fluxtui.fleet.clusters import ClusterInfo, Phase
from fluxtui.fleet.commands import Commands
from fluxtui.fleet.comparison import Comparison, ComparisonError, applier, compare
from fluxtui.fleet.happenings import Happening, follow_happenings
from fluxtui.fleet.logs import LogLine, follow_logs
from fluxtui.fleet.lookout import REFUSING
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.opening import keep_open
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.tree import Tree
from fluxtui.kube.errors import KubeError, Unreachable
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.limits import raise_open_files

if TYPE_CHECKING:
    from fluxtui.fleet.collector import Collector
    from fluxtui.fleet.manifests import Manifests
    from fluxtui.kube.client import Client
    from fluxtui.kube.gate import Gate

Contexts = Sequence[Context]
_AT_ONCE = 4
"""Clusters that begin together."""
_PACE = 0.02
"""Seconds between them and the next: so the first are read while the others still shake hands, which takes some
milliseconds of work for each, and keys are answered."""
_TICK = 1.0
"""Seconds between looks at what time alone has changed; a look costs nothing when nothing is due."""


class Fleet:
    """The clusters of some contexts: their mirror, their clients, and what may be done to them."""

    def __init__(
        self,
        contexts: Contexts = (),
        settings: Settings | None = None,
        *,
        clock: Callable[[], float] = time.time,
        reloads: Callable[[], AsyncIterator[Contexts]] | None = None,
        audit: AuditLog | None = None,
    ) -> None:
        """`reloads`, if given, yields the contexts again whenever a kubeconfig changed."""
        self.settings = settings or Settings()
        self.mirror = Mirror(clock)
        self.tree = Tree(self.mirror)
        self.commands = Commands(
            self.client,
            clusters=self.mirror.clusters,
            read_only=self.settings.console.read_only,
            protected=self.settings.clusters.protected,
            concurrency=self.settings.actions.concurrency,
            timeout=durations.parse(self.settings.actions.timeout),
            audit=audit,
            clock=clock,
            on_refused=self.look,
        )
        self._contexts: dict[str, Context] = {}
        self._collectors: dict[str, Collector] = {}
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._opened: set[Ref] = set()
        self._reloads = reloads
        self._group: asyncio.TaskGroup | None = None
        self._gate: Gate | None = None
        self.visible: Callable[[], Collection[str]] = tuple
        """Clusters that are looked at: they are connected and read first."""
        self.waits: Callable[[], float] = lambda: 0.0
        """Seconds for which something else wants the loop more than what is read of clusters."""
        self.set_contexts(contexts)

    # running

    async def run(self) -> None:
        """Keep all clusters live until cancelled."""
        await asyncio.to_thread(_load_client)
        from fluxtui.kube.gate import Gate

        manifests = await asyncio.to_thread(_manifests) if self.settings.console.keep_objects else None
        self.mirror.manifests = manifests
        raise_open_files()
        self._gate = Gate(first=lambda: self.visible(), waits=lambda: self.waits())
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                group.create_task(self._tick(), name="fleet clock")
                if manifests is not None:
                    group.create_task(manifests.run(), name="fleet manifests")
                if self._reloads is not None:
                    group.create_task(self._reload(self._reloads()), name="fleet kubeconfigs")
                visible = self.visible()
                for index, context in enumerate(sorted(self._contexts.values(), key=lambda c: c.id not in visible)):
                    if index and index % _AT_ONCE == 0:
                        await asyncio.sleep(_PACE)
                    if self._contexts.get(context.id) is context and context.id not in self._collectors:
                        self._start(context)
                await asyncio.Event().wait()
            finally:
                self._group = self._gate = None
                self._tasks.clear()
                for collector in self._collectors.values():
                    collector.ended = True
                self._collectors.clear()

    def set_contexts(self, contexts: Contexts) -> None:
        """The contexts of the fleet from now on: new ones are connected, gone ones forgotten, the others left alone."""
        wanted = {context.id: context for context in contexts}
        for id in [id for id, context in self._contexts.items() if wanted.get(id) != context]:
            self._stop(id)
            if id not in wanted:
                self.mirror.drop_cluster(id)
        fresh = [context for context in contexts if self._contexts.get(context.id) != context]
        self._contexts = wanted
        for context in fresh:
            if context.id not in self.mirror.clusters:
                self.mirror.set_cluster(ClusterInfo(id=context.id, server=context.host))
            self._start(context)

    # asking

    def look(self, cluster: str) -> None:
        """Look at once who reconciles a cluster and whether it lets us in: somebody knows that it may have changed."""
        collector = self._collectors.get(cluster)
        if collector is not None:
            collector.look()

    def context(self, cluster: str) -> Context | None:
        """The context that a cluster was found in."""
        return self._contexts.get(cluster)

    def client(self, cluster: str) -> Client:
        """The client of a cluster. Raises Unreachable while there is none."""
        collector = self._collectors.get(cluster)
        if collector is None or collector.client is None:
            raise Unreachable(f"{cluster} is not connected")
        return collector.client

    async def object(self, ref: Ref) -> dict[str, Any]:
        """The whole object as it is now. Raises KubeError: not connected, not found, forbidden."""
        info = self.mirror.clusters.get(ref.cluster)
        if info and info.phase is Phase.UNREACHABLE:
            raise Unreachable(f"{ref.cluster} does not answer: {info.error}")
        client = self.client(ref.cluster)
        try:
            resource = await client.resource_for((ref.group, self._version(ref), ref.kind))
            return await client.get(resource, ref.name, ref.namespace)
        except REFUSING:
            self.look(ref.cluster)
            raise

    def kept(self, ref: Ref) -> dict[str, Any] | None:
        """The whole object as its watch brought it last; None when it is not kept, or when its watch fails although its
        cluster answers: then the cluster knows better."""
        info = self.mirror.clusters.get(ref.cluster)
        if self.mirror.manifests is None or (self.lost_since(ref) and info and not info.unanswered):
            return None
        obj = self.mirror.manifests.get(ref)
        if obj is not None:
            # Items of lists lack both.
            obj.setdefault("apiVersion", self.mirror.rows[ref].api_version)
            obj.setdefault("kind", ref.kind)
        return obj

    def lost_since(self, ref: Ref) -> float:
        """Since when nothing is heard of objects of this kind in this cluster; 0.0 while it is."""
        return self.mirror.lost.get((ref.cluster, ref.group, ref.kind), 0.0)

    async def comparison(self, ref: Ref) -> Comparison:
        """What applying the Kustomization behind an object would change now. Raises ComparisonError."""
        subject, context = applier(self.mirror, ref), self.context(ref.cluster)
        if subject is None:
            raise ComparisonError("No Kustomization applies it, and only what Kustomizations apply can be compared.")
        if context is None:
            raise ComparisonError(f"{ref.cluster} is not among the contexts any more")
        return await compare(context, subject)

    async def events(self, ref: Ref, show: Callable[[tuple[Happening, ...]], None]) -> None:
        """Call `show` with the events of an object and of what it owns, now and after each change, until cancelled.

        Raises Unreachable when the cluster is not connected.
        """
        await follow_happenings(self.client(ref.cluster), self.mirror, ref, show)

    async def logs(self, ref: Ref, show: Callable[[list[LogLine]], None]) -> None:
        """Call `show` with log lines about a row, or of the pods of any other object, as they come, until cancelled.

        Raises Unreachable when the cluster is not connected.
        """
        await follow_logs(self.client(ref.cluster), self.mirror.clusters.get(ref.cluster), ref, show)

    def plan(self, action: Action, refs: Sequence[Ref], *, reason: str = "", until: str = "") -> Plan:
        """What an action would do as far as the mirror knows, at once; `commands.plan` also asks the servers."""
        rows = {ref: self.mirror.rows[ref] for ref in refs if ref in self.mirror.rows}
        protected = frozenset(ref.cluster for ref in rows if self.commands.is_protected(ref.cluster))
        return plan_of(
            action,
            rows,
            self.mirror.clusters,
            self.mirror.clock(),
            read_only=self.settings.console.read_only,
            protected=protected,
            reason=reason,
            until=until,
        )

    # opening

    def open(self, ref: Ref) -> None:
        """Keep the children of a row or of a workload in `mirror.branches` from now on."""
        if ref not in self._opened:
            self._opened.add(ref)
            self._start_branch(ref)

    def close(self, ref: Ref) -> None:
        """Let the children of an opened object go."""
        self._opened.discard(ref)
        self._end(ref)
        self.mirror.set_branch(ref, None)

    async def note(self, context: Context, action: str, result: str) -> None:
        """Put what was done about a cluster as a whole into the audit log."""
        now = timestamp(self.mirror.clock(), 3)
        entry = Entry(now, who(), action, context.id, context.host, "Cluster", "", context.id, result)
        await self.commands.audit.write(entry)

    # inside

    def _version(self, ref: Ref) -> str:
        row = self.mirror.rows.get(ref)
        return row.version if row else ""

    def _start(self, context: Context) -> None:
        if self._group is None or self._gate is None:
            return
        from fluxtui.fleet.collector import Collector

        collector = Collector(context, self.mirror, self._gate, lambda: self._reopen(context.id))
        self._collectors[context.id] = collector
        self._tasks[context.id] = self._group.create_task(collector.run(), name=f"cluster {context.id}")

    def _stop(self, cluster: str) -> None:
        collector = self._collectors.pop(cluster, None)
        if collector is not None:
            collector.ended = True
        self._end(cluster)
        for ref in [ref for ref in self._opened if ref.cluster == cluster]:
            self._end(ref)

    def _reopen(self, cluster: str) -> None:
        """A new connection: branches that are open are kept by it."""
        for ref in self._opened:
            if ref.cluster == cluster:
                self._start_branch(ref)

    def _start_branch(self, ref: Ref) -> None:
        self._end(ref)
        if self._group is not None:
            self._tasks[ref] = self._group.create_task(self._keep(ref), name=f"branch {ref}")

    async def _keep(self, ref: Ref) -> None:
        try:
            await keep_open(self.client(ref.cluster), self.mirror, ref)
        except KubeError:
            return

    def _end(self, key: Hashable) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    async def _reload(self, reloads: AsyncIterator[Contexts]) -> None:
        async for contexts in reloads:
            self.set_contexts(contexts)

    async def _tick(self) -> None:
        """Judge rows again when their time has come: at whole seconds of the loop's clock, together with who else waits
        for one."""
        loop = asyncio.get_running_loop()
        while True:
            self.mirror.refresh()
            await asyncio.sleep(_TICK - loop.time() % _TICK)


def _manifests() -> Manifests:
    from fluxtui.fleet.manifests import Manifests

    return Manifests()


def _load_client() -> None:
    """Import what talks to clusters: slow, so it is done in a thread and after the first frame."""
    importlib.import_module("fluxtui.fleet.collector")
    importlib.import_module("fluxtui.kube.client")
    importlib.import_module("fluxtui.kube.watch")
