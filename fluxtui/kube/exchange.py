"""One request and its answer: a stream of an HTTP/2 session, seen by whoever asked."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from multidict import CIMultiDict

from fluxtui.kube.failures import IdleTimeout
from fluxtui.kube.frames import CANCEL, FLOW_CONTROL_ERROR, NO_ERROR, ProtocolError
from fluxtui.kube.unzipper import Unzipper

STREAM_WINDOW = 1 << 20
"""Bytes that a server may send on a stream before they are read."""


class Owner(Protocol):
    """What an exchange asks of its session."""

    def credit(self, stream: int, size: int) -> None:
        """Let the server send so many bytes more on a stream."""

    def end(self, exchange: Exchange, code: int) -> None:
        """Forget an exchange; tell the server to stop if it has not ended it."""

    def suspect(self, since: float) -> None:
        """An answer did not come in time; it was asked for at `since`, in the loop's time."""


class Exchange:
    """One stream. `limit` seconds for the whole answer, or for its beginning if `is_stream`; then `idle` of silence.

    The session calls what is named like what came; whoever asked calls `answered`, `chunk`, `abort` and `end`.
    """

    def __init__(
        self, owner: Owner, stream: int, window: int, *, limit: float, is_stream: bool, idle: float | None
    ) -> None:
        self.stream = stream
        self.status = 0
        """0 until the answer begins."""
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.window = window
        """Bytes that may still be sent."""
        self.is_over = False
        """The server has said all."""
        self.is_sent = False
        """We have said all."""
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._chunks: list[bytes] = []
        self._room = STREAM_WINDOW
        self._owed = 0
        self._length: int | None = None
        self._unzip: Unzipper | None = None
        self._is_stream = is_stream
        self._idle = idle
        self._began = self._heard = self._loop.time()
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(limit, self._late)

    # what comes

    def head(self, headers: Iterable[tuple[bytes, bytes]], *, is_last: bool) -> None:
        """A block of headers: of the answer, of an interim one, or trailers. Raises ProtocolError."""
        if not self.status:
            found: CIMultiDict[str] = CIMultiDict()
            for name, value in headers:
                found.add(name.decode("latin-1"), value.decode("latin-1"))
            text = found.pop(":status", "")
            if len(text) != 3 or not text.isdecimal():
                raise ProtocolError("an answer without a status")
            if text[0] == "1" and not is_last:
                return
            self._begin(int(text), found)
        elif not is_last:
            raise ProtocolError("a second answer")
        if is_last:
            self.last()
        self.wake()

    def _begin(self, status: int, headers: CIMultiDict[str]) -> None:
        self.status, self.headers = status, headers
        length = headers.get("content-length", "")
        self._length = int(length) if length.isdecimal() else None
        encoding = headers.get("content-encoding", "identity").lower()
        if encoding == "gzip":
            self._unzip = Unzipper()
        elif encoding != "identity":
            raise ProtocolError("an encoding that was not asked for")
        if self._is_stream:
            self._rest()
            if self._idle is not None:
                self._heard = self._loop.time()
                self._timer = self._loop.call_later(self._idle, self._late)

    def data(self, data: bytes, size: int, now: float) -> None:
        """Some of the body, that took `size` bytes of the window, at `now` in the loop's time. Raises ProtocolError."""
        self._room -= size
        if self._room < 0:
            raise ProtocolError("more than the window allows", FLOW_CONTROL_ERROR)
        if not self.status:
            raise ProtocolError("a body before its answer")
        if self._length is not None:
            self._length -= len(data)
        if size > len(data):
            self._owed += size - len(data)
        if data:
            self._chunks.append(data)
            self._heard = now
            self.wake()

    def last(self) -> None:
        """The answer is complete, or was cut when it is shorter than was said."""
        self.is_over = True
        if self._length and self._has_body():
            self.fail(ConnectionResetError())
        self._rest()
        self.wake()

    def _has_body(self) -> bool:
        return self.status not in (204, 304)

    def fail(self, error: Exception) -> None:
        """Nothing more comes; the reader gets `error` at once."""
        if self._error is None:
            self._error = error
        self._rest()
        self.wake()

    def lost(self, error: Exception) -> None:
        """The connection ends with `error`; what is complete can still be read."""
        if not self.is_over:
            self.fail(error)

    def wake(self) -> None:
        """Something has changed."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # what is asked

    @property
    def error(self) -> Exception | None:
        """What ended it early."""
        return self._error

    async def answered(self) -> None:
        """Return when status and headers are there. Raises what ended it early."""
        while not self.status:
            await self.news()

    async def news(self) -> None:
        """Wait for anything. Raises what ended it early."""
        if self._error is None:
            self._waiter = self._loop.create_future()
            await self._waiter
        if self._error is not None:
            raise self._error.with_traceback(None)

    async def chunk(self) -> bytes:
        """What has come of the body, as soon as there is something; b"" at its end. Raises what ended it early."""
        while True:
            if self._error is not None:
                raise self._error.with_traceback(None)
            if self._unzip is not None and self._unzip.has_more:
                if data := self._unpacked(self._unzip.more):
                    return data
            elif self._chunks:
                data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
                self._chunks.clear()
                self._took(len(data))
                if self._unzip is None:
                    return data
                if data := self._unpacked(partial(self._unzip.feed, data)):
                    return data
            elif self.is_over:
                if self._unzip is not None and not self._unzip.is_whole and self._has_body():
                    raise ProtocolError("a body that was cut")
                return b""
            else:
                await self.news()

    def _unpacked(self, unpack: Callable[[], bytes]) -> bytes:
        try:
            return unpack()
        except zlib.error:
            raise ProtocolError("a body that cannot be unpacked") from None

    def _took(self, size: int) -> None:
        self._owed += size
        if self._owed >= STREAM_WINDOW // 2 and not self.is_over:
            self._room += self._owed
            self._owner.credit(self.stream, self._owed)
            self._owed = 0

    def abort(self, error: Exception) -> None:
        """Make the reader raise `error` at once."""
        self.fail(error)

    def end(self) -> None:
        """No more is wanted of it."""
        self._rest()
        self._chunks.clear()
        self._owner.end(self, NO_ERROR if self.is_over and self.is_sent else CANCEL)

    # time

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        """Its time may be up: of a whole answer, of the beginning of one, or of silence."""
        self._timer = None
        if self._is_stream and self.status and self._idle is not None:
            now = self._loop.time()
            left = (now if self._chunks else self._heard) + self._idle - now
            if left > 0.001:
                self._timer = self._loop.call_later(left, self._late)
            else:
                self.fail(IdleTimeout())
            return
        self._owner.suspect(self._began)
        self.fail(TimeoutError())
