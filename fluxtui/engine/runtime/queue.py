"""The work queue of a controller: each key at most once, and never twice at the same time.

A key that is added while it is worked on is marked dirty and comes again when that work is done; a burst of adds folds
into one. Delayed adds use the loop's clock; an add without delay cuts the wait short.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class QueueClosed(Exception):
    """There is no more work: the queue was closed."""


class Queue(Generic[K]):
    """Keys to be worked on, in the order they became due; for tasks of one event loop."""

    def __init__(self) -> None:
        self._ready: deque[K] = deque()
        self._dirty: set[K] = set()
        self._processing: set[K] = set()
        self._delayed: dict[K, asyncio.TimerHandle] = {}
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._dirty)

    @property
    def processing(self) -> frozenset[K]:
        """Keys being worked on."""
        return frozenset(self._processing)

    def is_processing(self, key: K) -> bool:
        """Whether a key is being worked on."""
        return key in self._processing

    def due(self, key: K) -> float | None:
        """Loop time at which a delayed key becomes ready, None when it is not delayed."""
        handle = self._delayed.get(key)
        return None if handle is None else handle.when()

    def add(self, key: K) -> None:
        """Make a key ready now; a delay it waits for ends."""
        self._undelay(key)
        if self._closed or key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._push(key)

    def add_after(self, key: K, delay: float) -> None:
        """Make a key ready after `delay` seconds, unless it is already due sooner."""
        if delay <= 0:
            self.add(key)
            return
        if self._closed or key in self._dirty:
            return
        loop = asyncio.get_running_loop()
        handle = self._delayed.get(key)
        if handle is not None and handle.when() <= loop.time() + delay:
            return
        self._undelay(key)
        self._delayed[key] = loop.call_later(delay, self.add, key)

    def discard(self, key: K) -> None:
        """Drop the delayed add of a key, for an object that is gone."""
        self._undelay(key)

    async def get(self) -> K:
        """The next key; it counts as processing until `done`. Raises QueueClosed."""
        while not self._ready:
            if self._closed:
                raise QueueClosed
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                elif self._ready:
                    self._wake()
                raise
        if self._closed:
            raise QueueClosed
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        self._idle.clear()
        return key

    def done(self, key: K) -> None:
        """End the work on a key; if it was added meanwhile, it is ready again at once."""
        self._processing.discard(key)
        if key in self._dirty:
            self._push(key)
        if not self._processing:
            self._idle.set()

    def close(self) -> None:
        """Hand out no more keys; what is being worked on goes on."""
        self._closed = True
        for key in list(self._delayed):
            self._undelay(key)
        while self._waiters:
            self._wake()

    async def idle(self) -> None:
        """Wait until no key is being worked on."""
        await self._idle.wait()

    def _push(self, key: K) -> None:
        self._ready.append(key)
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _undelay(self, key: K) -> None:
        handle = self._delayed.pop(key, None)
        if handle is not None:
            handle.cancel()
