"""Help: every key by group, made from the key table with the user's own keys, and a guided tour where there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from fluxtui.console import keys, stylesheets
from fluxtui.console.themes import Palette
from fluxtui.console.widgets.document import Document, Paragraph
from fluxtui.fleet.query import FIELDS

COLUMN = 48
"""Least width of one column of keys."""
KEYS = 16
"""Width of the keys in it."""
GAP = 3


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
    """The help text for a width: the tour, the keys by group in as many columns as fit, the filter language."""
    lines: list[Text] = []
    if tour:
        lines += [
            Text("Tour", palette.heading),
            *(Text(line, palette.ink) for line in tour.strip().splitlines()),
            Text(),
        ]
    count = max(1, min(3, width // COLUMN))
    size = width // count - GAP
    groups = []
    for title, rows in keys.by_group(keymap):
        cells = [(shown, binding.tooltip) for shown, binding in rows if binding.id not in hidden]
        groups.append(_group(title, cells, palette, size))
    lines += _columns(groups, count, size)
    lines += _group("Filter", [(name, FIELDS[name]) for name in FIELDS], palette, width)
    lines += [*(Text(line, palette.muted) for line in FILTER_NOTES), Text(), _remapping(palette)]
    return [Paragraph(line, indent=KEYS + 1) for line in lines]


FILTER_NOTES = (
    "Terms beside each other must all hold; or, ! and brackets do what they say: (kind=ks or kind=hr) !ready=true",
    "= is equal or matches * and ?, ~ contains, < and > compare times. A word alone is found in names and messages.",
)


def _group(title: str, rows: Sequence[tuple[str, str]], palette: Palette, size: int) -> list[Text]:
    lines = [Text(title, palette.heading)]
    for name, words in rows:
        line = Text.assemble((f"{name:<{KEYS}}", palette.key), (words, palette.ink))
        line.truncate(size, overflow="ellipsis")
        lines.append(line)
    return [*lines, Text()]


def _columns(groups: Sequence[list[Text]], count: int, size: int) -> list[Text]:
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
            cell.pad_right(size + GAP - cell.cell_len)
            line.append_text(cell)
        line.rstrip()
        lines.append(line)
    return lines


def _remapping(palette: Palette) -> Text:
    return Text.assemble(
        ("Every key can be changed in the settings file by its id, as the command palette shows it: ", palette.muted),
        ("console: {keymap: {reconcile: ctrl+r}}", palette.ink),
    )
