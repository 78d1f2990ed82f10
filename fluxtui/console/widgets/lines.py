"""The virtual list: any number of lines, of which only the visible ones cost anything.

Textual's own lists cost time in proportion to their length on each change; this one paints lines on demand from a flat
sequence, keeps finished strips in a bounded cache, and repaints single lines. Subclasses say what a line is called and
how it looks.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from fluxtui.console import keys
from fluxtui.console.themes import Palette

L = TypeVar("L")

BESIDE = 2
MOST_STRIPS = 1024
"""Painted lines that are kept."""


class VirtualList(ScrollView, Generic[L], can_focus=True, inherit_bindings=False):
    """A list of one-cell-high lines with a cursor that stays on its line's key when lines move."""

    DEFAULT_CSS = "VirtualList { overflow-x: hidden; overflow-y: auto; }"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.LIST]
    ANCHORED: ClassVar[bool] = True
    """Whether the cursor's line keeps its place on the screen when lines above it come and go."""

    cursor: var[int] = var(0)

    @dataclass
    class Highlighted(Message):
        """The cursor is on another line now, or the line under it is another one."""

        sender: VirtualList[object]

        @property
        def control(self) -> VirtualList[object]:
            return self.sender

    @dataclass
    class Activated(Message):
        """Enter or a double click on the cursor's line."""

        sender: VirtualList[object]

        @property
        def control(self) -> VirtualList[object]:
            return self.sender

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

    def selectable(self, line: L) -> bool:
        """Whether the cursor may rest on the line."""
        return True

    def backdrop(self, line: L) -> Style | None:
        """A style under the whole line, as for marked ones."""
        return None

    @property
    def is_active(self) -> bool:
        """Whether the selection bar is drawn as the one that keys act on."""
        return self.has_focus

    # What is shown

    @property
    def columns(self) -> int:
        """Cells of a line, without the scroll bar."""
        return self.scrollable_content_region.width

    @property
    def rows(self) -> int:
        """Lines in sight."""
        return self.scrollable_content_region.height

    @property
    def current(self) -> L | None:
        """The line under the cursor."""
        return self.lines[self.cursor] if 0 <= self.cursor < len(self.lines) else None

    def show(self, lines: Sequence[L]) -> None:
        """Replace all lines. The cursor stays on its line's key where that is still there, else at its place."""
        before = self.current
        wanted = None if before is None else self.key(before)
        row = self.cursor - self.scroll_offset.y
        shown = self._keys_in_sight()
        self.lines = lines
        if (found := self._index_of(wanted)) is not None:
            place = found
        else:
            place = self._nearest(min(self.cursor, max(0, len(lines) - 1)))
        self.virtual_size = Size(self.columns, len(lines))
        self.set_reactive(VirtualList.cursor, place)
        if self.ANCHORED and self.is_attached and 0 <= row < max(1, self.rows):
            self._scroll_row(place - row)
        if self._keys_in_sight() == shown:
            self.check()
        else:
            self.refresh()
        after = self.current
        if (None if after is None else self.key(after)) != wanted:
            self.post_message(self.Highlighted(self))  # type: ignore[arg-type]

    def _keys_in_sight(self) -> list[Hashable]:
        top = self.scroll_offset.y
        return [self.key(line) for line in self.lines[top : top + self.rows]]

    def _index_of(self, wanted: Hashable | None) -> int | None:
        if wanted is None:
            return None
        lines, key, near = self.lines, self.key, self.cursor
        if near < len(lines) and key(lines[near]) == wanted:
            return near
        return next((index for index, line in enumerate(lines) if key(line) == wanted), None)

    def check(self) -> int:
        """Repaint the visible lines whose stamp is another one than when they were painted; how many those are."""
        top, width = self.scroll_offset.y, self.columns
        visible = range(top, min(top + self.rows, len(self.lines)))
        regions = [Region(0, index - top, width, 1) for index in visible if self._painted(index) is None]
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

    # Painting

    def render_line(self, y: int) -> Strip:
        index, width = y + self.scroll_offset.y, self.columns
        if not 0 <= index < len(self.lines):
            return Strip.blank(width, self.ground)
        return self._painted(index) or self._paint(index)

    def _signature(self, index: int) -> tuple[object, ...]:
        line = self.lines[index]
        selected = index == self.cursor and self.selectable(line)
        return (self.stamp(line), self.columns, selected, selected and self.is_active, self.backdrop(line) is None)

    def _painted(self, index: int) -> Strip | None:
        """The line's strip, if it is painted and still right."""
        known = self._strips.get(self.key(self.lines[index]))
        return known[1] if known and known[0] == self._signature(index) else None

    def _paint(self, index: int) -> Strip:
        line, signature = self.lines[index], self._signature(index)
        _, _, selected, active, _ = signature
        strip = self.paint(line, self.columns).adjust_cell_length(self.columns)
        if selected:
            strip = strip.apply_style(self.palette.cursor if active else self.palette.idle_cursor)
        elif (backdrop := self.backdrop(line)) is not None:
            strip = strip.apply_style(backdrop)
        strip = strip.apply_style(self.ground)
        if len(self._strips) >= MOST_STRIPS:
            self._strips.clear()
        self._strips[self.key(line)] = (signature, strip)
        return strip

    def on_resize(self, event: events.Resize) -> None:
        self._strips.clear()
        self.virtual_size = Size(self.columns, len(self.lines))
        self._keep_in_sight()

    def on_focus(self) -> None:
        self.refresh_lines(self.cursor)

    def on_blur(self) -> None:
        self.refresh_lines(self.cursor)

    # Moving

    def watch_cursor(self, before: int, after: int) -> None:
        self.refresh_lines(before)
        self.refresh_lines(after)
        self._keep_in_sight()
        self.post_message(self.Highlighted(self))  # type: ignore[arg-type]

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self.lines) - 1))

    def go_to(self, wanted: Hashable) -> bool:
        """Put the cursor on the line of that key; says whether there is one."""
        index = self._index_of(wanted)
        if index is None:
            return False
        self.cursor = index
        return True

    def action_move(self, step: int) -> None:
        self._move_to(self.cursor + step, 1 if step > 0 else -1)

    def action_page(self, direction: int) -> None:
        self._move_to(self.cursor + direction * max(1, self.rows - 1), direction)

    def action_edge(self, direction: int) -> None:
        self._move_to(0 if direction < 0 else len(self.lines) - 1, -direction)

    def action_activate(self) -> None:
        if self.current is not None:
            self.post_message(self.Activated(self))  # type: ignore[arg-type]

    def _move_to(self, index: int, direction: int) -> None:
        """Put the cursor at the index, or on the next line it may rest on: that way first, else back from there."""
        count = len(self.lines)
        index = max(0, min(index, count - 1))
        onward = range(index, count) if direction > 0 else range(index, -1, -1)
        backward = range(index, -1, -1) if direction > 0 else range(index, count)
        for place in itertools.chain(onward, backward):
            if place < count and self.selectable(self.lines[place]):
                self.cursor = place
                return

    def _nearest(self, index: int) -> int:
        """The line at the index or the next one after or before it that the cursor may rest on."""
        candidates = itertools.chain(range(index, len(self.lines)), range(index - 1, -1, -1))
        return next((place for place in candidates if self.selectable(self.lines[place])), index)

    def _keep_in_sight(self) -> None:
        top, height = self.scroll_offset.y, self.rows
        if height <= 0:
            return
        first, last = self._around(self.cursor)
        if first < top:
            self._scroll_row(first)
        elif last >= top + height:
            self._scroll_row(min(last - height + 1, self.cursor))

    def _around(self, index: int) -> tuple[int, int]:
        """The line with up to two before and after it where the cursor can't go: no other way leads there."""
        first = last = index
        while first > 0 and index - first < BESIDE and not self.selectable(self.lines[first - 1]):
            first -= 1
        while last + 1 < len(self.lines) and last - index < BESIDE and not self.selectable(self.lines[last + 1]):
            last += 1
        return first, last

    def _scroll_row(self, row: int) -> None:
        self.scroll_to(y=max(0, row), animate=False, force=True)

    # The mouse

    def on_click(self, event: events.Click) -> None:
        index = self._index_at(event)
        if index is None:
            return
        event.stop()
        self.cursor = index
        self.clicked(self.lines[index], event.x, event.chain)

    def clicked(self, line: L, x: int, clicks: int) -> None:
        """The line was clicked at cell `x`; twice opens it."""
        if clicks == 2:
            self.action_activate()

    def _index_at(self, event: events.Click) -> int | None:
        offset = event.get_content_offset(self)
        index = -1 if offset is None else offset.y + self.scroll_offset.y
        return index if 0 <= index < len(self.lines) and self.selectable(self.lines[index]) else None
