"""HTTP/2 frames: their bytes, and the numbers that RFC 9113 gives to kinds, flags, settings and errors."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

import msgspec

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
WITH_PRIORITY: Final = 0x20

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6

NO_ERROR: Final = 0x0
PROTOCOL_ERROR: Final = 0x1
FLOW_CONTROL_ERROR: Final = 0x3
FRAME_SIZE_ERROR: Final = 0x6
REFUSED_STREAM: Final = 0x7
CANCEL: Final = 0x8
COMPRESSION_ERROR: Final = 0x9
ENHANCE_YOUR_CALM: Final = 0xB
HTTP_1_1_REQUIRED: Final = 0xD

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW: Final = 65535
"""Bytes that may be sent on a stream, and on a connection, before a word about windows."""
LARGEST_WINDOW: Final = 2**31 - 1
FRAME: Final = 16384
"""Bytes in the largest frame that everybody takes."""

_HEAD = struct.Struct(">HBBBL")
_SETTING = struct.Struct(">HL")


class ProtocolError(Exception):
    """The peer does not speak HTTP/2; `code` is what it is told."""

    def __init__(self, problem: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(problem)
        self.code = code


class Frame(msgspec.Struct, gc=False):
    """One frame; `payload` with its padding."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class FrameReader:
    """Cuts what comes from a peer into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes | memoryview) -> list[Frame]:
        """The frames that `data` completes. Raises ProtocolError for one larger than FRAME."""
        if self._rest:
            data = self._rest + data
        frames, at, end = [], 0, len(data)
        while end - at >= 9:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, at)
            size = high << 8 | low
            if size > FRAME:
                raise ProtocolError("a frame larger than allowed", FRAME_SIZE_ERROR)
            stop = at + 9 + size
            if stop > end:
                break
            frames.append(Frame(kind, flags, stream & LARGEST_WINDOW, bytes(data[at + 9 : stop])))
            at = stop
        self._rest = bytes(data[at:])
        return frames


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame as bytes."""
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def number(kind: int, stream: int, value: int) -> bytes:
    """A frame that holds one number of 32 bits: RST_STREAM, WINDOW_UPDATE."""
    return frame(kind, 0, stream, value.to_bytes(4, "big"))


def settings(values: Mapping[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(name, value) for name, value in values.items()))


def header_block(stream: int, block: bytes, flags: int, size: int) -> bytes:
    """A HEADERS frame, with CONTINUATION frames for what is more than `size` bytes."""
    if len(block) <= size:
        return frame(HEADERS, END_HEADERS | flags, stream, block)
    pieces = [block[at : at + size] for at in range(0, len(block), size)]
    made = []
    for index, piece in enumerate(pieces):
        last = END_HEADERS if index == len(pieces) - 1 else 0
        made.append(frame(CONTINUATION if index else HEADERS, last | (0 if index else flags), stream, piece))
    return b"".join(made)


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """The settings in a frame, in order. Raises ProtocolError."""
    if len(payload) % _SETTING.size:
        raise ProtocolError("SETTINGS of an odd size", FRAME_SIZE_ERROR)
    return list(_SETTING.iter_unpack(payload))


def read_number(payload: bytes, at: int = 0) -> int:
    """The number of 32 bits at `at`. Raises ProtocolError."""
    if len(payload) < at + 4:
        raise ProtocolError("a frame that is too short", FRAME_SIZE_ERROR)
    return int.from_bytes(payload[at : at + 4], "big")


def unpadded(got: Frame) -> bytes:
    """The payload of a DATA or HEADERS frame without padding and priority. Raises ProtocolError."""
    payload, start, stop = got.payload, 0, len(got.payload)
    if got.flags & PADDED:
        if not payload:
            raise ProtocolError("a padded frame without a length", FRAME_SIZE_ERROR)
        start, stop = 1, stop - payload[0]
    if got.kind == HEADERS and got.flags & WITH_PRIORITY:
        start += 5
    if start > stop:
        raise ProtocolError("more padding than payload")
    return payload[start:stop] if start or stop != len(payload) else payload
