"""The virtual list: the cursor keeps its line, only what changed is painted, size does not matter."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pytest
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.strip import Strip

from fluxtui.console.themes import DARK, palette
from fluxtui.console.widgets.lines import VirtualList


class Names(VirtualList[str]):
    def __init__(self) -> None:
        super().__init__(palette(DARK.to_color_system().generate() | DARK.variables))
        self.painted: list[str] = []
        self.versions: dict[str, int] = {}
        self.asked = 0
        """How often anything was asked about a line."""

    def key(self, line: str) -> Hashable:
        self.asked += 1
        return line

    def stamp(self, line: str) -> object:
        self.asked += 1
        return self.versions.get(line, 0)

    def selectable(self, line: str) -> bool:
        self.asked += 1
        return not line.startswith("-")

    def paint(self, line: str, width: int) -> Strip:
        self.painted.append(line)
        return Strip([Segment(line)])


class Host(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.names = Names()
        self.highlighted: list[str | None] = []

    def compose(self) -> ComposeResult:
        yield self.names

    def on_virtual_list_highlighted(self) -> None:
        self.highlighted.append(self.names.current)


class Watched(list[str]):
    """Lines that count how many of them are looked at."""

    looks = 0

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        self.looks += len(found) if isinstance(place, slice) else 1
        return found

    def __iter__(self) -> Iterator[str]:
        self.looks += len(self)
        return super().__iter__()


def numbered(count: int) -> list[str]:
    return [f"line {number}" for number in range(count)]


async def test_cursor_stays_on_its_line_and_row_when_lines_come_before_it() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.names.show(numbered(100))
        app.names.go_to("line 50")
        await pilot.pause()
        row = app.names.cursor - app.names.scroll_offset.y
        app.highlighted.clear()
        app.names.show(["new a", "new b", *numbered(100)])
        await pilot.pause()
        assert app.names.current == "line 50"
        assert app.names.cursor == 52
        assert app.names.cursor - app.names.scroll_offset.y == row
        assert app.highlighted == []


async def test_a_jump_out_of_sight_shows_what_stands_around_and_one_in_sight_moves_nothing() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.names.show(numbered(100))
        app.names.go_to("line 50")
        await pilot.pause()
        assert app.names.scroll_offset.y == 50 - 10 // 3
        app.names.go_to("line 52")
        await pilot.pause()
        assert app.names.scroll_offset.y == 50 - 10 // 3


async def test_room_is_made_below_the_cursor_and_the_cursor_stays_in_sight() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.names.show(numbered(100))
        app.names.cursor = 9
        app.names.make_room(4)
        await pilot.pause()
        assert app.names.scroll_offset.y == 4
        app.names.make_room(40)
        await pilot.pause()
        assert app.names.scroll_offset.y == 9
        app.names.make_room(3)
        await pilot.pause()
        assert app.names.scroll_offset.y == 9


async def test_cursor_takes_the_place_of_a_line_that_vanished_and_says_so() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.names.show(numbered(5))
        app.names.go_to("line 3")
        await pilot.pause()
        app.highlighted.clear()
        app.names.show([name for name in numbered(5) if name != "line 3"])
        await pilot.pause()
        assert app.names.current == "line 4"
        assert app.highlighted == ["line 4"]
        app.names.show([])
        await pilot.pause()
        assert app.names.current is None


async def test_keys_move_by_line_page_and_edge_past_lines_without_a_cursor() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.names.show(["- heading", *numbered(40), "- end"])
        app.names.focus()
        await pilot.press("home")
        assert app.names.current == "line 0"
        await pilot.press("up", "down", "j", "j", "k")
        assert app.names.current == "line 2"
        await pilot.press("pagedown")
        assert app.names.current == "line 11"
        await pilot.press("ctrl+b", "ctrl+b")
        assert app.names.current == "line 0"
        await pilot.press("end")
        assert app.names.current == "line 39"


async def test_a_changed_line_out_of_sight_costs_no_paint_and_one_in_sight_one() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.names.show(numbered(50_000))
        await pilot.pause()
        app.names.painted.clear()
        app.names.versions |= {"line 4": 1, "line 40000": 1}
        assert app.names.check() == 1
        await pilot.pause()
        assert app.names.painted == ["line 4"]
        assert app.names.check() == 0


async def test_fifty_thousand_lines_move_and_change_with_no_more_work_than_fifty() -> None:
    app = Host()
    async with app.run_test(size=(100, 40)) as pilot:

        async def work(count: int) -> tuple[int, int]:
            """Questions about lines, and looks at the list of them."""
            lines = Watched(numbered(count))
            app.names.show(lines)
            await pilot.pause()
            app.names.asked = lines.looks = 0
            for _ in range(8):
                app.names.action_move(1)
                app.names.versions["line 3"] = app.names.versions.get("line 3", 0) + 1
                app.names.check()
                await pilot.pause()
            return app.names.asked, lines.looks

        few = await work(50)
        assert few[0] > 8
        app.names.cursor = 0
        many = await work(50_000)
        # A scan of all of them even once would be many times as much.
        assert many[0] <= 2 * few[0]
        assert many[1] <= 2 * few[1]


async def test_click_moves_the_cursor() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.names.show(numbered(100))
        app.names.go_to("line 30")
        await pilot.pause()
        top = app.names.scroll_offset.y
        await pilot.click(Names, offset=(3, 2))
        assert app.names.cursor == top + 2


async def test_lines_that_come_and_go_want_a_layout_only_with_the_scroll_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Host()
    wants = False
    refresh = Names.refresh

    def noted(self: Names, *regions: Region, layout: bool = False, **options: Any) -> Names:
        nonlocal wants
        wants = wants or layout
        return refresh(self, *regions, layout=layout, **options)

    async with app.run_test(size=(40, 10)) as pilot:
        names = app.names
        while names.container_size.height != 10:
            await pilot.pause()
        monkeypatch.setattr(Names, "refresh", noted)
        cases = (
            (4, False, False),
            (9, False, False),
            (40, True, True),
            (60, True, False),
            (20, True, False),
            (3, False, True),
        )
        for count, bar, layout in cases:
            wants = False
            names.show(numbered(count))
            assert wants == layout, count
            names.jump(count - 1)
            while names.show_vertical_scrollbar != bar or names.max_scroll_y != max(0, count - 10):
                await pilot.pause()
            assert names.scroll_offset.y <= names.max_scroll_y
            if bar:
                assert names.vertical_scrollbar.window_virtual_size == count
