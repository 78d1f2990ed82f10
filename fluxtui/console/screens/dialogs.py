"""Small dialogs: a question with a few answers, and a form of one or more fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from fluxtui.console import keys, stylesheets
from fluxtui.console.themes import Palette
from fluxtui.console.widgets.chrome import Words
from fluxtui.console.widgets.fields import TextField
from fluxtui.console.widgets.strips import as_key


@dataclass(frozen=True)
class Answer:
    """One answer of a question: the letter that gives it, what it says, and what it means to the caller."""

    letter: str
    label: str
    value: str


class QuestionScreen(ModalScreen[str | None], inherit_bindings=False):
    """A question; the answer's letter or a click gives it, Escape gives none."""

    CSS_PATH = stylesheets.path("dialogs")
    BINDINGS: ClassVar[list[BindingType]] = [*keys.DIALOG]

    def __init__(self, palette: Palette, title: str, detail: str, answers: Sequence[Answer]) -> None:
        super().__init__()
        self._palette = palette
        self._title = title
        self._detail = detail
        self._answers = {answer.letter: answer for answer in answers}

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(self._title, self._palette.strong), classes="dialog-title")
            if self._detail:
                yield Static(Text(self._detail, self._palette.ink), classes="dialog-detail")
            for answer in self._answers.values():
                line = Text.assemble((f"{answer.letter:<5}", self._palette.key), (answer.label, self._palette.ink))
                yield Static(line, classes="dialog-answer", name=answer.value)
            line = Text.assemble((f"{'esc':<5}", self._palette.key), ("leave it", self._palette.muted))
            yield Static(line, classes="dialog-answer", name="")

    def on_key(self, event: events.Key) -> None:
        if event.character in self._answers:
            event.stop()
            self.dismiss(self._answers[event.character].value)

    @on(events.Click, ".dialog-answer")
    def _clicked(self, event: events.Click) -> None:
        name = event.widget.name if event.widget else None
        self.dismiss(name or None)

    def action_cancel(self) -> None:
        self.dismiss(None)


@dataclass(frozen=True)
class Field:
    """A field of a form."""

    name: str
    label: str
    placeholder: str = ""
    check: Callable[[str], str | None] = lambda value: None
    """Says what is wrong with a value, or None."""


class FormScreen(ModalScreen[dict[str, str] | None], inherit_bindings=False):
    """Fields over a title; Enter in the last field, or anywhere when all are filled rightly, hands in the values."""

    CSS_PATH = stylesheets.path("dialogs")
    BINDINGS: ClassVar[list[BindingType]] = [*keys.DIALOG]

    def __init__(self, palette: Palette, title: str, detail: str, fields: Sequence[Field], verb: str) -> None:
        super().__init__()
        self._palette = palette
        self._title = title
        self._detail = detail
        self._fields = fields
        self._verb = verb

    def compose(self) -> ComposeResult:
        width = max(len(field.label) for field in self._fields) + 2
        with Vertical(classes="dialog"):
            yield Static(Text(self._title, self._palette.strong), classes="dialog-title")
            if self._detail:
                yield Static(Text(self._detail, self._palette.ink), classes="dialog-detail")
            for field in self._fields:
                with Horizontal(classes="dialog-field"):
                    yield Static(Text(field.label.ljust(width), self._palette.muted), classes="dialog-label")
                    yield TextField(placeholder=field.placeholder, name=field.name, compact=True)
            yield Static("", classes="dialog-problem")
            yield Words(self._hint(), classes="dialog-hint")

    def _hint(self) -> Text:
        keys_shown = [("enter", self._verb)]
        if len(self._fields) > 1:
            keys_shown.append(("tab", "next field"))
        return hint([*keys_shown, ("escape", "leave it")], self._palette)

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        inputs = {field.name or "": field for field in self.query(Input)}
        for field in self._fields:
            if problem := field.check(inputs[field.name].value.strip()):
                self.query_one(".dialog-problem", Static).update(Text(problem, self._palette.error))
                inputs[field.name].focus()
                return
        self.dismiss({name: field.value.strip() for name, field in inputs.items()})

    def action_cancel(self) -> None:
        self.dismiss(None)


def hint(keys_shown: Sequence[tuple[str, str]], palette: Palette) -> Text:
    """`enter suspend   esc leave it`: keys, in Textual's long names, and what they do; a click is the key."""
    parts = [
        as_key(Text.assemble((f"{keys.shown(key)} ", palette.key), (words, palette.muted)), key)
        for key, words in keys_shown
    ]
    return Text("   ").join(parts)
