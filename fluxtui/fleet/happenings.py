"""Kubernetes Events of an object and of what it owns, live, by field selectors and never by reading all of them.

The API server keeps Events for an hour; what is shown is bounded by `MOST`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec

from fluxtui.fleet.branches import WORKLOADS
from fluxtui.fleet.facts import moment
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.text import lines, one_line
from fluxtui.kube.errors import KubeError
from fluxtui.kube.resources import Resource

if TYPE_CHECKING:
    from fluxtui.kube.client import Client
    from fluxtui.kube.watch import WatchState

EVENTS = Resource("", "v1", "Event", "events", "event")
MOST = 500
"""Events kept for one object, the newest."""
MOST_NAMESPACES = 4
"""Namespaces of owned objects whose events are watched."""


class Happening(msgspec.Struct, frozen=True):
    """One Event. Times are seconds since the epoch."""

    time: float
    first: float
    warning: bool
    reason: str
    message: str
    """Harmless, of one line or several."""
    kind: str
    """Kind, namespace and name are of the object that it happened to."""
    namespace: str
    name: str
    component: str = ""
    """Who reports it: `kustomize-controller`."""
    count: int = 1
    key: str = ""
    """Namespace and name of the Event itself."""

    def is_about(self, ref: Ref) -> bool:
        """Whether it happened to that object itself."""
        return (self.kind, self.namespace, self.name) == (ref.kind, ref.namespace, ref.name)


def happening(event: Mapping[str, Any]) -> Happening:
    """An Event object read; parts that are missing are empty."""
    metadata, involved = event.get("metadata") or {}, event.get("involvedObject") or {}
    series = event.get("series") or {}
    first = moment(
        str(event.get("firstTimestamp") or event.get("eventTime") or metadata.get("creationTimestamp") or "")
    )
    last = moment(str(series.get("lastObservedTime") or event.get("lastTimestamp") or "")) or first
    count = series.get("count") or event.get("count")
    return Happening(
        last,
        first,
        event.get("type") == "Warning",
        one_line(str(event.get("reason") or "")),
        lines(str(event.get("message") or "")).strip(),
        one_line(str(involved.get("kind") or "")),
        one_line(str(involved.get("namespace") or "")),
        one_line(str(involved.get("name") or "")),
        one_line(str(event.get("reportingComponent") or (event.get("source") or {}).get("component") or "")),
        count if isinstance(count, int) else 1,
        f"{metadata.get('namespace', '')}/{metadata.get('name', '')}",
    )


async def follow_happenings(
    client: Client, mirror: Mirror, ref: Ref, show: Callable[[tuple[Happening, ...]], None]
) -> None:
    """Call `show` with all events of an object and of what it owns, the newest last, now and after each change.

    Runs until cancelled; a server that does not answer only delays it. Raises Forbidden, in a group, when the object's
    own may not be read.
    """
    feed = _Feed(client, ref, _Family(mirror, ref), show)
    async with asyncio.TaskGroup() as group:
        selector = f"involvedObject.kind={ref.kind},involvedObject.name={ref.name}"
        group.create_task(feed.follow(ref.namespace or "default", selector))
        group.create_task(feed.refused())
        for namespace in feed.family.namespaces:
            group.create_task(feed.follow(namespace, ""))


class _Family:
    """What belongs to an object: its inventory, rows it owns, and the pods of its workloads by their names."""

    def __init__(self, mirror: Mirror, ref: Ref) -> None:
        row = mirror.rows.get(ref)
        refs = {*(row.managed() if row else ()), *mirror.owned(ref)}
        if ref.kind in WORKLOADS:
            refs.add(ref)
        self._members = {(each.kind, each.namespace, each.name) for each in refs if each != ref}
        self._prefixes = {
            namespace: tuple(each.name + "-" for each in refs if each.kind in WORKLOADS and each.namespace == namespace)
            for namespace in {each.namespace for each in refs if each.namespace}
        }
        self.namespaces = sorted(self._prefixes, key=lambda name: (-len(self._prefixes[name]), name))[:MOST_NAMESPACES]

    def has(self, found: Happening) -> bool:
        """Whether an event is about something owned."""
        if (found.kind, found.namespace, found.name) in self._members:
            return True
        return found.kind in ("Pod", "ReplicaSet", "Job") and found.name.startswith(
            self._prefixes.get(found.namespace, ())
        )


class _Feed:
    def __init__(
        self, client: Client, ref: Ref, family: _Family, show: Callable[[tuple[Happening, ...]], None]
    ) -> None:
        self._client = client
        self._ref = ref
        self.family = family
        self._show = show
        self._known: dict[tuple[str, str], dict[str, Happening]] = {}
        self._refusal: KubeError | None = None
        self._refused = asyncio.Event()

    async def refused(self) -> None:
        """Wait until the object's own events are found to be forbidden. Raises Forbidden."""
        await self._refused.wait()
        if self._refusal is not None:
            raise self._refusal

    async def follow(self, namespace: str, selector: str) -> None:
        """One watch: of the object itself by `selector`, or of a namespace for what is owned there."""
        from fluxtui.kube.watch import Phase, watch

        def heard(state: WatchState) -> None:
            if selector and state.phase is Phase.FORBIDDEN:
                self._refusal = state.error
                self._refused.set()

        known = self._known.setdefault((namespace, selector), {})
        batches = watch(self._client, EVENTS, namespace=namespace, field_selector=selector, on_state=heard)
        async with aclosing(batches):
            async for batch in batches:
                if batch.replace:
                    known.clear()
                for obj in batch.upserts:
                    found = happening(obj)
                    if selector or self.family.has(found):
                        known[found.key] = found
                for each, name in batch.deletes:
                    known.pop(f"{each}/{name}", None)
                self._tell()

    def _tell(self) -> None:
        every = {found.key: found for known in self._known.values() for found in known.values()}
        newest = sorted(every.values(), key=lambda found: (found.time, found.key))[-MOST:]
        kept = {found.key for found in newest}
        for known in self._known.values():
            for key in [key for key in known if key not in kept]:
                del known[key]
        self._show(tuple(newest))
