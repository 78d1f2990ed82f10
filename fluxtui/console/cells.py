"""The cells of a line of the tree: its parts, and how they share a width.

Left: indent, arrow, state, kind, name, then the message, which gets whatever remains. Right: counts or the revision,
then the age or the latency, flush right. Too narrow, the message gives way down to a third, then the name, then the
right part.
"""

from __future__ import annotations

import msgspec
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from fluxtui.console.glyphs import Glyphs
from fluxtui.console.text import cut
from fluxtui.console.themes import Palette
from fluxtui.console.widgets.strips import harmless

KIND_WIDTH = 5
TAIL_WIDTH = 5
MIN_MESSAGE = 8
MIN_LEFT = 18
"""Cells that the name keeps at least, if half of the line is less, before the right part is cut."""
PLAIN = Style()


class Cells(msgspec.Struct, frozen=True):
    """The parts of one line, ready to be painted; all texts are clean."""

    depth: int
    arrow: str = " "
    glyph: str = ""
    glyph_style: Style = PLAIN
    kind: str = ""
    """A short word in a column of its own, or nothing."""
    name: str = ""
    name_style: Style = PLAIN
    note: str = ""
    """What tells it from others of the same name; quiet."""
    message: str = ""
    message_style: Style = PLAIN
    right: tuple[tuple[str, Style], ...] = ()
    tail: str = ""
    tail_style: Style = PLAIN
    badge: str = ""
    """One cell before the arrow: marked, or waiting for an outcome."""
    badge_style: Style = PLAIN


def paint(cells: Cells, width: int, palette: Palette, glyphs: Glyphs) -> Strip:
    """The line in exactly `width` cells."""
    left = _left(cells, palette)
    used = sum(cell_len(text) for text, _ in left)
    right = list(cells.right)
    tail = f" {cells.tail:>{TAIL_WIDTH}} "
    room = width - cell_len(tail) - min(used, max(MIN_LEFT, width // 2))
    right = _cut_right(right, max(0, room), glyphs.ellipsis)
    right_width = sum(cell_len(text) for text, _ in right)
    free = width - cell_len(tail) - right_width
    # A long name must not hide what is wrong with its object.
    longest = free - 3 - min(free // 3, cell_len(cells.message)) if cells.message else free - 1
    if used > max(longest, MIN_LEFT) and (used > free or free - used - 3 < min(MIN_MESSAGE, cell_len(cells.message))):
        left = _cut_left(left, min(max(longest, MIN_LEFT), free - 1), glyphs.ellipsis)
        used = sum(cell_len(text) for text, _ in left)
    rest = free - used - 3
    if cells.message and rest >= min(MIN_MESSAGE, cell_len(cells.message)):
        left += [("  ", cells.message_style), (cut(cells.message, rest, glyphs.ellipsis), cells.message_style)]
        used = sum(cell_len(text) for text, _ in left)
    parts = [*left, (" " * (free - used), palette.ink), *right, (tail, cells.tail_style)]
    return Strip([Segment(harmless(text), style) for text, style in parts if text])


def _left(cells: Cells, palette: Palette) -> list[tuple[str, Style]]:
    indent = " " * (2 * cells.depth)
    parts = [(cells.badge or " ", cells.badge_style), (f"{indent}{cells.arrow} ", palette.muted)]
    if cells.glyph:
        parts.append((f"{cells.glyph} ", cells.glyph_style))
    if cells.kind:
        parts.append((f"{cells.kind:<{KIND_WIDTH}}", palette.muted))
    parts.append((cells.name, cells.name_style))
    if cells.note:
        parts.append((f"  {cells.note}", palette.muted))
    return parts


def _cut_left(parts: list[tuple[str, Style]], width: int, ellipsis: str) -> list[tuple[str, Style]]:
    """The parts in at most `width` cells: the last one that fits in part is cut."""
    kept: list[tuple[str, Style]] = []
    for text, style in parts:
        size = cell_len(text)
        if size > width:
            kept.append((cut(text, max(0, width), ellipsis), style))
            break
        kept.append((text, style))
        width -= size
    return kept


def _cut_right(parts: list[tuple[str, Style]], width: int, ellipsis: str) -> list[tuple[str, Style]]:
    """As many parts from the left as fit, the next one cut when that leaves something to read."""
    kept: list[tuple[str, Style]] = []
    for text, style in parts:
        size = cell_len(text)
        if size > width:
            if not kept and width > 4:
                kept.append((cut(text, width, ellipsis), style))
            break
        kept.append((text, style))
        width -= size
    return kept
