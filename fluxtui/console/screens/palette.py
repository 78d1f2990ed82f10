"""The command palette: every action, view, cluster, kind and theme by name, found by a few letters of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Input

from fluxtui.console import keys, stylesheets
from fluxtui.console.themes import Palette
from fluxtui.console.widgets.fields import TextField
from fluxtui.console.widgets.lines import VirtualList
from fluxtui.console.widgets.strips import segments

NAMES = 22
"""Cells of the column of names; longer ones push their help aside."""


@dataclass(frozen=True)
class Command:
    """An entry: what to type, what it does, the key that does the same, and the deed."""

    name: str
    help: str
    run: Callable[[], None]
    key: str = ""


class CommandList(VirtualList[Command], can_focus=False):
    """The commands that match, best first."""

    def key(self, line: Command) -> str:
        return line.name

    def stamp(self, line: Command) -> object:
        return ""

    def paint(self, line: Command, width: int) -> Strip:
        name = Text.assemble(f" {line.name:<{NAMES}} ", (line.help, self.palette.muted), style=self.palette.ink, end="")
        key = Text(f"{line.key} ", self.palette.key, end="")
        name.truncate(max(0, width - key.cell_len - 1), overflow="ellipsis", pad=True)
        return Strip([*segments(name, self.app.console), *segments(key, self.app.console)])

    def clicked(self, line: Command, x: int, clicks: int) -> None:
        self.action_activate()

    @property
    def is_active(self) -> bool:
        return True


class PaletteScreen(ModalScreen[Command | None], inherit_bindings=False):
    """A field and the commands that match it; Enter runs the one under the bar, a click the one it hits."""

    CSS_PATH = stylesheets.path("palette")
    BINDINGS: ClassVar[list[BindingType]] = [*keys.DIALOG, *keys.PICK]

    def __init__(self, palette: Palette, commands: Sequence[Command]) -> None:
        super().__init__()
        self._palette = palette
        self._commands = commands
        self._ahead = ""

    def compose(self) -> ComposeResult:
        with Vertical(id="palette"):
            yield TextField(placeholder="a command, view, cluster or kind", id="palette-input", compact=True)
            yield CommandList(self._palette, id="palette-list")

    def on_mount(self) -> None:
        self.query_one(CommandList).show(self._commands)
        field = self.query_one(Input)
        self.set_focus(field)
        field.value = self._ahead
        field.cursor_position = len(self._ahead)

    def on_key(self, event: events.Key) -> None:
        """Letters typed before the field was there belong into it."""
        if self.focused is None and event.character and event.is_printable:
            self._ahead += event.character

    @on(Input.Changed, "#palette-input")
    def _narrow(self, event: Input.Changed) -> None:
        matching = self.query_one(CommandList)
        matching.show(ranked(self._commands, event.value))
        matching.action_edge(-1)

    @on(Input.Submitted, "#palette-input")
    def _run(self) -> None:
        self.dismiss(self.query_one(CommandList).current)

    @on(VirtualList.Activated)
    def _clicked(self) -> None:
        self._run()

    def action_pick(self, step: int) -> None:
        self.query_one(CommandList).action_move(step)

    def action_cancel(self) -> None:
        self.dismiss(None)


def ranked(commands: Sequence[Command], query: str) -> list[Command]:
    """The commands whose name or help holds the query's letters in order, best first; all of them without a query."""
    query = query.strip().lower()
    if not query:
        return list(commands)
    scored = [(_score(command, query), command) for command in commands]
    return [command for score, command in sorted(scored, key=lambda pair: -pair[0]) if score]


def _score(command: Command, query: str) -> float:
    """The better the place of the match, the more; shorter names win among equals; 0 for no match."""
    name = command.name.lower()
    brevity = 1 / (2 + len(name))
    if name == query:
        return 6
    if name.startswith(query):
        return 5 + brevity
    if any(word.startswith(query) for word in name.replace("-", " ").split()):
        return 4 + brevity
    if query in name:
        return 3 + brevity
    letters = iter(name)
    if all(letter in letters for letter in query.replace(" ", "")):
        return 2 + brevity
    return 1 + brevity if query in command.help.lower() else 0
