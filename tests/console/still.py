"""A still fleet: a mirror fed from `world` at its frozen moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot

from fluxtui.config import ConsoleSettings, Settings
from fluxtui.console.app import ConsoleApp
from fluxtui.console.screens.fleet import FleetScreen
from fluxtui.console.start import Start
from fluxtui.fleet.branches import Branch, Child
from fluxtui.fleet.clusters import ClusterInfo, Mode, Phase
from fluxtui.fleet.comparison import Comparison
from fluxtui.fleet.fleet import Fleet
from fluxtui.fleet.happenings import Happening
from fluxtui.fleet.logs import LogLine
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.states import State
from fluxtui.kube.errors import Unreachable
from tests.console import world

INFOS: dict[str, dict[str, Any]] = {
    "prod-eu": {"mode": Mode.DELEGATED, "flux_version": "2.9.4", "latency": 0.034},
    "prod-us": {"mode": Mode.DELEGATED, "flux_version": "2.9.4", "latency": 0.041},
    "staging": {"mode": Mode.EMBEDDED, "flux_version": "2.9.4", "latency": 0.012},
    "edge-03": {"mode": Mode.DELEGATED, "flux_version": "2.6.1", "latency": 0.380},
    "edge-07": {
        "mode": Mode.DELEGATED,
        "flux_version": "2.6.1",
        "phase": Phase.UNREACHABLE,
        "lost_since": world.NOW.timestamp() - 372,
        "error": "connection refused by edge-07.example.com:6443",
    },
}

APPS = Ref("prod-eu", "kustomize.toolkit.fluxcd.io", "Kustomization", "flux-system", "apps")
API = Ref("prod-eu", "apps", "Deployment", "web", "api")


class Still(Fleet):
    """A fleet that stands still: what it holds was put there by a test."""

    def __init__(self, clusters: dict[str, list[world.Object]] | None = None, settings: Settings | None = None) -> None:
        super().__init__((), settings, clock=world.NOW.timestamp)
        self.objects: dict[Ref, world.Object] = {}
        for name, objects in (world.CLUSTERS if clusters is None else clusters).items():
            known = {"kinds": 14, "synced": 14, "phase": Phase.LIVE, "server": f"{name}.example.com:6443"}
            self.mirror.set_cluster(ClusterInfo(id=name, **{**known, **INFOS.get(name, {})}))
            refs = self.mirror.upsert(name, objects)
            self.objects.update(zip(refs, objects, strict=True))
        self.mirror.events = 0
        for info in self.mirror.clusters.values():
            if info.lost_since:
                for group, kind in {(ref.group, ref.kind) for ref in self.mirror.refs(info.id)}:
                    self.mirror.set_lost(info.id, group, kind, info.lost_since)

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def object(self, ref: Ref) -> dict[str, Any]:
        if ref not in self.objects:
            raise Unreachable(f"{ref.cluster} stands still")
        return self.objects[ref]

    async def comparison(self, ref: Ref) -> Comparison:
        return world.comparison(ref)

    async def events(self, ref: Ref, show: Callable[[tuple[Happening, ...]], None]) -> None:
        show(tuple(world.happenings(ref)))
        await asyncio.Event().wait()

    async def logs(self, ref: Ref, show: Callable[[list[LogLine]], None]) -> None:
        show(world.log_lines(ref))
        await asyncio.Event().wait()

    def open(self, ref: Ref) -> None:
        """Children were put there by the test."""

    def close(self, ref: Ref) -> None:
        """They stay."""


def open_apps(still: Still) -> None:
    """Put the children of prod-eu's apps there, as opening them would."""
    minutes = world.NOW.timestamp() - 252
    pod = Ref("prod-eu", "", "Pod", "web", "api-6d9f7c-x2kqp")
    days = world.NOW.timestamp() - 9 * 86400
    still.mirror.set_branch(
        APPS,
        Branch(
            (
                Child(API, "v1", State.FAILED, "CrashLoopBackOff ×6", minutes),
                Child(Ref("prod-eu", "", "Service", "web", "api"), "v1", State.READY, "", days),
                Child(Ref("prod-eu", "", "ConfigMap", "web", "api-env"), "v1", State.READY, "", minutes),
            )
        ),
    )
    still.mirror.set_branch(API, Branch((Child(pod, "v1", State.FAILED, "exit 1: DB_URL is not set", minutes),)))


def app(still: Still | None = None, *, origin: str = "", tour: str = "", **console: Any) -> ConsoleApp:
    """The console over a still fleet, with its settings unless others are given."""
    settings = still.settings if still and not console else Settings(console=ConsoleSettings(**console))
    fleet = still or Still(settings=settings)
    fleet.settings = settings
    return ConsoleApp(Start(settings=settings, origin=origin, tour=tour), fleet)


def board(pilot: Pilot[Any]) -> FleetScreen:
    """The main screen, whatever stands before it."""
    return next(screen for screen in pilot.app.screen_stack if isinstance(screen, FleetScreen))
