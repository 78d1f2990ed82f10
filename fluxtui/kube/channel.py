"""TLS on a TCP connection: as asyncio's own, with fewer calls for each record and the same buffers for all connections.

An event of a watch is a record of its own, on one of hundreds of connections: what asyncio does around OpenSSL costs
more than OpenSSL. Here connections are never closed in order, only broken off: what is said on them tells where it
ends.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from typing import Any

_BUFFER = 64 << 10
"""Bytes that are read at once."""
_RECORD = 16 << 10
"""Bytes in the largest record."""


class _Shared(threading.local):
    """A thread's buffers: what is read is done with before its loop reads from another connection."""

    def __init__(self) -> None:
        self.packed = memoryview(bytearray(_BUFFER))
        self.plain = memoryview(bytearray(_RECORD))


_shared = _Shared()


class Above(asyncio.BaseProtocol):
    """What speaks on a channel."""

    def data_received(self, data: memoryview) -> None:
        """Some bytes, in memory that is used again for the next."""


class Channel(asyncio.Transport, asyncio.BufferedProtocol):
    """The protocol of a TCP transport, and the transport of `above` when the peer wants to speak `alpn`."""

    def __init__(self, context: ssl.SSLContext, server_name: str, alpn: str, above: Above) -> None:
        super().__init__()
        self._above = above
        self._alpn = alpn
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._packed, self._plain = _shared.packed, _shared.plain
        self._below: asyncio.Transport | None = None
        self._error: Exception | None = None
        self._is_shaken = False
        self._is_spoken = False
        self._waiter = asyncio.get_running_loop().create_future()

    async def shaken(self) -> bool:
        """Wait until it is done; whether `above` may speak. Raises OSError, of which ssl.SSLError is one."""
        await self._waiter
        if self._error is not None:
            raise self._error
        return self._is_spoken

    # the transport of what is above

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send as soon as the network takes it."""
        try:
            written = self._tls.write(data)
            while written < len(data):
                written += self._tls.write(data[written:])
        except ssl.SSLError as error:
            self._fail(error)
        else:
            self._flush()

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._below is None or self._below.is_closing()

    def abort(self) -> None:
        """Close at once."""
        below, self._below = self._below, None
        if below is not None:
            below.abort()

    # the protocol of what is below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands."""
        assert isinstance(transport, asyncio.Transport)
        self._below = transport
        self._shake()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to."""
        return self._packed

    def buffer_updated(self, nbytes: int) -> None:
        """Records, or pieces of them."""
        # In pieces: a BIO keeps as much memory as it ever had to hold.
        for start in range(0, nbytes, _RECORD):
            if self._below is None:
                return
            self._incoming.write(self._packed[start : min(start + _RECORD, nbytes)])
            if self._is_shaken:
                self._read()
            else:
                self._shake()

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed, by whomever."""
        self._below = None
        if self._is_spoken:
            self._above.connection_lost(self._error or error)
        else:
            self._error = self._error or error or ConnectionResetError()
            self._told()

    def pause_writing(self) -> None:
        """The network is slower than we are."""
        if self._is_spoken:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._is_spoken:
            self._above.resume_writing()

    # inside

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._fail(error)
            return
        self._flush()
        self._is_shaken = True
        self._is_spoken = self._tls.selected_alpn_protocol() == self._alpn
        self._told()
        if self._is_spoken:
            self._above.connection_made(self)
            self._read()

    def _told(self) -> None:
        if not self._waiter.done():
            self._waiter.set_result(None)

    def _read(self) -> None:
        incoming, tls, plain = self._incoming, self._tls, self._plain
        try:
            # To find nothing costs half as much as to find something.
            while incoming.pending and self._below is not None:
                size: Any = tls.read(_RECORD, plain)
                if not size:
                    self.abort()
                    return
                self._above.data_received(plain[:size])
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(error)
            return
        if self._outgoing.pending:
            self._flush()

    def _flush(self) -> None:
        if self._below is not None:
            self._below.write(self._outgoing.read())

    def _fail(self, error: ssl.SSLError) -> None:
        """Tell the peer what is wrong, and close."""
        self._error = error
        self._flush()
        self.abort()
