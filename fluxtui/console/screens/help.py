"""Help: every key by group, made from the key table with the user's own keys, and a guided tour where there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from fluxtui.console import keys, stylesheets
from fluxtui.console.themes import Palette
from fluxtui.console.widgets.document import Document, Paragraph

COLUMN = 46
"""Width of one column of keys."""


class HelpScreen(ModalScreen[None], inherit_bindings=False):
    """The keys, and the tour above them."""

    CSS_PATH = stylesheets.path("help")
    BINDINGS: ClassVar[list[BindingType]] = [*keys.DIALOG, *keys.CLOSE]

    def __init__(self, palette: Palette, keymap: Mapping[str, str], tour: str = "", hidden: Sequence[str] = ()) -> None:
        """`hidden` are ids of bindings that do nothing here."""
        super().__init__()
        self._palette = palette
        self._keymap = keymap
        self._tour = tour
        self._hidden = hidden

    def compose(self) -> ComposeResult:
        with Vertical(id="help"):
            yield Document(self._palette, id="help-text")

    def on_mount(self) -> None:
        self._fill()

    def on_resize(self, event: events.Resize) -> None:
        self._fill()

    def _fill(self) -> None:
        document = self.query_one(Document)
        width = document.size.width or self.app.size.width - 8
        document.set_text(contents(self._palette, self._keymap, self._tour, width, self._hidden))

    def action_cancel(self) -> None:
        self.dismiss()


def contents(
    palette: Palette, keymap: Mapping[str, str], tour: str, width: int, hidden: Sequence[str] = ()
) -> list[Paragraph]:
    """The help text for a width: the tour, then the groups of keys in as many columns as fit."""
    lines: list[Text] = []
    if tour:
        lines += [Text("Tour", palette.heading), Text()]
        lines += [Text(line, palette.ink) for line in tour.strip().splitlines()]
        lines.append(Text())
    shown = [(title, [row for row in rows if row[1].id not in hidden]) for title, rows in keys.by_group(keymap)]
    groups = [_group(title, rows, palette) for title, rows in shown]
    lines += _columns(groups, max(1, min(3, width // COLUMN)))
    lines += [Text(), _remapping(palette)]
    return [Paragraph(line, indent=2) for line in lines]


def _group(title: str, rows: Sequence[tuple[str, Binding]], palette: Palette) -> list[Text]:
    lines = [Text(title, palette.heading)]
    for shown, binding in rows:
        line = Text.assemble((f"{shown:<13}", palette.key), (" ", palette.ink), (binding.tooltip, palette.ink))
        line.truncate(COLUMN - 2, overflow="ellipsis")
        lines.append(line)
    return [*lines, Text()]


def _columns(groups: Sequence[list[Text]], count: int) -> list[Text]:
    """The groups side by side, each column about as long as the others, in reading order down and then right."""
    height = -(-sum(map(len, groups)) // count)
    columns: list[list[Text]] = [[]]
    for group in groups:
        if columns[-1] and len(columns[-1]) + len(group) // 2 > height and len(columns) < count:
            columns.append([])
        columns[-1] += group
    lines = []
    for row in range(max(map(len, columns))):
        line = Text()
        for column in columns:
            cell = column[row].copy() if row < len(column) else Text()
            cell.pad_right(COLUMN - cell.cell_len)
            line.append_text(cell)
        line.rstrip()
        lines.append(line)
    return lines


def _remapping(palette: Palette) -> Text:
    return Text.assemble(
        ("Every key can be changed in the settings file, by its id: ", palette.muted),
        ("console: {keymap: {reconcile: ctrl+r}}", palette.ink),
    )
