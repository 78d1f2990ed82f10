"""What a click does."""

from __future__ import annotations

from fluxtui.console.screens.dialogs import FormScreen
from fluxtui.console.screens.fleet import FleetScreen
from fluxtui.console.screens.help import HelpScreen
from fluxtui.console.widgets.chrome import Bar
from fluxtui.fleet.lines import View
from tests.console.opened import opened
from tests.console.still import APPS, Still, app, board


async def test_a_click_on_the_arrow_toggles_and_a_click_elsewhere_selects() -> None:
    async with opened() as (pilot, screen):
        closed = len(screen.fleet_tree.lines)
        await pilot.click("#tree", offset=(10, 1))
        assert screen.fleet_tree.cursor == 1
        assert len(screen.fleet_tree.lines) == closed
        await pilot.click("#tree", offset=(1, 0))
        assert len(screen.fleet_tree.lines) > closed


def place(screen: FleetScreen, widget: str, words: str) -> tuple[int, int]:
    """Where words stand in a line of the screen's edge."""
    line = screen.query_one(widget, Bar).render_line(0).text
    return line.index(words), 0


async def test_a_click_on_a_key_of_the_footer_is_the_key() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.click("#footer", offset=place(screen, "#footer", "events"))
        await pilot.pause()
        assert screen.details.shown_tab == "events"
        await pilot.press("slash")
        await pilot.pause()
        await pilot.click("#footer", offset=place(screen, "#footer", "trace"))
        await pilot.pause()
        await pilot.pause()
        assert (screen.details.shown_tab, screen.filter_text) == ("trace", "")
        await pilot.click("#footer", offset=place(screen, "#footer", "keys"))
        await pilot.pause()
        assert isinstance(pilot.app.screen, HelpScreen)


async def test_a_click_on_a_count_filters_by_its_state_and_back() -> None:
    async with opened() as (pilot, screen):
        await pilot.click("#header", offset=place(screen, "#header", "◷"))
        await pilot.pause()
        assert screen.filter_text == "state=overdue"
        await pilot.click("#header", offset=place(screen, "#header", "◷"))
        await pilot.pause()
        assert screen.filter_text == ""


async def test_keys_that_a_form_names_can_be_clicked() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.press("s")
        await pilot.pause()
        form = pilot.app.screen
        assert isinstance(form, FormScreen)
        await pilot.click(".dialog-hint", offset=(len("enter suspend   tab next field   e"), 0))
        await pilot.pause()
        assert pilot.app.screen is screen


async def test_a_click_in_the_palette_runs_what_it_hits() -> None:
    async with opened() as (pilot, screen):
        await pilot.press("colon", *"theme fluxtui-light")
        await pilot.pause()
        await pilot.click("#palette-list", offset=(3, 0))
        await pilot.pause()
        await pilot.pause()
        assert pilot.app.theme == "fluxtui-light"
        assert pilot.app.screen is screen


async def test_where_only_the_active_view_has_room_a_click_on_it_means_the_next() -> None:
    console_app = app(Still())
    async with console_app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.click("#views")
        await pilot.pause()
        assert board(pilot).shape.view is View.OWNERSHIP
