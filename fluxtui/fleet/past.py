"""What became of an object's earlier revisions, as its `status.history` has it: Kustomizations and HelmReleases.

A Kustomization's controller notes each outcome (source: fluxcd/kustomize-controller `docs/spec/v1/kustomizations.md`,
History), a HelmRelease's each release that Helm keeps (fluxcd/helm-controller `docs/spec/v2/helmreleases.md`, History).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from fluxtui.api import durations
from fluxtui.api.kinds import HELM_RELEASE, KUSTOMIZATION
from fluxtui.fleet.facts import moment
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.text import one_line, short_revision

Object = Mapping[str, Any]

_KEEPING = {(KUSTOMIZATION.group, KUSTOMIZATION.kind), (HELM_RELEASE.group, HELM_RELEASE.kind)}
SUCCEEDED = "ReconciliationSucceeded"
"""The reason of a Kustomization's good outcome."""
_GOOD_RELEASES = frozenset({"deployed", "superseded"})
_BAD_RELEASES = frozenset({"failed"})


class Run(msgspec.Struct, frozen=True):
    """An outcome that a revision had. Times are seconds since the epoch, texts are clean."""

    revision: str
    """In short: `main@7148a354`, `podinfo 6.9.1`."""
    result: str
    """The reason, or the release's status."""
    good: bool | None
    """None: neither good nor bad, as a release that was uninstalled or is under way."""
    last: float
    first: float
    took: float = 0.0
    """Seconds of the last time; 0.0 when not known."""
    count: int = 1
    number: int = 0
    """Of a release: Helm's revision."""
    origin: str = ""
    """The revision of the repository that an OCI artifact was made of, in short."""


class Turn(NamedTuple):
    """Where things went wrong."""

    bad: Run
    """The first outcome since which all were bad."""
    good: Run | None
    """The last good one before it; None when the history does not reach that far."""


def keeps_history(ref: Ref) -> bool:
    """Whether objects of the kind tell of earlier revisions."""
    return (ref.group, ref.kind) in _KEEPING


def runs(obj: Object) -> list[Run]:
    """The history of a Kustomization or HelmRelease, the newest first; entries that can't be read are left out."""
    status = obj.get("status")
    entries = status.get("history") if isinstance(status, Mapping) else None
    if not isinstance(entries, list) or not isinstance(status, Mapping):
        return []
    read = _releases if obj.get("kind") == HELM_RELEASE.kind else _reconciles
    return list(read([entry for entry in entries if isinstance(entry, Mapping)], status))


def turn(history: Sequence[Run]) -> Turn | None:
    """The first bad outcome after the last good one; None unless the latest outcome is bad."""
    telling = [run for run in history if run.good is not None]
    if not telling or telling[0].good:
        return None
    good = next((index for index, run in enumerate(telling) if run.good), len(telling))
    return Turn(telling[good - 1], telling[good] if good < len(telling) else None)


def _reconciles(entries: Sequence[Object], _: Object) -> Iterator[Run]:
    for entry in entries:
        metadata = entry.get("metadata")
        notes = metadata if isinstance(metadata, Mapping) else {}
        result = _text(entry, "lastReconciledStatus")
        total = entry.get("totalReconciliations")
        yield Run(
            short_revision(_text(notes, "revision")),
            result,
            result == SUCCEEDED,
            moment(_text(entry, "lastReconciled")),
            moment(_text(entry, "firstReconciled")),
            _seconds(_text(entry, "lastReconciledDuration")),
            total if isinstance(total, int) else 1,
            origin=short_revision(_text(notes, "originRevision")),
        )


def _releases(entries: Sequence[Object], status: Object) -> Iterator[Run]:
    for index, entry in enumerate(entries):
        result = _text(entry, "status")
        good = True if result in _GOOD_RELEASES else False if result in _BAD_RELEASES else None
        # Only of the last action it is told how long it took.
        took = _seconds(_text(status, "lastAttemptedReleaseActionDuration")) if index == 0 else 0.0
        number = entry.get("version")
        yield Run(
            f"{_text(entry, 'chartName')} {_text(entry, 'chartVersion')}".strip(),
            result,
            good,
            moment(_text(entry, "lastDeployed")),
            moment(_text(entry, "firstDeployed")),
            took,
            number=number if isinstance(number, int) else 0,
        )


def _text(entry: Object, field: str) -> str:
    value = entry.get(field)
    return one_line(value) if isinstance(value, str) else ""


def _seconds(text: str) -> float:
    try:
        return durations.parse(text) if text else 0.0
    except ValueError:
        return 0.0
