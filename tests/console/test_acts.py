"""Actions from the main screen, and the dialogs and lists on top of it."""

from __future__ import annotations

from fluxtui.api.kinds import HELM_CHART
from fluxtui.config import ClusterSettings, Settings
from fluxtui.console.catalogue import catalogue
from fluxtui.console.screens.dialogs import FormScreen, QuestionScreen
from fluxtui.console.screens.help import HelpScreen
from fluxtui.console.screens.palette import CommandList, PaletteScreen
from fluxtui.console.screens.plan import PlanList, PlanScreen
from fluxtui.console.widgets.chrome import Bar
from fluxtui.fleet.actions import Item
from fluxtui.fleet.lines import cluster_key
from fluxtui.fleet.refs import Ref
from tests.console.live import until
from tests.console.opened import US_APPS, here, opened, titles, top
from tests.console.still import APPS, Still


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


async def test_what_vanishes_while_a_question_stands_is_refused_by_its_server() -> None:
    async with opened() as (pilot, screen):
        screen.find(US_APPS)
        await pilot.press("R")
        await pilot.pause()
        screen.fleet.mirror.remove([US_APPS])
        await pilot.press("r")
        await until(pilot, lambda: titles(pilot) == ["Kustomization apps not resumed"])


async def test_a_protected_cluster_is_typed_whatever_became_of_the_object_meanwhile() -> None:
    settings = Settings(clusters=ClusterSettings(protected=("prod-*",)))
    async with opened(Still(settings=settings)) as (pilot, screen):
        screen.find(US_APPS)
        await pilot.press("R")
        await pilot.pause()
        screen.fleet.mirror.remove([US_APPS])
        await pilot.press("r")
        await pilot.pause()
        assert isinstance(pilot.app.screen, FormScreen)
        assert titles(pilot) == []


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
        rows = pilot.app.screen.query_one(PlanList)
        chart = Item(Ref("prod-us", HELM_CHART.group, HELM_CHART.kind, "web", "podinfo"))
        assert "chart web/podinfo" in rows.paint(chart, 80).text


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
