"""Core v1 Events about objects: folded, rate limited, posted in the background.

Shape, annotations and folding are those of client-go's recorder as the Flux controllers use it: an event that repeats
raises the `count` of the one already posted; an object may have 25 events at once and one more every five minutes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from fluxtui.engine.runtime.notifier import Notifier
from fluxtui.engine.runtime.objects import Object, timestamp
from fluxtui.engine.runtime.outcomes import EventType
from fluxtui.kube.errors import ApiError, KubeError, NotFound
from fluxtui.kube.resources import Resource

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

OBJECT_ANNOTATION_PREFIX = "event.toolkit.fluxcd.io/"
"""Annotations of an object with this prefix are copied to its events."""
BURST = 25
REFILL = 1 / 300
"""Events an object may have at once, and how many more a second."""
WINDOW = 600.0
"""Seconds within which a repeated event raises a count instead of making a new event."""
MESSAGE_LIMIT = 32 << 10
"""Characters of a message. Neither client-go nor the API server bounds those of core events; the limit of 1024 is that
of events.k8s.io."""
_LANES = 4
"""Events posted at once; those about one object one after the other."""
_BACKLOG = 1000
"""Events that wait in one lane."""
_REMEMBERED = 4096

logger = logging.getLogger("fluxtui.engine.events")

EVENTS = Resource(
    group="",
    version="v1",
    kind="Event",
    plural="events",
    singular="event",
    namespaced=True,
    verbs=("create", "get", "list", "patch", "watch"),
    short_names=("ev",),
    categories=(),
    subresources=(),
)


class _Posted(msgspec.Struct):
    name: str
    count: int
    last: float


class _Bucket(msgspec.Struct):
    tokens: float
    at: float


class Recorder:
    """Takes events from reconcilers without waiting and posts them, those of one object in order, while `run` runs."""

    def __init__(
        self, client: Client, clock: Callable[[], float] = time.monotonic, notifier: Notifier | None = None
    ) -> None:
        self._client = client
        self._notifier = notifier
        self._clock = clock
        self._lanes: list[asyncio.Queue[tuple[str, Object]]] = [asyncio.Queue(_BACKLOG) for _ in range(_LANES)]
        self._posted: OrderedDict[tuple[str, ...], _Posted] = OrderedDict()
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()
        self.dropped = 0
        """Events lost to the rate limit, a full backlog or an API server that refused them."""

    def event(
        self,
        obj: Object,
        controller: str,
        type: EventType,
        reason: str,
        message: str,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Record an event about an object (any dict with apiVersion, kind and metadata); never blocks or raises."""
        shown = "Normal" if type == "Trace" else type
        event = _event(obj, controller, shown, reason, message, annotations or {})
        if self._notifier is not None and type != "Trace":
            self._notifier.tell(event)
        if not self._admit(obj, controller):
            self.dropped += 1
            return
        lane = self._lanes[hash(obj["metadata"].get("uid", "")) % _LANES]
        try:
            lane.put_nowait((controller, event))
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Post events until cancelled."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(self._drain(lane))
            if self._notifier is not None:
                group.create_task(self._notifier.run())

    async def flush(self, limit: float = 5.0) -> None:
        """Wait until all events recorded so far are posted, at most `limit` seconds; needs `run` to be running."""
        try:
            async with asyncio.timeout(limit):
                for lane in self._lanes:
                    await lane.join()
                if self._notifier is not None:
                    await self._notifier.flush()
        except TimeoutError:
            logger.warning("%d events were not posted in time", sum(lane.qsize() for lane in self._lanes))

    async def _drain(self, lane: asyncio.Queue[tuple[str, Object]]) -> None:
        while True:
            controller, event = await lane.get()
            try:
                await self._post(controller, event)
            finally:
                lane.task_done()

    def _admit(self, obj: Object, controller: str) -> bool:
        key = (controller, str((obj.get("metadata") or {}).get("uid", "")))
        at = self._clock()
        bucket = self._buckets.pop(key, None) or _Bucket(BURST, at)
        bucket.tokens = min(BURST, bucket.tokens + (at - bucket.at) * REFILL)
        bucket.at = at
        self._buckets[key] = bucket
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    async def _post(self, controller: str, event: Object) -> None:
        try:
            if not await self._count(controller, event):
                await self._create(controller, event)
        except KubeError as error:
            self.dropped += 1
            logger.warning("event not posted: %s", error)

    async def _count(self, controller: str, event: Object) -> bool:
        """Raise the count of the same event posted before; False when there is none."""
        key = _identity(controller, event)
        known = self._posted.get(key)
        if known is None or self._clock() - known.last > WINDOW:
            return False
        from fluxtui.kube.client import PatchType

        known.count += 1
        known.last = self._clock()
        patch = {"count": known.count, "lastTimestamp": event["lastTimestamp"]}
        namespace = event["metadata"]["namespace"]
        try:
            await self._client.patch(
                EVENTS, known.name, namespace, patch, type=PatchType.MERGE, field_manager=controller
            )
        except NotFound:
            del self._posted[key]
            return False
        return True

    async def _create(self, controller: str, event: Object) -> None:
        try:
            await self._client.create(EVENTS, event, field_manager=controller)
        except ApiError as error:
            # A namespace that is being deleted takes no events; neither does one that is gone.
            if error.status not in (403, 404):
                raise
            self.dropped += 1
            return
        self._posted[_identity(controller, event)] = _Posted(event["metadata"]["name"], 1, self._clock())
        while len(self._posted) > _REMEMBERED:
            self._posted.popitem(last=False)


def _identity(controller: str, event: Object) -> tuple[str, ...]:
    involved = event["involvedObject"]
    return controller, involved["uid"], event["type"], event["reason"], event["message"]


def _event(
    obj: Object, controller: str, type: str, reason: str, message: str, annotations: Mapping[str, str]
) -> dict[str, Any]:
    meta = obj.get("metadata") or {}
    namespace = meta.get("namespace") or "default"
    moment = timestamp()
    own = {
        key: value for key, value in (meta.get("annotations") or {}).items() if key.startswith(OBJECT_ANNOTATION_PREFIX)
    }
    if len(message) > MESSAGE_LIMIT:
        message = message[: MESSAGE_LIMIT - 3] + "..."
    event: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta.get('name', '')}.{time.time_ns():x}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": obj.get("apiVersion", ""),
            "kind": obj.get("kind", ""),
            "name": meta.get("name", ""),
            "namespace": meta.get("namespace", ""),
            "resourceVersion": meta.get("resourceVersion", ""),
            "uid": meta.get("uid", ""),
        },
        "type": type,
        "reason": reason,
        "message": message,
        "count": 1,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "reportingComponent": controller,
        "reportingInstance": "",
        "source": {"component": controller},
    }
    if own or annotations:
        event["metadata"]["annotations"] = {**own, **annotations}
    return event
