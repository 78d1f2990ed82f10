"""Conditions: order, transition times, the summary, and kstatus sanity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from fluxtui.api.meta import READY, RECONCILING, STALLED, Condition
from fluxtui.engine.runtime.conditions import MESSAGE_LIMIT, Conditions, Status, violations

ORDER = ("StorageOperationFailed", "FetchFailed", "ArtifactInStorage", "SourceVerified")
NEGATIVE = ("StorageOperationFailed", "FetchFailed")


class Clock:
    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.moment += timedelta(seconds=60)
        return self.moment


def make(*items: Mapping[str, object], generation: int = 1) -> Conditions:
    return Conditions(map(dict, items), generation, Clock())


def test_stalled_reconciling_ready_come_first_then_by_generation_and_type() -> None:
    old = {"type": "Zebra", "status": "True", "reason": "Old", "lastTransitionTime": "", "observedGeneration": 1}
    conditions = make(old, generation=2)
    for type in ("Healthy", "ArtifactInStorage", READY, RECONCILING):
        conditions.set(type, "True", "Reason")
    assert [c.type for c in conditions] == [RECONCILING, READY, "ArtifactInStorage", "Healthy", "Zebra"]


def test_the_transition_time_moves_with_the_state_and_not_with_the_generation() -> None:
    conditions = make()
    conditions.set(READY, "True", "Succeeded", "stored")
    first = conditions.get(READY)
    assert first is not None
    conditions.commit()
    again = Conditions(conditions.to_list(), 2, Clock())
    again.set(READY, "True", "Succeeded", "stored")
    same = again.get(READY)
    assert same is not None
    assert (same.last_transition_time, same.observed_generation) == (first.last_transition_time, 2)
    again.set(READY, "True", "Succeeded", "stored anew")
    changed = again.get(READY)
    assert changed is not None
    assert changed.last_transition_time != first.last_transition_time or changed.message != first.message


def test_a_detour_nobody_saw_does_not_move_the_transition_time() -> None:
    failing = {"type": READY, "status": "False", "reason": "Failed", "message": "x", "lastTransitionTime": "T0"}
    conditions = make(failing)
    conditions.mark(READY, "Unknown", "Progressing", "again")
    conditions.mark(READY, "False", "Failed", "x")
    ready = conditions.get(READY)
    assert ready is not None
    assert ready.last_transition_time == "T0"


def test_reconciling_and_stalled_exclude_each_other() -> None:
    conditions = make()
    conditions.set(RECONCILING, "True", "Progressing")
    conditions.set(STALLED, "True", "URLInvalid")
    assert RECONCILING not in conditions
    conditions.set(RECONCILING, "True", "Progressing")
    assert STALLED not in conditions


def test_messages_are_cut_at_the_limit_of_the_api() -> None:
    conditions = make()
    conditions.set(READY, "False", "Failed", "x" * (MESSAGE_LIMIT + 1))
    ready = conditions.get(READY)
    assert ready is not None
    assert len(ready.message) == MESSAGE_LIMIT
    assert ready.message.endswith("...")


def test_every_field_the_api_requires_is_written() -> None:
    conditions = make()
    conditions.set(READY, "True", "Succeeded")
    assert conditions.to_list() == [
        {
            "lastTransitionTime": "2026-01-01T00:01:00Z",
            "message": "",
            "observedGeneration": 1,
            "reason": "Succeeded",
            "status": "True",
            "type": "Ready",
        }
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"ArtifactInStorage": "True"}, ("True", "ArtifactInStorage")),
        ({"ArtifactInStorage": "True", "FetchFailed": "True"}, ("False", "FetchFailed")),
        ({"FetchFailed": "True", "StorageOperationFailed": "True"}, ("False", "StorageOperationFailed")),
        ({"ArtifactInStorage": "True", "SourceVerified": "False"}, ("False", "SourceVerified")),
        ({"ArtifactInStorage": "True", "SourceVerified": "Unknown"}, ("True", "ArtifactInStorage")),
        ({"FetchFailed": "False"}, ("True", "FetchFailed")),
        ({"SourceVerified": "Unknown"}, ("Unknown", "SourceVerified")),
    ],
)
def test_ready_is_summarized_from_the_owned_conditions(given: dict[str, Status], expected: tuple[str, str]) -> None:
    conditions = make()
    for type, status in given.items():
        conditions.set(type, status, type)
    conditions.summarize(ORDER, NEGATIVE)
    ready = conditions.get(READY)
    assert ready is not None
    assert (ready.status, ready.reason) == expected


def test_foreign_conditions_are_kept_as_they_are() -> None:
    foreign = {
        "type": "Audited",
        "status": "True",
        "reason": "Yes",
        "message": "m",
        "lastTransitionTime": "T",
        "observedGeneration": 1,
    }
    conditions = make(foreign, generation=5)
    conditions.set(READY, "True", "Succeeded")
    assert foreign in conditions.to_list()


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ([(READY, "True")], 0),
        ([(READY, "False"), (STALLED, "True")], 0),
        ([(READY, "Unknown"), (RECONCILING, "True")], 0),
        ([], 0),
        ([("FetchFailed", "True")], 1),
        ([(READY, "True"), (RECONCILING, "True")], 1),
        ([(READY, "Unknown"), (STALLED, "True")], 1),
        ([(READY, "False"), (RECONCILING, "False")], 1),
        ([(READY, "True"), (RECONCILING, "True"), (STALLED, "True")], 3),
    ],
)
def test_sanity_as_kstatus_wants_it(given: list[tuple[str, str]], count: int) -> None:
    assert len(violations(Condition(type, status) for type, status in given)) == count
