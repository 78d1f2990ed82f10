"""The pane beside the tree: answers that come too late, tabs, search, logs, secrets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from textual.widgets import Input, Static

from fluxtui.api.kinds import GIT_REPOSITORY
from fluxtui.console.screens.dialogs import FormScreen, QuestionScreen
from fluxtui.console.tabs import logs
from fluxtui.console.widgets.pane import YAML, Wish
from fluxtui.fleet.lines import LineType, cluster_key
from fluxtui.fleet.logs import LogLine
from fluxtui.fleet.refs import Ref
from fluxtui.kube.errors import Forbidden
from tests.console import world
from tests.console.opened import CANARY, US_APPS, here, kind, opened, pane_text, shown, titles
from tests.console.still import API, APPS, Still

SOURCES = GIT_REPOSITORY.group


async def test_two_objects_of_one_name_in_two_clusters_are_never_confused() -> None:
    async with opened() as (pilot, screen):
        screen.journey.go_to(APPS)
        await pilot.press("y")
        await pilot.pause()
        assert "31c09ab2" in pane_text(screen)
        screen.journey.go_to(US_APPS)
        await pilot.pause()
        assert "suspend: true" in pane_text(screen)
        assert shown(screen).ref == US_APPS
        await pilot.press("left_square_bracket")
        await pilot.pause()
        assert here(screen).ref == APPS
        assert "suspend: true" not in pane_text(screen)


async def test_an_answer_that_comes_late_never_lands_on_a_newer_target(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Still()
    gates: dict[Ref, asyncio.Event] = {APPS: asyncio.Event(), CANARY: asyncio.Event()}

    async def slow(ref: Ref) -> dict[str, Any]:
        # Deaf to cancellation, as work in a thread is.
        while not gates[ref].is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await gates[ref].wait()
        return {"apiVersion": "v1", "kind": "Answer", "metadata": {"name": f"answer-for-{ref.name}"}}

    monkeypatch.setattr(fleet, "object", slow)
    async with opened(fleet) as (pilot, screen):
        screen.find(APPS)
        await pilot.press("y")
        await pilot.pause()
        screen.find(CANARY)
        await pilot.pause()
        gates[CANARY].set()
        await pilot.pause()
        assert "answer-for-apps-canary" in pane_text(screen)
        gates[APPS].set()
        await pilot.pause()
        await pilot.pause()
        assert "answer-for-apps-canary" in pane_text(screen)


async def test_an_answer_that_comes_while_the_console_closes_is_no_bug() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.pause()
        await screen.pane.document.remove()
        screen.details._fail(screen.details._ticket, "too late")
        screen.details.draw()


async def test_what_a_cluster_refuses_is_said_in_the_tab(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Still()

    async def refuse(ref: Ref) -> dict[str, Any]:
        raise Forbidden(403, "Forbidden", "you may not get kustomizations")

    monkeypatch.setattr(fleet, "object", refuse)
    async with opened(fleet) as (pilot, screen):
        screen.find(APPS)
        await pilot.press("y")
        await pilot.pause()
        assert "you may not get kustomizations" in pane_text(screen)


async def test_enter_in_the_trace_jumps_and_history_leads_back() -> None:
    async with opened() as (pilot, screen):
        screen.journey.go_to(CANARY)
        await pilot.press("t", "tab")
        await pilot.pause()
        await pilot.press("home", "enter")
        assert kind(screen) == "GitRepository"
        await pilot.press("left_square_bracket")
        assert here(screen).ref == CANARY
        await pilot.press("right_square_bracket")
        assert kind(screen) == "GitRepository"
        await pilot.press("minus")
        assert here(screen).ref == CANARY


async def test_tabs_turn_with_keys_arrows_and_clicks() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.press("E")
        assert screen.pane.tab == "events"
        await pilot.press("tab", "right")
        await pilot.pause()
        assert screen.pane.tab == "logs"
        await pilot.click("#pane-tabs", offset=(2, 0))
        assert screen.pane.tab == "overview"
        screen.fleet_tree.go_to(cluster_key("prod-us"))
        await pilot.pause()
        assert screen.pane.tab == "overview"


async def test_search_in_the_pane_marks_and_walks() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.press("y", "tab", "slash")
        await pilot.pause()
        await pilot.press(*"kind", "enter")
        document = screen.pane.document
        assert document.has_focus
        assert document.search == "kind"
        first = document.scroll_offset.y
        await pilot.press("n")
        assert document.scroll_offset.y != first
        await pilot.press("slash")
        assert isinstance(screen.focused, Input)
        await pilot.press("escape")
        assert document.search == ""


async def test_logs_pause_when_read_and_follow_on_their_key() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.press("l", "tab")
        await pilot.pause()
        document = screen.pane.document
        followed = [document.follows]
        for _ in range(2):
            await pilot.press("f")
            followed.append(document.follows)
        assert followed == [True, False, True]


async def test_a_pod_that_talks_fast_is_laid_out_a_few_times_and_only_its_new_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Talking(Still):
        async def logs(self, ref: Ref, show: Callable[[list[LogLine]], None]) -> None:
            for number in range(2000):
                show([LogLine("api/api", f"line {number}")])
                if number % 100 == 0:
                    await asyncio.sleep(0.001)
            await asyncio.Event().wait()

    made: list[str] = []
    make = logs._line

    def noted(line: LogLine, *rest: Any) -> Any:
        made.append(line.text)
        return make(line, *rest)

    monkeypatch.setattr(logs, "_line", noted)
    async with opened(Talking()) as (pilot, screen):
        screen.find(APPS)
        laid = 0

        def counted(lay_out: Callable[[], None] = screen.pane.document._lay_out) -> None:
            nonlocal laid
            laid += 1
            lay_out()

        monkeypatch.setattr(screen.pane.document, "_lay_out", counted)
        await pilot.press("l")
        async with asyncio.timeout(60):
            while "line 1999" not in pane_text(screen):
                await pilot.pause(0.01)
        assert laid < 40
        assert len(made) == len(set(made)) == 2000


async def test_secret_data_are_masked_until_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Still()

    async def secret(ref: Ref) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"password": "aHVudGVyMg=="}}

    monkeypatch.setattr(fleet, "object", secret)
    async with opened(fleet) as (pilot, screen):
        screen.find(APPS)
        await pilot.press("y", "tab")
        await pilot.pause()
        assert "password: … 7 bytes" in pane_text(screen)
        assert "hunter2" not in pane_text(screen)
        await pilot.press("x")
        await pilot.pause()
        assert "password: hunter2" in pane_text(screen)
        screen.find(CANARY)
        await pilot.pause()
        assert "hunter2" not in pane_text(screen)


async def test_a_wish_is_about_the_line_of_the_cursor_even_before_the_pane_has_turned_to_it() -> None:
    async with opened() as (pilot, screen):
        screen.journey.go_to(APPS)
        await pilot.press("y")
        screen.details._turning.stop()
        screen.journey.go_to(US_APPS)
        await pilot.pause()
        assert shown(screen).ref == APPS
        screen.details.grant(Wish.MANAGED_FIELDS)
        await pilot.pause()
        assert shown(screen).ref == US_APPS
        assert "suspend: true" in pane_text(screen)


@pytest.mark.parametrize(
    ("key", "place", "title"),
    [
        ("H", Ref("prod-eu", SOURCES, "GitRepository", "flux-system", "fleet"), "No History"),
        ("l", None, "No Logs"),
        ("t", None, "No Trace"),
        ("H", APPS, ""),
        ("d", None, ""),
    ],
)
async def test_a_key_says_why_its_tab_is_not_there(key: str, place: Ref | None, title: str) -> None:
    async with opened() as (pilot, screen):
        if place is None:
            screen.fleet_tree.go_to(cluster_key("prod-eu"))
        else:
            assert screen.find(place)
        await pilot.press(key)
        assert titles(pilot) == ([title] if title else [])


async def test_what_is_not_masked_is_not_revealed_and_what_does_not_grow_is_not_followed() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.press("y", "tab")
        await pilot.pause()
        await pilot.press("x", "f")
        assert titles(pilot) == ["Nothing to reveal", "Nothing to follow"]
        assert screen.details.tab == YAML
        assert not screen.pane.document.follows


async def test_escape_leaves_a_search_first_then_the_pane() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.press("y", "tab", "slash")
        await pilot.pause()
        await pilot.press(*"kind", "enter", "escape")
        assert screen.pane.document.search == ""
        assert not screen.query_one("#pane-search").display
        assert screen.pane.document.has_focus
        await pilot.press("escape")
        assert screen.fleet_tree.has_focus


async def test_the_side_that_is_zoomed_is_alone_and_the_zoom_follows_the_focus() -> None:
    async with opened() as (pilot, screen):
        sides = (screen.fleet_tree, screen.pane)
        screen.find(APPS)
        seen = []
        for key in ("z", "tab", "tab", "enter", "escape"):
            await pilot.press(key)
            await pilot.pause()
            seen.append(tuple(side.region.width for side in sides if side.region.width))
            assert screen.focused is not None
            assert screen.focused.region.width
        assert seen[:4] == [(120,)] * 4
        assert len(seen[4]) == 2
        assert screen.pane.document.has_focus


async def test_what_is_asked_of_a_tree_that_stands_alone_is_shown() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.press("z", "E")
        await pilot.pause()
        assert screen.pane.document.has_focus
        assert screen.pane.tab == "events"
        widths = [(screen.pane.region.width, screen.fleet_tree.region.width)]
        await pilot.press("tab")
        await pilot.pause()
        widths.append((screen.pane.region.width, screen.fleet_tree.region.width))
        assert widths == [(120, 0), (0, 120)]


async def test_nothing_selected_is_said() -> None:
    async with opened(Still({})) as (pilot, _):
        await pilot.press("R")
        assert titles(pilot) == ["Nothing to act on"]


async def test_what_is_applied_by_an_object_offers_that_object() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.press("right", "j", "s")
        await pilot.pause()
        assert screen.fleet_tree.current
        assert here(screen).ref == API
        assert isinstance(pilot.app.screen, QuestionScreen)
        await pilot.press("y")
        await pilot.pause()
        assert isinstance(pilot.app.screen, FormScreen)
        assert "Suspend Kustomization apps" in str(pilot.app.screen.query_one(".dialog-title", Static).render())


async def test_nothing_from_a_cluster_steers_the_terminal_or_becomes_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = "\x1b]0;owned\x07[bold red]x[/] \x1b[2J\u202eevil"
    bad = world.kustomization("hostile", status=world.failed("Hostile", hostile, world.ago(minutes=1)))
    fleet = Still({"prod-eu": [bad]})

    async def obj(ref: Ref) -> dict[str, Any]:
        return {**bad, "metadata": {**bad["metadata"], "annotations": {"note": hostile}}}

    monkeypatch.setattr(fleet, "object", obj)
    async with opened(fleet) as (pilot, screen):
        screen.find(Ref("prod-eu", APPS.group, APPS.kind, "flux-system", "hostile"))
        for key in ("d", "E", "t", "y"):
            await pilot.press(key)
            await pilot.pause()
            shown = "".join(segment.text for strip in screen._compositor.render_strips() for segment in strip)
            assert shown.isprintable()
            assert "\u202e" not in shown
        assert "[bold red]x[/]" in screen.fleet_tree.render_line(screen.fleet_tree.cursor).text


async def test_an_open_workload_shows_its_pods() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.press("right")
        screen.find(API)
        await pilot.press("right")
        kinds = [line.ref.kind for line in screen.fleet_tree.lines if line.type == LineType.CHILD and line.ref]
        assert "Pod" in kinds
