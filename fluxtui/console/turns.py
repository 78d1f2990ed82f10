"""The console's event loop: its turns stay short, however much comes in at once, and few, however often it comes.

When all watches of a fleet break or begin together, a thousand sockets are ready at the same time; asyncio would serve
them all before it looks at anything else, keys included. Here a turn serves a few. When news come all the time, each on
a socket of its own, asyncio would take a turn for each of them; here they wait some milliseconds for one another, which
costs half as much. Keys, which come from a thread, and timers never wait.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import time
from typing import Any

AT_ONCE = 16
"""Sockets that are served in one turn: some 20 ms when each of them is amid a TLS handshake."""
GAP = 0.02
"""Seconds between two looks at the sockets when something comes all the time."""
BURST = 50
"""Looks that may follow one another at once after a quiet time: what is asked for and answered never waits."""

Ready = list[tuple[selectors.SelectorKey, int]]


class FairSelector(selectors.DefaultSelector):
    """Tells of a few of the ready sockets at a time, each in its turn. The others stay ready: select is asked again.

    What is registered first tells of other threads (asyncio registers its own socket pair) and is always looked at.
    """

    def __init__(self) -> None:
        super().__init__()
        self._served = 0
        self._waker: Ready = []
        self._woken = select.poll()
        # The generic cell rate algorithm: when the next look is due if looks were evenly spaced.
        self._due = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As the base."""
        key = super().register(fileobj, events, data)
        if not self._waker:
            self._waker.append((key, selectors.EVENT_READ))
            self._woken.register(key.fd, select.POLLIN)
        return key

    def select(self, timeout: float | None = None) -> Ready:
        """As the base, but at most `AT_ONCE` of what is ready, and not more often than every `GAP` for long."""
        now = time.monotonic()
        held = self._due - BURST * GAP - now
        if held > 0:
            wait = held if timeout is None else min(timeout, held)
            if self._woken.poll(wait * 1000):
                return [*self._waker]
            if timeout is not None:
                if timeout <= held:
                    return []
                timeout -= wait
        ready = super().select(timeout)
        if len(ready) <= AT_ONCE:
            if ready and ready != self._waker:
                self._due = max(self._due, time.monotonic()) + GAP
            return ready
        # Another start each time, so that a socket that is always ready keeps no other waiting.
        start = self._served % len(ready)
        self._served += AT_ONCE
        return (ready[start:] + ready[:start])[:AT_ONCE]


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop with such a selector."""
    return asyncio.SelectorEventLoop(FairSelector())
