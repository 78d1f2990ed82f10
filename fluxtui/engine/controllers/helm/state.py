"""What state a release is in: a pure judgement, from Helm's storage and the object's history.

Follows helm-controller's `internal/reconcile/state.go`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fluxtui.engine.adapters.helm_storage import PENDING, Release
from fluxtui.engine.controllers.helm.releases import config_digest, digest


class State(enum.Enum):
    """The state of a release compared with what is desired."""

    ABSENT = "absent"
    LOCKED = "locked"
    """An action was interrupted and left its release pending."""
    UNMANAGED = "unmanaged"
    """Somebody else wrote the newest revision."""
    FAILED = "failed"
    OUT_OF_SYNC = "out of sync"
    IN_SYNC = "in sync"


class Judgement(msgspec.Struct, frozen=True):
    """A state and why."""

    state: State
    reason: str = ""


def determine(
    history: Sequence[Release], known: Sequence[Mapping[str, Any]], chart: Mapping[str, Any], values: Mapping[str, Any]
) -> Judgement:
    """Judge a release.

    `history` is Helm's storage, oldest first; `known` is `status.history`, newest first; `chart` the metadata of the
    desired chart and `values` the desired values.
    """
    if not history:
        return Judgement(State.ABSENT, "no release in storage for object")
    last = history[-1]
    status = last["info"]["status"]
    if status in PENDING or status == "uninstalling":
        return Judgement(State.LOCKED, f"release with status '{status}'")
    if status == "uninstalled":
        return Judgement(State.ABSENT, "found uninstalled release in storage")
    if not known:
        return Judgement(State.UNMANAGED, "found existing release in storage")
    if known[0].get("version") != last["version"] or known[0].get("digest") != digest(last):
        return Judgement(State.UNMANAGED, "release digest verification failed")
    if status == "failed":
        return Judgement(State.FAILED, "release is in a failed state")
    metadata = last["chart"]["metadata"]
    if (metadata["name"], metadata["version"]) != (chart["name"], chart["version"]):
        return Judgement(State.OUT_OF_SYNC, "release chart changed")
    if config_digest(last.get("config") or {}) != config_digest(dict(values)):
        return Judgement(State.OUT_OF_SYNC, "release config values changed")
    return Judgement(State.IN_SYNC)
