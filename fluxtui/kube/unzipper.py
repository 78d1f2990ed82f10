"""Bodies in gzip (RFC 1952), unpacked as they come.

Their check sum is left alone: it takes as long as the unpacking, and TLS has already proven that what came is what was
sent.
"""

from __future__ import annotations

import zlib

_PIECE = 8 << 20
"""Most bytes that are unpacked at once."""
_HEAD = 10
"""Bytes before what is packed, without any of the fields that may be there."""
_WITHOUT_FIELDS = b"\x1f\x8b\x08\x00"
_TAIL = 8
"""Bytes after it: check sum and size."""


class Unzipper:
    """Unpacks one body. Raises zlib.error for what is no gzip."""

    def __init__(self) -> None:
        self._head = b""
        self._inflate: zlib._Decompress | None = None
        self._is_bare = False
        self._size = 0

    @property
    def has_more(self) -> bool:
        """Whether `more` can be had before anything else is fed."""
        return self._inflate is not None and not self._inflate.eof and bool(self._inflate.unconsumed_tail)

    @property
    def is_whole(self) -> bool:
        """Whether the body has come to its end."""
        if self._inflate is None or not self._inflate.eof:
            return False
        tail = self._inflate.unused_data[:_TAIL]
        return not self._is_bare or (len(tail) == _TAIL and int.from_bytes(tail[4:], "little") == self._size % 2**32)

    def feed(self, data: bytes) -> bytes:
        """Unpack some of it; may be empty."""
        if self._inflate is None:
            data = self._head + data
            if len(data) < _HEAD:
                self._head = data
                return b""
            self._is_bare = data.startswith(_WITHOUT_FIELDS)
            self._inflate = zlib.decompressobj(wbits=-15 if self._is_bare else 31)
            if self._is_bare:
                data = data[_HEAD:]
        found = self._inflate.decompress(data, _PIECE)
        self._size += len(found)
        return found

    def more(self) -> bytes:
        """Unpack what was too much at once."""
        return self.feed(self._inflate.unconsumed_tail) if self._inflate is not None else b""
