"""Headers as HTTP/2 sends them: packed with HPACK (RFC 7541), in one frame or in several.

What we send uses the server's table of what was sent before for one header: the authorization, which may have
thousands of bytes and is the same for all requests. The others are few and short, and to look for them in a table costs
more time than it saves bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from hpack import Decoder, HPACKError
from hpack.hpack import encode_integer
from hpack.table import HeaderTable

from fluxtui.kube import frames
from fluxtui.kube.frames import Frame, ProtocolError

LARGEST = 256 << 10
"""Bytes of the headers of an answer, unpacked."""
_PIECES = 32
"""Frames that one block of headers may come in."""

TABLE = 4096
"""Bytes of the server's table until it says otherwise (RFC 9113, 6.5.2)."""
_ENTRY = 32
"""Bytes that an entry takes besides its name and value (RFC 7541, 4.1)."""
_NO_TABLE = b"\x20"
"""The table is to be empty and stay so (RFC 7541, 6.3)."""
_LATEST = b"\xbe"
"""What came into the table last (RFC 7541, 6.1 and appendix A)."""
_KNOWN = {name.decode(): place for place, (name, _) in reversed([*enumerate(HeaderTable.STATIC_TABLE, 1)])}
"""Places of names in the static table (RFC 7541, appendix A)."""
_AUTHORIZATION = "authorization"
_METHODS = {"GET": b"\x82", "POST": b"\x83"}
_HTTPS = b"\x87"
_REMEMBERED = frozenset({"accept", "accept-encoding", "content-type", "user-agent"})
"""Headers of which there are few values, and no secret ones."""


def packed(method: str, authority: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The headers of a request to an https:// server; names in lower case."""
    parts = [_METHODS.get(method) or _literal(":method", method), _HTTPS]
    parts += (_remembered(":authority", authority), _literal(":path", target))
    for name, value in headers:
        parts.append(_remembered(name, value) if name in _REMEMBERED else _literal(name, value))
    return b"".join(parts)


class Authorization:
    """Packs the authorization of the requests on one connection, in the order in which they are sent."""

    def __init__(self) -> None:
        self._kept = ""
        self._room = TABLE
        self._news = b""

    def limit(self, size: int) -> None:
        """The server's table has so many bytes at most."""
        if size < TABLE:
            self._kept, self._room, self._news = "", 0, _NO_TABLE

    def packed(self, value: str, rest: bytes) -> bytes:
        """A request's headers: this one, unless it is empty, and the `packed` rest."""
        news, self._news = self._news, b""
        if not value:
            return news + rest
        if value == self._kept:
            return news + rest + _LATEST
        if len(_AUTHORIZATION) + len(value.encode()) + _ENTRY > self._room:
            return news + rest + _literal(_AUTHORIZATION, value)
        self._kept = value
        return news + rest + _integer(0x40, 6, _KNOWN[_AUTHORIZATION]) + _text(value.encode())


def _literal(name: str, value: str) -> bytes:
    """A header that nobody on the way may keep in a table (RFC 7541, 6.2.3)."""
    known = _KNOWN.get(name)
    head = _integer(0x10, 4, known) if known else b"\x10" + _text(name.encode("latin-1"))
    return head + _text(value.encode("utf-8"))


_remembered = functools.lru_cache(256)(_literal)


def _text(text: bytes) -> bytes:
    return _integer(0, 7, len(text)) + text


def _integer(flags: int, bits: int, value: int) -> bytes:
    """RFC 7541, 5.1."""
    made = encode_integer(value, bits)
    made[0] |= flags
    return bytes(made)


class HeaderBlocks:
    """Puts the blocks of one connection together; all of them, as each builds on those before it."""

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=LARGEST)
        self._head: Frame | None = None
        self._pieces: list[bytes] = []
        self.is_open = False
        """Whether the next frame has to continue a block."""
        self.is_last = False
        """Whether the stream of the latest block ends with it."""

    def feed(self, got: Frame) -> list[tuple[bytes, bytes]] | None:
        """Names and values, once a HEADERS or CONTINUATION frame ends their block. Raises ProtocolError."""
        if got.kind == frames.HEADERS:
            self._head, self._pieces = got, [frames.unpadded(got)]
        elif self._head is None or self._head.stream != got.stream:
            raise ProtocolError("headers that continue nothing")
        else:
            self._pieces.append(got.payload)
        if len(self._pieces) > _PIECES:
            raise ProtocolError("headers without end", frames.ENHANCE_YOUR_CALM)
        self.is_open = not got.flags & frames.END_HEADERS
        if self.is_open:
            return None
        self.is_last = bool(self._head.flags & frames.END_STREAM)
        self._head = None
        try:
            unpacked = self._decoder.decode(b"".join(self._pieces), raw=True)
        except HPACKError:
            raise ProtocolError("headers that cannot be unpacked", frames.COMPRESSION_ERROR) from None
        return [(_bytes(each[0]), _bytes(each[1])) for each in unpacked]


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
