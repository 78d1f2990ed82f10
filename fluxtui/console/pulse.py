"""The one place where news and time become paint: bursts of changes are folded into at most so many flushes a second,
what costs more waits until a burst is over, and what time changes is looked at when the loop is awake anyway."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable


class Pulse:
    """Calls `beat` once for any number of kicks: at once for the first, then no more often than its rate.

    When nothing kicks, nothing runs. `kick` may be called from any task of the loop; `beat` always runs in the context
    in which the pulse was made, which is the app's.
    """

    def __init__(
        self, beat: Callable[[], float | None], per_second: float, is_held: Callable[[], bool] = lambda: False
    ) -> None:
        """`beat` may return by how many pauses the one after it is to be longer, after much was painted; negative:
        shorter. `is_held` says that it is no use to beat yet: then it is asked again a pause later."""
        self._beat = beat
        self._is_held = is_held
        self._pause = 1.0 / per_second
        self._context = contextvars.copy_context()
        self._next = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self._stopped = False

    def kick(self) -> None:
        """Something changed."""
        if self._handle is not None or self._stopped:
            return
        loop = asyncio.get_running_loop()
        self._handle = loop.call_at(max(loop.time(), self._next), self._run, context=self._context)

    def stop(self) -> None:
        """No more beats, not even one that is due."""
        self._stopped = True
        if self._handle is not None:
            self._handle.cancel()

    def _run(self) -> None:
        self._handle = None
        self._next = asyncio.get_running_loop().time() + self._pause
        if self._stopped:
            return
        if self._is_held():
            self.kick()
        else:
            self._next += self._pause * (self._beat() or 0.0)


class Lull:
    """Calls `then` when `begin` was not called again for the time it was given; in the context of its making."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then
        self._context = contextvars.copy_context()
        self._handle: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> None:
        """Wait for so long, from now on."""
        self.stop()
        self._handle = asyncio.get_running_loop().call_later(seconds, self._then, context=self._context)

    def stop(self) -> None:
        """Do not call."""
        if self._handle is not None:
            self._handle.cancel()


class Ticks:
    """Calls `tick` again and again, at whole seconds of the loop's clock: there other waits end, too (`turns`), so that
    a console at rest wakes once a second and not twice. In the context of its making."""

    def __init__(self, tick: Callable[[], object], every: int) -> None:
        """`every` in seconds."""
        self._tick = tick
        self._every = every
        self._context = contextvars.copy_context()
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin with the next that is due."""
        loop = asyncio.get_running_loop()
        due = (loop.time() // self._every + 1) * self._every
        self._handle = loop.call_at(due, self._run, context=self._context)

    def stop(self) -> None:
        """No more of them."""
        if self._handle is not None:
            self._handle.cancel()

    def _run(self) -> None:
        self.start()
        self._tick()
