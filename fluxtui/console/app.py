"""The app: themes, keymap, the fleet's life, and what happens when the console itself fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import PurePath
from typing import ClassVar

from textual import events
from textual.app import App, SuspendNotSupported
from textual.binding import BindingType
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message
from textual.screen import Screen

from fluxtui.console import keys, stylesheets
from fluxtui.console.driver import PatientDriver
from fluxtui.console.screens.fleet import FleetScreen
from fluxtui.console.start import Start
from fluxtui.console.themes import NAMES, THEMES, Palette, palette
from fluxtui.console.turns import FairLoop
from fluxtui.console.working import in_worker
from fluxtui.fleet.fleet import Fleet
from fluxtui.kube.errors import AuthError

TURNS = 1000
"""Turns of the loop in which a screen is made at most."""


class ConsoleApp(App[None], inherit_bindings=False):
    """The fleet console. Without a `fleet` of its own it makes one of the contexts it is started with."""

    TITLE = "fluxtui"
    CSS_PATH: ClassVar[list[str | PurePath]] = [stylesheets.path("base"), stylesheets.path("fleet")]
    BINDINGS: ClassVar[list[BindingType]] = [*keys.APP]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, start: Start, fleet: Fleet | None = None) -> None:
        self.has_colour = not os.environ.get("NO_COLOR")
        # Only with the terminal's own colours does Textual leave out all of them.
        super().__init__(ansi_color=None if self.has_colour else True)
        self.start = start
        self.fleet = fleet or Fleet(start.contexts, start.settings, reloads=start.reloads)
        self.crash_report = ""
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = start.settings.console.theme
        self.set_keymap(start.settings.console.keymap)
        # What the style sheets are read with for the first time.
        self._css_variables = self.get_css_variables()
        self.stylesheet.set_variables(self._css_variables)

    @property
    def palette(self) -> Palette:
        """The styles of the theme now in use."""
        return palette(self.theme_variables, colour=self.has_colour)

    def refresh_css(self, animate: bool = True) -> None:
        """As the base, but nothing where no variable is another one: so it is at the start, where the base would have
        everything read and styled twice."""
        variables = self.get_css_variables()
        if variables != self._css_variables:
            self._css_variables = variables
            super().refresh_css(animate)

    def get_driver_class(self) -> type[Driver]:
        """As the base, with a driver of ours in the place of Textual's own for such terminals."""
        found = super().get_driver_class()
        return PatientDriver if found is LinuxDriver else found

    def get_default_screen(self) -> Screen[None]:
        """The fleet's: a screen below it would be styled, laid out and painted for nobody to see."""
        return FleetScreen(self.fleet, self.start, self.palette, self.size.width)

    async def on_mount(self) -> None:
        screen = self.screen
        assert isinstance(screen, FleetScreen)
        # What is typed ahead waits until there is something to act on; the widgets are made in some ten turns.
        for _ in range(TURNS):
            if screen.is_mounted:
                break
            await asyncio.sleep(0)
        self.theme_changed_signal.subscribe(self, lambda _: screen.use_palette(self.palette))
        self.call_after_refresh(self._live)

    def post_message(self, message: Message) -> bool:
        """As the base; what the user does comes before what clusters say."""
        if isinstance(message, (events.Key, events.MouseDown, events.MouseScrollDown, events.MouseScrollUp)):
            loop = asyncio.get_running_loop()
            if isinstance(loop, FairLoop):
                loop.attend()
        return super().post_message(message)

    def _live(self) -> None:
        """After the first frame: bring the fleet to life."""
        in_worker(self, self._run_fleet, "fleet")
        in_worker(self, self._tidy, "memory")
        for notice in self.start.notices:
            self.notify(notice, severity="warning", markup=False)

    async def _run_fleet(self) -> None:
        from fluxtui.kube.plugins import shared_plugins

        shared_plugins().terminal = self._terminal
        loop = asyncio.get_running_loop()
        if isinstance(loop, FairLoop):
            self.fleet.waits = loop.attends_for
        screen = self.screen
        if isinstance(screen, FleetScreen):
            self.fleet.visible = lambda: {line.cluster for line in screen.fleet_tree.lines_in_sight}
        await self.fleet.run()

    async def _tidy(self) -> None:
        from fluxtui.console import garbage

        await garbage.begin_when(lambda: all(info.is_settled for info in self.fleet.mirror.clusters.values()))

    @contextlib.asynccontextmanager
    async def _terminal(self) -> AsyncIterator[None]:
        """The terminal for a credential plugin that must talk to the user; nothing is painted meanwhile."""
        try:
            with self.batch_update(), self.suspend():
                yield
        except SuspendNotSupported as error:
            raise AuthError("a credential plugin wants the terminal, and this one can't be lent") from error

    def action_next_theme(self) -> None:
        """Walk through the themes."""
        self.theme = NAMES[(NAMES.index(self.theme) + 1) % len(NAMES)]

    def _fatal_error(self) -> None:
        """A bug: keep a report and go down. Textual's own report would print the values of variables, Secrets too."""
        from fluxtui.console.screens.crash import report

        if self._exception is not None:
            self.crash_report = report(self._exception)
        self._close_messages_no_wait()
