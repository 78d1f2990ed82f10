"""Lines out of chunks, without a limit to trip over."""

from __future__ import annotations


class LineSplitter:
    """Cuts a stream of chunks at newlines; a line longer than `limit` bytes comes out in pieces.

    `spares_copies` is for readers to whom a newline is space: it stays at a line that is a chunk by itself.
    """

    def __init__(self, limit: int = 64 << 20, *, spares_copies: bool = False) -> None:
        self._limit = limit
        self._spares_copies = spares_copies
        self._parts: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without their newlines."""
        if self._spares_copies and not self._held and chunk.find(b"\n") == len(chunk) - 1:
            return [chunk]
        lines = chunk.split(b"\n")
        last = lines.pop()
        if lines and self._parts:
            self._parts.append(lines[0])
            lines[0] = self.rest()
        if last:
            self._parts.append(last)
            self._held += len(last)
            if self._held > self._limit:
                lines.append(self.rest())
        return lines

    def rest(self) -> bytes:
        """What came after the last newline; forgets it."""
        line = b"".join(self._parts)
        self._parts, self._held = [], 0
        return line
