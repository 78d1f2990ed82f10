"""The line under the header: the filter on the left, what is wrong with it, and the views on the right."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from fluxtui.console.themes import Palette
from fluxtui.console.widgets.chrome import Tabs
from fluxtui.console.widgets.fields import SearchField
from fluxtui.fleet.lines import View

VIEW_LABELS: dict[View, str] = {
    View.KIND: "by kind",
    View.OWNERSHIP: "ownership",
    View.SOURCE: "source",
    View.FAILURE: "failure",
    View.FLAT: "flat",
}

EXAMPLE = "state!=ready or cluster=prod-*"


class FilterLine(Horizontal):
    """The filter and the views."""

    BLANK = True
    DEFAULT_CSS = """
    FilterLine { height: 1; }
    FilterLine > #filter-sign { width: 3; }
    FilterLine > SearchField { width: 1fr; }
    FilterLine > #filter-problem { width: auto; max-width: 65%; text-wrap: nowrap; text-overflow: ellipsis; }
    FilterLine > Tabs { width: auto; }
    """

    class Changed(Message):
        """The text is another one."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """The user is done with the field."""

    def __init__(self, palette: Palette, text: str, view: View, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.palette = palette
        self._text = text
        self._view = view
        self._problem = ""

    def compose(self) -> ComposeResult:
        yield Static(Text(" / ", self.palette.link), id="filter-sign")
        yield SearchField(self._text, placeholder=EXAMPLE, compact=True, id="filter-field", select_on_focus=False)
        yield Static("", id="filter-problem")
        tabs = Tabs(self.palette, [(view.value, label) for view, label in VIEW_LABELS.items()], bar=False, id="views")
        tabs.active = self._view.value
        yield tabs

    def use_palette(self, palette: Palette) -> None:
        self.palette = palette
        self.query_one("#filter-sign", Static).update(Text(" / ", palette.link))
        self.query_one(Tabs).use_palette(palette)

    @property
    def field(self) -> SearchField:
        """Where the user types."""
        return self.query_one(SearchField)

    def set_text(self, text: str) -> None:
        """Put a text into the field, as if typed."""
        self.query_one(SearchField).value = text

    def set_problem(self, problem: str) -> None:
        """Say what is wrong with the text, in place of the views; nothing takes the words away."""
        if problem == self._problem:
            return
        self._problem = problem
        self.query_one("#filter-problem", Static).update(Text(f"  {problem} " if problem else "", self.palette.error))
        self.query_one(Tabs).display = not problem

    def set_view(self, view: View) -> None:
        self.query_one(Tabs).activate(view.value)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Left())
