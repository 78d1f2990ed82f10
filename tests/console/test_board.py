"""The main screen's behaviour: keys, focus, filter, views, marks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import Static

from fluxtui.console.screens.help import HelpScreen
from fluxtui.console.widgets.chrome import Bar
from fluxtui.fleet.clusters import Phase
from fluxtui.fleet.lines import LineType, Order, View, cluster_key
from fluxtui.fleet.refs import Ref
from tests.console import world
from tests.console.live import until
from tests.console.opened import CANARY, here, names, opened, titles, top
from tests.console.still import API, APPS, Still


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


async def test_what_becomes_of_a_child_shows_although_nothing_else_changed() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        await pilot.press("right")
        mirror = screen.fleet.mirror
        before = mirror.branches[APPS]

        def told() -> str:
            tree = screen.fleet_tree
            return "\n".join(tree.render_line(y).text for y in range(tree.size.height))

        await until(pilot, lambda: "web/api" in told())
        assert "not found in the cluster" not in told()
        gone = tuple(
            msgspec.structs.replace(child, message="not found in the cluster") if child.ref == API else child
            for child in before.children
        )
        mirror.set_branch(APPS, msgspec.structs.replace(before, children=gone))
        await until(pilot, lambda: "not found in the cluster" in told())


async def test_children_are_greyed_with_their_cluster() -> None:
    async with opened() as (pilot, screen):
        mirror, tree = screen.fleet.mirror, screen.fleet_tree
        screen.find(APPS)
        await pilot.press("right")

        def painted() -> str:
            index = next(index for index, line in enumerate(tree.lines) if line.ref == API)
            return tree.render_line(index - tree.scroll_offset.y).text

        assert "✗ Deployment web/api" in painted()
        live = mirror.clusters["prod-eu"]
        mirror.set_cluster(msgspec.structs.replace(live, phase=Phase.UNREACHABLE, lost_since=mirror.clock() - 60))
        await until(pilot, lambda: "⌁ Deployment web/api" in painted())
        mirror.set_cluster(live)
        await until(pilot, lambda: "✗ Deployment web/api" in painted())


async def test_an_object_that_goes_leaves_the_tree() -> None:
    async with opened() as (pilot, screen):
        screen.find(CANARY)
        screen.fleet.mirror.remove([CANARY])
        await until(pilot, lambda: "apps-canary" not in names(screen))
        assert screen.fleet_tree.current is not None


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
        # The keys that it names do what it says where letters are text, too.
        assert "↓ ?  explains the filter" in notice
        await pilot.press("slash", "down", "question_mark")
        assert isinstance(top(pilot), HelpScreen)


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


async def test_the_name_of_what_the_cursor_is_on_is_copied_and_what_has_none_says_so() -> None:
    async with opened() as (pilot, screen):
        screen.find(APPS)
        copied = []
        for steps in ("", "h", "hh"):
            await pilot.press(*steps, "c")
            copied.append((pilot.app.clipboard, titles(pilot)[-1]))
        assert copied == [("apps", "Copied"), ("apps", "Nothing to copy"), ("prod-eu", "Copied")]


async def test_views_follow_their_key_and_their_names() -> None:
    async with opened() as (pilot, screen):
        await pilot.press("V")
        assert screen.shape.view == View.OWNERSHIP
        await pilot.click("#views", offset=(-5, 0))
        screen.set_view(View.FLAT)
        assert len(names(screen)) == sum(screen.fleet.mirror.counts())


async def test_objects_are_sorted_by_name_by_state_and_by_change_and_the_cursor_stays() -> None:
    async with opened() as (pilot, screen):
        screen.set_view(View.FLAT)
        screen.fleet_tree.go_to(APPS)
        rows, sorted_by = screen.fleet.mirror.rows, {}
        for order in Order:
            assert screen.shape.order is order
            sorted_by[order] = [rows[line.ref] for line in screen.fleet_tree.lines if line.ref in rows]
            header = screen.query_one("#header", Bar).render_line(0).text
            assert (f"sorted by {order}" in header) == (order is not Order.NAME)
            assert here(screen).ref == APPS
            await pilot.press("S")
        assert screen.shape.order is Order.NAME
        assert len(sorted_by[Order.NAME]) == len(rows)
        assert sorted_by[Order.NAME] == sorted(sorted_by[Order.NAME], key=lambda row: row.ref.name)
        assert sorted_by[Order.STATE] == sorted(sorted_by[Order.NAME], key=lambda row: row.state)
        assert sorted_by[Order.CHANGE] == sorted(sorted_by[Order.NAME], key=lambda row: -row.changed)
        assert len({tuple(map(id, found)) for found in sorted_by.values()}) == len(Order)


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


async def test_a_folded_owner_tells_of_failures_below_until_it_is_opened_or_they_are_gone() -> None:
    root = Ref("prod-us", APPS.group, APPS.kind, "flux-system", "flux-system")
    applied = {f"kustomize.toolkit.fluxcd.io/{key}": world.FLUX for key in ("name", "namespace")}

    def broken(status: dict[str, Any] | None = None) -> world.Object:
        late = world.kustomization("late", status=status or {})
        return {**late, "metadata": {**late["metadata"], "labels": applied}}

    async with opened() as (pilot, screen):
        mirror, tree = screen.fleet.mirror, screen.fleet_tree
        mirror.upsert("prod-us", [broken(world.failed("BuildFailed", "no such file", world.ago(minutes=1)))])
        screen.set_view(View.OWNERSHIP)
        screen.find(root)
        tree.focus()

        def painted() -> str:
            index = next(index for index, line in enumerate(tree.lines) if line.ref == root)
            return tree.render_line(index - tree.scroll_offset.y).text.rstrip()

        assert painted().startswith("   ▸ ✓ ks   flux-system")
        assert "✗ 1  main@7148a354" in painted()
        await pilot.press("right")
        assert "✗" not in painted()
        await pilot.press("left")
        assert "✗ 1" in painted()
        # A search for failures looks into it.
        await pilot.press("n")
        await pilot.pause()
        assert here(screen).ref == Ref("prod-us", APPS.group, APPS.kind, "flux-system", "late")
        await pilot.press("h", "left")
        assert "✗ 1" in painted()
        # So does a search for what the filter means, where its branch was closed.
        screen.set_filter("name=late")
        screen.find(root)
        await pilot.press("left")
        assert "✗ 1" in painted()
        await pilot.press("n")
        await pilot.pause()
        assert here(screen).ref == Ref("prod-us", APPS.group, APPS.kind, "flux-system", "late")
        screen.set_filter("")
        mirror.upsert("prod-us", [broken()])
        await until(pilot, lambda: "✗" not in painted())


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


async def test_time_alone_changes_the_clock_and_the_ages_in_sight_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = Still()
    now = fleet.mirror.clock()
    async with opened(fleet) as (pilot, screen):

        def header() -> str:
            return screen.header.render_line(0).text

        def line() -> str:
            return screen.fleet_tree.render_line(screen.fleet_tree.cursor - screen.fleet_tree.scroll_offset.y).text

        screen.find(APPS)
        await pilot.pause()
        screen.news.tick()
        before, clock = header(), header().split()[-1]
        assert line().split()[-1] == "4m"
        painted: list[int] = []
        paint = screen.fleet_tree._paint

        def noted(index: int, width: int) -> Strip:
            painted.append(index)
            return paint(index, width)

        monkeypatch.setattr(screen.fleet_tree, "_paint", noted)
        monkeypatch.setattr(fleet.mirror, "clock", lambda: now + 61)
        screen.news.tick()
        await pilot.pause()
        assert line().split()[-1] == "5m"
        assert header().split()[-1] != clock
        assert header().split()[:-1] == before.split()[:-1]
        assert len(header()) == len(before)
        painted.clear()
        monkeypatch.setattr(fleet.mirror, "clock", lambda: now + 62)
        screen.news.tick()
        await pilot.pause()
        assert painted == []
        assert header() != before
