"""Log lines of all who reconcile a cluster: of Flux's controllers in their pods, or of our engine in its file."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fluxtui.api.kinds import KINDS
from fluxtui.fleet.clusters import Mode
from fluxtui.fleet.logs import record_of, tail
from fluxtui.fleet.pods import PODS
from fluxtui.fleet.probe import LeaseWatch, Standing, leases
from fluxtui.fleet.text import one_line
from fluxtui.kube.errors import ApiError, KubeError

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

_CONTROLLERS = ",".join(sorted({kind.controller for kind in KINDS if kind.controller}))
_MANAGER = "manager"
"""The controllers' container, where a pod has others beside it."""
_LOOK = 2.0
"""Seconds between looks for new pods."""
_INSTANT = 1e-6

Lines = AsyncIterator["ControllerLine"]
Show = Callable[["ControllerLine"], None]
Missed = Callable[[str, KubeError], None]
"""(pod, why its log can't be had)."""


class ControllerLine(msgspec.Struct, frozen=True):
    """One line; its texts are clean."""

    cluster: str
    source: str
    """The name of the pod, or `engine`."""
    time: float
    """Seconds since the epoch; 0.0 when the line does not say."""
    level: str
    kind: str
    namespace: str
    name: str
    message: str


class Wanted(msgspec.Struct, frozen=True):
    """Which lines are wanted; empty texts stand for all."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    """Of the object that a line is about."""
    level: str = ""
    since: float = 0.0
    """Seconds since the epoch."""
    tail: int | None = None
    """Lines of each log that are read, of which some may not be wanted."""

    def has(self, line: ControllerLine) -> bool:
        """Whether a line is wanted."""
        return (
            (not self.level or self.level == line.level)
            and (not self.kind or self.kind.lower() == line.kind.lower())
            and (not self.name or self.name.lower() == line.name.lower())
            and (not self.namespace or self.namespace == line.namespace)
            and (not self.since or line.time >= self.since)
        )


class Unreadable(KubeError):
    """A cluster has nobody whose log could be read from here; `str()` says why."""


async def past_lines(client: Client, wanted: Wanted, namespace: str, within: float, missed: Missed) -> Lines:
    """What a cluster's controllers have written, in the order of time; the Leases have to come within so many seconds.

    Calls `missed` for each pod whose log the server can't give, as when its node does not answer. Raises KubeError.
    """
    async with aclosing(merged(await _logs(client, wanted, namespace, within, missed))) as lines:
        async for line in lines:
            yield line


async def merged(logs: Iterable[Lines]) -> AsyncGenerator[ControllerLine, None]:
    """Lines of several logs in the order of time. Nothing is held but one line of each."""
    order = itertools.count()
    waiting: list[tuple[float, int, ControllerLine, Lines]] = []
    for log in logs:
        await _push(waiting, log, next(order), 0.0)
    while waiting:
        moment, rank, line, log = heapq.heappop(waiting)
        yield line
        await _push(waiting, log, rank, moment)


async def _push(waiting: list[tuple[float, int, ControllerLine, Lines]], log: Lines, rank: int, before: float) -> None:
    line = await anext(log, None)
    if line is not None:
        # A line without a time belongs to the one before it.
        heapq.heappush(waiting, (max(line.time, before), rank, line, log))


async def follow_lines(
    client: Client, wanted: Wanted, show: Show, namespace: str, within: float, missed: Missed
) -> None:
    """Call `show` with past lines, then with new ones; pods that come later are followed, too.

    Calls `missed` for a pod whose log the server can't give, which is asked for again. Runs until cancelled. Raises
    KubeError when the cluster does not answer.
    """
    standing = await _standing(client, within)
    if standing.mode is Mode.EMBEDDED:
        async for line in _engine(client, standing, wanted, follow=True):
            show(line)
        return
    followed: set[str] = set()
    rest: dict[str, Wanted] = {}
    seen = 0.0

    async def follow(pod: Any, uid: str, lines: Wanted) -> None:
        try:
            async for line in _pod(client, pod, lines, namespace, follow=True):
                show(line)
                lines = msgspec.structs.replace(lines, since=max(lines.since, line.time + _INSTANT), tail=None)
        except ApiError as error:
            if error.status != 404:
                missed(str(pod["metadata"]["name"]), error)
        # A container that was restarted has a new log, and kubelets end streams after some hours.
        rest[uid] = lines
        followed.discard(uid)

    async with asyncio.TaskGroup() as group:
        while True:
            pods = await _pods(client, namespace)
            if not pods and not seen:
                raise Unreadable(f"no pod of Flux's controllers in namespace {namespace}")
            for pod in pods:
                uid = str(pod["metadata"]["uid"])
                if uid not in followed and _has_run(pod):
                    followed.add(uid)
                    new = msgspec.structs.replace(wanted, since=seen, tail=None) if seen else wanted
                    group.create_task(follow(pod, uid, rest.get(uid, new)))
            await asyncio.sleep(_LOOK)
            seen = time.time() - _LOOK


async def _logs(client: Client, wanted: Wanted, namespace: str, within: float, missed: Missed) -> Sequence[Lines]:
    standing = await _standing(client, within)
    if standing.mode is Mode.EMBEDDED:
        return [_engine(client, standing, wanted, follow=False)]
    pods = [pod for pod in await _pods(client, namespace) if _has_run(pod)]
    if not pods:
        raise Unreadable(f"no pod of Flux's controllers in namespace {namespace}")
    return [_readable(_pod(client, pod, wanted, namespace, follow=False), pod, missed) for pod in pods]


async def _readable(lines: AsyncGenerator[ControllerLine, None], pod: Any, missed: Missed) -> Lines:
    try:
        async with aclosing(lines):
            async for line in lines:
                yield line
    except ApiError as error:
        missed(str(pod["metadata"]["name"]), error)


async def _standing(client: Client, within: float) -> Standing:
    found = await leases(client, within)
    return LeaseWatch().look(found, time.time()) if found is not None else Standing()


async def _pods(client: Client, namespace: str) -> list[Any]:
    return (await client.list(PODS, namespace, label_selector=f"app in ({_CONTROLLERS})")).items


def _has_run(pod: Any) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any("waiting" not in (status.get("state") or {}) or status.get("lastState") for status in statuses)


async def _pod(
    client: Client, pod: Any, wanted: Wanted, namespace: str, *, follow: bool
) -> AsyncGenerator[ControllerLine, None]:
    name = str(pod["metadata"]["name"])
    containers = [str(each["name"]) for each in pod["spec"].get("containers") or ()]
    container = _MANAGER if len(containers) > 1 and _MANAGER in containers else containers[0]
    since = max(1.0, time.time() - wanted.since) if wanted.since else None
    lines = client.logs(name, namespace, container=container, follow=follow, tail=wanted.tail, since=since)
    async with aclosing(lines):
        async for line in lines:
            found = _line(client.id, name, line)
            if found is not None and wanted.has(found):
                yield found


async def _engine(client: Client, standing: Standing, wanted: Wanted, *, follow: bool) -> Lines:
    if not standing.log_file:
        raise Unreadable("the engine that reconciles it keeps no log file")
    if standing.log_host and standing.log_host != socket.gethostname():
        raise Unreadable(f"the engine runs on {standing.log_host} and logs to {standing.log_file} there")
    own = frozenset((client.id, client.context.name, ""))
    path = Path(standing.log_file)
    skipped = 0
    if wanted.tail is not None:
        skipped = max(0, sum([1 async for _ in tail(path, follow=False)]) - wanted.tail)
    async with aclosing(tail(path, follow=follow)) as lines:
        async for line in lines:
            if skipped:
                skipped -= 1
                continue
            found = _line(client.id, "engine", line, own)
            if found is not None and wanted.has(found):
                yield found


def _line(cluster: str, source: str, line: bytes, clusters: frozenset[str] = frozenset()) -> ControllerLine | None:
    record = record_of(line)
    if record is None or (clusters and record.cluster not in clusters):
        return None
    clean = [one_line(text) for text in (record.level, record.controller_kind, record.namespace, record.name)]
    level, kind, namespace, name = clean
    return ControllerLine(cluster, source, record.time, level, kind, namespace, name, record.text)
