"""What a second changes on the screen, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.console import world
from tests.console.still import Still, app, board


async def test_the_time_is_painted_alone_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Still()
    console = app(fleet)
    async with console.run_test(size=(120, 30)) as pilot:
        await pilot.pause()
        screen = board(pilot)
        screen.news.stop()
        screen.news.tick()
        await pilot.pause()
        painted: list[Any] = []
        display = console._display

        def shown(on: Any, what: Any) -> None:
            painted.append(what)
            display(on, what)

        monkeypatch.setattr(console, "_display", shown)
        screen.news.tick()
        assert painted == [], "the same second"
        # A second in which no age on the screen turns into another one.
        monkeypatch.setattr(fleet.mirror, "clock", lambda: world.NOW.timestamp() + 1)
        monkeypatch.setattr("fluxtui.console.columns.ages", lambda *_: False)
        screen.news.tick()
        assert len(painted) == 1
        ((row, first, last),) = painted[0].spans
        assert (row, last - first) == (0, len("12:03:14"))
        await pilot.pause()
        assert len(painted) == 1, "no frame more"
