"""One run of a reconciler over one object: what Go writes as a deferred finish.

    async with Reconciliation(reconciler, cluster, raw) as run:
        await run.start()
        await step(run)

On exit it turns the outcome into Ready, Reconciling and Stalled, sets observedGeneration and lastHandledReconcileAt,
records the event and patches status once, and only if something changed. A cancelled run still patches what it
observed (at most 5 s) and lets the cancellation through, unless the Lease was lost: then nothing is written.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from copy import deepcopy
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import msgspec

from fluxtui.api.faults import sentence
from fluxtui.api.meta import READY, RECONCILING
from fluxtui.engine.runtime.conclusion import Next, conclude
from fluxtui.engine.runtime.conditions import Conditions, violations
from fluxtui.engine.runtime.objects import Object, generation_of, is_deleting, key_of, requested_at
from fluxtui.engine.runtime.outcomes import EventType, Failed, Stalled, Unchanged
from fluxtui.engine.runtime.status import StatusWriter
from fluxtui.kube.errors import KubeError

if TYPE_CHECKING:
    from fluxtui.engine.runtime.cluster import Cluster
    from fluxtui.engine.runtime.reconciler import Reconciler

T = TypeVar("T")
S = TypeVar("S")

PROGRESSING = "Progressing"
ANNOUNCED = 0.5
"""Seconds after which a run that goes on says so."""
LAST_PATCH = 5.0
"""Seconds a cancelled run may take to write what it observed."""
_OWN_FIELDS = ("conditions", "observedGeneration", "lastHandledReconcileAt")

logger = logging.getLogger("fluxtui.engine")


class Reconciliation(Generic[T]):
    """A run over one object; see the module's docstring. Made by the controller, handed to the steps."""

    def __init__(self, reconciler: Reconciler[T], cluster: Cluster, raw: Object) -> None:
        self.cluster = cluster
        self.key = key_of(raw)
        self.id = str(uuid.uuid4())
        self.annotations: dict[str, str] = {}
        """Put on every event of this run, such as `<group>/revision`."""
        self.before = Conditions(_conditions(raw), generation_of(raw))
        """Conditions when the run began."""
        self.conditions = Conditions(_conditions(raw), generation_of(raw))
        self.status: dict[str, Any] = {
            name: deepcopy(value) for name, value in (raw.get("status") or {}).items() if name not in _OWN_FIELDS
        }
        """The fields of status that are the reconciler's own; change them in place, delete what is to vanish."""
        self.resources = AsyncExitStack()
        """Closed when the run ends: temporary directories, opened artifacts."""
        self.next = Next()
        """When to run again; set on exit."""
        self.failure: BaseException | None = None
        """What ended the run, other than an Unchanged; set on exit."""
        self._reconciler = reconciler
        self._writer = StatusWriter(cluster, reconciler.kind, reconciler.manager, raw)
        self._writing = asyncio.Lock()
        self._object: T | None = None
        self._shared: dict[type[Any], Any] = {}
        self._observed = (raw.get("status") or {}).get("observedGeneration")
        self._handled = (raw.get("status") or {}).get("lastHandledReconcileAt")
        # A request that comes while this run is under way wants a run of its own.
        self._request = requested_at(raw)
        self._summarize = True

    @property
    def raw(self) -> Object:
        """The object as last read or written. Shared: never change it."""
        return self._writer.raw

    @property
    def object(self) -> T:
        """The object, typed, as it was when the run began."""
        assert self._object is not None, "the object is decoded by start()"
        return self._object

    @property
    def generation(self) -> int:
        """`metadata.generation` of the object."""
        return generation_of(self.raw)

    @property
    def requested(self) -> bool:
        """Whether somebody asked for this run by annotation."""
        return bool(self._request) and self._request != self._handled

    def share(self, value: Any) -> None:
        """Keep a value for later steps of this run, one of each type."""
        self._shared[type(value)] = value

    def shared(self, kind: type[S]) -> S:
        """The value of a type an earlier step has shared. Raises KeyError when there is none."""
        value: S = self._shared[kind]
        return value

    def event(self, type: EventType, reason: str, message: str, annotations: Mapping[str, str] | None = None) -> None:
        """Record an event about the object, with the annotations of the run."""
        merged = {**self.annotations, **(annotations or {})}
        self.cluster.recorder.event(self.raw, self._reconciler.controller, type, reason, message, merged)

    def log(self, level: int, message: str, *, exc_info: BaseException | None = None, **fields: Any) -> None:
        """Write a log line that carries the object's identity and the run's id."""
        kind = self._reconciler.kind
        identity = {
            "controller": kind.kind.lower(),
            "controllerGroup": kind.group,
            "controllerKind": kind.kind,
            kind.kind: {"name": self.key.name, "namespace": self.key.namespace},
            "namespace": self.key.namespace,
            "name": self.key.name,
            "reconcileID": self.id,
            "cluster": self.cluster.id,
        }
        logger.log(level, message, exc_info=exc_info, extra={"fields": {**identity, **fields}})

    async def start(self) -> None:
        """Decode the object and say that it is being reconciled.

        Written at once for a new generation or a request, so that whoever waits sees it; else only kept in mind.
        Raises Stalled when the object does not fit its type.
        """
        self._decode()
        if not self._reconciler.announces:
            return
        message = "reconciliation in progress"
        new_generation = self._observed != self.generation
        shown = self.conditions.get(RECONCILING)
        if new_generation:
            message = f"processing object: new generation {_number(self._observed)} -> {self.generation}"
        if new_generation and shown is not None and shown.observed_generation == self.generation:
            # A retry: what failed stays visible until something new is known.
            return
        self._progress(message, PROGRESSING, drift=False)
        if new_generation or self.requested:
            await self._patch()

    async def progress(self, message: str, reason: str = PROGRESSING) -> None:
        """Write at once that the object is on its way somewhere new: Reconciling=True, Ready=Unknown.

        For what may take longer than a moment; whatever else has changed is written with it.
        """
        self._progress(message, reason, drift=True)
        await self._patch()

    async def announce(self, message: str, reason: str = PROGRESSING) -> None:
        """As `progress`, but written only if the run still goes on after ANNOUNCED seconds.

        Most runs are over sooner, and what they come to is news enough.
        """
        self._progress(message, reason, drift=True)
        group = await self.resources.enter_async_context(asyncio.TaskGroup())
        self.resources.callback(group.create_task(self._tell_later()).cancel)

    async def hold(self) -> None:
        """Note that the object was seen while it is suspended, in place of a run: a request is handled with it, and a
        generation known, so that nobody waits for either."""
        if self._reconciler.hold(self.conditions):
            self._observed = self.generation
        if self._request:
            self._handled = self._request
        await self._patch()

    def decode(self) -> None:
        """Decode the object, for a finalizer. Raises Stalled when it does not fit its type."""
        self._decode()
        self._summarize = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            if error is not None and not isinstance(error, Exception):
                await self._interrupted()
                return False
            self._conclude(error)
            await self._finish()
            return True
        finally:
            await self.resources.aclose()

    def _decode(self) -> None:
        try:
            self._object = msgspec.convert(self.raw, self._reconciler.type)
        except msgspec.ValidationError as error:
            raise Stalled("InvalidObject", f"{self._reconciler.kind.kind} {self.key}: {sentence(error)}") from error

    async def _tell_later(self) -> None:
        await asyncio.sleep(ANNOUNCED)
        try:
            await self._patch()
        except KubeError as error:
            self.log(logging.WARNING, f"progress not written: {error}")

    def _progress(self, message: str, reason: str, *, drift: bool) -> None:
        self.conditions.mark(RECONCILING, "True", reason, message)
        if drift or self.conditions.is_unknown(READY):
            self.conditions.mark(READY, "Unknown", reason, message)

    async def _interrupted(self) -> None:
        """Keep what was observed when the run is cancelled."""
        if not self.cluster.leading or self._object is None or is_deleting(self.raw):
            return
        try:
            async with asyncio.timeout(LAST_PATCH):
                await self._patch()
        except (KubeError, TimeoutError) as error:
            self.log(logging.WARNING, f"status not written while stopping: {error}")

    def _conclude(self, error: Exception | None) -> None:
        """Translate how the run ended into conditions, event and the time of the next run."""
        end = conclude(self._reconciler, self._object, self.conditions, error, summarize=self._summarize)
        self.next = end.next
        if not isinstance(error, Unchanged):
            self.failure = error
        if end.observed:
            self._observed = self.generation
        if end.outcome is None:
            return
        if end.bug:
            self.log(logging.ERROR, "unexpected error", exc_info=error, error=end.outcome.message)
        if end.outcome.event is not None:
            self.event(end.outcome.event, end.outcome.reason, end.outcome.message)
        level = logging.ERROR if isinstance(end.outcome, Failed | Stalled) else logging.INFO
        self.log(level, end.outcome.message, reason=end.outcome.reason)

    async def _finish(self) -> None:
        if not self._summarize and self.failure is None:
            return
        if self._request:
            self._handled = self._request
        wrong = violations(self.conditions) if self._summarize else []
        if wrong:
            self.log(logging.ERROR, "conditions are not sane: " + "; ".join(wrong))
        try:
            await self._patch()
        except KubeError as error:
            self.log(logging.ERROR, f"status not written: {error}")
            self.failure = self.failure or error
            self.next = Next(backoff=True)

    async def _patch(self) -> None:
        async with self._writing:
            if await self._writer.write(self._desired()):
                self.conditions.commit()

    def _desired(self) -> dict[str, Any]:
        desired = dict(self.status)
        conditions = self.conditions.to_list()
        if conditions:
            desired["conditions"] = conditions
        if self._observed is not None:
            desired["observedGeneration"] = self._observed
        if self._handled:
            desired["lastHandledReconcileAt"] = self._handled
        return desired


def _conditions(raw: Object) -> list[dict[str, Any]]:
    return list((raw.get("status") or {}).get("conditions") or [])


def _number(observed: object) -> int:
    return observed if isinstance(observed, int) else -1
