"""Order in the start-up storm: few clusters at once, all kinds of one together, one body decoded at a time.

Figures: 100 clusters at once sync slower than 8 and hold up keys for a second; every re-list comes through here as
well, since a laptop that wakes up is a start-up storm.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection

CLUSTERS = 8
REQUESTS = 100
OPENINGS = 16
OPENING_PATIENCE = 1.0
"""Seconds after which a stream that is still being opened no longer keeps others waiting."""
PATIENCE = 10.0
"""Seconds after which a cluster that is still syncing no longer keeps others waiting."""


class _Turn:
    """A cluster's place in the gate, shared by all its kinds."""

    def __init__(self) -> None:
        self.users = 0
        self.open = asyncio.Event()
        self.timer: asyncio.TimerHandle | None = None
        self.counted = False


class Gate:
    """Admits `clusters` clusters at once and `requests` list requests in flight; one gate for all clusters of a loop.

    `first` gives the ids of those that go before the others (visible clusters), asked each time a place becomes free;
    else they go in order of arrival. `waits` gives the seconds for which something else wants the loop; nothing long
    begins meanwhile.
    """

    def __init__(
        self,
        clusters: int = CLUSTERS,
        requests: int = REQUESTS,
        *,
        first: Callable[[], Collection[str]] = tuple,
        waits: Callable[[], float] = lambda: 0.0,
        patience: float = PATIENCE,
    ) -> None:
        self._first = first
        self._waits = waits
        self._free = clusters
        self._patience = patience
        self._turns: dict[str, _Turn] = {}
        self._requests = asyncio.Semaphore(requests)
        self._openings = asyncio.Semaphore(OPENINGS)
        self._decoder = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def syncing(self, cluster: str) -> AsyncIterator[None]:
        """The time in which one kind of `cluster` is listed from first to last page."""
        turn = self._turns.setdefault(cluster, _Turn())
        turn.users += 1
        self._admit()
        try:
            await turn.open.wait()
            yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[cluster]
                if turn.timer is not None:
                    turn.timer.cancel()
                self._leave(turn)

    def requesting(self) -> contextlib.AbstractAsyncContextManager[None]:
        """The time in which one list request is in flight."""
        return self._requests

    @contextlib.asynccontextmanager
    async def opening(self) -> AsyncIterator[None]:
        """The time in which one stream is opened: when all broke at once, keys are answered between handshakes."""
        await self._openings.acquire()
        held = True

        def release() -> None:
            nonlocal held
            if held:
                held = False
                self._openings.release()

        timer = asyncio.get_running_loop().call_later(OPENING_PATIENCE, release)
        try:
            yield
        finally:
            timer.cancel()
            release()

    @contextlib.asynccontextmanager
    async def decoding(self) -> AsyncIterator[None]:
        """The time in which one body is decoded; the loop gets a breath after it."""
        async with self._decoder:
            if wait := self._waits():
                await asyncio.sleep(wait)
            yield
            await asyncio.sleep(0)

    async def breathe(self) -> None:
        """Between two parts of long work: let the loop do what else there is, and what wants it for itself."""
        await asyncio.sleep(self._waits())

    @property
    def waiting(self) -> int:
        """Clusters that want to sync and may not yet."""
        return sum(not turn.open.is_set() for turn in self._turns.values())

    def _admit(self) -> None:
        while self._free > 0:
            waiting = [cluster for cluster, turn in self._turns.items() if not turn.open.is_set()]
            if not waiting:
                return
            first = self._first()
            chosen = next((cluster for cluster in waiting if cluster in first), waiting[0])
            turn = self._turns[chosen]
            self._free -= 1
            turn.counted = True
            turn.timer = asyncio.get_running_loop().call_later(self._patience, self._leave, turn)
            turn.open.set()

    def _leave(self, turn: _Turn) -> None:
        if turn.counted:
            turn.counted = False
            self._free += 1
            self._admit()
