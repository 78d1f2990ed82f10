"""The error screen: what is shown when the console itself has a bug, with a traceback to copy."""

from __future__ import annotations

import platform
import sys
import traceback
from typing import ClassVar

import textual
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static
from textual.worker import WorkerFailed

import fluxtui
from fluxtui.console import keys, stylesheets
from fluxtui.console.themes import THEMES, Palette, palette
from fluxtui.console.widgets.document import Document, Paragraph
from fluxtui.fleet.text import lines as clean_lines


def report(error: BaseException) -> str:
    """Versions and the traceback, without the values of variables: they may hold secrets."""
    if isinstance(error, WorkerFailed):
        error = error.error
    lines = traceback.format_exception(error)
    versions = f"fluxtui {fluxtui.__version__}, Textual {textual.__version__}, Python {sys.version.split()[0]}"
    return clean_lines(f"{versions}, {platform.system()}\n\n{''.join(lines)}")


class CrashApp(App[None], inherit_bindings=False):
    """Runs after the console has gone down: a fresh app, since the broken one can't be trusted to draw itself."""

    CSS_PATH = stylesheets.path("crash")
    BINDINGS: ClassVar[list[BindingType]] = [*keys.CRASH]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, text: str, theme: str = "") -> None:
        super().__init__()
        for known in THEMES:
            self.register_theme(known)
        self.theme = theme or THEMES[0].name
        self._text = text

    @property
    def palette(self) -> Palette:
        return palette(self.theme_variables)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._headline(), id="crash-title")
            yield Document(self.palette, id="crash-text")
            yield Static(self._hints(), id="crash-keys")

    def on_mount(self) -> None:
        styles = self.palette
        lines = [Paragraph(Text(line, styles.muted), indent=4) for line in self._text.rstrip().splitlines()]
        if lines:
            lines[-1] = Paragraph(Text(lines[-1].text.plain, styles.error), indent=4)
        document = self.query_one(Document)
        document.set_text(lines)
        document.action_edge(1)
        document.focus()

    def _headline(self) -> Text:
        styles = self.palette
        return Text.assemble(
            ("fluxtui has a bug and had to stop.", styles.strong),
            ("\nNothing on your clusters is left half done: what was asked of them goes on there.", styles.muted),
        )

    def _hints(self) -> Text:
        styles = self.palette
        return Text.assemble(
            (" c", styles.key), (" copy the report  ", styles.muted), ("q", styles.key), (" leave", styles.muted)
        )

    def action_copy(self) -> None:
        self.copy_to_clipboard(self._text)
        self.notify("The report is in the clipboard.", markup=False)
