"""Bodies in gzip, as they may come."""

from __future__ import annotations

import gzip
import os
import zlib

import pytest

from fluxtui.kube import unzipper
from fluxtui.kube.unzipper import Unzipper

BODY = b"a line\n" * 5000 + os.urandom(1000)
WITH_NAME = b"\x1f\x8b\x08\x08" + bytes(6) + b"name\x00" + gzip.compress(BODY)[10:]


def unpack(data: bytes, size: int) -> tuple[bytes, bool]:
    """What comes out of pieces of so many bytes, and whether it is whole."""
    zipped = Unzipper()
    found = b""
    for at in range(0, len(data), size):
        found += zipped.feed(data[at : at + size])
        while zipped.has_more:
            found += zipped.more()
    return found, zipped.is_whole


@pytest.mark.parametrize("size", [1, 9, 10, 11, 1000, 1 << 20])
@pytest.mark.parametrize(
    "packed", [gzip.compress(BODY), gzip.compress(BODY, 0), WITH_NAME], ids=["", "stored", "named"]
)
@pytest.mark.parametrize("piece", [5000, 1 << 20])
def test_a_body_comes_out_however_it_is_cut(
    packed: bytes, size: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unzipper, "_PIECE", piece)
    assert unpack(packed, size) == (BODY, True)


@pytest.mark.parametrize("missing", [1, 8, 9, 500])
@pytest.mark.parametrize("packed", [gzip.compress(BODY), WITH_NAME], ids=["", "named"])
def test_a_body_that_lacks_its_end_is_not_whole(packed: bytes, missing: int) -> None:
    assert not unpack(packed[:-missing], 1000)[1]


def test_an_empty_body_is_not_whole_and_a_packed_one_is() -> None:
    assert unpack(b"", 1) == (b"", False)
    assert unpack(gzip.compress(b""), 5) == (b"", True)


def test_a_body_of_another_size_than_it_says_is_not_whole() -> None:
    packed = gzip.compress(BODY)
    assert unpack(packed[:-4] + (len(BODY) + 1).to_bytes(4, "little"), 1000) == (BODY, False)


@pytest.mark.parametrize("wrong", [b"no gzip at all", b"\x1f\x8b\x08\x00" + bytes(6) + b"\xff" * 50])
def test_what_is_no_gzip_is_refused(wrong: bytes) -> None:
    with pytest.raises(zlib.error):
        unpack(wrong, 1000)
