"""The main screen of a still fleet, opened, and how to look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot

from fluxtui.console.screens.fleet import FleetScreen
from fluxtui.fleet.lines import Line, LineType
from fluxtui.fleet.refs import Ref
from tests.console.still import APPS, Still, app, board, open_apps

CANARY = Ref("prod-eu", APPS.group, APPS.kind, "flux-system", "apps-canary")
US_APPS = Ref("prod-us", APPS.group, APPS.kind, "flux-system", "apps")


@asynccontextmanager
async def opened(still: Still | None = None, **console: Any) -> AsyncIterator[tuple[Pilot[None], FleetScreen]]:
    """The main screen over a still fleet; the pane follows the cursor at once."""
    fleet = still or Still()
    open_apps(fleet)
    console_app = app(fleet, **console)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("fluxtui.console.screens.details.SETTLE", 0.0)
        patched.setattr("fluxtui.console.screens.details.TURNS", 1e9)
        async with console_app.run_test(size=(120, 32)) as pilot:
            await pilot.pause()
            yield pilot, board(pilot)


def titles(pilot: Pilot[None]) -> list[str]:
    return [notification.title for notification in pilot.app._notifications]


def pane_text(screen: FleetScreen) -> str:
    return "\n".join(piece.text.plain for piece in screen.pane.document.lines)


def here(screen: FleetScreen) -> Line:
    """The line of the cursor."""
    line = screen.fleet_tree.current
    assert line is not None
    return line


def kind(screen: FleetScreen) -> str:
    """The kind of the object of the cursor."""
    ref = here(screen).ref
    return ref.kind if ref else ""


def shown(screen: FleetScreen) -> Line:
    """The line that the details are about."""
    assert screen.details.line is not None
    return screen.details.line


def top(pilot: Pilot[None]) -> object:
    """The screen that has the keys."""
    return pilot.app.screen


def names(screen: FleetScreen) -> list[str]:
    return [line.ref.name for line in screen.fleet_tree.lines if line.ref and line.type == LineType.OBJECT]
