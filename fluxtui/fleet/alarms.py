"""When rows are to be judged again because time alone changes them."""

from __future__ import annotations

import heapq
import math

from fluxtui.fleet.refs import Ref


class Alarms:
    """One moment for each object, the earliest that was asked for; in seconds since the epoch."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, Ref]] = []
        self._moments: dict[Ref, float] = {}

    @property
    def next(self) -> float:
        """When the first one is due, or was set before it was moved forward; infinity: never."""
        return self._queue[0][0] if self._queue else math.inf

    def set(self, ref: Ref, moment: float) -> None:
        """Wake this object then. Only an earlier moment is noted: a wait that ends too early looks again."""
        if moment < self._moments.get(ref, math.inf):
            self._moments[ref] = moment
            heapq.heappush(self._queue, (moment, ref))

    def due(self, now: float) -> Ref | None:
        """Take one whose moment has passed; None when there is none."""
        while self._queue and self._queue[0][0] < now:
            moment, ref = heapq.heappop(self._queue)
            if self._moments.get(ref) == moment:
                del self._moments[ref]
                return ref
        return None
