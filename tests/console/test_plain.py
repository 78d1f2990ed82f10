"""Widgets that paint their lines alone look as Textual's styles would have them look."""

from __future__ import annotations

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from fluxtui.console.widgets.plain import Plain
from tests.console.still import Still, app, board, open_apps


def cells(strip: Strip) -> list[tuple[str, Style | None]]:
    """Every character of a line with its looks."""
    return [(character, segment.style) for segment in Segment.simplify(strip) for character in segment.text]


async def test_lines_are_those_that_textual_would_paint() -> None:
    still = Still()
    open_apps(still)
    console = app(still)
    async with console.run_test(size=(120, 32)) as pilot:
        screen = board(pilot)
        await pilot.press("down", "down", "down")
        for theme, size in (("fluxtui-dark", (120, 32)), ("fluxtui-light", (120, 32)), ("fluxtui-dark", (80, 24))):
            console.theme = theme
            await pilot.resize_terminal(*size)
            await pilot.pause()
            widgets = [widget for widget in screen.query(Plain) if widget.is_on_screen and widget.size]
            assert len(widgets) > 4
            for widget in widgets:
                for crop in (widget.outer_size.region, Region(1, 0, widget.outer_size.width - 1, 1)):
                    for ours, theirs in zip(widget.render_lines(crop), Widget.render_lines(widget, crop), strict=True):
                        assert cells(ours) == cells(theirs), (widget, theme)


async def test_what_has_nothing_around_its_lines_is_not_painted_by_textual(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = set()
    render = Widget.render_lines

    def noted(self: Widget, crop: Region) -> list[Strip]:
        asked.add(self.id)
        return render(self, crop)

    monkeypatch.setattr(Widget, "render_lines", noted)
    async with app().run_test(size=(120, 32)) as pilot:
        await pilot.press("down")
        await pilot.pause()
        painted = {widget.id for widget in board(pilot).query(Plain) if widget.is_on_screen}
    assert painted & asked == {"pane-tabs"}
