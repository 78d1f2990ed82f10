"""The console's event loop: its turns stay short, however much comes in at once, and few, however often it comes.

When all watches of a fleet break or begin together, a thousand sockets are ready at the same time; asyncio would serve
them all before it looks at anything else, keys included. Here a turn serves a few. When news come all the time, each on
a socket of its own, asyncio would take a turn for each of them; here, when all is served, sockets are left alone for
some milliseconds, which saves half of the work. Keys, which come from a thread, never wait; and who has noticed a key
can have the sockets give way to what is due for it.

A fleet at rest is a thousand timers of some ten seconds and more, each of which would wake the process by itself; here
they are due together, at whole seconds of the loop's clock.
"""

from __future__ import annotations

import asyncio
import math
import select
import selectors
import time
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVarTuple

AT_ONCE = 16
"""Sockets that are served in one turn: some 20 ms when each of them is amid a TLS handshake."""
GAP = 0.02
"""Seconds for which sockets are left alone when all that came is served and something comes all the time."""
BURST = 50
"""Rests that are left out after a quiet time: what is asked for and answered never waits."""

ATTENTION = 0.025
"""Seconds for which sockets give way to a key: its way to the screen is a dozen turns long."""

COARSE = 4.0
"""Seconds from which on a wait may be up to a second longer, to end with others."""

Arguments = TypeVarTuple("Arguments")
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
        self._serves = False
        self._rests_until = self._attends_until = 0.0
        # The generic cell rate algorithm: when the next rest would be due if rests were evenly spaced.
        self._due = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As the base."""
        key = super().register(fileobj, events, data)
        if not self._waker:
            self._waker.append((key, selectors.EVENT_READ))
            self._woken.register(key.fd, select.POLLIN)
        return key

    def attend(self) -> None:
        """Have sockets give way for a moment; at most half of the time, however often it is asked for."""
        now = time.monotonic()
        if now >= self._attends_until + ATTENTION:
            self._attends_until = now + ATTENTION

    def attends_for(self) -> float:
        """Seconds that are left of that moment; 0.0 at other times."""
        return max(0.0, self._attends_until - time.monotonic())

    def select(self, timeout: float | None = None) -> Ready:
        """As the base, but at most `AT_ONCE` of what is ready, and after all was served not before a rest."""
        began = time.monotonic()
        if timeout is not None and began + timeout <= self._attends_until:
            return self._wait(timeout)
        if self._serves and began >= self._rests_until:
            ready = super().select(0)
            if ready:
                return self._some(ready)
            self._serves = False
            self._due = max(self._due, began) + GAP
            self._rests_until = self._due - BURST * GAP
        if (rest := self._rests_until - began) > 0:
            found = self._wait(rest if timeout is None else min(timeout, rest))
            if found or (timeout is not None and timeout <= rest):
                return found
            timeout = None if timeout is None else timeout - rest
        return self._some(super().select(timeout))

    def _wait(self, timeout: float) -> Ready:
        """Wait for threads alone."""
        return [*self._waker] if self._woken.poll(timeout * 1000) else []

    def _some(self, ready: Ready) -> Ready:
        if ready and ready != self._waker:
            self._serves = True
        if len(ready) <= AT_ONCE:
            return ready
        # Another start each time, so that a socket that is always ready keeps no other waiting.
        start = self._served % len(ready)
        self._served += AT_ONCE
        return (ready[start:] + ready[:start])[:AT_ONCE]


class FairLoop(asyncio.SelectorEventLoop):
    """A loop with such a selector, and with timers that are due together."""

    def __init__(self) -> None:
        selector = FairSelector()
        super().__init__(selector)
        self.attend = selector.attend
        self.attends_for = selector.attends_for

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As the base, but what is due in `COARSE` seconds or later is due at a whole second."""
        if when - self.time() >= COARSE:
            when = math.ceil(when)
        return super().call_at(when, callback, *args, context=context)
