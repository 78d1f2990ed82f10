"""The main screen: the board, and what its keys do.

What only a key brings up is imported with the key: the first frame waits for nothing that is not on it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.widgets import Input

from fluxtui.console import keys, stylesheets
from fluxtui.console.screens.board import Board
from fluxtui.console.screens.journey import Journey
from fluxtui.console.screens.zoom import Zoom
from fluxtui.console.start import Start
from fluxtui.console.themes import Palette
from fluxtui.console.widgets.lines import VirtualList
from fluxtui.console.widgets.pane import ALL_TABS, DetailPane, reason_against
from fluxtui.console.working import in_worker
from fluxtui.fleet.actions import Action
from fluxtui.fleet.census import Census
from fluxtui.fleet.fleet import Fleet
from fluxtui.fleet.lines import View
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.text import one_line

if TYPE_CHECKING:
    from fluxtui.console.screens.actions import Actions
    from fluxtui.console.screens.engines import EngineControl
    from fluxtui.console.screens.palette import Command

_BESIDE_TYPING = frozenset({"switch_pane", "clear_marks", "press", "only"})
"""What clicks, and keys that are no letters, may do while a text is typed."""


class FleetScreen(Board, inherit_bindings=False):
    """Answers keys and the wishes of its widgets."""

    CSS_PATH = stylesheets.path("fleet")
    BINDINGS: ClassVar[list[BindingType]] = [*keys.FLEET]

    def __init__(self, fleet: Fleet, start: Start, palette: Palette, width: int) -> None:
        super().__init__(fleet, start, palette, width)
        self.journey = Journey(self)
        self.zoom = Zoom(self)
        self.census = Census(fleet.mirror)

    @cached_property
    def actions(self) -> Actions:
        """What the user asks of objects."""
        from fluxtui.console.screens.actions import Actions

        return Actions(self, self.fleet_tree, self.fleet, self.brush)

    @cached_property
    def engines(self) -> EngineControl:
        """Our engines on clusters."""
        from fluxtui.console.screens.engines import EngineControl

        return EngineControl(self, self.fleet_tree, self.fleet, self.brush)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where a text is being typed, letters are text."""
        return not isinstance(self.focused, Input) or action in _BESIDE_TYPING

    # Acting

    def action_act(self, action: str) -> None:
        self.actions.start(Action(action))

    def action_engine(self) -> None:
        self.engines.toggle()

    def action_clear_marks(self) -> None:
        self.fleet_tree.clear_marks()

    def action_press(self, key: str) -> None:
        """What the footer names, by a click: where a text is typed, the key is no letter of it."""
        if isinstance(self.focused, Input):
            self.set_focus(self.fleet_tree)
        self.app.simulate_key(key)

    # Looking closer

    def action_tab(self, tab: str) -> None:
        line = self.fleet_tree.current
        self.details.show(line, tab)
        self.journey.visit()
        if self.zoom.is_on:
            # What is asked for is to be seen, where the tree stands alone.
            self.zoom.turn(to_pane=True)
        why = reason_against(line, tab)
        if why:
            self.notify(why, title=f"No {dict(ALL_TABS)[tab]}", severity="warning", markup=False)

    @on(DetailPane.TabChosen)
    def _chose_tab(self, event: DetailPane.TabChosen) -> None:
        self.action_tab(event.tab)

    @on(VirtualList.Activated, "#tree")
    def _enter(self) -> None:
        self.journey.visit()
        self.zoom.turn(to_pane=True)

    @on(VirtualList.Activated, "#pane-text")
    def _jump(self) -> None:
        piece = self.pane.document.current
        if piece and isinstance(piece.target, Ref):
            self.journey.go_to(piece.target)

    def action_switch_pane(self) -> None:
        self.zoom.turn(to_pane=self.fleet_tree.has_focus)

    def action_zoom(self) -> None:
        self.zoom.toggle()

    def action_copy_name(self) -> None:
        line = self.fleet_tree.current
        name = line.ref.name if line and line.ref else one_line(line.cluster) if line and not line.category else ""
        if name:
            self.app.copy_to_clipboard(name)
            self.notify(name, title="Copied", markup=False, timeout=2)
        else:
            self.notify("Select an object or a cluster.", title="Nothing to copy", severity="warning", markup=False)

    # Moving about

    def action_history(self, direction: int) -> None:
        self.journey.step(direction)

    def action_last(self) -> None:
        self.journey.swap()

    # Finding

    def action_filter(self) -> None:
        self.set_focus(self.pane.search() if self.focused is self.pane.document else self.filter_line.field)

    def action_only(self, text: str) -> None:
        """Filter by this alone; the same once more: by nothing."""
        self.filter_line.set_text("" if self.filter_text == text else text)

    def action_next_view(self, direction: int) -> None:
        views = list(View)
        self.set_view(views[(views.index(self.shape.view) + direction) % len(views)])

    def action_palette(self) -> None:
        from fluxtui.console.catalogue import catalogue
        from fluxtui.console.screens.palette import PaletteScreen

        def run(command: Command | None) -> None:
            if command is not None:
                command.run()

        self.app.push_screen(PaletteScreen(self.brush.palette, catalogue(self, self.settings.console.keymap)), run)

    def action_help(self) -> None:
        from fluxtui.console.screens.help import HelpScreen

        hidden = () if self.start.outage else ("outage",)
        keymap = self.settings.console.keymap
        self.app.push_screen(HelpScreen(self.brush.palette, keymap, self.start.tour, hidden, self.brush.glyph))

    # The demo

    def action_outage(self) -> None:
        outage = self.start.outage
        if outage is None:
            return

        async def cut() -> None:
            self.notify(await outage(), title="Demo", markup=False)

        in_worker(self, cut, "outage", exclusive=True)

    # Leaving

    def action_back(self) -> None:
        """One step out: of a search, of a zoom, of the pane, of marks, of the filter."""
        if not self.fleet_tree.has_focus and self.pane.leave_search():
            return
        if self.zoom.is_on:
            self.zoom.leave()
        elif not self.fleet_tree.has_focus and self.fleet_tree.display:
            self.set_focus(self.fleet_tree)
        elif self.fleet_tree.marks:
            self.fleet_tree.clear_marks()
        elif self.filter_text:
            self.filter_line.set_text("")

    def action_leave(self) -> None:
        """Back, or out of the program when there is nothing to go back from."""
        deep = self.fleet_tree.marks or self.filter_text or self.zoom.is_on
        if deep or (not self.fleet_tree.has_focus and self.fleet_tree.display):
            self.action_back()
            return
        from fluxtui.console.screens.dialogs import Answer, QuestionScreen

        self.app.push_screen(
            QuestionScreen(
                self.brush.palette,
                "Leave fluxtui?",
                "What was asked of clusters goes on there, and so do engines that were started here.",
                [Answer("q", "leave", "quit"), Answer("y", "leave", "quit")],
            ),
            lambda answer: self.app.exit() if answer else None,
        )
