"""The state of a row: one function for every kind, first rule that matches wins.

What an object says is kept as `Facts`; `state_of` judges them for a moment and for the cluster they came from.
Facts do not age, judgements do: `next_change` says when to judge again although no news came.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Collection

import msgspec

from fluxtui.fleet.text import span

LOST_AFTER = 30.0
"""Seconds after which the rows of a cluster that does not answer are Unreachable."""
PENDING_INTERVALS = 2
PENDING_AT_LEAST = 120.0
"""Seconds a request or a generation may wait, however short the interval."""
HISTORY_INTERVALS = 3


class State(enum.IntEnum):
    """States in the order in which they want attention."""

    STALLED = 0
    FAILED = 1
    UNREACHABLE = 2
    OVERDUE = 3
    DELETING = 4
    PROGRESSING = 5
    SUSPENDED = 6
    UNKNOWN = 7
    READY = 8

    @property
    def glyph(self) -> str:
        """One cell, without emoji presentation."""
        return "■✗⌁◷⊖↻‖?✓"[self]

    @property
    def ascii(self) -> str:
        """One ASCII character."""
        return "#x/!-~|?+"[self]

    @property
    def word(self) -> str:
        """`Failed`."""
        return self.name.capitalize()

    @property
    def token(self) -> str:
        """Name of the theme's colour: error, warning, primary, success, muted or muted-accent."""
        return _TOKENS[self]

    @property
    def is_trouble(self) -> bool:
        """Whether a person should look: Stalled, Failed, Unreachable, Overdue."""
        return self <= State.OVERDUE


Counts = tuple[int, ...]
"""How many rows are in each state, indexed by `State`."""

NO_COUNTS: Counts = (0,) * len(State)

_TOKENS = ("error", "error", "muted", "warning", "warning", "primary", "muted-accent", "muted", "success")


class Ready(enum.IntEnum):
    """Status of the condition Ready; ABSENT when there is none."""

    ABSENT = 0
    TRUE = 1
    FALSE = 2
    UNKNOWN = 3


class Facts(msgspec.Struct, gc=False, kw_only=True):
    """What an object says about itself, as far as its state depends on it. Times are seconds since the epoch."""

    controller: str = ""
    """The controller of the kind, as its Lease is named; empty when nobody's."""
    generation: int = 0
    observed: int = 0
    """`status.observedGeneration`; 0 when the kind or the object has none."""
    ready: Ready = Ready.ABSENT
    ready_generation: int = 0
    ready_reason: str = ""
    ready_message: str = ""
    reconciling: bool = False
    reconciling_generation: int = 0
    reconciling_reason: str = ""
    reconciling_message: str = ""
    stalled: bool = False
    stalled_reason: str = ""
    stalled_message: str = ""
    deleting: float = 0.0
    """Time of the deletion request; 0.0 when not deleted."""
    suspended: bool = False
    suspended_note: str = ""
    """Why, by whom and until when, if the suspension says so."""
    interval: float = 0.0
    """Seconds between reconciles; 0.0 when the object has none."""
    pending: float = 0.0
    """Since when a request or a generation waits to be handled; 0.0 when nothing waits."""
    pending_request: bool = False
    """Whether it is a request that waits (else a generation)."""
    reconciled: float = 0.0
    """The last reconcile that `status.history` records; 0.0 where the kind records none."""


# A name of the module: until Python 3.12 a member that is looked up in its class costs as much as a whole rule.
_ABSENT, _TRUE, _FALSE, _UNKNOWN = Ready
_STALLED, _FAILED, _READY, _PROGRESSING = State.STALLED, State.FAILED, State.READY, State.PROGRESSING


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """A state, the one that Suspended or Unreachable hides (else the same), and the words for it."""

    state: State
    before: State
    reason: str
    message: str


def state_of(
    facts: Facts, now: float, *, lost_since: float = 0.0, stale_controllers: Collection[str] = ()
) -> Judgement:
    """The state of an object at `now`.

    `lost_since` is the time since when its cluster does not answer (0.0: it answers); `stale_controllers` are those
    of the cluster that no longer renew their Lease.
    """
    own = _own(facts, now, stale_controllers)
    if lost_since and now - lost_since > LOST_AFTER:
        return Judgement(State.UNREACHABLE, own.state, own.reason, own.message)
    return own


def _own(facts: Facts, now: float, stale: Collection[str]) -> Judgement:
    if facts.deleting:
        reason, message = _words(facts)
        return Judgement(State.DELETING, State.DELETING, reason, message)
    said = _said(facts, now, stale)
    if facts.suspended:
        return Judgement(State.SUSPENDED, said.state, said.reason, facts.suspended_note or said.message)
    return said


def _said(facts: Facts, now: float, stale: Collection[str]) -> Judgement:
    ready = facts.ready
    if facts.stalled:
        return _judged(_STALLED, facts.stalled_reason, facts.stalled_message)
    # Nothing works on a suspended object, nor does it promise anything; and to suspend it was a change of its spec.
    if ready == _FALSE and (facts.suspended or not _works_on_news(facts)):
        return _judged(_FAILED, facts.ready_reason, facts.ready_message)
    if facts.reconciling or ready == _UNKNOWN:
        return _judged(_PROGRESSING, *_words(facts))
    if ready == _TRUE and not facts.suspended:
        broken = _broken_promise(facts, now, stale)
        if broken:
            return _judged(State.OVERDUE, *broken)
    if ready != _ABSENT and 0 != facts.observed < facts.generation and not facts.suspended:
        return _judged(_PROGRESSING, "NewGeneration", "a change of the spec waits for its controller")
    if ready == _TRUE:
        return _judged(_READY, facts.ready_reason, facts.ready_message)
    return _judged(State.UNKNOWN, *_words(facts))


def _judged(state: State, reason: str, message: str) -> Judgement:
    return Judgement(state, state, reason, message)


def _works_on_news(facts: Facts) -> bool:
    """Whether the failure belongs to an older generation than the one being reconciled.

    The condition's own observedGeneration counts: `status.observedGeneration` stays at -1 until the first success,
    and an object that keeps failing has Reconciling=True (ProgressingWithRetry) beside Ready=False.
    """
    return facts.reconciling and facts.ready_generation < facts.generation <= facts.reconciling_generation


def _words(facts: Facts) -> tuple[str, str]:
    if facts.reconciling and facts.reconciling_reason:
        return facts.reconciling_reason, facts.reconciling_message
    return facts.ready_reason, facts.ready_message


def _pending_limit(facts: Facts) -> float:
    return max(PENDING_INTERVALS * facts.interval, PENDING_AT_LEAST)


def _broken_promise(facts: Facts, now: float, stale: Collection[str]) -> tuple[str, str] | None:
    if facts.pending and now - facts.pending > _pending_limit(facts):
        what = "a requested reconcile" if facts.pending_request else "a change of the spec"
        return "Unhandled", f"{what} waits for {span(now - facts.pending)}"
    if facts.reconciled and facts.interval and now - facts.reconciled > HISTORY_INTERVALS * facts.interval:
        ago = span(now - facts.reconciled)
        return "NotReconciled", f"last reconcile {ago} ago, promised every {span(facts.interval)}"
    if facts.controller and facts.controller in stale:
        return "LeaseNotRenewed", f"{facts.controller} does not renew its lease"
    return None


def next_change(facts: Facts, now: float) -> float:
    """When (seconds since the epoch) the state changes if nothing is heard until then; infinity for never."""
    if facts.ready != _TRUE or facts.stalled or facts.deleting or facts.suspended:
        return math.inf
    first = math.inf
    if facts.pending and (waited := facts.pending + _pending_limit(facts)) >= now:
        first = waited
    if (
        facts.reconciled
        and facts.interval
        and (promised := facts.reconciled + HISTORY_INTERVALS * facts.interval) >= now
    ):
        first = min(first, promised)
    return first
