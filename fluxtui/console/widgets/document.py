"""Text of any length in the pane: wrapped or cut lines, a search, lines that lead to an object, following the end."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.strip import Strip

from fluxtui.console import keys
from fluxtui.console.themes import Palette
from fluxtui.console.widgets.lines import VirtualList
from fluxtui.console.widgets.strips import segments

NO_BREAK = "\u00a0"
"""Drawn as a space, never broken at."""


_JOINTS = frozenset("/,;:=@-_.|&?)]}")
"""Behind these a word that fits into no line is broken rather than anywhere."""


class Paragraph(NamedTuple):
    """One logical line, or several that belong together: the text, what it is about, and how far the lines behind the
    first are indented."""

    text: Text
    target: Hashable | None = None
    """What Enter on the line leads to; the cursor rests on such lines only."""
    indent: int = 0


class Piece(NamedTuple):
    """One line on the screen: a part of a paragraph."""

    paragraph: int
    part: int
    text: Text
    target: Hashable | None


class Document(VirtualList[Piece]):
    """A scrolling text. Without lines that lead anywhere the movement keys scroll, and there is no cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [*keys.DOCUMENT]
    ANCHORED: ClassVar[bool] = False

    def __init__(self, palette: Palette, *, id: str | None = None) -> None:
        super().__init__(palette, id=id)
        self.paragraphs: Sequence[Paragraph] = ()
        self.wraps = True
        self.follows = False
        self.search = ""
        self._version = 0
        self._width = 0
        self._folds: dict[int, tuple[Paragraph, list[Text]]] = {}
        """The lines of each paragraph for this width, by its identity: of a long log only new ones are folded."""
        self._has_targets = False

    # What is shown

    def set_text(self, paragraphs: Sequence[Paragraph], *, top: bool = False) -> None:
        """Show these paragraphs; `top` scrolls to the beginning, as for another object."""
        self.paragraphs = paragraphs
        self._has_targets = any(paragraph.target is not None for paragraph in paragraphs)
        self._lay_out()
        if self.follows:
            self._scroll_row(max(0, len(self.lines) - self.rows))
        elif top:
            self._scroll_row(0)

    def _lay_out(self) -> None:
        self._version += 1
        if self._width != self.columns:
            self._folds = {}
        self._width = self.columns
        width = max(8, self.columns - 2)
        before, self._folds = self._folds, {}
        pieces: list[Piece] = []
        for number, paragraph in enumerate(self.paragraphs):
            known = before.get(id(paragraph))
            folded = known if known and known[0] is paragraph else (paragraph, self._fold(paragraph, width))
            self._folds[id(paragraph)] = folded
            texts = folded[1] if self.wraps else _lines(paragraph)
            pieces += [Piece(number, part, text, paragraph.target) for part, text in enumerate(texts)]
        self.show(pieces)

    def _fold(self, paragraph: Paragraph, width: int) -> list[Text]:
        folded: list[Text] = []
        for line in _lines(paragraph):
            if line.cell_len <= width:
                folded.append(line)
                continue
            indent = min(paragraph.indent, width // 2)
            first, *rest = line.divide(_breaks(line.plain, width, width - indent))
            for part in (first, *rest):
                part.rstrip()
            folded += [first, *(Text(" " * indent).append_text(_without_lead(part)) for part in rest)]
        return folded

    def key(self, line: Piece) -> Hashable:
        return (line.paragraph, line.part)

    def stamp(self, line: Piece) -> object:
        return (self._version, self.search)

    def selectable(self, line: Piece) -> bool:
        return line.target is not None

    def paint(self, line: Piece, width: int) -> Strip:
        text = line.text.copy()
        text.plain = text.plain.replace(NO_BREAK, " ")
        text.truncate(width - 1, overflow="ellipsis")
        if self.search:
            for hit in re.finditer(re.escape(self.search), text.plain, re.IGNORECASE):
                text.stylize(self.palette.match, *hit.span())
        return Strip([Segment(" "), *segments(text, self.app.console)])

    def on_resize(self, event: events.Resize) -> None:
        self._fit()

    def on_show(self) -> None:
        self._fit()

    def _fit(self) -> None:
        """Lay the text out for the width there is; while the widget was hidden there was none."""
        if self.columns != self._width:
            self._strips.clear()
            self._lay_out()
        if self.follows:
            self._scroll_row(max(0, len(self.lines) - self.rows))

    # Moving

    def action_move(self, step: int) -> None:
        if self._has_targets:
            super().action_move(step)
        else:
            self._scroll_by(step)

    def action_page(self, direction: int) -> None:
        if self._has_targets:
            super().action_page(direction)
        else:
            self._scroll_by(direction * max(1, self.rows - 1))

    def action_edge(self, direction: int) -> None:
        if self._has_targets:
            super().action_edge(direction)
        else:
            self._scroll_by(direction * len(self.lines))

    def _scroll_by(self, rows: int) -> None:
        row = max(0, min(self.scroll_offset.y + rows, len(self.lines) - self.rows))
        if rows < 0:
            self.follows = False
        self._scroll_row(row)

    def action_wrap(self) -> None:
        self.wraps = not self.wraps
        self._lay_out()

    # Searching

    def find(self, text: str) -> int:
        """Highlight all places of `text`, whatever its case, and show the first from here on; the number of lines."""
        self.search = text
        self.repaint()
        if text:
            self.action_next_hit(0)
        return sum(text.lower() in line.text.plain.lower() for line in self.lines) if text else 0

    def action_next_hit(self, direction: int) -> None:
        """Scroll to the next (1), previous (-1) or first line from here on (0) that holds the search text."""
        needle, count = self.search.lower(), len(self.lines)
        if not needle or not count:
            return
        start, step = self.scroll_offset.y + direction, direction or 1
        for offset in range(count):
            index = (start + offset * step) % count
            if needle in self.lines[index].text.plain.lower():
                self.follows = False
                self._scroll_row(index)
                return


def _without_lead(text: Text) -> Text:
    return text[len(text.plain) - len(text.plain.lstrip(" ")) :]


def _lines(paragraph: Paragraph) -> list[Text]:
    """The lines that the text itself has; all but the first are indented."""
    if "\n" not in paragraph.text.plain:
        return [paragraph.text]
    first, *rest = paragraph.text.split("\n")
    return [first, *(Text(" " * paragraph.indent).append_text(line) for line in rest)]


def _breaks(plain: str, width: int, later: int) -> list[int]:
    """Where to break a line into lines of `width` cells, all but the first of `later`: behind spaces; a word that fits
    into none of them behind the last of its joints there is room for, and where the room ends if it has none.

    No-break spaces hold together what belongs together.
    """
    found: list[int] = []
    start = used = space = joint = 0
    # Whether the line has anything but spaces yet: breaking behind its indentation would help nobody.
    inked = False
    for index, character in enumerate(plain):
        size = cell_len(character)
        room = later if found else width
        if used + size > room:
            word = plain[space : space + later + 1].partition(" ")[0]
            fits = cell_len(word) <= later
            if space > start and (fits or (joint <= space and not _JOINTS.isdisjoint(word))):
                cut = space
            else:
                cut = joint if joint > max(start, space) else index
            found.append(cut)
            used = cell_len(plain[cut:index])
            start, inked = cut, bool(plain[cut:index].strip())
        used += size
        if character != " ":
            inked = True
            if character in _JOINTS:
                joint = index + 1
        elif inked:
            space = index + 1
    return found
