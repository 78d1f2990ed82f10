"""The main screen's behaviour: keys, focus, filter, marks, jumps, and answers that come too late."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from fluxtui.console.catalogue import catalogue
from fluxtui.console.screens.dialogs import FormScreen, QuestionScreen
from fluxtui.console.screens.fleet import FleetScreen
from fluxtui.console.screens.help import HelpScreen
from fluxtui.console.screens.palette import CommandList, PaletteScreen
from fluxtui.console.screens.plan import PlanScreen
from fluxtui.console.tabs import logs
from fluxtui.console.widgets.chrome import Bar
from fluxtui.fleet.lines import Line, LineType, View, cluster_key
from fluxtui.fleet.logs import LogLine
from fluxtui.fleet.refs import Ref
from fluxtui.kube.errors import Forbidden
from tests.console import world
from tests.console.live import until
from tests.console.still import API, APPS, Still, app, board, open_apps

CANARY = Ref("prod-eu", APPS.group, APPS.kind, "flux-system", "apps-canary")
US_APPS = Ref("prod-us", APPS.group, APPS.kind, "flux-system", "apps")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fluxtui.console.screens.details.SETTLE", 0.0)


@asynccontextmanager
async def opened(still: Still | None = None, **console: Any) -> AsyncIterator[tuple[Pilot[None], FleetScreen]]:
    fleet = still or Still()
    open_apps(fleet)
    console_app = app(fleet, **console)
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


# The tree


async def test_arrows_open_and_close_branches_and_h_goes_to_the_parent() -> None:
    async with opened() as (pilot, screen):
        closed = len(screen.fleet_tree.lines)
        await pilot.press("right", "down", "right")
        assert len(screen.fleet_tree.lines) > closed
        assert here(screen).type == LineType.GROUP
        await pilot.press("down", "h")
        assert here(screen).type == LineType.GROUP
        await pilot.press("left", "left", "left")
        assert len(screen.fleet_tree.lines) == closed


async def test_unfold_all_opens_clusters_and_groups_but_asks_no_cluster_for_objects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = Still()
    asked: list[Ref] = []
    monkeypatch.setattr(fleet, "open", asked.append)
    async with opened(fleet) as (pilot, screen):
        await pilot.press("x")
        assert {"apps", "fleet", "grafana"} <= set(names(screen))
        assert asked == []
        await pilot.press("x")
        assert names(screen) == []


async def test_opening_an_object_has_the_fleet_keep_its_children_and_closing_lets_them_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = Still()
    log: list[tuple[str, Ref]] = []
    monkeypatch.setattr(fleet, "open", lambda ref: log.append(("open", ref)))
    monkeypatch.setattr(fleet, "close", lambda ref: log.append(("close", ref)))
    async with opened(fleet) as (pilot, screen):
        screen.find(APPS)
        await pilot.press("right")
        assert log == [("open", APPS)]
        await pilot.press("left")
        assert log == [("open", APPS), ("close", APPS)]
        await pilot.press("right")
        screen.fleet_tree.go_to(cluster_key("prod-eu"))
        await pilot.press("left")
        assert log[-1] == ("close", APPS)


async def test_a_click_on_the_arrow_toggles_and_a_click_elsewhere_selects() -> None:
    async with opened() as (pilot, screen):
        closed = len(screen.fleet_tree.lines)
        await pilot.click("#tree", offset=(10, 1))
        assert screen.fleet_tree.cursor == 1
        assert len(screen.fleet_tree.lines) == closed
        await pilot.click("#tree", offset=(1, 0))
        assert len(screen.fleet_tree.lines) > closed


async def test_news_repaint_only_what_shows_them_and_the_cursor_stays_on_its_object() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.pause()
        row = screen.fleet_tree.cursor
        ready = world.kustomization("apps", "./apps/production", since=world.ago(seconds=1))
        screen.fleet.mirror.upsert("prod-eu", [world.git("another"), ready])

        def painted() -> str:
            return screen.fleet_tree.render_line(screen.fleet_tree.cursor - screen.fleet_tree.scroll_offset.y).text

        await until(pilot, lambda: "✓ ks   apps" in painted())
        assert "1s" in painted()
        assert here(screen).ref == APPS
        assert screen.fleet_tree.cursor == row + (1 if "another" in names(screen) else 0)


async def test_an_object_that_goes_leaves_the_tree() -> None:
    async with opened() as (pilot, screen):
        screen.find(CANARY)
        screen.fleet.mirror.remove([CANARY])
        await until(pilot, lambda: "apps-canary" not in names(screen))
        assert screen.fleet_tree.current is not None


# Filter and views


async def test_the_filter_narrows_with_every_letter_and_escape_brings_all_back() -> None:
    async with opened() as (pilot, screen):
        await pilot.press("slash", *"ns=web")
        await pilot.pause()
        assert names(screen) == ["podinfo"]
        await pilot.press("enter")
        assert screen.fleet_tree.has_focus
        await pilot.press("escape")
        assert screen.filter_text == ""
        assert screen.shape.query is None


async def test_letters_typed_right_behind_the_slash_belong_to_the_filter() -> None:
    async with opened() as (pilot, screen):
        field = screen.filter_line.field
        for character in "/ks ":
            pilot.app.post_message(_key(pilot, character))
        await until(pilot, lambda: field.value == "ks ")
        assert top(pilot) is screen


async def test_keys_that_come_in_one_bunch_act_in_their_order() -> None:
    async with opened() as (pilot, screen):
        field = screen.filter_line.field
        for key in ("j", "j", "/", "k", "x", "backspace", "s", "enter"):
            pilot.app.post_message(_key(pilot, key))
        await until(pilot, lambda: field.value == "ks")
        for key in ("/", "ctrl+u", "h", "r", "enter"):
            pilot.app.post_message(_key(pilot, key))
        await until(pilot, lambda: field.value == "hr")


async def test_moves_before_a_change_of_focus_are_not_lost() -> None:
    async with opened() as (pilot, screen):
        for key in ("j", "j", "/"):
            pilot.app.post_message(_key(pilot, key))
        await until(pilot, lambda: screen.focused is screen.filter_line.field)
        assert screen.fleet_tree.cursor == 2


def _key(pilot: Pilot[None], character: str) -> Any:
    from textual.events import Key
    from textual.keys import _character_to_key

    event = Key(_character_to_key(character), character) if len(character) == 1 else Key(character, None)
    event.set_sender(pilot.app)
    return event


async def test_a_mistake_in_the_filter_is_named_and_the_tree_stays() -> None:
    async with opened() as (pilot, screen):
        before = list(screen.fleet_tree.lines)
        await pilot.press("slash")
        screen.filter_line.set_text("colour=red")
        await pilot.pause()
        assert "colour" in str(screen.filter_line.query_one("#filter-problem").render())
        assert list(screen.fleet_tree.lines) == before


async def test_a_mistake_leaves_what_was_typed_in_sight() -> None:
    async with opened() as (pilot, screen):
        await pilot.press("slash")
        screen.filter_line.set_text("state=brokn and something long")
        await pilot.pause()
        assert screen.filter_line.field.size.width >= 35
        assert not screen.filter_line.query_one("#views").display
        screen.filter_line.set_text("kind=ks")
        await pilot.pause()
        assert screen.filter_line.query_one("#views").display


async def test_a_mistake_is_not_taken_for_a_filter_that_matches_nothing() -> None:
    async with opened() as (pilot, screen):
        screen.filter_line.set_text("name=nothing-like-this")
        await pilot.pause()
        screen.filter_line.set_text("name=nothing-like-this state=brokn")
        await pilot.pause()
        notice = str(screen.query_one("#notice", Static).render())
        assert "unknown state brokn" in notice
        assert "Nothing matches" not in notice


async def test_another_view_keeps_the_object_or_shows_what_stands_for_it() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        for view in (View.OWNERSHIP, View.FLAT, View.KIND):
            screen.set_view(view)
            await pilot.pause()
            assert screen.fleet_tree.current
            assert here(screen).ref == APPS, view
        for view, kind in ((View.FAILURE, LineType.FAILURE), (View.SOURCE, LineType.SOURCE)):
            screen.find(APPS)
            screen.set_view(view)
            await pilot.pause()
            line = screen.fleet_tree.current
            assert line
            assert line.type == kind
            assert APPS in line.members
            screen.set_view(View.KIND)


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


async def test_views_follow_their_key_and_their_names() -> None:
    async with opened() as (pilot, screen):
        await pilot.press("V")
        assert screen.shape.view == View.OWNERSHIP
        await pilot.click("#views", offset=(-5, 0))
        screen.set_view(View.FLAT)
        assert len(names(screen)) == sum(screen.fleet.mirror.counts())


async def test_next_match_opens_the_branches_that_hide_it_and_no_others() -> None:
    async with opened() as (pilot, screen):
        screen.shape = msgspec.structs.replace(screen.shape, expanded=frozenset())
        screen.flatten()
        screen.fleet_tree.focus()
        assert {line.type for line in screen.fleet_tree.lines} == {LineType.CLUSTER}
        await pilot.press("home", "n")
        await pilot.pause()
        assert here(screen).ref == APPS
        clusters = [line for line in screen.fleet_tree.lines if line.type == LineType.CLUSTER]
        assert [line.cluster for line in clusters if line.opened] == ["prod-eu"]


async def test_next_match_walks_through_failures_and_through_what_the_filter_means() -> None:
    async with opened() as (pilot, screen):
        screen.fleet_tree.go_to(cluster_key("prod-eu"))
        await pilot.press("x", "n")
        assert here(screen).ref == APPS
        await pilot.press("n")
        assert here(screen).ref == CANARY
        await pilot.press("N")
        assert here(screen).ref == APPS


# Marks


async def test_marks_toggle_range_and_clear() -> None:
    async with opened() as (pilot, screen):
        tree = screen.fleet_tree
        screen.find(APPS)
        await pilot.press("space")
        assert tree.marks == {APPS}
        screen.find(Ref("prod-eu", APPS.group, APPS.kind, "flux-system", "flux-system"))
        await pilot.press("v")
        assert {ref.name for ref in tree.marks} == {"apps", "apps-canary", "flux-system"}
        tree.go_to(cluster_key("prod-us"))
        await pilot.press("space")
        assert len(tree.marks) == 3 + len(screen.fleet.mirror.refs("prod-us"))
        await pilot.press("ctrl+backslash")
        assert tree.marks == set()


# The pane


async def test_two_objects_of_one_name_in_two_clusters_are_never_confused() -> None:
    async with opened() as (pilot, screen):
        screen.go_to(APPS)
        await pilot.press("y")
        await pilot.pause()
        assert "31c09ab2" in pane_text(screen)
        screen.go_to(US_APPS)
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
        screen.go_to(CANARY)
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


# Actions that ask or refuse; what they do to clusters is tested with clusters


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


async def test_the_header_says_how_many_objects_are_marked() -> None:
    async with opened() as (pilot, screen):

        def header() -> str:
            left, right = screen.query_one("#header", Bar)._left, screen.query_one("#header", Bar)._right
            return " ".join(bit.text.plain for bit in (*left, *right))

        screen.find(APPS)
        await pilot.press("space", "space")
        await pilot.pause()
        assert "2 marked" in header()
        await pilot.press("ctrl+backslash")
        await pilot.pause()
        assert "marked" not in header()


async def test_a_suspended_object_is_not_reconciled_but_may_be_resumed() -> None:
    async with opened() as (pilot, screen):
        screen.find(US_APPS)
        await pilot.press("R")
        await pilot.pause()
        assert isinstance(pilot.app.screen, QuestionScreen)
        await pilot.press("escape")
        assert top(pilot) is screen


async def test_an_unreachable_cluster_refuses_with_the_reason() -> None:
    async with opened() as (pilot, screen):
        screen.find(Ref("edge-07", APPS.group, APPS.kind, "flux-system", "apps"))
        await pilot.press("R")
        assert titles(pilot) == ["Kustomization apps not reconciled"]
        assert "does not answer" in next(iter(pilot.app._notifications)).message


async def test_suspend_asks_for_a_reason_and_checks_the_end() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.press("s")
        await pilot.pause()
        assert isinstance(pilot.app.screen, FormScreen)
        await pilot.press("a", "tab", "2", "x", "enter")
        assert isinstance(pilot.app.screen, FormScreen)
        await pilot.press("escape")
        assert top(pilot) is screen


async def test_many_objects_are_previewed_first() -> None:
    async with opened() as (pilot, screen):
        screen.fleet_tree.go_to(cluster_key("prod-us"))
        await pilot.press("R")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PlanScreen)
        assert len(pilot.app.screen.plan.targets) == 4
        assert len(pilot.app.screen.plan.refused) == 2


# Palette, help, leaving


async def test_the_palette_finds_by_letters_and_runs() -> None:
    async with opened() as (pilot, screen):
        await pilot.press("colon")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PaletteScreen)
        await pilot.press(*"ctx prod-us", "enter")
        await pilot.pause()
        assert here(screen).cluster == "prod-us"
        await pilot.press("colon")
        await pilot.pause()
        await pilot.press(*"suspend")
        assert getattr(pilot.app.screen.query_one(CommandList).current, "name", "") == "suspend"
        await pilot.press("escape")
        await pilot.press("colon")
        await pilot.pause()
        await pilot.press(*"hr", "enter")
        await pilot.pause()
        assert screen.filter_text == "kind=hr"


async def test_themes_change_live() -> None:
    async with opened() as (pilot, screen):
        before = screen.fleet_tree.render_line(0)
        await pilot.press("T", "T")
        await pilot.pause()
        assert pilot.app.theme == "fluxtui-light"
        assert screen.fleet_tree.render_line(0) != before


async def test_the_palette_knows_the_panes_keys_and_the_namespaces() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        known = {command.name: command for command in catalogue(screen, {})}
        assert {"follow", "reveal", "wrap", "copy-text", "ns flux-system"} <= known.keys()
        known["ns flux-system"].run()
        await pilot.pause()
        assert screen.filter_text == "ns=flux-system"
        known["wrap"].run()
        await pilot.pause()
        assert not screen.pane.document.wraps


async def test_help_opens_and_closes_on_its_key() -> None:
    async with opened() as (pilot, screen):
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HelpScreen)
        await pilot.press("question_mark")
        assert top(pilot) is screen


async def test_q_goes_back_first_and_asks_at_the_root() -> None:
    async with opened(filter="kind=ks") as (pilot, screen):
        await pilot.press("q")
        assert screen.filter_text == ""
        await pilot.press("q")
        await pilot.pause()
        assert isinstance(pilot.app.screen, QuestionScreen)
        await pilot.press("q")
        await pilot.pause()
        assert not pilot.app.is_running


async def test_remapped_keys_act_and_old_ones_do_not() -> None:
    async with opened(keymap={"mark": "m", "help": "f1"}) as (pilot, screen):
        screen.find(APPS)
        await pilot.press("space")
        assert screen.fleet_tree.marks == set()
        await pilot.press("m")
        assert screen.fleet_tree.marks == {APPS}
        await pilot.press("f1")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HelpScreen)


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
