"""What an object says about itself, read from its decoded form into the facts its state is judged by.

Sources of the rules for kinds without the condition Ready: Flux 2.x has no status on Alert, Provider (v1beta3) and on
HelmRepository of type oci; Flagger's Canary has phases (flagger.app `docs/gitbook/usage/how-it-works.md`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from fluxtui.api import durations
from fluxtui.api.kinds import CANARY, EXTERNAL_ARTIFACT, Kind
from fluxtui.api.meta import READY, RECONCILING, REQUESTED_AT, STALLED
from fluxtui.fleet.refs import clean, clean_message, intern
from fluxtui.fleet.states import Facts, Ready
from fluxtui.fleet.text import one_line
from fluxtui.fleet.wire import Meta, Said, Status, Wire

OWN = "fluxtui.dev"
SUSPEND_REASON = f"{OWN}/suspend-reason"
SUSPENDED_BY = f"{OWN}/suspended-by"
SUSPENDED_AT = f"{OWN}/suspended-at"
SUSPEND_UNTIL = f"{OWN}/suspend-until"
"""Annotations in which a suspension keeps why, by whom, since and until when (RFC 3339)."""

RECONCILE_EVERY = "fluxcd.controlplane.io/reconcileEvery"
"""Interval of the Flux Operator's kinds, 1h by default."""

_WAITS = "waits for "
_STATUS = {"True": Ready.TRUE, "False": Ready.FALSE, "Unknown": Ready.UNKNOWN}
_SILENT = frozenset({"Alert", "Provider", "MetricTemplate", "AlertProvider"})
"""Kinds that are configuration only: their controllers write no status, so they are Ready when they are there."""
_CANARY_READY = frozenset({"Initialized", "Succeeded"})
_CANARY_ENDING = frozenset({"Terminating", "Terminated"})


@lru_cache(maxsize=16384)
def moment(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time; 0.0 for what is none."""
    try:
        return datetime.fromisoformat(text).timestamp() if text else 0.0
    except ValueError:
        return 0.0


@lru_cache(maxsize=4096)
def seconds(text: str) -> float:
    """Seconds of a Go duration; 0.0 for what is none."""
    try:
        return durations.parse(text) if text else 0.0
    except ValueError:
        return 0.0


def read_facts(facts: Facts, wire: Wire, kind: Kind | None, now: float, previous: Facts | None = None) -> None:
    """Fill `facts` from an object. `previous` are the facts of the same object before: they know since when a request
    that carries no time waits."""
    metadata, spec, status = wire.metadata, wire.spec, wire.status
    facts.controller = kind.controller if kind else ""
    facts.generation = metadata.generation
    facts.deleting = (moment(metadata.deletion_timestamp) or now) if metadata.deletion_timestamp else 0.0
    facts.interval = _interval(wire)
    if spec and spec.suspend:
        facts.suspended = True
        facts.suspended_note = _note(metadata)
    if status:
        facts.observed = 0 if _is_silent(wire) else status.observed_generation or 0
        for said in status.conditions or ():
            _take(facts, said)
        if facts.ready_message.startswith(_WAITS):
            own = f"{_WAITS}{metadata.namespace}/"
            facts.ready_message = intern(facts.ready_message.replace(own, _WAITS))
        if status.history:
            facts.reconciled = max([moment(past.last_reconciled) for past in status.history])
    if facts.ready == Ready.ABSENT:
        _without_ready(facts, wire, status or Status())
    if not _is_silent(wire):
        facts.pending, facts.pending_request = _pending(facts, wire, kind, now, previous)


def _take(facts: Facts, said: Said) -> None:
    if said.type == READY:
        facts.ready = _STATUS.get(said.status, Ready.UNKNOWN)
        facts.ready_generation = said.observed_generation
        facts.ready_reason, facts.ready_message = clean(said.reason), clean_message(said.message)
    elif said.type == RECONCILING and said.status == "True":
        facts.reconciling = True
        facts.reconciling_generation = said.observed_generation
        facts.reconciling_reason = clean(said.reason)
        facts.reconciling_message = clean_message(said.message)
    elif said.type == STALLED and said.status == "True":
        facts.stalled = True
        facts.stalled_reason, facts.stalled_message = clean(said.reason), clean_message(said.message)


def _without_ready(facts: Facts, wire: Wire, status: Status) -> None:
    """The same facts for kinds that have no condition Ready."""
    if wire.kind == CANARY.kind:
        _canary(facts, status)
    elif wire.kind == EXTERNAL_ARTIFACT.kind:
        facts.ready = Ready.TRUE if status.artifact else Ready.ABSENT
    elif _is_silent(wire):
        facts.ready = Ready.TRUE


def _is_silent(wire: Wire) -> bool:
    """Whether no controller ever says anything of the object; the status that its CRD sets by default says nothing."""
    return wire.kind in _SILENT or (wire.kind == "HelmRepository" and bool(wire.spec and wire.spec.type == "oci"))


def _canary(facts: Facts, status: Status) -> None:
    phase = clean(status.phase or "")
    facts.ready_reason = phase
    promoted = next((said for said in status.conditions or () if said.type == "Promoted"), None)
    facts.ready_message = clean_message(promoted.message) if promoted else ""
    if phase in _CANARY_READY:
        facts.ready = Ready.TRUE
    elif phase == "Failed":
        facts.ready = Ready.FALSE
    elif phase in _CANARY_ENDING:
        facts.deleting = facts.deleting or moment(status.last_transition_time or "") or 1.0
    elif phase:
        facts.ready = Ready.UNKNOWN


def _interval(wire: Wire) -> float:
    if wire.spec and wire.spec.interval:
        return seconds(wire.spec.interval)
    annotations = wire.metadata.annotations
    if wire.api_version.startswith("fluxcd.controlplane.io/"):
        return seconds((annotations or {}).get(RECONCILE_EVERY) or "1h")
    return 0.0


def _note(metadata: Meta) -> str:
    """`why, by whom, until when` of a suspension, as far as it says so."""
    annotations = metadata.annotations
    if not annotations:
        return ""
    parts = [one_line(annotations.get(SUSPEND_REASON, ""))]
    if annotations.get(SUSPENDED_BY):
        parts.append(f"by {one_line(annotations[SUSPENDED_BY])}")
    if annotations.get(SUSPEND_UNTIL):
        parts.append(f"until {_local(annotations[SUSPEND_UNTIL])}")
    return ", ".join(part for part in parts if part)


def _local(text: str) -> str:
    """A time as the user's clock shows it: `2026-12-01 18:00`; what is none as it is."""
    found = moment(text)
    return datetime.fromtimestamp(found, UTC).astimezone().strftime("%Y-%m-%d %H:%M") if found else one_line(text)


def requested(wire: Wire) -> str:
    """The value of the request to reconcile that is not handled yet; "" when none waits."""
    wanted = (wire.metadata.annotations or {}).get(REQUESTED_AT, "")
    handled = wire.status.last_handled_reconcile_at if wire.status else ""
    return wanted if wanted != handled else ""


def _pending(facts: Facts, wire: Wire, kind: Kind | None, now: float, previous: Facts | None) -> tuple[float, bool]:
    request = requested(wire) if kind and kind.reconcilable else ""
    if not request and not 0 != facts.observed < facts.generation:
        return 0.0, False
    said = moment(request) if request else 0.0
    if 0.0 < said <= now:
        return said, True
    if previous and previous.pending and previous.pending_request == bool(request):
        same = request or previous.generation == facts.generation
        if same:
            return previous.pending, bool(request)
    return now, bool(request)
