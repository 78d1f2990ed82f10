"""Who hears of the runs of controllers; this one does nothing with it."""

from __future__ import annotations

from fluxtui.api.kinds import Kind
from fluxtui.engine.runtime.objects import Key


class Observer:
    """Subclass it to measure. Its methods are quick and never raise."""

    def reconciled(self, cluster: str, kind: Kind, key: Key, seconds: float, result: str) -> None:
        """A run has ended; `result` is "success", "requeue_after" or "error", as controller-runtime counts them."""

    def gone(self, cluster: str, kind: Kind, key: Key) -> None:
        """An object does not exist any more."""
