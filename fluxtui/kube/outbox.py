"""What is to be written to a connection: all of one turn of the loop together."""

from __future__ import annotations

import asyncio

_BATCH = 16
"""Pieces that are written together, at most, by who has many."""


class Outbox:
    """Takes pieces from the beginning, and writes them once it is open."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._pieces: list[bytes] = []
        self.is_paused = False
        """Whether the network is slower than we are."""

    def open(self, transport: asyncio.Transport) -> None:
        """The connection is made."""
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Send with all else of this turn of the loop."""
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)

    def relieve(self) -> None:
        """Write now if much has come together."""
        if len(self._pieces) > _BATCH:
            self._flush()

    def abort(self, last: bytes) -> None:
        """Close the connection at once, after what waits and `last`."""
        if self._transport is None:
            return
        self.write(last)
        self._flush()
        # Writing may have found the connection closed.
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """The connection is closed."""
        self._transport = None

    def _flush(self) -> None:
        data = b"".join(self._pieces)
        self._pieces.clear()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
