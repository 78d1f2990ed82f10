"""Frames are the same as Textual's own compositor makes them, for any regions; they ask for fewer lines."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from rich.text import Text
from textual._compositor import ChopsUpdate, Compositor
from textual.app import App, ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.geometry import Region
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from fluxtui.console.compositing import LineCompositor

SIZE = (60, 24)
TEXT = Text("\n".join(f"line {number} — wide 宽 and narrow" for number in range(40)))


class Crowded(Screen[None]):
    """Widgets side by side, one clipped by its container, one in front of others."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = LineCompositor()

    def compose(self) -> ComposeResult:
        yield Static("the head", id="head")
        with Horizontal():
            with VerticalScroll(id="scroll"):
                yield Static(TEXT)
            yield Static(TEXT, id="side")
        yield Static("in front of all", id="front")


class CrowdedApp(App[None]):
    CSS = """
    Crowded { layers: below above; }
    #front { layer: above; offset: 25 6; width: 20; height: 8; border: round green; }
    #scroll { width: 1fr; border: solid blue; }
    #head { dock: top; height: 1; }
    #side { width: 22; padding: 1 2; }
    """

    def get_default_screen(self) -> Screen[None]:
        return Crowded()


def regions(seed: int) -> Iterator[Region]:
    """Some regions, within the screen and reaching out of it."""
    dice = random.Random(seed)
    for _ in range(dice.randint(1, 4)):
        width, height = dice.choice([(SIZE[0], 1), (dice.randint(1, 30), dice.randint(1, 6)), (1, 1)])
        yield Region(dice.randint(0, SIZE[0] - 1), dice.randint(0, SIZE[1] - 1), width, height)


async def test_any_regions_are_painted_as_textual_paints_them() -> None:
    app = CrowdedApp()
    async with app.run_test(size=SIZE) as pilot:
        app.screen.query_one("#scroll", VerticalScroll).scroll_to(y=7, animate=False, force=True)
        await pilot.pause()
        compositor = app.screen._compositor
        assert isinstance(compositor, LineCompositor)
        for seed in range(200):
            dirty = {region.intersection(Region(0, 0, *SIZE)) for region in regions(seed)}
            written = []
            for kind in (Compositor, LineCompositor):
                compositor._dirty_regions = set(dirty)
                update = kind.render_partial_update(compositor)
                assert isinstance(update, ChopsUpdate)
                written.append(update.render_segments(app.console))
            assert written[0] == written[1], sorted(dirty)
        assert compositor.render_partial_update() is None


async def test_only_lines_that_changed_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    app = CrowdedApp()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        asked: list[tuple[str, int]] = []
        render = Widget.render_lines

        def counted(self: Widget, crop: Region) -> object:
            asked.append((self.id or type(self).__name__, crop.height))
            return render(self, crop)

        monkeypatch.setattr(Widget, "render_lines", counted)
        compositor = app.screen._compositor
        compositor._dirty_regions = {Region(0, 3, 10, 1), Region(0, 20, 10, 2)}
        assert compositor.render_partial_update() is not None
        assert ("side", 1) not in asked
        assert ("head", 1) not in asked
        assert {height for _, height in asked} == {1, 2}
