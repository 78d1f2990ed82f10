"""Lines out of chunks, however they are cut."""

from __future__ import annotations

import pytest

from fluxtui.kube.lines import LineSplitter


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("spares_copies", [False, True])
@pytest.mark.parametrize("text", [b"", b"\n", b"one\n", b"one\ntwo\n\nthree", b"one\n\n\ntwo\n", b"\none\n"])
def test_lines_come_out_whole(text: bytes, spares_copies: bool, size: int) -> None:
    splitter = LineSplitter(spares_copies=spares_copies)
    lines = [line for at in range(0, len(text), size) for line in splitter.feed(text[at : at + size])]
    *whole, rest = text.split(b"\n")
    assert [line.removesuffix(b"\n") for line in lines] == whole
    assert splitter.rest() == rest
    if not spares_copies:
        assert lines == whole


def test_a_line_that_is_a_chunk_is_not_copied_where_newlines_are_space() -> None:
    chunk = b'{"type": "ADDED"}\n'
    assert LineSplitter(spares_copies=True).feed(chunk)[0] is chunk
    assert LineSplitter().feed(chunk) == [chunk[:-1]]


def test_a_line_without_end_comes_in_pieces() -> None:
    splitter = LineSplitter(limit=10)
    lines = [line for _ in range(5) for line in splitter.feed(b"abcd")]
    assert lines == [b"abcd" * 3]
    assert splitter.rest() == b"abcd" * 2
