"""The fleet tree: the lines of `fluxtui.fleet.tree` in a virtual list, with branches, marks and pending outcomes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import ClassVar

import msgspec
from rich.style import Style
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from fluxtui.console import columns, keys
from fluxtui.console.cells import paint
from fluxtui.console.columns import Brush
from fluxtui.console.themes import Palette
from fluxtui.console.widgets.lines import VirtualList
from fluxtui.fleet.lines import Line, LineType
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.states import State

ROOM = 5
"""Lines that are kept free below an object that opens: its children are on their way."""


class FleetTree(VirtualList[Line]):
    """The tree; its screen decides what is open and hands it new lines."""

    BINDINGS: ClassVar[list[BindingType]] = [*keys.TREE]

    @dataclass
    class Toggled(Message):
        """A branch is to be opened or closed; `below` says with everything under it."""

        line: Line
        opened: bool
        below: bool = False

    @dataclass
    class Marked(Message):
        """The marks are other ones now."""

        marks: frozenset[Ref]

    @dataclass
    class Sought(Message):
        """The next (1) or previous (-1) match is wanted, in folded branches too."""

        direction: int

    def __init__(self, brush: Brush, *, id: str | None = None) -> None:
        super().__init__(brush.palette, id=id)
        self.brush = brush
        self.marks: set[Ref] = set()
        self.pending: dict[Ref, str] = {}
        """Objects whose outcome is waited for, and what was asked of them."""
        self.matches: Callable[[Row], bool] | None = None
        """What the filter means; None without one."""
        self.nests = False
        """Whether objects are found below others only: then matches are sought there, too."""
        self._anchor: Hashable | None = None

    # Painting

    def key(self, line: Line) -> Hashable:
        return line.key

    def stamp(self, line: Line) -> object:
        return (columns.stamp(line, self.brush), columns.badge(line, self.marks, self.pending, self.brush)[0])

    def selectable(self, line: Line) -> bool:
        return line.type != LineType.NOTICE

    def backdrop(self, line: Line) -> Style | None:
        return self.palette.mark if line.ref in self.marks and line.type == LineType.OBJECT else None

    def paint(self, line: Line, width: int) -> Strip:
        mark, style = columns.badge(line, self.marks, self.pending, self.brush)
        cells = msgspec.structs.replace(columns.cells(line, self.brush), badge=mark, badge_style=style)
        return paint(cells, width, self.palette, self.brush.glyphs)

    def use_palette(self, palette: Palette) -> None:
        self.brush.palette = palette
        super().use_palette(palette)

    # Branches

    def action_activate(self) -> None:
        line = self.current
        if line and line.opens and line.type not in (LineType.OBJECT, LineType.CHILD):
            self._toggle(line, opened=not line.opened)
        else:
            super().action_activate()

    def action_unfold(self) -> None:
        line = self.current
        if line is None:
            return
        if line.opens and not line.opened:
            self._toggle(line, opened=True)
        elif line.opened:
            self.action_move(1)

    def action_fold(self) -> None:
        line = self.current
        if line is None:
            return
        if line.opened:
            self._toggle(line, opened=False)
            return
        for index in range(self.cursor - 1, -1, -1):
            if self.lines[index].depth < line.depth:
                self.cursor = index
                return

    def action_unfold_all(self) -> None:
        line = self.current
        if line and line.opens:
            self.post_message(self.Toggled(line, opened=not line.opened, below=True))

    def show_branch(self) -> None:
        """Scroll so that what has just been opened under the cursor is in sight."""
        line = self.current
        if line is not None:
            below = itertools.islice(self.lines, self.cursor + 1, self.cursor + 1 + self.rows)
            count = sum(1 for _ in itertools.takewhile(lambda child: child.depth > line.depth, below))
            self.make_room(max(count, ROOM) if line.type == LineType.OBJECT else count)

    def _toggle(self, line: Line, *, opened: bool) -> None:
        self.post_message(self.Toggled(line, opened))

    def clicked(self, line: Line, x: int, clicks: int) -> None:
        if line.opens and 2 * line.depth < x < 2 * line.depth + 3:
            self._toggle(line, opened=not line.opened)
        elif clicks == 2:
            self.action_activate()

    @property
    def manager(self) -> Ref | None:
        """The row that the CHILD line under the cursor stands below; None on other lines."""
        line = self.current
        if line is None or line.type != LineType.CHILD:
            return None
        above = (self.lines[index] for index in range(self.cursor - 1, -1, -1))
        return next((each.ref for each in above if each.type == LineType.OBJECT and each.depth < line.depth), None)

    # Marks

    def action_mark(self) -> None:
        """Mark or unmark what the line stands for, and move on."""
        line = self.current
        if line is None:
            return
        refs = set(self.brush.tree.members(line))
        if not refs:
            return
        self._anchor = line.key
        self._set_marks(self.marks - refs if refs <= self.marks else self.marks | refs)
        self.action_move(1)

    def action_mark_range(self) -> None:
        """Mark the objects from the line marked last to this one."""
        start = self._index_of(self._anchor)
        start = self.cursor if start is None else start
        low, high = sorted((start, self.cursor))
        refs = {line.ref for line in self.lines[low : high + 1] if line.type == LineType.OBJECT and line.ref}
        if self.current:
            self._anchor = self.current.key
        self._set_marks(self.marks | refs)

    def clear_marks(self) -> None:
        """Remove all marks."""
        self._anchor = None
        self._set_marks(set())

    def _set_marks(self, marks: set[Ref]) -> None:
        if marks == self.marks:
            return
        self.marks = marks
        self.check()
        self.post_message(self.Marked(frozenset(marks)))

    # Matches

    def action_next_match(self, direction: int) -> None:
        """The next object that the filter means; without a filter, the next one in trouble."""
        self.post_message(self.Sought(direction))

    def seek(self, direction: int) -> Line | None:
        """Go to the next match; where a folded branch hides one before it, return that branch and stay."""
        count = len(self.lines)
        for offset in range(0 if direction > 0 else 1, count + 1):
            index = (self.cursor + direction * offset) % count
            line = self.lines[index]
            if self._hides_match(line):
                return line
            if offset and self._is_match(line):
                self.jump(index)
                return None
        return None

    def _hides_match(self, line: Line) -> bool:
        """Whether it is a folded branch of several objects, one of which is a match and has no line elsewhere."""
        if line.opened or not line.opens or line.type == LineType.CHILD:
            return False
        if line.type == LineType.OBJECT:
            return self.nests and self._hides_below(line)
        return any(self._fits(ref) for ref in self.brush.tree.members(line))

    def _hides_below(self, line: Line) -> bool:
        """Whether a folded object hides a match: what the filter lets through, else what is not well."""
        if line.filtered:
            return any(self._fits(ref) for ref in line.members)
        return self.matches is None and any(self.brush.tree.hidden(line))

    def _is_match(self, line: Line) -> bool:
        if line.type == LineType.CHILD and line.child:
            return self.matches is None and line.child.state in (State.FAILED, State.STALLED)
        return line.type == LineType.OBJECT and line.ref is not None and self._fits(line.ref)

    def _fits(self, ref: Ref) -> bool:
        row = self.brush.mirror.rows.get(ref)
        if row is None:
            return False
        return self.matches(row) if self.matches else row.state.is_trouble
