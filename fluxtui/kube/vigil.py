"""Whether the other end of a connection is still there: asked after a silence, given up without an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

QUIET = 30.0
"""Seconds of silence after which a connection is asked whether it is alive, or closed if nobody uses it."""
PATIENCE = 15.0
"""Seconds for the answer to that; both as client-go has them."""


class Vigil:
    """Calls `ask` after a silence, and `give_up` if it goes on; `ask` says whether there is to be an answer."""

    def __init__(self, ask: Callable[[], bool], give_up: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ask = ask
        self._give_up = give_up
        self._timer: asyncio.TimerHandle | None = None
        self.heard = self._loop.time()
        """When something came last, in the loop's time."""
        self.has_asked = False
        """Whether nothing came since it asked."""
        self._sign: asyncio.Future[bool] | None = None
        """Done with True when anything comes, and with False when the connection is closed."""

    def begin(self) -> None:
        """Listen from now on."""
        self._timer = self._loop.call_later(QUIET, self.look)

    def hear(self) -> None:
        """Something came."""
        self.heard = self._loop.time()
        self.has_asked = False
        if self._sign is not None:
            self._signed(is_there=True)

    def end(self) -> None:
        """The connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sign is not None:
            self._signed(is_there=False)

    async def proven(self, within: float) -> bool:
        """Ask now, and return when anything has come; False when there is nobody to be asked for.

        Raises TimeoutError when nothing comes within so many seconds, ConnectionResetError when the connection ends.
        """
        if self._sign is None:
            if not self._ask():
                return False
            self._sign = self._loop.create_future()
        sign = self._sign
        await asyncio.wait([sign], timeout=within)
        if not sign.done():
            raise TimeoutError
        if not sign.result():
            raise ConnectionResetError
        return True

    def _signed(self, *, is_there: bool) -> None:
        sign, self._sign = self._sign, None
        if sign is not None:
            sign.set_result(is_there)

    def look(self) -> None:
        """Act on how long it has been silent, and look again when that may matter."""
        silent = self._loop.time() - self.heard
        pause = max(QUIET - silent, QUIET / 10)
        if silent >= QUIET:
            if self.has_asked:
                self._give_up()
                return
            if not self._ask():
                return
            self.has_asked = True
            pause = PATIENCE
        self._timer = self._loop.call_later(pause, self.look)
