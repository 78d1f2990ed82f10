"""History: outcomes of Kustomizations and releases, and with which of them it went wrong."""

from __future__ import annotations

from typing import Any

import pytest

from fluxtui.fleet.past import keeps_history, runs, turn
from tests.fleet.objects import SECONDS, SHA, ago, flux, ref

OTHER = "main@sha1:31c09ab2d3a1b0c9f8e7d6c5b4a3928170615243"


def outcome(revision: str, result: str = "ReconciliationSucceeded", **more: Any) -> dict[str, Any]:
    return {
        "firstReconciled": ago(hours=2),
        "lastReconciled": ago(minutes=5),
        "lastReconciledDuration": "1.5s",
        "lastReconciledStatus": result,
        "totalReconciliations": 7,
        "metadata": {"revision": revision},
        **more,
    }


def kustomization(*entries: Any) -> dict[str, Any]:
    return flux("ks", status={"history": list(entries)})


def test_what_an_outcome_tells() -> None:
    found = runs(kustomization(outcome(f"main@sha1:{SHA}", metadata={"revision": OTHER, "originRevision": SHA})))[0]
    assert (found.revision, found.origin, found.result) == ("main@31c09ab2", "7148a354", "ReconciliationSucceeded")
    assert (found.good, found.took, found.count) == (True, 1.5, 7)
    assert (found.first, found.last) == (SECONDS - 7200, SECONDS - 300)


def test_what_a_release_tells() -> None:
    entries = [
        {
            "chartName": "podinfo",
            "chartVersion": "6.9.2",
            "version": 5,
            "status": "failed",
            "lastDeployed": ago(hours=1),
        },
        {"chartName": "podinfo", "chartVersion": "6.9.1", "version": 4, "status": "deployed"},
        {"chartName": "podinfo", "chartVersion": "6.9.0", "version": 3, "status": "uninstalled"},
    ]
    release = flux("hr", status={"history": entries, "lastAttemptedReleaseActionDuration": "2m3s"})
    found = runs(release)
    assert [(run.revision, run.number, run.good, run.took) for run in found] == [
        ("podinfo 6.9.2", 5, False, 123.0),
        ("podinfo 6.9.1", 4, True, 0.0),
        ("podinfo 6.9.0", 3, None, 0.0),
    ]
    wrong = turn(found)
    assert wrong
    assert (wrong.bad.number, wrong.good.number if wrong.good else 0) == (5, 4)


@pytest.mark.parametrize(
    ("results", "bad", "good"),
    [
        (["+"], None, None),
        (["+", "-", "+"], None, None),
        (["-", "-", "+", "-"], 1, 2),
        (["-", "-"], 1, None),
        ([], None, None),
    ],
)
def test_the_first_bad_one_comes_after_the_last_good_one(results: list[str], bad: int | None, good: int | None) -> None:
    names = {"+": "ReconciliationSucceeded", "-": "BuildFailed"}
    found = runs(kustomization(*(outcome(f"r{index}", names[each]) for index, each in enumerate(results))))
    wrong = turn(found)
    assert (wrong and wrong.bad.revision) == (None if bad is None else f"r{bad}")
    assert (wrong.good.revision if wrong and wrong.good else None) == (None if good is None else f"r{good}")


def test_what_is_no_history_is_none() -> None:
    assert runs(flux("ks")) == []
    assert runs(flux("ks", status={"history": "long"})) == []
    odd = {"lastReconciledDuration": "soon", "totalReconciliations": "many", "metadata": 1, "lastReconciledStatus": 2}
    found = runs(kustomization("text", odd))
    assert [(run.revision, run.took, run.count) for run in found] == [("", 0.0, 1)]


def test_which_kinds_have_one() -> None:
    assert [word for word in ("ks", "hr", "git", "helmchart") if keeps_history(ref(word))] == ["ks", "hr"]
