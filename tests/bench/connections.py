"""How the fake fleet speaks: HTTP/2 on the `h2` library with who offers it, HTTP/1.1 with all others."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, RequestReceived, StreamReset
from h2.exceptions import ProtocolError

if TYPE_CHECKING:
    from tests.bench.server import Cluster

HELD = 0.25
"""Seconds that a lost packet costs."""
STREAMS = 100
"""On a connection at once, as kube-apiserver has it."""


class Reply(NamedTuple):
    """A whole answer."""

    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    kind: str = "application/json"
    status: int = 200


class Watch:
    """A stream of events that is open: on a connection of its own, or one of many on it (HTTP/2)."""

    def __init__(self, connection: Http1 | Http2, path: str, stream: int = 0) -> None:
        self.connection = connection
        self.path = path
        self.stream = stream
        self.ending: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> None:
        """It ends after so many seconds."""
        self.connection.cluster.watchers[self.path].add(self)
        self.ending = asyncio.get_running_loop().call_later(seconds, self._end)

    def _end(self) -> None:
        self.forget()
        self.connection.finish(self.stream)

    def forget(self) -> None:
        """It is over."""
        self.connection.cluster.watchers[self.path].discard(self)
        if self.ending:
            self.ending.cancel()

    def send(self, line: bytes) -> None:
        """One event."""
        self.connection.event(self.stream, line)

    def abort(self) -> None:
        """Break the connection."""
        if self.connection.transport:
            self.connection.transport.abort()


class Speaker(asyncio.Protocol):
    """A connection whose packets may be lost."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.transport: asyncio.Transport | None = None
        self.watches: dict[int, Watch] = {}
        self.held: asyncio.TimerHandle | None = None
        self.waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        for watch in self.watches.values():
            watch.forget()
        self.watches.clear()
        if self.held:
            self.held.cancel()
        self.transport = None

    def write(self, data: bytes) -> None:
        """Send, or hold back what a lost packet would hold back, and all after it."""
        if self.held or (self.cluster.lossy and random.random() < self.cluster.lossy):
            self.waiting.append(data)
            self.held = self.held or asyncio.get_running_loop().call_later(HELD, self._resend)
        elif self.transport:
            self.transport.write(data)

    def _resend(self) -> None:
        self.held = None
        if self.transport:
            self.transport.writelines(self.waiting)
        self.waiting = []


class Negotiated(asyncio.Protocol):
    """A connection before anything was said."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        spoken = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        speaker = Http2(self.cluster) if spoken == "h2" else Http1(self.cluster)
        transport.set_protocol(speaker)
        speaker.connection_made(transport)


class Http1(Speaker):
    """GETs one after the other, or a stream."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            if self.cluster.delay:
                asyncio.get_running_loop().call_later(self.cluster.delay, self._answer, first, headers)
            else:
                self._answer(first, headers)

    def _answer(self, first: str, headers: dict[str, str]) -> None:
        said = self.cluster.reply(first.split(" ")[1], headers)
        if isinstance(said, Reply):
            lines = [
                f"HTTP/1.1 {said.status} Status",
                f"Content-Type: {said.kind}",
                f"Content-Length: {len(said.body)}",
            ]
            lines += [f"{name}: {value}" for name, value in said.headers]
            self.write("\r\n".join([*lines, "\r\n"]).encode() + said.body)
            return
        path, seconds = said
        self.watches[0] = Watch(self, path)
        self.watches[0].begin(seconds)
        self.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")

    def event(self, stream: int, line: bytes) -> None:
        """One chunk."""
        self.write(b"%x\r\n%s\r\n" % (len(line), line))

    def finish(self, stream: int) -> None:
        """The end of a stream."""
        self.watches.clear()
        self.write(b"0\r\n\r\n")


class Http2(Speaker):
    """Many requests and streams at once."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        config = H2Configuration(client_side=False, header_encoding="utf-8", validate_outbound_headers=False)
        self.protocol = H2Connection(config)
        self.unsent: dict[int, tuple[bytes, bool]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.protocol.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self.protocol.receive_data(data):
                self._happened(event)
        except ProtocolError:
            self._flush()
            if self.transport:
                self.transport.abort()
            return
        for stream in list(self.unsent):
            self._push(stream)
        self._flush()

    def _happened(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(stream), headers=list(headers)):
                wanted = {str(name): str(value) for name, value in headers}
                if self.cluster.delay:
                    asyncio.get_running_loop().call_later(self.cluster.delay, self._later, stream, wanted)
                else:
                    self._answer(stream, wanted)
            case DataReceived(stream_id=int(stream), flow_controlled_length=int(size)):
                self.protocol.acknowledge_received_data(size, stream)
            case StreamReset(stream_id=int(stream)):
                self._forget(stream)
            case ConnectionTerminated() if self.transport:
                self.transport.abort()

    def _later(self, stream: int, headers: dict[str, str]) -> None:
        if self.transport:
            self._answer(stream, headers)
            self._flush()

    def _answer(self, stream: int, headers: dict[str, str]) -> None:
        if not self._is_wanted(stream):
            return
        said = self.cluster.reply(headers[":path"], headers)
        if isinstance(said, Reply):
            about = [("content-type", said.kind), ("content-length", str(len(said.body)))]
            named = [(name.lower(), value) for name, value in said.headers]
            self.protocol.send_headers(stream, [(":status", str(said.status)), *about, *named])
            self.unsent[stream] = said.body, True
            self._push(stream)
            return
        path, seconds = said
        self.protocol.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
        self.watches[stream] = Watch(self, path, stream)
        self.watches[stream].begin(seconds)

    def _is_wanted(self, stream: int) -> bool:
        """Whether the client still waits; it may have gone while the answer was delayed."""
        known = self.protocol.streams.get(stream)
        return known is not None and not known.closed

    def _forget(self, stream: int) -> None:
        self.unsent.pop(stream, None)
        watch = self.watches.pop(stream, None)
        if watch:
            watch.forget()

    def event(self, stream: int, line: bytes) -> None:
        """One event, as soon as the client has room for it."""
        data, last = self.unsent.get(stream, (b"", False))
        self.unsent[stream] = data + line, last
        self._push(stream)
        self._flush()

    def finish(self, stream: int) -> None:
        """The end of a stream."""
        self.watches.pop(stream, None)
        self.unsent[stream] = self.unsent.get(stream, (b"", False))[0], True
        self._push(stream)
        self._flush()

    def _push(self, stream: int) -> None:
        """Send as much as the windows allow."""
        data, last = self.unsent.pop(stream)
        at = 0
        while at < len(data) or last:
            room = min(self.protocol.local_flow_control_window(stream), self.protocol.max_outbound_frame_size)
            size = min(room, len(data) - at)
            if size <= 0 and at < len(data):
                break
            ends = last and at + size == len(data)
            self.protocol.send_data(stream, data[at : at + size], end_stream=ends)
            at += size
            if ends:
                return
        if at < len(data):
            self.unsent[stream] = data[at:], last

    def _flush(self) -> None:
        data = self.protocol.data_to_send()
        if data:
            self.write(data)
