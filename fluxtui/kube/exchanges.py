"""The exchanges under way on one HTTP/2 connection, by the number of their stream."""

from __future__ import annotations

from fluxtui.kube.exchange import Exchange
from fluxtui.kube.failures import Refused
from fluxtui.kube.frames import Frame, ProtocolError

_LAST_STREAM = 1 << 30


class Exchanges:
    """Those that neither side has ended."""

    def __init__(self) -> None:
        self._open: dict[int, Exchange] = {}
        self.next = 1
        """The number of the next stream; those of clients are odd."""

    def __len__(self) -> int:
        return len(self._open)

    @property
    def has_numbers(self) -> bool:
        """Whether there are numbers left for more of them."""
        return self.next < _LAST_STREAM

    def add(self, exchange: Exchange) -> None:
        """One that begins, on the `next` stream."""
        self._open[exchange.stream] = exchange
        self.next += 2

    def forget(self, stream: int) -> bool:
        """Take one out; says whether it was there."""
        return self._open.pop(stream, None) is not None

    def known(self, got: Frame) -> Exchange | None:
        """The exchange of a frame; None when it is over for us. Raises ProtocolError for one that never was."""
        found = self._open.get(got.stream)
        if found is None and (not got.stream % 2 or got.stream >= self.next):
            raise ProtocolError("a frame of a stream that was not begun")
        return found

    def refuse(self, last: int) -> None:
        """The server will look at none after the stream `last`."""
        for stream in [stream for stream in self._open if stream > last]:
            self._open.pop(stream).lost(Refused())

    def lose(self, error: Exception) -> None:
        """The connection ends with `error`."""
        for exchange in self._open.values():
            exchange.lost(error)

    def widen(self, more: int) -> None:
        """Each may send so many bytes more, or less."""
        for exchange in self._open.values():
            exchange.window += more

    def wake(self) -> None:
        """Something has changed for all of them."""
        for exchange in self._open.values():
            exchange.wake()
