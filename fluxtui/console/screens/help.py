"""Help: every key by group, made from the key table with the user's own keys, and a guided tour where there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from fluxtui.fleet.states import State

COLUMN = 48
"""Least width of one column of keys."""
KEYS = 16
"""Width of the keys in it."""
TOUR = 3
"""How far continuation lines of the tour are set in."""
GAP = 3


class HelpScreen(ModalScreen[None], inherit_bindings=False):
    """The keys, and the tour above them."""

    CSS_PATH = stylesheets.path("help")
    BINDINGS: ClassVar[list[BindingType]] = [*keys.DIALOG, *keys.CLOSE]

    def __init__(
        self,
        palette: Palette,
        keymap: Mapping[str, str],
        tour: str = "",
        hidden: Sequence[str] = (),
        glyph: Callable[[State], str] = lambda state: state.glyph,
    ) -> None:
        """`hidden` are ids of bindings that do nothing here; `glyph` is what states are drawn with."""
        super().__init__()
        self._palette = palette
        self._keymap = keymap
        self._tour = tour
        self._hidden = hidden
        self._glyph = glyph

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
        document.set_text(contents(self._palette, self._keymap, self._tour, width, self._hidden, self._glyph))

    def action_cancel(self) -> None:
        self.dismiss()


def contents(
    palette: Palette,
    keymap: Mapping[str, str],
    tour: str,
    width: int,
    hidden: Sequence[str] = (),
    glyph: Callable[[State], str] = lambda state: state.glyph,
) -> list[Paragraph]:
    """The help text for a width: the tour, the keys by group in as many columns as fit, the states, the filter
    language."""
    story: list[Paragraph] = []
    if tour:
        story = [Paragraph(Text("Tour", palette.heading))]
        story += [Paragraph(Text(line, palette.ink), indent=TOUR) for line in _joined(tour)]
        story.append(Paragraph(Text()))
    lines: list[Text] = []
    count = max(1, min(3, width // COLUMN))
    size = width // count - GAP
    groups = []
    for title, rows in keys.by_group(keymap):
        cells = [(shown, binding.tooltip) for shown, binding in rows if binding.id not in hidden]
        groups.append(_group(title, cells, palette, size))
    groups.append(_states(palette, size, glyph))
    groups.append(_group("Mouse", MOUSE, palette, size))
    lines += _columns(groups, count, size)
    lines += _group("Filter", [(name, FIELDS[name]) for name in FIELDS], palette, width)
    lines += [*(Text(line, palette.muted) for line in FILTER_NOTES), Text(), _remapping(palette)]
    return [*story, *(Paragraph(line, indent=KEYS) for line in lines)]


def _joined(tour: str) -> list[str]:
    """The paragraphs of a tour as a line each: what is set in as far as the text of an item continues it, what is set
    in farther is to be typed and stands alone."""
    found: list[str] = []
    for line in tour.strip().splitlines():
        continues = line.startswith(" " * TOUR) and not line[TOUR:].startswith(" ")
        if continues and found and found[-1]:
            found[-1] = f"{found[-1]} {line.strip()}"
        else:
            found.append(line)
    return found


MEANINGS: Mapping[State, str] = {
    State.READY: "as it should be",
    State.PROGRESSING: "its controller is at work",
    State.FAILED: "and tried again",
    State.STALLED: "failed, and not tried again",
    State.OVERDUE: "ready, but long not reconciled",
    State.DELETING: "its finalizers are at work",
    State.SUSPENDED: "held until it is resumed",
    State.UNREACHABLE: "its cluster does not answer",
    State.UNKNOWN: "nothing was said yet",
}
MOUSE = (
    ("click", "Select; on the arrow, open or close"),
    ("double click", "Read the object, jump in a trace"),
    ("click", "On a key below, the key; on a count, filter"),
    ("wheel", "Scroll"),
)
FILTER_NOTES = (
    "Terms beside each other must all hold; or, ! and brackets do what they say: (kind=ks or kind=hr) !ready=true",
    "= is equal or matches * and ?, ~ contains, < and > compare times. A word alone is found in names and messages.",
)


def _states(palette: Palette, size: int, glyph: Callable[[State], str]) -> list[Text]:
    lines = [Text("States", palette.heading)]
    for state, words in MEANINGS.items():
        name = f"{glyph(state)} {state.word}"
        lines.append(Text.assemble((f"{name:<{KEYS}}", palette.token(state.token)), (words, palette.ink)))
        lines[-1].truncate(size, overflow="ellipsis")
    hidden = Text.assemble((f"{f'{glyph(State.FAILED)} 2':<{KEYS}}", palette.token(State.FAILED.token)))
    lines.append(hidden.append("that many in its closed branch", palette.ink))
    lines[-1].truncate(size, overflow="ellipsis")
    return [*lines, Text()]


def _group(title: str, rows: Sequence[tuple[str, str]], palette: Palette, size: int) -> list[Text]:
    lines = [Text(title, palette.heading)]
    for name, words in rows:
        line = Text.assemble((f"{_fitting(name):<{KEYS}}", palette.key), (words, palette.ink))
        line.truncate(size, overflow="ellipsis")
        lines.append(line)
    return [*lines, Text()]


def _fitting(keys_shown: str) -> str:
    """As many of several keys as have room."""
    found, *others = keys_shown.split()
    for key in others:
        if len(found) + 1 + len(key) < KEYS:
            found = f"{found} {key}"
    return found


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
