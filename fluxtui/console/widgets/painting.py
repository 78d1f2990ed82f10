"""Lines painted on demand: any number of them, of which only the visible ones cost anything.

Textual's own lists cost time in proportion to their length on each change; this widget paints lines on demand from a
flat sequence, keeps finished strips in a bounded cache, and repaints single lines. Subclasses say what a line is called
and how it looks.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from fluxtui.console.themes import Palette
from fluxtui.console.widgets.plain import Plain

L = TypeVar("L")

MOST_STRIPS = 1024
"""Painted lines that are kept."""


class PaintedLines(Plain, ScrollView, Generic[L], can_focus=True, inherit_bindings=False):
    """A window on lines of one cell's height, one of which may be selected."""

    def __init__(self, palette: Palette, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.palette = palette
        self.lines: Sequence[L] = ()
        self._strips: dict[Hashable, tuple[object, Strip]] = {}
        self._ground: Style | None = None

    @abstractmethod
    def key(self, line: L) -> Hashable:
        """What identifies a line over changes of the list."""

    @abstractmethod
    def stamp(self, line: L) -> object:
        """Whatever the line's looks depend on besides its key; when it is not equal, the line is painted anew."""

    @abstractmethod
    def paint(self, line: L, width: int) -> Strip:
        """The line's looks, at most `width` cells, without the selection."""

    def backdrop(self, line: L) -> Style | None:
        """A style under the whole line, as for marked ones."""
        return None

    @abstractmethod
    def is_selected(self, index: int) -> bool:
        """Whether the selection bar lies on the line at the index."""

    @property
    def is_active(self) -> bool:
        """Whether the selection bar is drawn as the one that keys act on."""
        return self.has_focus

    @property
    def columns(self) -> int:
        """Cells of a line, without the scroll bar."""
        return self.scrollable_content_region.width

    @property
    def rows(self) -> int:
        """Lines in sight."""
        return self.scrollable_content_region.height

    @property
    def lines_in_sight(self) -> Sequence[L]:
        """Those that are not scrolled out of it."""
        top = self.scroll_offset.y
        return self.lines[top : top + self.rows]

    def measure(self) -> None:
        """Tell Textual how many lines there are.

        It lays out the whole screen then. Where no scroll bar comes or goes, and the height is not that of the lines,
        nothing can move, and only the scroll bar is told.
        """
        size, known, height = Size(self.columns, len(self.lines)), self.virtual_size, self.container_size.height
        if self.styles.is_auto_height or (size.height > height) != (known.height > height):
            self.virtual_size = size
        elif size != known:
            self.set_reactive(PaintedLines.virtual_size, size)
            self._scroll_update(size)

    def check(self, concerns: Callable[[L], bool] = lambda line: True) -> int:
        """Repaint the visible lines whose stamp is another one than when they were painted; how many those are.

        `concerns` says which lines can look other than before.
        """
        region = self.scrollable_content_region
        top, width, lines = self.scroll_offset.y, region.width, self.lines
        changed = [
            index
            for index in range(top, min(top + region.height, len(lines)))
            if concerns(lines[index]) and self._painted(index, width) is None
        ]
        regions = [Region(0, index - top, width, 1) for index in changed]
        if regions:
            self.refresh(*regions)
        return len(regions)

    def repaint(self) -> None:
        """Forget all painted lines: another theme, width or clock."""
        self._strips.clear()
        self._ground = None
        self.refresh()

    @property
    def ground(self) -> Style:
        """Colours of the widget itself, which lie under every line; found out once a theme."""
        if self._ground is None:
            self._ground = self.rich_style
        return self._ground

    def use_palette(self, palette: Palette) -> None:
        """Paint with another theme's styles."""
        self.palette = palette
        self.repaint()

    def render_line(self, y: int) -> Strip:
        index, width = y + self.scroll_offset.y, self.columns
        if not 0 <= index < len(self.lines):
            return Strip.blank(width, self.ground)
        return self._painted(index, width) or self._paint(index, width)

    def _signature(self, index: int, width: int) -> tuple[object, ...]:
        line = self.lines[index]
        selected = self.is_selected(index)
        return (self.stamp(line), width, selected, selected and self.is_active, self.backdrop(line) is None)

    def _painted(self, index: int, width: int) -> Strip | None:
        """The line's strip, if it is painted and still right."""
        known = self._strips.get(self.key(self.lines[index]))
        return known[1] if known and known[0] == self._signature(index, width) else None

    def _paint(self, index: int, width: int) -> Strip:
        line, signature = self.lines[index], self._signature(index, width)
        _, _, selected, active, _ = signature
        strip = self.paint(line, width).adjust_cell_length(width)
        if selected:
            strip = strip.apply_style(self.palette.cursor if active else self.palette.idle_cursor)
        elif (backdrop := self.backdrop(line)) is not None:
            strip = strip.apply_style(backdrop)
        strip = strip.apply_style(self.ground)
        if len(self._strips) >= MOST_STRIPS:
            self._strips.clear()
        self._strips[self.key(line)] = (signature, strip)
        return strip

    def _scroll_row(self, row: int) -> None:
        self.scroll_to(y=max(0, row), animate=False, force=True)
