"""The console on running clusters: what happens there shows here, what is done here happens there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.widgets import Static

from fluxtui.console.screens.details import GROUP
from fluxtui.console.screens.dialogs import FormScreen, QuestionScreen
from fluxtui.console.screens.engines import refusal
from fluxtui.console.screens.fleet import FleetScreen
from fluxtui.console.screens.plan import PlanScreen
from fluxtui.console.widgets.chrome import Words
from fluxtui.fleet.clusters import ClusterInfo, Mode, Phase
from fluxtui.fleet.collector import Collector
from fluxtui.fleet.facts import SUSPEND_REASON
from fluxtui.fleet.lines import cluster_key
from fluxtui.sandbox.faults import FAULTS
from tests.console import world
from tests.console.live import controller, erase, ks, names, plant, running, shown, stored, until
from tests.console.opened import pane_text

Start = Callable[..., Any]


def plain(*wanted: str) -> list[world.Object]:
    return [world.git(), *(world.kustomization(name) for name in wanted)]


def messages(app: Any) -> list[str]:
    return [f"{note.title}: {note.message}" for note in app._notifications]


async def test_what_clusters_do_walks_through_the_tree(sandbox_fleet: Start, tmp_path: Path) -> None:
    fleet = await sandbox_fleet("prod-eu", "staging")
    await plant(fleet["prod-eu"], plain("apps", "infra"))
    await plant(fleet["staging"], plain("apps"))
    async with running(fleet, tmp_path / "kubeconfig") as (pilot, screen):
        await until(pilot, lambda: names(screen, "prod-eu") == {"apps", "infra"})
        await until(pilot, lambda: names(screen, "staging") == {"apps"})
        assert screen.fleet.visible() == {"prod-eu", "staging"}
        await plant(fleet["staging"], [world.kustomization("late", status=world.failed("Bad", "no", world.ago()))])
        await until(pilot, lambda: names(screen, "staging") == {"apps", "late"})
        assert any("✗ ks   late" in line for line in shown(screen))
        erase(fleet["prod-eu"], "infra")
        await until(pilot, lambda: names(screen, "prod-eu") == {"apps"})


async def test_reconcile_is_followed_until_the_controller_reports(sandbox_fleet: Start, tmp_path: Path) -> None:
    fleet = await sandbox_fleet("prod-eu")
    await plant(fleet["prod-eu"], plain("apps", "broken"))
    async with (
        running(fleet, tmp_path / "kubeconfig") as (pilot, screen),
        controller(fleet["prod-eu"], lambda name: name == "broken"),
    ):
        await until(pilot, lambda: names(screen, "prod-eu") == {"apps", "broken"})
        screen.find(ks("prod-eu", "apps"))
        await pilot.press("R")
        await until(
            pilot, lambda: any("Kustomization apps reconciled: applied main@7148a354" in m for m in messages(pilot.app))
        )
        assert screen.actions.pending == {}
        screen.find(ks("prod-eu", "broken"))
        await pilot.press("R")
        await until(
            pilot,
            lambda: any(m.startswith("Kustomization broken not reconciled: no such file") for m in messages(pilot.app)),
        )


async def test_a_request_that_waits_is_marked_on_its_row(sandbox_fleet: Start, tmp_path: Path) -> None:
    fleet = await sandbox_fleet("prod-eu")
    await plant(fleet["prod-eu"], plain("apps"))
    async with running(fleet, tmp_path / "kubeconfig") as (pilot, screen):
        await until(pilot, lambda: names(screen, "prod-eu") == {"apps"})
        screen.find(ks("prod-eu", "apps"))
        await pilot.press("R")
        await until(pilot, lambda: any(line.startswith("»") and "apps" in line for line in shown(screen)))
        async with controller(fleet["prod-eu"]):
            await until(pilot, lambda: not any(line.startswith("»") for line in shown(screen)))


async def test_suspend_with_a_reason_and_resume_with_reconcile(sandbox_fleet: Start, tmp_path: Path) -> None:
    fleet = await sandbox_fleet("prod-eu")
    cluster = fleet["prod-eu"]
    await plant(cluster, plain("apps"))
    async with running(fleet, tmp_path / "kubeconfig") as (pilot, screen), controller(cluster):
        await until(pilot, lambda: names(screen, "prod-eu") == {"apps"})
        screen.find(ks("prod-eu", "apps"))
        await pilot.press("s")
        await until(pilot, lambda: isinstance(pilot.app.screen, FormScreen))
        await pilot.press(*"moving", "enter")
        await until(pilot, lambda: any("‖ ks   apps  moving, by" in line for line in shown(screen)))
        assert stored(cluster, "apps")["metadata"]["annotations"][SUSPEND_REASON] == "moving"
        await pilot.press("R")
        await until(pilot, lambda: isinstance(pilot.app.screen, QuestionScreen))
        await pilot.press("r")
        await until(pilot, lambda: any("apps reconciled" in message for message in messages(pilot.app)))
        assert stored(cluster, "apps")["spec"]["suspend"] is False
        assert (
            "annotations" not in stored(cluster, "apps")["metadata"]
            or SUSPEND_REASON not in stored(cluster, "apps")["metadata"]["annotations"]
        )


async def test_after_a_resume_the_reconcile_waits_for_no_news_of_it(
    sandbox_fleet: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = await sandbox_fleet("prod-eu")
    cluster = fleet["prod-eu"]
    held = world.kustomization("apps")
    held["spec"]["suspend"] = True
    await plant(cluster, [world.git(), held])
    news, fold = asyncio.Event(), Collector._fold

    async def late(self: Collector, *told: Any) -> None:
        await news.wait()
        await fold(self, *told)

    async with running(fleet, tmp_path / "kubeconfig") as (pilot, screen), controller(cluster):
        await until(pilot, lambda: any("‖ ks   apps" in line for line in shown(screen)))
        monkeypatch.setattr(Collector, "_fold", late)
        screen.find(ks("prod-eu", "apps"))
        await pilot.press("R")
        await until(pilot, lambda: isinstance(pilot.app.screen, QuestionScreen))
        await pilot.press("r")
        await until(pilot, lambda: any("apps reconciled" in message for message in messages(pilot.app)))
        assert any("‖ ks   apps" in line for line in shown(screen))
        news.set()
        await until(pilot, lambda: any("✓ ks   apps" in line for line in shown(screen)))


async def test_marks_are_reconciled_together_with_results_object_by_object(
    sandbox_fleet: Start, tmp_path: Path
) -> None:
    fleet = await sandbox_fleet("prod-eu", "staging")
    await plant(fleet["prod-eu"], plain("apps", "broken"))
    await plant(fleet["staging"], [world.kustomization("held", spec={"suspend": True}), world.kustomization("apps")])
    async with (
        running(fleet, tmp_path / "kubeconfig", protected=("prod-*",)) as (pilot, screen),
        controller(fleet["prod-eu"], lambda name: name == "broken"),
        controller(fleet["staging"]),
    ):
        await until(
            pilot,
            lambda: names(screen, "staging") == {"apps", "held"} and names(screen, "prod-eu") == {"apps", "broken"},
        )
        for ref in (ks("prod-eu", "apps"), ks("prod-eu", "broken"), ks("staging", "apps"), ks("staging", "held")):
            screen.find(ref)
            await pilot.press("space")
        await pilot.press("R")
        await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen))
        plan = pilot.app.screen
        await pilot.press("enter")
        await until(pilot, lambda: "That is not the name" in plan.query_one("#plan-hint", Words).text.plain)
        await pilot.press(*"prod-eu", "enter")
        await until(pilot, lambda: "2 done, 1 failed" in plan.query_one("#plan-hint", Words).text.plain)
        await until(pilot, lambda: not screen.fleet_tree.marks)
        handled = [stored(fleet[name], "apps")["status"]["lastHandledReconcileAt"] for name in ("prod-eu", "staging")]
        assert all(handled)
        assert "requestedAt" not in str(stored(fleet["staging"], "held")["metadata"])


async def test_a_forbidden_action_is_refused_with_the_reason(sandbox_fleet: Start, tmp_path: Path) -> None:
    fleet = await sandbox_fleet("prod-eu")
    await plant(fleet["prod-eu"], plain("apps"))
    fleet["prod-eu"].deny("patch", "kustomizations")
    async with running(fleet, tmp_path / "kubeconfig") as (pilot, screen):
        await until(pilot, lambda: names(screen, "prod-eu") == {"apps"})
        screen.find(ks("prod-eu", "apps"))
        await pilot.press("R")
        await until(pilot, lambda: any("you may not patch" in message for message in messages(pilot.app)))
        assert "annotations" not in stored(fleet["prod-eu"], "apps")["metadata"]


async def test_a_forbidden_kind_is_a_known_fact_of_its_cluster(sandbox_fleet: Start, tmp_path: Path) -> None:
    fleet = await sandbox_fleet("prod-eu")
    await plant(fleet["prod-eu"], plain("apps"))
    fleet["prod-eu"].deny("list", "helmreleases")
    async with running(fleet, tmp_path / "kubeconfig") as (pilot, screen):
        await until(pilot, lambda: names(screen, "prod-eu") == {"apps"})
        await until(pilot, lambda: any("1 kind forbidden" in line for line in shown(screen)))
        assert any("may not be read: helmreleases" in line for line in shown(screen))


async def test_events_that_may_not_be_read_are_told_in_their_tab_and_spoil_no_overview(
    sandbox_fleet: Start, tmp_path: Path
) -> None:
    fleet = await sandbox_fleet("prod-eu")
    await plant(fleet["prod-eu"], plain("apps"))
    fleet["prod-eu"].deny("list", "events")
    async with running(fleet, tmp_path / "kubeconfig") as (pilot, screen):
        await until(pilot, lambda: names(screen, "prod-eu") == {"apps"})
        screen.find(ks("prod-eu", "apps"))
        await pilot.press("E")
        await until(pilot, lambda: "events is forbidden" in pane_text(screen))
        await pilot.press("d")
        # Events are asked for after the object, and both are done then.
        loaded = screen.details
        await until(pilot, lambda: loaded._object and not any(worker.group == GROUP for worker in screen.workers))
        assert "every   10m" in pane_text(screen)
        assert "forbidden" not in pane_text(screen)


async def test_a_cluster_that_dies_is_greyed_with_its_age_and_actions_say_why_not(
    sandbox_fleet: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("collector", "mirror", "states"):
        monkeypatch.setattr(f"fluxtui.fleet.{module}.LOST_AFTER", 0.3)
    fleet = await sandbox_fleet("good", "bad")
    await plant(fleet["good"], plain("apps"))
    await plant(fleet["bad"], plain("apps"))
    async with running(fleet, tmp_path / "kubeconfig") as (pilot, screen):
        await until(pilot, lambda: names(screen, "bad") == {"apps"})
        await fleet["bad"].faults.set("refuse")
        await until(pilot, lambda: any("⌁ bad  unreachable" in line and "was ✓ 2" in line for line in shown(screen)))
        await until(pilot, lambda: any("⌁ ks   apps" in line for line in shown(screen)))
        screen.find(ks("bad", "apps"))
        await pilot.press("R")
        await until(pilot, lambda: any("bad does not answer" in message for message in messages(pilot.app)))
        await fleet["bad"].faults.clear()
        await until(pilot, lambda: not any("⌁" in line for line in shown(screen)))


async def test_a_cluster_that_refuses_requests_says_so_on_its_line_in_the_header_and_in_the_pane(
    sandbox_fleet: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fluxtui.fleet.lookout.LEASES_EVERY", 0.2)
    monkeypatch.setattr("fluxtui.fleet.lookout.REFUSED_PAUSE", 0.05)
    fleet = await sandbox_fleet("good", "bad")
    await plant(fleet["good"], plain("apps"))
    await plant(fleet["bad"], plain("apps"))

    def header(screen: FleetScreen) -> str:
        return screen.header.render_line(0).text

    async with running(fleet, tmp_path / "kubeconfig") as (pilot, screen):
        await until(pilot, lambda: names(screen, "bad") == {"apps"} and "● live" in header(screen))
        screen.fleet_tree.go_to(cluster_key("bad"))
        await fleet["bad"].faults.set("error")
        await until(pilot, lambda: any("✗ bad  live, but refused: " in line for line in shown(screen)))
        await until(pilot, lambda: "1/2 live" in header(screen))
        await until(pilot, lambda: "is asked again now and then" in pane_text(screen))
        # What it said before stands: its objects are as live as its streams.
        assert any("✓ ks   apps" in line for line in shown(screen))
        # What is asked for says why it does not come, and comes by itself afterwards.
        screen.find(ks("bad", "apps"))
        await pilot.press("E")
        await until(pilot, lambda: "bad refuses requests: " in pane_text(screen))
        await pilot.press("y")
        await until(pilot, lambda: "Internal error" in pane_text(screen))
        await fleet["bad"].faults.clear()
        await until(pilot, lambda: "● live" in header(screen) and any("✓ bad" in line for line in shown(screen)))
        await until(pilot, lambda: "kind: Kustomization" in pane_text(screen))


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_one_cluster_freezes_nothing_and_leaves_no_ghosts(
    sandbox_fleet: Start, tmp_path: Path, fault: str
) -> None:
    fleet = await sandbox_fleet("good", "bad")
    await plant(fleet["good"], plain("apps"))
    await plant(fleet["bad"], plain("apps", "old"))
    async with running(fleet, tmp_path / "kubeconfig") as (pilot, screen), controller(fleet["good"]):
        await until(pilot, lambda: names(screen, "bad") == {"apps", "old"} and names(screen, "good") == {"apps"})
        await fleet["bad"].faults.set(fault)
        # The other cluster is as quick as before: a key, an action, news.
        screen.fleet_tree.go_to(cluster_key("good"))
        screen.find(ks("good", "apps"))
        await pilot.press("R")
        await until(pilot, lambda: any("apps reconciled" in message for message in messages(pilot.app)))
        await plant(fleet["good"], [world.kustomization("more")])
        await until(pilot, lambda: names(screen, "good") == {"apps", "more"})
        # What happened there meanwhile is seen when it is back, and only that.
        erase(fleet["bad"], "old")
        await plant(fleet["bad"], [world.kustomization("new")])
        await fleet["bad"].faults.clear()
        await until(pilot, lambda: names(screen, "bad") == {"apps", "new"})
        await until(pilot, lambda: not screen.fleet.mirror.clusters["bad"].is_lost)


async def test_an_engine_is_started_and_stopped_from_the_console_and_its_state_stands_on_the_cluster(
    sandbox_fleet: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = await sandbox_fleet("edge-03")
    await plant(fleet["edge-03"], plain("apps"))
    async with running(fleet, tmp_path / "kubeconfig") as (pilot, screen):
        control, context = screen.engines, screen.fleet.context("edge-03")
        assert context is not None
        begin, go_on = control.engines.start, asyncio.Event()

        async def held_up(*arguments: Any, **options: Any) -> int:
            await go_on.wait()
            return await begin(*arguments, **options)

        monkeypatch.setattr(control.engines, "start", held_up)
        await until(pilot, lambda: any("no controllers" in line for line in shown(screen)))
        try:
            await pilot.press("ctrl+e")
            await until(pilot, lambda: isinstance(pilot.app.screen, QuestionScreen))
            await pilot.press("y")
            await until(pilot, lambda: any("engine starts" in line for line in shown(screen)))
            go_on.set()
            # A message passes, a state stays.
            await until(pilot, lambda: any("It goes on when" in message for message in messages(pilot.app)))
            await until(pilot, lambda: any("embedded engine" in line for line in shown(screen)))
            assert control.engines.pid(context)
            await pilot.press("ctrl+e")
            await until(pilot, lambda: isinstance(pilot.app.screen, QuestionScreen))
            await pilot.press("y")
            await until(pilot, lambda: any("Nobody reconciles" in message for message in messages(pilot.app)))
            await until(pilot, lambda: any("no controllers" in line for line in shown(screen)))
            audit = screen.fleet.commands.audit.path.read_text().splitlines()
            assert [json.loads(line)["action"] for line in audit] == ["start engine", "stop engine"]
        finally:
            await control.engines.stop(context)


async def test_an_engine_that_is_not_wanted_is_not_started(sandbox_fleet: Start, tmp_path: Path) -> None:
    fleet = await sandbox_fleet("edge-03")
    await plant(fleet["edge-03"], plain("apps"))
    async with running(fleet, tmp_path / "kubeconfig", read_only=True) as (pilot, screen):
        await pilot.press("ctrl+e")
        await until(pilot, lambda: any("read-only" in message for message in messages(pilot.app)))
        assert isinstance(pilot.app.screen, FleetScreen)
    async with running(fleet, tmp_path / "kubeconfig", protected=("edge-*",)) as (pilot, screen):
        await until(pilot, lambda: names(screen, "edge-03") == {"apps"})
        await pilot.press("ctrl+e")
        await until(pilot, lambda: isinstance(pilot.app.screen, FormScreen))
        await pilot.press(*"edge", "enter")
        assert isinstance(pilot.app.screen, FormScreen)
        await pilot.press("escape")


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (
            {"mode": Mode.DELEGATED, "holder": "kustomize-controller-5d8f"},
            "kustomize-controller-5d8f holds their Leases",
        ),
        ({"mode": Mode.EMBEDDED, "holder": "fluxtui_host"}, "already, started elsewhere: fluxtui_host"),
        ({"phase": Phase.UNREACHABLE, "lost_since": 40.0}, "does not answer for 1m"),
        ({"phase": Phase.SYNCING}, "still being read"),
        ({"kinds": 0}, "fluxtui install --context edge-03"),
        ({"mode": Mode.NONE}, ""),
    ],
)
def test_why_no_engine_is_started(info: dict[str, Any], words: str) -> None:
    cluster = ClusterInfo(**{"id": "edge-03", "phase": Phase.LIVE, "kinds": 13, **info})
    said = refusal(cluster, 0, 100.0, read_only=False)
    assert words in said
    assert bool(said) == bool(words)


def test_an_engine_that_fell_silent_is_not_in_the_way() -> None:
    cluster = ClusterInfo(id="edge-03", phase=Phase.LIVE, kinds=13, mode=Mode.EMBEDDED, holder="fluxtui_host")
    assert refusal(cluster, 0, 100.0, read_only=False)
    # The one that would be started gets its own Leases back, those of another have to run out.
    assert refusal(cluster, 0, 100.0, read_only=False, own=True) == ""
    silent = msgspec.structs.replace(cluster, stale_controllers=("source-controller",))
    assert refusal(silent, 0, 100.0, read_only=False) == ""


async def test_an_engine_that_was_killed_is_brought_back_with_all_it_had(sandbox_fleet: Start, tmp_path: Path) -> None:
    fleet = await sandbox_fleet("east", "west")
    for name in ("east", "west"):
        await plant(fleet[name], plain("apps"))
    async with running(fleet, tmp_path / "kubeconfig") as (pilot, screen):
        engines = screen.engines.engines
        east, west = (screen.fleet.context(name) for name in ("east", "west"))
        assert east is not None
        assert west is not None
        try:
            await engines.start(east)
            os.kill(await engines.start(west), signal.SIGKILL)
            await until(pilot, lambda: engines.left_behind() == ["east", "west"])
            screen.fleet.look("east")
            await until(pilot, lambda: screen.fleet.mirror.clusters["east"].mode is Mode.EMBEDDED)
            screen.fleet_tree.go_to(cluster_key("east"))
            await pilot.press("ctrl+e")
            await until(pilot, lambda: isinstance(pilot.app.screen, QuestionScreen))
            told = " ".join(str(line.render()) for line in pilot.app.screen.query(Static))
            assert "had, too: west" in told
            await pilot.press("a")
            await until(pilot, lambda: any("reconciles east" in message for message in messages(pilot.app)))
            assert engines.pid(west) == engines.pid(east) != 0
        finally:
            await engines.stop(east)
            await engines.stop(west)
