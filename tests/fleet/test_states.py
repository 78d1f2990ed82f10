"""States: one table of cases with objects of every kind, and the rules that depend on time."""

from __future__ import annotations

import math
from typing import Any

import pytest

from fluxtui.api.kinds import KINDS
from fluxtui.api.meta import REQUESTED_AT
from fluxtui.fleet.facts import SUSPEND_REASON, SUSPENDED_BY
from fluxtui.fleet.rows import judged, row_of
from fluxtui.fleet.states import State, next_change
from tests.fleet.objects import SECONDS, ago, failed, flux, ready, said

Object = dict[str, Any]

WITH_READY = [kind.short for kind in KINDS if kind.kind not in ("Alert", "Provider", "Canary", "ExternalArtifact")]
"""Kinds that have the condition Ready."""

SAYS_READY: list[tuple[str, Object, State]] = [
    ("nothing said yet", flux("ks"), State.UNKNOWN),
    ("born and waiting", flux("ks", status={"observedGeneration": -1}), State.UNKNOWN),
    ("ready", flux("ks", "it", ready()), State.READY),
    ("failed", flux("ks", "it", failed()), State.FAILED),
    ("stalled beats failed", flux("ks", "it", failed(), said("Stalled", "True")), State.STALLED),
    ("Stalled=False says nothing", flux("ks", "it", ready(), said("Stalled", "False")), State.READY),
    ("ready unknown", flux("ks", "it", said("Ready", "Unknown", "Progressing")), State.PROGRESSING),
    ("reconciling", flux("ks", "it", ready(), said("Reconciling", "True", "Progressing")), State.PROGRESSING),
    (
        "retrying is failed",
        flux(
            "ks", "it", failed(), said("Reconciling", "True", "ProgressingWithRetry"), status={"observedGeneration": -1}
        ),
        State.FAILED,
    ),
    (
        "failed before, now at a new generation",
        flux("ks", "it", failed(), said("Reconciling", "True", "Progressing", generation=2), generation=2),
        State.PROGRESSING,
    ),
    (
        "a new generation that nobody looked at leaves it failed",
        flux("ks", "it", failed(), said("Reconciling", "True", "ProgressingWithRetry"), generation=2),
        State.FAILED,
    ),
    ("new generation not observed", flux("ks", "it", ready(), generation=2), State.PROGRESSING),
    (
        "deleting beats everything",
        flux("ks", "it", failed(), said("Stalled", "True"), deletionTimestamp=ago()),
        State.DELETING,
    ),
    ("suspended hides failed", flux("ks", "it", failed(), spec={"suspend": True}), State.SUSPENDED),
    ("suspended and deleting", flux("ks", "it", spec={"suspend": True}, deletionTimestamp=ago()), State.DELETING),
    ("born suspended", flux("ks", "it", spec={"suspend": True}), State.SUSPENDED),
    (
        "an action under way after a failure of the same generation",
        flux("ks", "it", failed("InstallFailed"), said("Reconciling", "True", "Progressing")),
        State.FAILED,
    ),
    (
        "prerequisites that are missing",
        flux("ks", "it", failed("DependencyNotReady"), said("Reconciling", "True", "Progressing", "Fulfilling …")),
        State.FAILED,
    ),
    (
        "stalled although its artifact is kept",
        flux(
            "ks",
            "it",
            failed("InvalidChartReference"),
            said("Stalled", "True", "InvalidChartReference"),
            said("ArtifactInStorage", "True"),
        ),
        State.STALLED,
    ),
    ("suspend: false", flux("ks", "it", ready(), spec={"suspend": False}), State.READY),
]


@pytest.mark.parametrize(("name", "obj", "state"), SAYS_READY, ids=[case[0] for case in SAYS_READY])
@pytest.mark.parametrize("word", WITH_READY)
def test_kinds_with_ready(word: str, name: str, obj: Object, state: State) -> None:
    same = flux(word, "it")
    obj = {**obj, "kind": same["kind"], "apiVersion": same["apiVersion"]}
    assert row_of("c", obj, SECONDS).state == state


WITHOUT_READY: list[tuple[str, Object, State]] = [
    ("alert", flux("alert"), State.READY),
    ("alert suspended", flux("alert", spec={"suspend": True}), State.SUSPENDED),
    ("alert of v1beta2 that failed", flux("alert", "it", failed()), State.FAILED),
    ("provider", flux("provider"), State.READY),
    ("provider being deleted", flux("provider", deletionTimestamp=ago()), State.DELETING),
    ("helm repository of type oci", flux("helm", spec={"type": "oci"}), State.READY),
    (
        "helm repository of type oci with the status that its CRD gives it",
        flux("helm", spec={"type": "oci"}, status={"observedGeneration": -1}),
        State.READY,
    ),
    ("helm repository", flux("helm"), State.UNKNOWN),
    ("external artifact without one", flux("ext"), State.UNKNOWN),
    ("external artifact", flux("ext", status={"artifact": {"revision": "v1"}}), State.READY),
    ("external artifact that failed", flux("ext", "it", failed()), State.FAILED),
    ("canary new", flux("canary"), State.UNKNOWN),
    *(
        (f"canary {phase}", flux("canary", status={"phase": phase}), state)
        for phase, state in {
            "Initializing": State.PROGRESSING,
            "Initialized": State.READY,
            "Waiting": State.PROGRESSING,
            "Progressing": State.PROGRESSING,
            "WaitingPromotion": State.PROGRESSING,
            "Promoting": State.PROGRESSING,
            "Finalising": State.PROGRESSING,
            "Succeeded": State.READY,
            "Failed": State.FAILED,
            "Terminating": State.DELETING,
            "Terminated": State.DELETING,
        }.items()
    ),
]


def generic(status: Object | None) -> Object:
    found = {"apiVersion": "fluxcd.controlplane.io/v1", "kind": "FluxReport", "metadata": {"name": "flux"}}
    return found if status is None else {**found, "status": status}


GENERIC: list[tuple[str, Object, State]] = [
    ("generic silent", generic(None), State.UNKNOWN),
    ("generic ready", generic({"conditions": [ready()]}), State.READY),
    ("generic failed", generic({"conditions": [failed()]}), State.FAILED),
    ("generic with shapes of its own", generic({"conditions": {"no": "list"}, "history": 7}), State.UNKNOWN),
    ("generic ready beside odd fields", generic({"conditions": [ready(), 3], "inventory": "x"}), State.READY),
]


@pytest.mark.parametrize(
    ("obj", "state"),
    [case[1:] for case in (*WITHOUT_READY, *GENERIC)],
    ids=[case[0] for case in (*WITHOUT_READY, *GENERIC)],
)
def test_kinds_without_ready(obj: Object, state: State) -> None:
    assert row_of("c", obj, SECONDS).state == state


def test_every_kind_is_in_a_table() -> None:
    tested = {flux(word)["kind"] for word in WITH_READY} | {obj["kind"] for _, obj, _ in WITHOUT_READY}
    assert {kind.kind for kind in KINDS} <= tested


@pytest.mark.parametrize("word", [kind.short for kind in KINDS if kind.suspendable])
def test_suspended_keeps_the_state_before(word: str) -> None:
    row = row_of("c", flux(word, "it", failed(message="no such chart"), spec={"suspend": True}), SECONDS)
    assert (row.state, row.before, row.message) == (State.SUSPENDED, State.FAILED, "no such chart")


RETRYING = said("Reconciling", "True", "ProgressingWithRetry", generation=2)


@pytest.mark.parametrize(
    ("obj", "before"),
    [
        (flux("ks", "it", ready(), spec={"suspend": True}, generation=2), State.READY),
        (flux("ks", "it", failed(), RETRYING, spec={"suspend": True}, generation=2), State.FAILED),
        (flux("ks", "it", ready(), spec={"suspend": True}, annotations={REQUESTED_AT: ago(hours=9)}), State.READY),
    ],
    ids=["the suspension is a generation", "a failure noted again", "a request that nobody handles"],
)
def test_what_suspending_brings_is_not_the_state_before(obj: Object, before: State) -> None:
    row = row_of("c", obj, SECONDS)
    assert (row.state, row.before) == (State.SUSPENDED, before)
    assert math.isinf(next_change(row, SECONDS))


def test_a_suspension_says_why_and_by_whom() -> None:
    notes = {SUSPEND_REASON: "migration\x1b[31m", SUSPENDED_BY: "ada@bastion"}
    row = row_of("c", flux("ks", "it", ready(), spec={"suspend": True}, annotations=notes), SECONDS)
    assert row.message == "migration, by ada@bastion"


def test_unreachable_after_thirty_seconds_keeps_the_state_before() -> None:
    row = row_of("c", flux("ks", "it", failed(message="no")), SECONDS)
    assert judged(row, SECONDS, lost_since=SECONDS - 30) is row
    lost = judged(row, SECONDS, lost_since=SECONDS - 31)
    assert (lost.state, lost.before, lost.message) == (State.UNREACHABLE, State.FAILED, "no")
    suspended = row_of("c", flux("ks", spec={"suspend": True}), SECONDS)
    lost = judged(suspended, SECONDS, lost_since=SECONDS - 31)
    assert (lost.state, lost.before) == (State.UNREACHABLE, State.SUSPENDED)
    assert judged(lost, SECONDS).state == State.SUSPENDED


def request(minutes: float, interval: str = "1m", handled: str = "") -> Object:
    return flux(
        "ks",
        "it",
        ready(),
        spec={"interval": interval},
        status={"lastHandledReconcileAt": handled},
        annotations={REQUESTED_AT: ago(minutes=minutes)},
    )


@pytest.mark.parametrize(
    ("obj", "state"),
    [
        (request(1.9), State.READY),
        (request(2.1), State.OVERDUE),
        (request(2.1, "10m"), State.READY),
        (request(20.1, "10m"), State.OVERDUE),
        (request(60, handled=ago(minutes=60)), State.READY),
        (request(60, handled=ago(minutes=90)), State.OVERDUE),
    ],
)
def test_a_request_that_nobody_handles_is_overdue_after_two_intervals(obj: Object, state: State) -> None:
    assert row_of("c", obj, SECONDS).state == state


def test_a_request_without_a_time_counts_from_when_it_was_first_seen() -> None:
    obj = flux("git", "it", ready(), spec={"interval": "1m"}, annotations={REQUESTED_AT: "now, please"})
    first = row_of("c", obj, SECONDS)
    later = row_of("c", obj, SECONDS + 100, first)
    assert (first.state, later.state, later.pending) == (State.READY, State.READY, SECONDS)
    overdue = row_of("c", obj, SECONDS + 130, later)
    assert (overdue.state, overdue.reason) == (State.OVERDUE, "Unhandled")


def test_kinds_that_handle_no_requests_are_never_overdue_by_them() -> None:
    assert row_of("c", flux("alert", annotations={REQUESTED_AT: ago(days=1)}), SECONDS).state == State.READY


def test_a_generation_that_nobody_observes_turns_from_progressing_to_overdue() -> None:
    obj = flux("ks", "it", ready(), spec={"interval": "1m"}, generation=2)
    row = row_of("c", obj, SECONDS)
    assert row.state == State.PROGRESSING
    assert next_change(row, SECONDS) == SECONDS + 120
    later = judged(row, SECONDS + 121)
    assert (later.state, later.message) == (State.OVERDUE, "a change of the spec waits for 2m")


@pytest.mark.parametrize(("minutes", "state"), [(29, State.READY), (31, State.OVERDUE)])
@pytest.mark.parametrize("word", ["ks", "rset", "fi"])
def test_history_older_than_three_intervals_is_overdue(word: str, minutes: int, state: State) -> None:
    every = {"fluxcd.controlplane.io/reconcileEvery": "10m"}
    spec = {"interval": "10m"} if word == "ks" else {"interval": ""}
    history = [{"lastReconciled": ago(days=1)}, {"lastReconciled": ago(minutes=minutes)}]
    obj = flux(word, "it", ready(), spec=spec, status={"history": history}, annotations=every)
    assert row_of("c", obj, SECONDS).state == state


def test_a_release_history_is_no_promise() -> None:
    history = [{"lastDeployed": ago(days=90), "chartVersion": "1.0.0", "status": "deployed"}]
    row = row_of("c", flux("hr", "it", ready(), status={"history": history}), SECONDS)
    assert (row.state, row.revision) == (State.READY, "1.0.0")


def test_a_lease_that_is_not_renewed_makes_ready_a_lie() -> None:
    ok = row_of("c", flux("hr", "it", ready()), SECONDS)
    row = judged(ok, SECONDS, stale_controllers=("helm-controller",))
    assert (row.state, row.message) == (State.OVERDUE, "helm-controller does not renew its lease")
    bad = row_of("c", flux("hr", "it", failed()), SECONDS, stale_controllers=("helm-controller",))
    assert bad.state == State.FAILED
    assert judged(ok, SECONDS, stale_controllers=("kustomize-controller",)) is ok


def test_what_does_not_wait_never_changes_by_itself() -> None:
    assert next_change(row_of("c", flux("ks", "it", ready()), SECONDS), SECONDS) == math.inf


def test_states_have_a_glyph_a_word_and_a_colour() -> None:
    assert len({state.glyph for state in State}) == len({state.ascii for state in State}) == len(State)
    assert all(len(state.glyph) == 1 and state.ascii.isascii() and state.token for state in State)
    assert (State.READY.glyph, State.FAILED.word, State.SUSPENDED.token) == ("✓", "Failed", "muted-accent")
