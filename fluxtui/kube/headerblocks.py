"""Headers as HTTP/2 sends them: packed with HPACK (RFC 7541), in one frame or in several."""

from __future__ import annotations

from hpack import Decoder, HPACKError

from fluxtui.kube import frames
from fluxtui.kube.frames import Frame, ProtocolError

LARGEST = 256 << 10
"""Bytes of the headers of an answer, unpacked."""
_PIECES = 32
"""Frames that one block of headers may come in."""


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
