"""Reconcile, suspend, resume: plan, guard, patch, follow until the controller reports. Console and verbs call this.

Writes are merge patches of annotations and `spec.suspend` by the field manager `fluxtui`, and nothing else.
"""

from __future__ import annotations

import asyncio
import fnmatch
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fluxtui.api.kinds import HELM_CHART, HELM_RELEASE
from fluxtui.api.meta import REQUESTED_AT
from fluxtui.fleet.actions import SETTLED, Action, Ending, Item, Outcome, Plan, Step, in_order, refusal
from fluxtui.fleet.audit import AuditLog, Entry, timestamp, who
from fluxtui.fleet.clusters import ClusterInfo
from fluxtui.fleet.facts import SUSPEND_REASON, SUSPEND_UNTIL, SUSPENDED_AT, SUSPENDED_BY
from fluxtui.fleet.follow import Followed, follow
from fluxtui.fleet.lookout import REFUSING
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row, row_of
from fluxtui.fleet.text import one_line
from fluxtui.kube.errors import KubeError, NotFound

if TYPE_CHECKING:
    from fluxtui.kube.client import Client
    from fluxtui.kube.resources import Resource

FIELD_MANAGER = "fluxtui"
_SUSPENSION = (SUSPEND_REASON, SUSPENDED_BY, SUSPENDED_AT, SUSPEND_UNTIL)

Progress = Callable[[Step], None]


class Commands:
    """Acts on objects of many clusters at once."""

    def __init__(
        self,
        client: Callable[[str], Client],
        *,
        clusters: Mapping[str, ClusterInfo] | None = None,
        read_only: bool = False,
        protected: Sequence[str] = (),
        concurrency: int = 8,
        timeout: float = 300.0,
        audit: AuditLog | None = None,
        clock: Callable[[], float] = time.time,
        on_refused: Callable[[str], None] = lambda cluster: None,
    ) -> None:
        """`client` gives the client of a cluster or raises KubeError; `protected` are patterns of clusters whose name
        must be typed; `timeout` is how long an outcome is waited for, in seconds; `on_refused` hears of clusters
        that may refuse others, too: they do not know us any more, are overloaded or broken."""
        self._client = client
        self._clusters = clusters if clusters is not None else {}
        self._read_only = read_only
        self._protected = tuple(protected)
        self._concurrency = concurrency
        self._timeout = timeout
        self._clock = clock
        self.on_refused = on_refused
        self.audit = audit or AuditLog()

    def is_protected(self, cluster: str) -> bool:
        """Whether an action on a cluster wants its name typed."""
        return bool(matching(self._protected, (cluster,)))

    async def plan(self, action: Action, refs: Iterable[Ref], *, reason: str = "", until: str = "") -> Plan:
        """Look at every object as it is now and at our permissions, and say what would be done.

        Never raises for a cluster: an object that can't be looked at is refused with the error. One that is suspended
        already is suspended again only if there is a new reason or end to keep.
        """
        gate = asyncio.Semaphore(self._concurrency)

        async def guarded(ref: Ref) -> Item:
            async with gate:
                return await self._item(action, ref, renews=bool(reason or until))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(guarded(ref)) for ref in dict.fromkeys(refs)]
        items = in_order(task.result() for task in tasks)
        clusters = dict.fromkeys(item.ref.cluster for item in items if not item.refusal)
        protected = matching(self._protected, clusters)
        return Plan(action, items, protected, one_line(reason), until)

    async def execute(
        self,
        plan: Plan,
        on_step: Progress = lambda step: None,
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    ) -> list[Outcome]:
        """Carry a plan out and wait for every outcome, in the order of the plan; refused items are outcomes too.

        An item begins when those that it comes after have ended, well or not. `on_outcome` is called with each as soon
        as it is known.
        """
        run = _Run(self, plan, on_step)
        gate = asyncio.Semaphore(self._concurrency)
        ended = {item.ref: asyncio.Event() for item in plan.items}

        async def one(item: Item) -> Outcome:
            if item.refusal:
                ending = Ending.DONE if item.settled else Ending.REFUSED
                outcome = Outcome(item.ref, plan.action, ending, item.refusal)
            else:
                for ref in item.after:
                    await ended[ref].wait()
                async with gate:
                    outcome = await run.carry_out(item.ref)
            ended[item.ref].set()
            on_outcome(outcome)
            return outcome

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in plan.items]
        return [task.result() for task in tasks]

    async def run(
        self,
        action: Action,
        refs: Iterable[Ref],
        *,
        reason: str = "",
        until: str = "",
        on_step: Progress = lambda step: None,
    ) -> list[Outcome]:
        """Plan and execute in one go."""
        return await self.execute(await self.plan(action, refs, reason=reason, until=until), on_step)

    async def _item(self, action: Action, ref: Ref, *, renews: bool = False) -> Item:
        after: tuple[Ref, ...] = ()
        try:
            client, resource, row = await self._look(ref)
            found = refusal(action, row, self._clusters.get(ref.cluster), self._clock(), read_only=self._read_only)
            if renews and found in SETTLED:
                found = ""
            if not found and not await client.allowed("patch", resource, ref.namespace, ref.name):
                found = f"you may not patch {resource.name} in {ref.namespace or 'the cluster'}"
            if action.reconciles:
                after = (*row.depends, *filter(None, (row.source,)))
        except NotFound:
            found = "it does not exist"
        except KubeError as error:
            found = str(error)
            if isinstance(error, REFUSING):
                self.on_refused(ref.cluster)
        return Item(ref, found, after, found in SETTLED)

    async def _look(self, ref: Ref) -> tuple[Client, Resource, Row]:
        client = self._client(ref.cluster)
        resource = await client.resource_for((ref.group, "", ref.kind))
        obj = await client.get(resource, ref.name, ref.namespace)
        return client, resource, row_of(ref.cluster, obj, self._clock())


def matching(patterns: Sequence[str], clusters: Iterable[str]) -> tuple[str, ...]:
    """Those clusters that one of the patterns means."""
    return tuple(cluster for cluster in clusters if any(fnmatch.fnmatchcase(cluster, each) for each in patterns))


class _Run:
    """One execution of a plan; sources that several objects share are reconciled once."""

    def __init__(self, commands: Commands, plan: Plan, on_step: Progress) -> None:
        self._commands = commands
        self._plan = plan
        self._on_step = on_step
        self._sources: dict[Ref, asyncio.Lock] = {}
        self._fetched: dict[Ref, Followed] = {}

    async def carry_out(self, ref: Ref) -> Outcome:
        """Do it to one object."""
        started = time.monotonic()
        action = self._plan.action
        try:
            found = await self._act(ref)
        except KubeError as error:
            found = Followed(Ending.FAILED, one_line(str(error)))
            if isinstance(error, REFUSING):
                self._commands.on_refused(ref.cluster)
        return Outcome(ref, action, found.ending, found.message, found.revision, time.monotonic() - started)

    async def _act(self, ref: Ref) -> Followed:
        action = self._plan.action
        if action is Action.RECONCILE_WITH_SOURCE:
            failed = await self._reconcile_sources(ref)
            if failed:
                return failed
        if action in (Action.RECONCILE, Action.RECONCILE_WITH_SOURCE):
            return await self._reconcile(ref)
        if action is Action.SUSPEND:
            await self._patch(ref, self._suspension())
            return Followed(Ending.DONE, "suspended")
        await self._patch(ref, {"metadata": {"annotations": dict.fromkeys(_SUSPENSION)}, "spec": {"suspend": False}})
        self._on_step(Step(ref, "resumed, waiting for the controller"))
        return await self._follow(ref, "")

    async def _reconcile(self, ref: Ref) -> Followed:
        token = timestamp(time.time_ns() / 1e9, 6)
        await self._patch(ref, {"metadata": {"annotations": {REQUESTED_AT: token}}})
        self._on_step(Step(ref, "requested, waiting for the controller"))
        return await self._follow(ref, token)

    async def _reconcile_sources(self, ref: Ref) -> Followed | None:
        """The sources of an object, the furthest first; what went wrong, if anything did."""
        for source in await self._sources_of(ref):
            async with self._sources.setdefault(source, asyncio.Lock()):
                found = self._fetched.get(source)
                if found is None:
                    why_not = (await self._commands._item(Action.RECONCILE, source)).refusal
                    found = Followed(Ending.REFUSED, why_not) if why_not else await self._reconcile(source)
                    self._fetched[source] = found
            name = f"source {source.word} {source.name}"
            self._on_step(Step(ref, f"{name}: {found.message}"))
            if found.ending is not Ending.DONE:
                return Followed(found.ending, f"{name}: {found.message}")
        return None

    async def _sources_of(self, ref: Ref) -> list[Ref]:
        """What must be fetched before `ref` can see it: repository, then chart. Static sources are left out."""
        found: list[Ref] = []
        _, _, row = await self._commands._look(ref)
        if ref.kind == HELM_RELEASE.kind and row.source and row.source.kind != HELM_CHART.kind:
            chart = await self._chart_of(ref)
            if chart:
                found.append(chart)
        source = row.source
        while source is not None and source not in found:
            _, _, row = await self._commands._look(source)
            kind = row.kind
            is_static = kind is None or not kind.reconcilable or row.detail.startswith("oci://")
            if not is_static or source.kind == "OCIRepository":
                found.append(source)
            source = row.source if source.kind == HELM_CHART.kind else None
        return found[::-1]

    async def _chart_of(self, ref: Ref) -> Ref | None:
        client = self._commands._client(ref.cluster)
        resource = await client.resource_for((ref.group, "", ref.kind))
        obj = await client.get(resource, ref.name, ref.namespace)
        namespace, slash, name = str((obj.get("status") or {}).get("helmChart") or "").partition("/")
        return Ref(ref.cluster, HELM_CHART.group, HELM_CHART.kind, namespace, name) if slash else None

    def _suspension(self) -> dict[str, Any]:
        notes: dict[str, str | None] = {
            SUSPENDED_BY: who(),
            SUSPENDED_AT: timestamp(self._commands._clock()),
            SUSPEND_REASON: self._plan.reason or None,
            SUSPEND_UNTIL: self._plan.until or None,
        }
        return {"metadata": {"annotations": notes}, "spec": {"suspend": True}}

    async def _patch(self, ref: Ref, patch: dict[str, Any]) -> None:
        from fluxtui.kube.client import PatchType

        commands = self._commands
        client = commands._client(ref.cluster)
        resource = await client.resource_for((ref.group, "", ref.kind))
        result = "written"
        try:
            await client.patch(
                resource, ref.name, ref.namespace, patch, type=PatchType.MERGE, field_manager=FIELD_MANAGER
            )
        except KubeError as error:
            result = str(error)
            raise
        finally:
            await commands.audit.write(
                Entry(
                    timestamp(commands._clock(), 3),
                    who(),
                    self._plan.action,
                    ref.cluster,
                    client.context.host,
                    ref.kind,
                    ref.namespace,
                    ref.name,
                    result,
                    self._plan.reason,
                )
            )

    async def _follow(self, ref: Ref, token: str) -> Followed:
        commands = self._commands
        client = commands._client(ref.cluster)
        resource = await client.resource_for((ref.group, "", ref.kind))
        return await follow(client, resource, ref, token, commands._timeout)
