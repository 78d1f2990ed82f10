"""An HTTP/2 server on the `h2` library that does what a test tells it, stream by stream."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, PingReceived, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from fluxtui.kube.transport import Stream
from fluxtui.serving import port_of, stop

Connect = Callable[..., Any]
HELLO = b'{"gitVersion": "v2"}'


class Asked:
    """One request, and the means to answer it."""

    def __init__(self, connection: PeerConnection, stream: int, headers: dict[str, str]) -> None:
        self.connection = connection
        self.stream = stream
        self.headers = headers
        self.body = b""
        self.is_complete = False
        self.reset: int | None = None
        """The code it was reset with by the client."""
        self._unsent = b""
        self._last = False

    @property
    def path(self) -> str:
        """Path and query."""
        return self.headers[":path"]

    def begin(self, status: int = 200, **headers: str) -> None:
        """Send the head of an answer."""
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.connection.protocol.send_headers(self.stream, [(":status", str(status)), *named])
        self.connection.flush()

    def send(self, data: bytes, *, last: bool = False) -> None:
        """Send some of the body as far as the window allows, the rest when it does."""
        self._unsent += data
        self._last = last
        self.push()

    def push(self) -> None:
        """Send what the window allows."""
        protocol = self.connection.protocol
        known = protocol.streams.get(self.stream)
        while known is not None and not known.closed and (self._unsent or self._last):
            room = min(protocol.local_flow_control_window(self.stream), protocol.max_outbound_frame_size)
            size = min(room, len(self._unsent))
            if not size and self._unsent:
                break
            piece, self._unsent = self._unsent[:size], self._unsent[size:]
            ends = self._last and not self._unsent
            protocol.send_data(self.stream, piece, end_stream=ends)
            if ends:
                self._last = False
        self.connection.flush()

    def answer(self, body: bytes = HELLO, status: int = 200, **headers: str) -> None:
        """A whole answer."""
        self.begin(status, **headers)
        self.send(body, last=True)

    def refuse(self, code: int) -> None:
        """Reset the stream."""
        self.connection.protocol.reset_stream(self.stream, code)
        self.connection.flush()


class PeerConnection(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.protocol = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.protocol.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: peer.streams,
                SettingCodes.INITIAL_WINDOW_SIZE: peer.window,
                SettingCodes.HEADER_TABLE_SIZE: peer.table,
            },
        )
        self.transport: asyncio.Transport | None = None
        self.asked: dict[int, Asked] = {}
        self.pings = 0
        self.problem = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.peer.connections.append(self)
        self.protocol.initiate_connection()
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None

    @property
    def is_open(self) -> bool:
        """Whether the client still holds it."""
        return self.transport is not None

    def data_received(self, data: bytes) -> None:
        if self.peer.frozen:
            return
        try:
            events = self.protocol.receive_data(data)
        except ProtocolError as error:
            self.problem = str(error)
            self.flush()
            return
        for event in events:
            self._happened(event)
        self.flush()

    def _happened(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(stream), headers=list(headers)):
                asked = Asked(self, stream, {str(name): str(value) for name, value in headers})
                self.asked[stream] = asked
                self.peer.asked.append(asked)
            case DataReceived(stream_id=int(stream), data=bytes(data), flow_controlled_length=int(size)):
                self.asked[stream].body += data
                self.protocol.acknowledge_received_data(size, stream)
            case StreamEnded(stream_id=int(stream)):
                self.asked[stream].is_complete = True
                self.peer.handle(self.asked[stream])
            case StreamReset(stream_id=int(stream), error_code=code):
                self.asked[stream].reset = int(code or 0)
            case WindowUpdated():
                for asked in self.asked.values():
                    if asked.reset is None and asked._unsent:
                        asked.push()
            case PingReceived():
                self.pings += 1

    def flush(self) -> None:
        """Send what the protocol has to say."""
        data = self.protocol.data_to_send()
        if data and self.transport is not None and not self.peer.frozen:
            self.transport.write(data)

    def say(self, data: bytes) -> None:
        """Send raw bytes."""
        assert self.transport is not None
        self.transport.write(data)

    def go_away(self, last: int) -> None:
        """Announce the end of the connection, in raw bytes: the library would not let streams end after it."""
        self.say(b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + last.to_bytes(4, "big") + bytes(4))


class Peer:
    """The server; `handle` is called with each complete request."""

    def __init__(self, streams: int = 100, window: int = 65535, table: int = 4096) -> None:
        self.streams = streams
        self.window = window
        self.table = table
        self.connections: list[PeerConnection] = []
        self.asked: list[Asked] = []
        self.handle: Callable[[Asked], None] = Asked.answer
        self.frozen = False
        """It neither hears nor says anything."""
        self.url = ""

    def of(self, path: str) -> list[Asked]:
        """The requests for a path."""
        return [asked for asked in self.asked if asked.path.partition("?")[0] == path]

    @asynccontextmanager
    async def running(self, context: ssl.SSLContext) -> AsyncIterator[Peer]:
        """Serve on loopback."""
        context.set_alpn_protocols(["h2"])
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: PeerConnection(self), "127.0.0.1", 0, ssl=context)
        self.url = f"https://127.0.0.1:{port_of(server)}"
        try:
            yield self
        finally:
            await stop(server)
            for connection in self.connections:
                if connection.transport is not None:
                    connection.transport.abort()
            await asyncio.sleep(0)


def hold(asked: Asked) -> None:
    """Answer what is no stream at once, and begin streams."""
    if "watch" in asked.path:
        asked.begin()
        asked.send(b"first\n")
    else:
        asked.answer()


async def next_chunk(stream: Stream) -> bytes:
    """The next piece of a stream that goes on."""
    async for chunk in stream:
        return chunk
    raise AssertionError("the stream has ended")
