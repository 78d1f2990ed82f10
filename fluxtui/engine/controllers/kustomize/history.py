"""`status.history`: the last outcomes, the latest first.

Source: `History` of fluxcd/pkg `apis/meta`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fluxtui.api import durations
from fluxtui.engine.runtime.objects import timestamp

_LIMIT = 5

Snapshot = dict[str, Any]


def recorded(
    history: Sequence[Snapshot], digest: str, moment: datetime, seconds: float, status: str, metadata: dict[str, str]
) -> list[Snapshot]:
    """The history with an outcome added; the same outcome of the same build is counted instead."""
    now = timestamp(moment)
    same = next(
        (entry for entry in history if (entry.get("digest"), entry.get("lastReconciledStatus")) == (digest, status)), {}
    )
    latest = {
        "digest": digest,
        "firstReconciled": same.get("firstReconciled", now),
        "lastReconciled": now,
        "lastReconciledDuration": durations.text(round(seconds, 9)),
        "lastReconciledStatus": status,
        "metadata": metadata,
        "totalReconciliations": same.get("totalReconciliations", 0) + 1,
    }
    return [latest, *(entry for entry in history if entry is not same)][:_LIMIT]
