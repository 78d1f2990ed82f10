"""The console's event loop: its turns stay short, however much comes in at once.

When all watches of a fleet break or begin together, a thousand sockets are ready at the same time; asyncio would serve
them all before it looks at anything else, keys included. Here a turn serves a few.
"""

from __future__ import annotations

import asyncio
import selectors

AT_ONCE = 16
"""Sockets that are served in one turn: some 20 ms when each of them is amid a TLS handshake."""

Ready = list[tuple[selectors.SelectorKey, int]]


class FairSelector(selectors.DefaultSelector):
    """Tells of a few of the ready sockets at a time, each in its turn. The others stay ready: select is asked again."""

    def __init__(self) -> None:
        super().__init__()
        self._served = 0

    def select(self, timeout: float | None = None) -> Ready:
        """As the base, but at most `AT_ONCE` of what is ready."""
        ready = super().select(timeout)
        if len(ready) <= AT_ONCE:
            return ready
        # Another start each time, so that a socket that is always ready keeps no other waiting.
        start = self._served % len(ready)
        self._served += AT_ONCE
        return (ready[start:] + ready[:start])[:AT_ONCE]


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop with such a selector."""
    return asyncio.SelectorEventLoop(FairSelector())
