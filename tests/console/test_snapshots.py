"""The look: every designed state in three sizes, every tab and dialog, each theme, ASCII and no colour.

Renew with `pytest tests/console/test_snapshots.py --snapshot-update` and look at every picture that changed.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

from fluxtui.config import ClusterSettings, ConsoleSettings, Settings
from fluxtui.console import folding
from fluxtui.console.screens.crash import CrashApp
from fluxtui.console.screens.palette import CommandList
from fluxtui.console.widgets.pane import DetailPane
from fluxtui.fleet.actions import Action
from fluxtui.fleet.branches import Branch, Child
from fluxtui.fleet.clusters import Phase
from fluxtui.fleet.lines import cluster_key
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.states import State
from tests.console import world
from tests.console.still import API, APPS, Still, app, board, open_apps

Snap = Callable[..., bool]
Prepare = Callable[[Pilot[Any]], Awaitable[None]]

SIZES = [(80, 24), (120, 32), (160, 50)]
sizes = pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x32", "160x50"])


@pytest.fixture(autouse=True)
def _at_once_and_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fluxtui.console.screens.details.SETTLE", 0.0)
    monkeypatch.setattr("fluxtui.console.screens.details.TURNS", 1e9)
    monkeypatch.setattr("fluxtui.console.screens.details.DELIBERATE", 0.0)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.fixture
def snap_compare(snap_compare: Snap) -> Snap:
    """As the plugin's, but what comes before the picture begins on a screen that has its widgets."""

    def compare(app: Any, *, run_before: Prepare | None = None, **options: Any) -> bool:
        async def prepared(pilot: Pilot[Any]) -> None:
            while run_before and not board(pilot).query(DetailPane):
                await pilot.pause()
            if run_before:
                await run_before(pilot)

        return snap_compare(app, run_before=prepared, **options)

    return compare


def fleet(**console: Any) -> Still:
    still = Still(settings=Settings(console=ConsoleSettings(**console)))
    open_apps(still)
    return still


async def at_apps(pilot: Pilot[Any]) -> None:
    """The cursor on prod-eu's apps, opened down to its pod."""
    screen = board(pilot)
    screen.find(APPS)
    screen.shape = folding.with_keys(screen.shape, [APPS, (APPS, API)], opened=True)
    screen.flatten()
    await settled(pilot)


async def settled(pilot: Pilot[Any]) -> None:
    """What the pane loads is there."""
    for _ in range(4):
        await pilot.pause()
    assert pilot.app.return_code is None, "the console went down"


def then(*keys: str, first: Prepare = at_apps) -> Prepare:
    async def press(pilot: Pilot[Any]) -> None:
        await first(pilot)
        await pilot.press(*keys)
        await settled(pilot)

    return press


def filtered(text: str) -> Prepare:
    async def type_in(pilot: Pilot[Any]) -> None:
        await at_apps(pilot)
        await pilot.press("slash")
        board(pilot).filter_line.set_text(text)
        await settled(pilot)

    return type_in


# The designed states


@sizes
def test_fleet(snap_compare: Snap, size: tuple[int, int]) -> None:
    assert snap_compare(app(fleet()), terminal_size=size, run_before=at_apps)


@sizes
def test_connecting(snap_compare: Snap, size: tuple[int, int]) -> None:
    still = Still({"prod-eu": [], "prod-us": [], "staging": []})
    for info in list(still.mirror.clusters.values()):
        still.mirror.set_cluster(msgspec.structs.replace(info, phase=Phase.CONNECTING, kinds=0, synced=0, latency=0.0))
    assert snap_compare(app(still), terminal_size=size, run_before=settled)


@sizes
def test_syncing(snap_compare: Snap, size: tuple[int, int]) -> None:
    still = Still({"prod-eu": world.prod_eu()[:3], "prod-us": world.prod_us(), "staging": []})
    for name, synced in (("prod-eu", 5), ("staging", 0)):
        info = msgspec.structs.replace(still.mirror.clusters[name], phase=Phase.SYNCING, synced=synced)
        still.mirror.set_cluster(info)
    assert snap_compare(app(still), terminal_size=size, run_before=settled)


@sizes
def test_empty(snap_compare: Snap, size: tuple[int, int]) -> None:
    still = Still({"prod-eu": [], "edge-03": []})
    still.mirror.set_cluster(msgspec.structs.replace(still.mirror.clusters["edge-03"], kinds=0, synced=0))

    assert snap_compare(app(still), terminal_size=size, run_before=then("right", "down", "right", first=settled))


@sizes
def test_forbidden(snap_compare: Snap, size: tuple[int, int]) -> None:
    still = Still({"prod-eu": world.prod_eu(), "staging": world.staging(), "edge-03": world.edge_03()})
    info = still.mirror.clusters["prod-eu"]
    forbidden = ("helmreleases.helm.toolkit.fluxcd.io", "buckets.source.toolkit.fluxcd.io")
    still.mirror.set_cluster(msgspec.structs.replace(info, phase=Phase.DEGRADED, forbidden=forbidden, synced=12))
    denied = still.mirror.clusters["staging"]
    error = "staging.example.com:6443 does not accept our credentials (401)"
    still.mirror.set_cluster(msgspec.structs.replace(denied, phase=Phase.DENIED, error=error))
    assert snap_compare(app(still), terminal_size=size, run_before=settled)


@sizes
def test_unreachable(snap_compare: Snap, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[Any]) -> None:
        board(pilot).journey.go_to(Ref("edge-07", APPS.group, APPS.kind, APPS.namespace, APPS.name))
        await settled(pilot)

    assert snap_compare(app(fleet()), terminal_size=size, run_before=look)


@sizes
def test_no_clusters(snap_compare: Snap, size: tuple[int, int]) -> None:
    assert snap_compare(app(Still({}), origin="~/.kube/config"), terminal_size=size, run_before=settled)


@sizes
def test_filter_matches_nothing(snap_compare: Snap, size: tuple[int, int]) -> None:
    console = app(fleet(), filter="kind=hr state=failed")
    assert snap_compare(console, terminal_size=size, run_before=settled)


@sizes
def test_truncated(snap_compare: Snap, size: tuple[int, int]) -> None:
    still = fleet()
    children = [Child(Ref("prod-eu", "", "ConfigMap", "web", f"page-{n:04}"), "v1", State.READY) for n in range(2100)]
    still.mirror.set_branch(APPS, Branch(tuple(children)))

    async def at_the_end(pilot: Pilot[Any]) -> None:
        screen = board(pilot)
        screen.journey.go_to(APPS)
        await pilot.press("right")
        screen.find(children[1999].ref)
        await pilot.press("up", "down")
        await settled(pilot)

    assert snap_compare(app(still), terminal_size=size, run_before=at_the_end)


# Views, filter, tabs, dialogs


@pytest.mark.parametrize("view", ["ownership", "source", "failure", "flat"])
def test_views(snap_compare: Snap, view: str) -> None:
    async def unfold(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        await pilot.press("right")
        await settled(pilot)

    assert snap_compare(app(fleet(), view=view), terminal_size=(120, 32), run_before=unfold)


def test_a_mistake_in_the_filter(snap_compare: Snap) -> None:
    assert snap_compare(app(fleet()), terminal_size=(120, 32), run_before=filtered("kindd=ks"))


def test_a_filter(snap_compare: Snap) -> None:
    assert snap_compare(app(fleet()), terminal_size=(120, 32), run_before=filtered("state=trouble"))


@pytest.mark.parametrize(
    "key", ["E", "l", "t", "D", "H", "y"], ids=["events", "logs", "trace", "diff", "history", "yaml"]
)
def test_tabs(snap_compare: Snap, key: str) -> None:
    assert snap_compare(app(fleet()), terminal_size=(120, 32), run_before=then(key))


def test_logs_of_several_pods(snap_compare: Snap) -> None:
    assert snap_compare(app(fleet()), terminal_size=(120, 32), run_before=then("down", "l"))


def test_zoomed_pane(snap_compare: Snap) -> None:
    assert snap_compare(app(fleet()), terminal_size=(80, 24), run_before=then("t", "tab", "z"))


def test_marks_and_pending(snap_compare: Snap) -> None:
    async def mark(pilot: Pilot[Any]) -> None:
        await at_apps(pilot)
        screen = board(pilot)
        await pilot.press("space")
        screen.find(Ref("prod-eu", APPS.group, APPS.kind, "flux-system", "infra-controllers"))
        await pilot.press("v")
        screen.actions.pending[Ref("prod-eu", APPS.group, APPS.kind, "flux-system", "monitoring")] = "reconcile"
        screen.fleet_tree.check()
        await settled(pilot)

    assert snap_compare(app(fleet()), terminal_size=(120, 32), run_before=mark)


@pytest.mark.parametrize("size", [(80, 24), (120, 32)], ids=["80x24", "120x32"])
def test_help(snap_compare: Snap, size: tuple[int, int]) -> None:
    console = app(fleet(), tour="Commit to the repository and watch the change walk through the tree.")
    assert snap_compare(console, terminal_size=size, run_before=then("question_mark"))


def test_palette(snap_compare: Snap) -> None:
    async def narrow(pilot: Pilot[Any]) -> None:
        await then("colon", *"prod")(pilot)
        found = pilot.app.screen.query_one(CommandList)
        while len(found.lines) != 2 or found.cursor != 0:
            await pilot.pause()

    assert snap_compare(app(fleet()), terminal_size=(120, 32), run_before=narrow)


def test_suspend_form(snap_compare: Snap) -> None:
    keys = ("s", *"move", "tab", *"2x", "enter")
    assert snap_compare(app(fleet()), terminal_size=(80, 24), run_before=then(*keys))


def test_suspended_object_offers_resume(snap_compare: Snap) -> None:
    async def ask(pilot: Pilot[Any]) -> None:
        screen = board(pilot)
        screen.journey.go_to(Ref("prod-us", APPS.group, APPS.kind, "flux-system", "apps"))
        screen.actions.start(Action.RECONCILE)
        await settled(pilot)

    assert snap_compare(app(fleet()), terminal_size=(120, 32), run_before=ask)


def test_bulk_preview(snap_compare: Snap) -> None:
    async def preview(pilot: Pilot[Any]) -> None:
        board(pilot).fleet_tree.go_to(cluster_key("prod-us"))
        await pilot.press("R")
        await settled(pilot)

    still = Still(settings=Settings(clusters=ClusterSettings(protected=("prod-*",))))
    assert snap_compare(app(still), terminal_size=(120, 32), run_before=preview)


def test_refused(snap_compare: Snap) -> None:
    assert snap_compare(app(fleet(), read_only=True), terminal_size=(120, 32), run_before=then("R"))


def test_crash(snap_compare: Snap) -> None:
    text = "fluxtui 0.1.0, Textual 8\n\nTraceback (most recent call last):\nValueError: no [such] thing"
    assert snap_compare(CrashApp(text), terminal_size=(80, 24))


# Colours and characters


@pytest.mark.parametrize("theme", ["fluxtui-dim", "fluxtui-light", "fluxtui-paper"])
def test_themes(snap_compare: Snap, theme: str) -> None:
    assert snap_compare(app(fleet(), theme=theme), terminal_size=(120, 32), run_before=at_apps)


def test_ascii(snap_compare: Snap) -> None:
    assert snap_compare(app(fleet(), ascii=True), terminal_size=(120, 32), run_before=at_apps)


def test_no_colour(snap_compare: Snap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(app(fleet()), terminal_size=(120, 32), run_before=at_apps)
