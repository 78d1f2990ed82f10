"""Text keeps to its width, spans are short."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from fluxtui.console.text import cut, long_span
from fluxtui.fleet.text import one_line


@given(st.text(), st.integers(0, 30))
def test_cut_never_exceeds_its_width(text: str, width: int) -> None:
    line = one_line(text)
    assert cell_len(cut(line, width)) <= width
    if cell_len(line) <= width:
        assert cut(line, width) == line


@pytest.mark.parametrize(
    ("seconds", "long"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (252, "4m 12s"),
        (240, "4m"),
        (11_100, "3h 5m"),
        (86_400 * 9 + 3600 * 4, "9d 4h"),
        (86_400 * 1500, "1500d"),
        (-5, "0s"),
    ],
)
def test_spans(seconds: float, long: str) -> None:
    assert long_span(seconds) == long
