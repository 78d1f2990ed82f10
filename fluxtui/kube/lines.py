"""Lines out of chunks, without a limit to trip over."""

from __future__ import annotations


class LineSplitter:
    """Cuts a stream of chunks at newlines; a line longer than `limit` bytes comes out in pieces."""

    def __init__(self, limit: int = 64 << 20) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without their newlines."""
        first, newline, rest = chunk.partition(b"\n")
        self._parts.append(first)
        self._held += len(first)
        if not newline:
            return [self.rest()] if self._held > self._limit else []
        lines = [self.rest(), *rest.split(b"\n")]
        last = lines.pop()
        self._parts, self._held = [last], len(last)
        return lines

    def rest(self) -> bytes:
        """What came after the last newline; forgets it."""
        line = b"".join(self._parts)
        self._parts, self._held = [], 0
        return line
