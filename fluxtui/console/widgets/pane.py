"""The detail pane: a title, tabs, and the text of the active one."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from fluxtui.console import keys
from fluxtui.console.columns import Brush
from fluxtui.console.themes import Palette
from fluxtui.console.widgets.chrome import Bar, Bit, Tabs
from fluxtui.console.widgets.document import Document, Paragraph
from fluxtui.console.widgets.fields import SearchField
from fluxtui.fleet.lines import Line, LineType
from fluxtui.fleet.past import keeps_history
from fluxtui.fleet.text import one_line

OVERVIEW, EVENTS, LOGS, TRACE, DIFF, HISTORY, YAML = "overview", "events", "logs", "trace", "diff", "history", "yaml"
ALL_TABS = (
    (OVERVIEW, "Overview"),
    (EVENTS, "Events"),
    (LOGS, "Logs"),
    (TRACE, "Trace"),
    (DIFF, "Diff"),
    (HISTORY, "History"),
    (YAML, "YAML"),
)
ONE_TAB = ALL_TABS[:1]


class Wish(enum.Enum):
    """What can be wanted of the text of a tab."""

    REVEAL = "reveal"
    """The data of a Secret, or its mask."""
    MANAGED_FIELDS = "managed_fields"
    FOLLOW = "follow"
    COPY = "copy"


def tabs_of(line: Line | None) -> Sequence[tuple[str, str]]:
    """The tabs that have something to say about a line."""
    if line is None or line.ref is None or line.type not in (LineType.OBJECT, LineType.CHILD):
        return ONE_TAB
    missing = [] if keeps_history(line.ref) else [HISTORY]
    if line.ref.kind == "Pod":
        missing.append(DIFF)
    return [tab for tab in ALL_TABS if tab[0] not in missing]


def reason_against(line: Line | None, tab: str) -> str:
    """Why a line has no such tab, as a sentence; empty when it has one."""
    if line is None or tab in dict(tabs_of(line)):
        return ""
    if line.ref is None or line.type not in (LineType.OBJECT, LineType.CHILD):
        return "Select an object: what stands for several has an overview only."
    if tab == HISTORY:
        return f"Objects of kind {line.ref.kind} keep no earlier revisions; Kustomizations and HelmReleases do."
    return "A Pod is made by its workload, not applied: there is nothing to compare it with."


class DetailPane(Vertical):
    """Draws; what is in it and from where is its screen's business."""

    BINDINGS: ClassVar[list[BindingType]] = [*keys.PANE]

    class TabChosen(Message):
        """The user wants another tab."""

        def __init__(self, tab: str) -> None:
            super().__init__()
            self.tab = tab

    class Wished(Message):
        """The user wants to see the tab's text otherwise."""

        def __init__(self, wish: Wish) -> None:
            super().__init__()
            self.wish = wish

    def __init__(self, brush: Brush, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.brush = brush
        self.document = Document(brush.palette, id="pane-text")

    def compose(self) -> ComposeResult:
        yield Bar(self.brush.palette, id="pane-title")
        yield Tabs(self.brush.palette, ONE_TAB, bar=True, id="pane-tabs")
        yield self.document
        with Horizontal(id="pane-search"):
            yield Static(Text(" / ", self.brush.palette.link), id="pane-search-sign")
            yield SearchField(id="pane-search-field", compact=True)

    @property
    def tab(self) -> str:
        return self.query_one(Tabs).active

    def use_palette(self, palette: Palette) -> None:
        self.query_one(Bar).use_palette(palette)
        self.query_one(Tabs).use_palette(palette)
        self.document.use_palette(palette)

    def set_title(self, line: Line | None) -> None:
        """Say whose details these are."""
        palette = self.brush.palette
        kind = name = where = ""
        if line is not None and line.ref:
            kind, name = f"{line.ref.kind} ", line.ref.name
            where = f"{one_line(line.ref.cluster)} / {line.ref.namespace}" if line.ref.namespace else line.ref.cluster
        elif line is not None and line.type == LineType.CLUSTER:
            kind, name = "Cluster ", line.cluster
        elif line is not None:
            name, where = line.text or (line.category.value if line.category else ""), line.cluster
        title = Text.assemble((kind, palette.muted), (one_line(name), palette.strong))
        self.query_one(Bar).set_bits([Bit(title.append(f"  {one_line(where)}", palette.muted), 1)])

    def set_tabs(self, names: Sequence[tuple[str, str]], active: str) -> None:
        tabs = self.query_one(Tabs)
        tabs.set_names(names)
        tabs.activate(active if active in dict(names) else names[0][0])

    def set_text(self, paragraphs: Sequence[Paragraph], *, top: bool) -> None:
        self.document.set_text(paragraphs, top=top)

    def action_next_tab(self, direction: int) -> None:
        tabs = self.query_one(Tabs)
        names = [name for name, _ in tabs.names]
        self.post_message(self.TabChosen(names[(names.index(tabs.active) + direction) % len(names)]))

    def action_wish(self, wish: str) -> None:
        self.post_message(self.Wished(Wish(wish)))

    def search(self) -> SearchField:
        """Bring up the field for what to look for, and return it."""
        self.query_one("#pane-search").display = True
        return self.query_one(SearchField)

    def leave_search(self) -> bool:
        """Forget what was looked for; says whether there was something."""
        sought = bool(self.query_one("#pane-search").display)
        self.query_one("#pane-search").display = False
        self.query_one(SearchField).value = ""
        return sought

    @on(Input.Changed)
    def _searched(self, event: Input.Changed) -> None:
        event.stop()
        self.document.find(event.value)

    @on(Input.Submitted)
    def _search_left(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#pane-search").display = bool(event.value)
        self.screen.set_focus(self.document)

    def on_tabs_chosen(self, event: Tabs.Chosen) -> None:
        event.stop()
        self.post_message(self.TabChosen(event.name))
