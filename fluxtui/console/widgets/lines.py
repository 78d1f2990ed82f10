"""The virtual list: painted lines with a cursor that keys and the mouse move."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import var

from fluxtui.console import keys
from fluxtui.console.widgets.painting import L, PaintedLines

BESIDE = 2
"""Lines without a cursor that are kept in sight beside the cursor's."""
JUMP_PLACE = 3
"""A jump out of sight ends at this part of the height from the top, so that what follows is seen too."""


class VirtualList(PaintedLines[L], can_focus=True, inherit_bindings=False):
    """A list of one-cell-high lines with a cursor that stays on its line's key when lines move."""

    DEFAULT_CSS = "VirtualList { overflow-x: hidden; overflow-y: auto; }"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.LIST]
    ANCHORED: ClassVar[bool] = True
    """Whether the cursor's line keeps its place on the screen when lines above it come and go."""

    cursor: var[int] = var(0)

    @dataclass
    class Highlighted(Message):
        """The cursor is on another line now, or the line under it is another one."""

        sender: VirtualList[Any]

        @property
        def control(self) -> VirtualList[Any]:
            return self.sender

    @dataclass
    class Activated(Message):
        """Enter or a double click on the cursor's line."""

        sender: VirtualList[Any]

        @property
        def control(self) -> VirtualList[Any]:
            return self.sender

    def selectable(self, line: L) -> bool:
        """Whether the cursor may rest on the line."""
        return True

    def is_selected(self, index: int) -> bool:
        return index == self.cursor and self.selectable(self.lines[index])

    # What is shown

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
        self.measure()
        self.set_reactive(VirtualList.cursor, place)
        if self.ANCHORED and self.is_attached and 0 <= row < max(1, self.rows):
            self._scroll_row(place - row)
        if self._keys_in_sight() == shown:
            self.check()
        else:
            self.refresh()
        after = self.current
        if (None if after is None else self.key(after)) != wanted:
            self.post_message(self.Highlighted(self))

    def _keys_in_sight(self) -> list[Hashable]:
        return [self.key(line) for line in self.lines_in_sight]

    def _index_of(self, wanted: Hashable | None) -> int | None:
        if wanted is None:
            return None
        lines, key, near = self.lines, self.key, self.cursor
        if near < len(lines) and key(lines[near]) == wanted:
            return near
        try:
            return list(map(key, lines)).index(wanted)
        except ValueError:
            return None

    def on_resize(self, event: events.Resize) -> None:
        self._strips.clear()
        self.measure()
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
        self.post_message(self.Highlighted(self))

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self.lines) - 1))

    def go_to(self, wanted: Hashable) -> bool:
        """Put the cursor on the line of that key; says whether there is one."""
        index = self._index_of(wanted)
        if index is None:
            return False
        self.jump(index)
        return True

    def jump(self, index: int) -> None:
        """Put the cursor on the line at the index; where that is out of sight, show what stands around it."""
        if not 0 <= index - self.scroll_offset.y < self.rows:
            self._scroll_row(index - self.rows // JUMP_PLACE)
        self.cursor = index

    def make_room(self, count: int) -> None:
        """Scroll so that up to `count` lines below the cursor are in sight, and the cursor still is."""
        lowest = min(self.cursor + count, len(self.lines) - 1)
        if lowest >= self.scroll_offset.y + self.rows > 0:
            self._scroll_row(min(lowest - self.rows + 1, self.cursor))

    def action_move(self, step: int) -> None:
        self._move_to(self.cursor + step, 1 if step > 0 else -1)

    def action_page(self, direction: int) -> None:
        self._move_to(self.cursor + direction * max(1, self.rows - 1), direction)

    def action_edge(self, direction: int) -> None:
        self._move_to(0 if direction < 0 else len(self.lines) - 1, -direction)

    def action_activate(self) -> None:
        if self.current is not None:
            self.post_message(self.Activated(self))

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
