"""The one-line widgets around the tree: header, views and footer. Each is painted whole from a small value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from fluxtui.console.themes import Palette
from fluxtui.console.widgets.plain import Plain
from fluxtui.console.widgets.strips import segments

ROOMY = 100
"""From this screen width on, names that are not active are shown beside the active one."""


class Bit(NamedTuple):
    """A piece of a line that gives way when the line is narrow: the lowest rank goes first."""

    text: Text
    rank: int


class Bar(Plain, inherit_bindings=False):
    """A line of bits from the left and bits from the right; what does not fit is left out by rank.

    An `end` may follow the last bit: what changes often, such as the time, is painted without the rest.
    """

    DEFAULT_CSS = "Bar { height: 1; }"
    GAP = 2

    def __init__(self, palette: Palette, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.palette = palette
        self._left: Sequence[Bit] = ()
        self._right: Sequence[Bit] = ()
        self._end = Text()
        self._rest: tuple[object, Strip] | None = None
        """The line up to where the end begins, and what it was painted for."""

    def set_bits(self, left: Sequence[Bit], right: Sequence[Bit] = (), end: Text | None = None) -> None:
        """Show these bits; nothing is repainted when they are the same as before."""
        end = end or Text()
        if (left, right) == (self._left, self._right):
            self.set_end(end)
            return
        self._left, self._right, self._end, self._rest = left, right, end, None
        self.refresh()

    def set_end(self, end: Text) -> bool:
        """Show another end after the same bits; whether it is another one."""
        if end == self._end:
            return False
        width = end.cell_len
        if width != self._end.cell_len:
            self._rest = None
        self._end = end
        if self._rest is None:
            self.refresh()
        else:
            self.refresh(Region(self.size.width - width - 1, 0, width, 1))
        return True

    def use_palette(self, palette: Palette) -> None:
        self.palette = palette

    def render_line(self, y: int) -> Strip:
        width, style = self.size.width, self.rich_style
        if self._rest is not None and self._rest[0] == (width, style):
            end = Strip([*segments(self._end, self.app.console), Segment(" ")]).apply_style(style)
            return Strip.join([self._rest[1], end])
        line = self._composed(width)
        strip = Strip(segments(line, self.app.console)).adjust_cell_length(width).apply_style(style)
        shows_end = bool(self._end) and line.cell_len == width - 1 and line.plain.endswith(self._end.plain)
        self._rest = ((width, style), strip.crop(0, width - self._end.cell_len - 1)) if shows_end else None
        return strip

    def _composed(self, width: int) -> Text:
        *others, last = self._right or [Bit(Text(), 0)]
        right = [*others, Bit(last.text + self._end, last.rank)] if self._end else self._right
        return compose_line(self._left, right, width, self.GAP)


def compose_line(left: Sequence[Bit], right: Sequence[Bit], width: int, gap: int = 2) -> Text:
    """Bits of a line in at most `width` cells, one blank at either end; a last bit too wide is cut."""
    kept = [*left, *right]

    def length(bits: Sequence[Bit]) -> int:
        return sum(bit.text.cell_len for bit in bits) + gap * max(0, len(bits) - 1) + 2

    while len(kept) > 1 and length(kept) > width:
        # Of equal ranks the later one goes first.
        kept.remove(min(reversed(kept), key=lambda bit: bit.rank))
    line = Text(" ", end="")
    starts = [bit for bit in left if any(bit is other for other in kept)]
    ends = [bit for bit in right if any(bit is other for other in kept)]
    line.append_text(Text(" " * gap).join(bit.text for bit in starts))
    tail = Text(" " * gap).join(bit.text for bit in ends)
    line.append(" " * max(gap if ends and starts else 0, width - line.cell_len - tail.cell_len - 1))
    line.append_text(tail)
    line.truncate(width, overflow="ellipsis")
    return line


class Words(Plain, inherit_bindings=False):
    """A line of text as it is: what can be clicked in it keeps its colours."""

    DEFAULT_CSS = "Words { height: 1; }"

    def __init__(self, text: Text, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.text = text

    def update(self, text: Text) -> None:
        """Say something else."""
        self.text = text
        self.refresh()

    def render_line(self, y: int) -> Strip:
        line = self.text.copy()
        line.truncate(self.size.width, overflow="ellipsis")
        strip = Strip(segments(line, self.app.console)).adjust_cell_length(self.size.width)
        return strip.apply_style(self.rich_style)


class Tabs(Plain, inherit_bindings=False):
    """Names in a row of which one is active: the views of the tree, the tabs of the pane."""

    DEFAULT_CSS = "Tabs { height: 1; }"

    class Chosen(Message):
        """A name was clicked, or the active one where it stands alone: that means the next."""

        def __init__(self, tabs: Tabs, name: str) -> None:
            super().__init__()
            self.tabs = tabs
            self.name = name

        @property
        def control(self) -> Tabs:
            return self.tabs

    def __init__(self, palette: Palette, names: Sequence[tuple[str, str]], *, bar: bool, id: str | None = None) -> None:
        """
        Args:
            names: (name, label) of each.
            bar: the active one is a bar, flush left; otherwise it is coloured, flush right.
        """
        super().__init__(id=id)
        self.palette = palette
        self.names = names
        self.active = names[0][0]
        self._bar = bar

    def use_palette(self, palette: Palette) -> None:
        self.palette = palette
        self.refresh()

    def activate(self, name: str) -> None:
        """Make a name the active one."""
        if name != self.active:
            self.active = name
            self.refresh(layout=not self._bar)

    def set_names(self, names: Sequence[tuple[str, str]]) -> None:
        """Offer other names; the active one stays when it is among them, else the first becomes it."""
        if names == self.names:
            return
        self.names = names
        if self.active not in dict(names):
            self.active = names[0][0]
        self.refresh(layout=True)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """All names where the screen has room for them, else the active one."""
        cells = self._cells() if viewport.width >= ROOMY else [cell for cell in self._cells() if cell[0] == self.active]
        return sum(text.cell_len for _, text in cells)

    def _cells(self, width: int = 0) -> list[tuple[str, Text]]:
        """The names, each between two blanks, or one blank apart where a bar is too narrow for that."""
        chosen, other = (self.palette.tab, self.palette.muted) if self._bar else (self.palette.link, self.palette.muted)
        room = sum(len(label) + 2 for _, label in self.names)
        shape = "{} " if self._bar and 0 < width < room else " {} "
        return [
            (name, Text(shape.format(label), chosen if name == self.active else other, end=""))
            for name, label in self.names
        ]

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        line = Text("", end="").join(text for _, text in self._cells(width))
        if line.cell_len > width and not self._bar:
            line = next(text for name, text in self._cells() if name == self.active)
        if not self._bar:
            line.pad_left(max(0, width - line.cell_len))
        line.truncate(width, overflow="ellipsis")
        return Strip(segments(line, self.app.console)).adjust_cell_length(width).apply_style(self.rich_style)

    def on_click(self, event: events.Click) -> None:
        cells = self._cells(self.size.width)
        if not self._bar and sum(text.cell_len for _, text in cells) > self.size.width:
            names = [name for name, _ in self.names]
            self.post_message(self.Chosen(self, names[(names.index(self.active) + 1) % len(names)]))
            return
        x = event.x if self._bar else event.x - (self.size.width - sum(text.cell_len for _, text in cells))
        for name, text in cells:
            if 0 <= x < text.cell_len:
                self.post_message(self.Chosen(self, name))
                return
            x -= text.cell_len
