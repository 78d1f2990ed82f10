"""Conditions of one object: sorted, with transition times that only move on a change, and kstatus sanity.

Semantics follow fluxcd/pkg `runtime/conditions`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from fluxtui.api.meta import READY, RECONCILING, STALLED, Condition
from fluxtui.engine.runtime.objects import now, timestamp

Status = Literal["True", "False", "Unknown"]

MESSAGE_LIMIT = 32768
"""Characters of a condition's message the API accepts."""
_WEIGHTS = {STALLED: 0, RECONCILING: 1, READY: 2}


class Conditions:
    """The conditions in `status.conditions`; those of other writers are kept as they are."""

    def __init__(self, items: Iterable[dict[str, Any]], generation: int, clock: Callable[[], datetime] = now) -> None:
        self._items = {item["type"]: msgspec.convert(item, Condition) for item in items}
        self._written = dict(self._items)
        self._set: set[str] = set()
        self._generation = generation
        self._clock = clock

    def __iter__(self) -> Iterator[Condition]:
        return iter(sorted(self._items.values(), key=_order))

    def __contains__(self, type: str) -> bool:
        return type in self._items

    def get(self, type: str) -> Condition | None:
        """The condition of a type, None when it is not there."""
        return self._items.get(type)

    def is_true(self, type: str) -> bool:
        """Whether the condition is there and "True"."""
        return type in self._items and self._items[type].status == "True"

    def is_false(self, type: str) -> bool:
        """Whether the condition is there and "False"."""
        return type in self._items and self._items[type].status == "False"

    def is_unknown(self, type: str) -> bool:
        """Whether the condition is "Unknown" or not there."""
        return type not in self._items or self._items[type].status == "Unknown"

    def was_set(self, type: str) -> bool:
        """Whether `set` was called for a type."""
        return type in self._set

    def set(self, type: str, status: Status, reason: str, message: str = "") -> None:
        """Set a condition for the current generation; Reconciling=True removes Stalled, and the other way round.

        The transition time moves when status, reason or message differ from what the server has.
        """
        self._set.add(type)
        self.mark(type, status, reason, message)

    def mark(self, type: str, status: Status, reason: str, message: str = "") -> None:
        """As `set`, for the runtime itself: not remembered as set by a step."""
        if len(message) > MESSAGE_LIMIT:
            message = message[: MESSAGE_LIMIT - 3] + "..."
        moment = timestamp(self._clock())
        for old in (self._items.get(type), self._written.get(type)):
            if old is not None and (old.status, old.reason, old.message) == (status, reason, message):
                moment = old.last_transition_time
        self._items[type] = Condition(type, status, reason, message, moment, self._generation)
        if status == "True" and type in (RECONCILING, STALLED):
            self._items.pop(STALLED if type == RECONCILING else RECONCILING, None)

    def renew(self, type: str) -> None:
        """Have a condition, if it is there, count for the current generation, too."""
        if type in self._items:
            self._items[type] = msgspec.structs.replace(self._items[type], observed_generation=self._generation)

    def commit(self) -> None:
        """Take the conditions as what the server has."""
        self._written = dict(self._items)

    def delete(self, type: str) -> None:
        """Remove a condition if it is there."""
        self._items.pop(type, None)

    def to_list(self) -> list[dict[str, Any]]:
        """As `status.conditions`: Stalled, Reconciling, Ready first, the others by generation and type."""
        return [_as_dict(condition) for condition in self]

    def summarize(self, order: Sequence[str], negative: Collection[str]) -> None:
        """Set Ready from the conditions in `order`, whose sequence decides whose reason and message is shown.

        First counts what is wrong (negative True, positive False), then what is right (positive True, negative
        False), then Unknown. Without any of them Ready stays as it is.
        """
        found = [self._items[type] for type in order if type in self._items and type != READY]
        if not found:
            return
        top = min(found, key=lambda condition: _priority(condition, condition.type in negative))
        status: Status = "Unknown"
        if top.status != "Unknown":
            status = "True" if (top.status == "True") != (top.type in negative) else "False"
        self.mark(READY, status, top.reason, top.message)


def violations(conditions: Iterable[Condition]) -> list[str]:
    """What breaks the kstatus rules in the conditions of a finished run, as sentences; empty when they are sane.

    Source: fluxcd/pkg `runtime/conditions/check` and the kstatus README of cli-utils.
    """
    found = {condition.type: condition for condition in conditions}
    true = {type for type, condition in found.items() if condition.status == "True"}
    wrong = []
    if found and READY not in found:
        wrong.append("there are conditions but no Ready")
    if {RECONCILING, STALLED} <= true:
        wrong.append("both Reconciling and Stalled are True")
    wrong += [
        f"{type} is {found[type].status} instead of absent"
        for type in (RECONCILING, STALLED)
        if type in found and type not in true
    ]
    if READY in true and true & {RECONCILING, STALLED}:
        wrong.append("Ready is True beside Reconciling or Stalled")
    if STALLED in true and READY in found and found[READY].status != "False":
        wrong.append("Stalled is True but Ready is not False")
    return wrong


def _as_dict(condition: Condition) -> dict[str, Any]:
    return {
        "lastTransitionTime": condition.last_transition_time,
        "message": condition.message,
        "observedGeneration": condition.observed_generation,
        "reason": condition.reason,
        "status": condition.status,
        "type": condition.type,
    }


def _order(condition: Condition) -> tuple[int, int, str]:
    return _WEIGHTS.get(condition.type, len(_WEIGHTS)), -_generation(condition), condition.type


def _generation(condition: Condition) -> int:
    return 0 if condition.type in _WEIGHTS else condition.observed_generation


def _priority(condition: Condition, negative: bool) -> int:
    if condition.status == "Unknown":
        return 4
    if condition.status == "True":
        return 0 if negative else 2
    return 3 if negative else 1
