"""What is asked of an API server, and what answers, whichever HTTP is spoken."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Protocol

import msgspec


class Request(msgspec.Struct, frozen=True):
    """One request; the repr keeps its headers and body."""

    method: str
    target: str
    """Path and query, percent-encoded."""
    headers: list[tuple[str, str]]
    body: bytes | None
    within: float
    """Seconds until the answer is there as a whole, or has begun if it is a stream."""
    is_stream: bool = False
    idle: float | None = None
    """Seconds of silence that end a stream; None: any."""

    def __repr__(self) -> str:
        return f"Request({self.method!r}, {self.target!r})"


class Answer(Protocol):
    """An answer whose body is read piece by piece. `end` it."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Case-insensitive."""

    async def chunk(self) -> bytes:
        """The next piece, unpacked; b"" at the end. Raises what `failures.FAILURES` names."""

    def abort(self, error: Exception) -> None:
        """Make the reader raise `error` at once."""

    def end(self) -> None:
        """No more is wanted of it."""


class Backend(Protocol):
    """Connections to one server."""

    async def send(self, request: Request, context: ssl.SSLContext | bool) -> Answer:
        """The answer as soon as it begins. Raises what `failures.FAILURES` names."""

    async def ping(self, within: float) -> bool:
        """Whether there are connections that could be asked for a sign of life, and have given one.

        Raises what `failures.FAILURES` names when there is none within so many seconds.
        """

    async def close(self) -> None:
        """Close all connections; answers end with an error."""
