"""One HTTP/2 connection (RFC 9113): many exchanges at once, flow control, and what the server says of its use.

A stream that is not read holds up no other: what comes is credited to the connection at once, and to the stream when
it is read.
"""

from __future__ import annotations

import asyncio

from fluxtui.kube import frames, headerblocks
from fluxtui.kube.channel import Above
from fluxtui.kube.exchange import STREAM_WINDOW, Exchange
from fluxtui.kube.exchanges import Exchanges
from fluxtui.kube.failures import Http1Required, Refused
from fluxtui.kube.frames import Frame, ProtocolError
from fluxtui.kube.headerblocks import Authorization, HeaderBlocks
from fluxtui.kube.outbox import Outbox
from fluxtui.kube.vigil import Vigil

_WINDOW = 16 << 20
"""Bytes that may be under way on a connection."""
_STREAMS = 100
"""Streams at once until the server tells its own limit."""


class Session(Above):
    """An open connection; `begin` an exchange, `retire` it, `abort` it, wait until it has `ended`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        """Set when the connection is closed."""
        self._reader = frames.FrameReader()
        self._blocks = HeaderBlocks()
        self._authorization = Authorization()
        self._exchanges = Exchanges()
        self._retired = False
        self._limit = _STREAMS
        self._largest = frames.FRAME
        self._window = frames.WINDOW
        self._first_window = frames.WINDOW
        self._owed = 0
        self._out = Outbox()
        self.vigil = Vigil(self._ask, self._give_up)
        """Knows whether the server is there."""

    # what its users want

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was asked on it yet."""
        return self._exchanges.next == 1

    @property
    def has_room(self) -> bool:
        """Whether another exchange may begin."""
        return not self._retired and len(self._exchanges) < self._limit and self._exchanges.has_numbers

    def begin(
        self,
        headers: bytes,
        authorization: str,
        *,
        has_body: bool,
        limit: float,
        is_stream: bool,
        idle: float | None,
    ) -> Exchange:
        """Send a request's `packed` headers and its authorization, if it has one; the rest as `Exchange` says. Only
        while it `has_room`."""
        stream = self._exchanges.next
        block = self._authorization.packed(authorization, headers)
        exchange = Exchange(self, stream, self._first_window, limit=limit, is_stream=is_stream, idle=idle)
        exchange.is_sent = not has_body
        self._exchanges.add(exchange)
        self._out.write(frames.header_block(stream, block, 0 if has_body else frames.END_STREAM, self._largest))
        return exchange

    async def send(self, exchange: Exchange, body: bytes) -> None:
        """Send a request's body, as fast as the server takes it. Raises what ended the exchange early."""
        at = 0
        while at < len(body) and not exchange.is_over:
            size = min(len(body) - at, self._window, exchange.window, self._largest)
            if exchange.error is not None:
                raise exchange.error.with_traceback(None)
            if size <= 0 or self._out.is_paused:
                await exchange.news()
                continue
            last = frames.END_STREAM if at + size == len(body) else 0
            self._out.write(frames.frame(frames.DATA, last, exchange.stream, body[at : at + size]))
            self._window -= size
            exchange.window -= size
            at += size
            self._out.relieve()
        exchange.is_sent = at == len(body)

    def credit(self, stream: int, size: int) -> None:
        """Let the server send so many bytes more on a stream, or on the connection (0)."""
        self._out.write(frames.number(frames.WINDOW_UPDATE, stream, size))

    def end(self, exchange: Exchange, code: int) -> None:
        """Forget an exchange; tell the server to stop if it has not ended it."""
        if not self._exchanges.forget(exchange.stream):
            return
        if code != frames.NO_ERROR:
            self._out.write(frames.number(frames.RST_STREAM, exchange.stream, code))
        if self._retired and not self._exchanges:
            self.abort()

    def suspect(self, since: float) -> None:
        """Use it for nothing new if the server has said nothing at all since then."""
        if self.vigil.heard <= since:
            self.retire()

    def retire(self) -> None:
        """Let the exchanges that are under way end, and begin no other."""
        self._retired = True
        if not self._exchanges:
            self.abort()

    def abort(self) -> None:
        """Close at once; closing TLS in order would wait for the server's word, for as long as half a minute."""
        self._retired = True
        self._out.abort(frames.frame(frames.GOAWAY, 0, 0, bytes(8)))

    # what comes from the channel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        assert isinstance(transport, asyncio.Transport)
        self._out.open(transport)
        hello = {
            frames.ENABLE_PUSH: 0,
            frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            frames.MAX_HEADER_LIST_SIZE: headerblocks.LARGEST,
        }
        self._out.write(frames.PREFACE + frames.settings(hello))
        self.credit(0, _WINDOW - frames.WINDOW)
        self.vigil.begin()

    def data_received(self, data: memoryview) -> None:
        """Frames, or pieces of them."""
        self.vigil.hear()
        try:
            for each in self._reader.feed(data):
                kind = each.kind
                if self._blocks.is_open and kind != frames.CONTINUATION:
                    raise ProtocolError("a block of headers is interrupted")
                handle = _HANDLERS.get(kind)
                if handle is not None:
                    handle(self, each)
        except ProtocolError as error:
            self._out.write(frames.frame(frames.GOAWAY, 0, 0, bytes(4) + error.code.to_bytes(4, "big")))
            self._exchanges.lose(error)
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed, by whomever."""
        self._out.close()
        self._retired = True
        self.vigil.end()
        self._exchanges.lose(error or ConnectionResetError())
        self.ended.set()

    def pause_writing(self) -> None:
        """The network is slower than we are."""
        self._out.is_paused = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._out.is_paused = False
        self._exchanges.wake()

    # inside

    def _ask(self) -> bool:
        """Ask whether the server is alive; not on a connection that nobody uses, which is closed."""
        if not self._exchanges:
            self.abort()
            return False
        self._out.write(frames.frame(frames.PING, 0, 0, bytes(8)))
        return True

    def _give_up(self) -> None:
        self._exchanges.lose(ConnectionResetError())
        self.abort()

    # frames

    def _on_data(self, got: Frame) -> None:
        exchange = self._exchanges.known(got)
        payload = got.payload
        size = len(payload)
        self._owed += size
        if self._owed >= _WINDOW // 2:
            self.credit(0, self._owed)
            self._owed = 0
        if exchange is None:
            return
        flags = got.flags
        exchange.data(frames.unpadded(got) if flags & frames.PADDED else payload, size, self.vigil.heard)
        if flags & frames.END_STREAM:
            exchange.last()

    def _on_headers(self, got: Frame) -> None:
        exchange = self._exchanges.known(got)
        headers = self._blocks.feed(got)
        if headers is not None and exchange is not None:
            exchange.head(headers, is_last=self._blocks.is_last)

    def _on_reset(self, got: Frame) -> None:
        exchange, code = self._exchanges.known(got), frames.read_number(got.payload)
        if exchange is None or exchange.is_over:
            return
        self._exchanges.forget(got.stream)
        match code:
            case frames.REFUSED_STREAM:
                exchange.fail(Refused())
            case frames.HTTP_1_1_REQUIRED:
                exchange.fail(Http1Required())
            case _:
                exchange.fail(ConnectionResetError())
        if self._retired and not self._exchanges:
            self.abort()

    def _on_settings(self, got: Frame) -> None:
        if got.flags & frames.ACK:
            return
        for name, value in frames.read_settings(got.payload):
            match name:
                case frames.HEADER_TABLE_SIZE:
                    self._authorization.limit(value)
                case frames.MAX_CONCURRENT_STREAMS:
                    self._limit = value
                case frames.INITIAL_WINDOW_SIZE:
                    if value > frames.LARGEST_WINDOW:
                        raise ProtocolError("a window larger than allowed", frames.FLOW_CONTROL_ERROR)
                    self._exchanges.widen(value - self._first_window)
                    self._first_window = value
                case frames.MAX_FRAME_SIZE:
                    self._largest = min(max(value, frames.FRAME), 1 << 20)
        self._out.write(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._exchanges.wake()

    def _on_push(self, got: Frame) -> None:
        raise ProtocolError("a push that was not wanted")

    def _on_ping(self, got: Frame) -> None:
        if not got.flags & frames.ACK:
            self._out.write(frames.frame(frames.PING, frames.ACK, 0, got.payload))

    def _on_goaway(self, got: Frame) -> None:
        """The server ends the connection; what it will not look at any more can be asked elsewhere."""
        last = frames.read_number(got.payload) & frames.LARGEST_WINDOW
        self._exchanges.refuse(last)
        self.retire()

    def _on_window(self, got: Frame) -> None:
        more = frames.read_number(got.payload) & frames.LARGEST_WINDOW
        if not got.stream:
            self._window += more
            self._exchanges.wake()
        elif (exchange := self._exchanges.known(got)) is not None:
            exchange.window += more
            exchange.wake()


_HANDLERS = {
    frames.DATA: Session._on_data,
    frames.HEADERS: Session._on_headers,
    frames.CONTINUATION: Session._on_headers,
    frames.RST_STREAM: Session._on_reset,
    frames.SETTINGS: Session._on_settings,
    frames.PUSH_PROMISE: Session._on_push,
    frames.PING: Session._on_ping,
    frames.GOAWAY: Session._on_goaway,
    frames.WINDOW_UPDATE: Session._on_window,
}
