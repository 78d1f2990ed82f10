"""What may be done to objects, what speaks against it, and how it ended: data only, no request is made here."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

import msgspec

from fluxtui.fleet.clusters import ClusterInfo, Phase
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.text import span


class Action(enum.StrEnum):
    """The writes of fluxtui to a delegated cluster: annotations and `spec.suspend`, nothing else."""

    RECONCILE = "reconcile"
    RECONCILE_WITH_SOURCE = "reconcile with source"
    SUSPEND = "suspend"
    RESUME = "resume"

    @property
    def reconciles(self) -> bool:
        """Whether the controller is asked to work, so that there is an outcome to wait for."""
        return self is not Action.SUSPEND


class Item(msgspec.Struct, frozen=True):
    """One object of a plan."""

    ref: Ref
    refusal: str = ""
    """Why nothing will be done to it, a sentence; empty when something will."""
    after: tuple[Ref, ...] = ()
    """What must have ended first: its source and what it depends on. `in_order` leaves those of the same plan."""
    settled: bool = False
    """Nothing will be done because it is as it was asked to be: no fault of a plan that is carried out."""


def in_order(items: Iterable[Item]) -> tuple[Item, ...]:
    """Items that wait only for targets of the same plan, and for none in a circle.

    A controller refuses to work on an object while a dependency is being reconciled, and comes back to it much later.
    """
    found = tuple(items)
    targets = {item.ref for item in found if not item.refusal}
    after = {item.ref: tuple(ref for ref in item.after if ref in targets and ref != item.ref) for item in found}
    try:
        TopologicalSorter(after).prepare()
    except CycleError as error:
        circle = set(error.args[1])
        return in_order(
            msgspec.structs.replace(item, after=tuple(ref for ref in item.after if ref not in circle))
            if item.ref in circle
            else item
            for item in found
        )
    return tuple(msgspec.structs.replace(item, after=after[item.ref]) for item in found)


class Plan(msgspec.Struct, frozen=True):
    """What an action would do, decided before anything is written."""

    action: Action
    items: tuple[Item, ...]
    protected: tuple[str, ...] = ()
    """Clusters among the targets whose name must be typed to confirm."""
    reason: str = ""
    """Of a suspension."""
    until: str = ""
    """End of a suspension, RFC 3339; it ends by nobody's hand but is shown."""

    @property
    def targets(self) -> tuple[Ref, ...]:
        """The objects that will be written to."""
        return tuple(item.ref for item in self.items if not item.refusal)

    @property
    def refused(self) -> tuple[Item, ...]:
        """The objects that will not."""
        return tuple(item for item in self.items if item.refusal)

    @property
    def clusters(self) -> tuple[str, ...]:
        """The clusters that will be written to."""
        return tuple(dict.fromkeys(ref.cluster for ref in self.targets))


class Ending(enum.StrEnum):
    """How an action on one object ended."""

    DONE = "done"
    FAILED = "failed"
    """The controller reports a failure, or the server refused the write."""
    REFUSED = "refused"
    """Nothing was written."""
    TIMEOUT = "timed out"
    """Written, but the controller did not report in time."""


class Outcome(msgspec.Struct, frozen=True):
    """The end of an action on one object."""

    ref: Ref
    action: Action
    ending: Ending
    message: str = ""
    """What was applied, or why it failed; one line."""
    revision: str = ""
    """In force afterwards, in full."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether what was asked for came about."""
        return self.ending is Ending.DONE


class Step(msgspec.Struct, frozen=True):
    """Something that happened on the way to an outcome, for progress."""

    ref: Ref
    text: str
    """`annotated`, `waiting for the controller`, `source git fleet: fetched main@7148a354`."""


_IS_SUSPENDED = "it is suspended already"
_IS_NOT_SUSPENDED = "it is not suspended"
SETTLED = frozenset({_IS_SUSPENDED, _IS_NOT_SUSPENDED})
"""Refusals of what is already as it was asked to be."""
_NEEDS_RECONCILE = (Action.RECONCILE, Action.RECONCILE_WITH_SOURCE)


def refusal(action: Action, row: Row, info: ClusterInfo | None, now: float, *, read_only: bool = False) -> str:
    """Why an action on a row is refused, as far as the row and its cluster tell; "" when nothing speaks against it."""
    if read_only:
        return "read-only: the settings forbid every write"
    if info and info.is_lost:
        if info.phase is Phase.DENIED:
            return f"{info.id} refuses us: {info.error}"
        since = f" for {span(now - info.lost_since)}" if info.lost_since else ""
        return f"{info.id} does not answer{since}"
    if row.deleting:
        return "it is being deleted"
    if action in _NEEDS_RECONCILE:
        return _why_not_reconcile(action, row)
    return _why_not_suspend(action, row)


def _one(kind: str) -> str:
    return f"{'an' if kind[:1] in 'AEIO' else 'a'} {kind}"


def _why_not_reconcile(action: Action, row: Row) -> str:
    kind = row.kind
    if kind is None or not kind.reconcilable:
        return f"no controller handles a requested reconcile of {_one(row.ref.kind)}"
    if row.ref.kind == "HelmRepository" and row.detail.startswith("oci://"):
        return "a HelmRepository of type oci is never reconciled: nothing is stored for it"
    if row.suspended:
        note = f" ({row.suspended_note})" if row.suspended_note else ""
        return f"it is suspended{note}: resume it first"
    if action is Action.RECONCILE_WITH_SOURCE and row.source is None:
        return "it has no source"
    return ""


def _why_not_suspend(action: Action, row: Row) -> str:
    kind = row.kind
    if kind is None or not kind.suspendable:
        return f"{_one(row.ref.kind)} can't be suspended"
    if action is Action.SUSPEND and row.suspended:
        return _IS_SUSPENDED
    if action is Action.RESUME and not row.suspended:
        return _IS_NOT_SUSPENDED
    return ""


def plan_of(
    action: Action,
    rows: Mapping[Ref, Row],
    clusters: Mapping[str, ClusterInfo],
    now: float,
    *,
    read_only: bool = False,
    protected: frozenset[str] = frozenset(),
    reason: str = "",
    until: str = "",
) -> Plan:
    """A plan from rows alone, at once and without a request; `Commands.plan` also asks for permissions."""
    items = tuple(
        Item(ref, refusal(action, row, clusters.get(ref.cluster), now, read_only=read_only))
        for ref, row in rows.items()
    )
    guarded = tuple(
        dict.fromkeys(item.ref.cluster for item in items if not item.refusal and item.ref.cluster in protected)
    )
    return Plan(action, items, guarded, reason, until)
