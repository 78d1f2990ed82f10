"""A live fleet over sandbox clusters: what is read, what may not be, what dies and comes back."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import Any

import msgspec
import pytest
from aiohttp import web

from fluxtui.api.kinds import HELM_RELEASE, KUSTOMIZATION
from fluxtui.fleet import collector, lookout
from fluxtui.fleet.actions import Action
from fluxtui.fleet.clusters import ClusterInfo, Mode, Phase
from fluxtui.fleet.fleet import Fleet
from fluxtui.fleet.states import State
from fluxtui.kube.errors import KubeError, Unauthorized, Unreachable
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.watch import Phase as Watching
from fluxtui.kube.watch import WatchState
from fluxtui.sandbox.statuses import internal_error
from tests.engine.polling import eventually
from tests.fleet.conftest import Start
from tests.fleet.live import CRDS, KS, create, deployment, install, names, phase, running
from tests.fleet.objects import failed, flux, ready, ref

pytestmark = pytest.mark.usefixtures("quick")


async def test_two_clusters_with_the_same_names_stay_apart(start: Start) -> None:
    _, east = await start("east")
    _, west = await start("west")
    await create(east, flux("ks", "apps", ready("all well"), spec=KS))
    await create(west, flux("ks", "apps", failed(message="no"), spec=KS))
    async with running(east.context, west.context) as fleet:
        await eventually(lambda: phase(fleet) is Phase.LIVE and phase(fleet, "west") is Phase.LIVE)
        found = {each.ref.cluster: each.state for each in fleet.mirror.rows.values()}
        assert found == {"east": State.READY, "west": State.FAILED}
        await create(east, flux("git", "fleet", ready(), spec={"url": "https://example.com/x"}))
        await eventually(lambda: "fleet" in names(fleet))
        resource = await west.resource_for((KUSTOMIZATION.group, "", KUSTOMIZATION.kind))
        await west.delete(resource, "apps", "flux-system")
        await eventually(lambda: not names(fleet, "west"))
        assert names(fleet) == {"apps", "fleet"}
        whole = await fleet.object(ref("ks", "apps", "east"))
        assert whole["metadata"]["name"] == "apps"


async def test_a_cluster_that_refuses_us_while_its_streams_go_on_says_so(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, client = await start("east")
    await create(client, flux("ks", "apps", ready(), spec=KS))
    # Nothing but being refused has it look.
    monkeypatch.setattr(lookout, "LEASES_EVERY", 3600.0)
    monkeypatch.setattr(collector, "DISCOVERY_EVERY", 3600.0)
    async with running(client.context) as fleet:
        await eventually(lambda: phase(fleet) is Phase.LIVE and fleet.mirror.clusters["east"].latency > 0)
        await cluster.faults.set("unauthorized")
        plan = await fleet.commands.plan(Action.RECONCILE, [ref("ks", "apps", "east")])
        assert "nauthorized" in plan.items[0].refusal
        await eventually(lambda: bool(fleet.mirror.clusters["east"].refused))
        assert phase(fleet) is Phase.DEGRADED
        assert fleet.mirror.clusters["east"].distrusted
        await cluster.faults.clear()
        fleet.look("east")
        await eventually(lambda: phase(fleet) is Phase.LIVE)
        assert not fleet.mirror.clusters["east"].refused


@pytest.mark.parametrize(("fault", "words"), [("too-many", "too many"), ("error", "told to fail")])
async def test_a_cluster_that_refuses_everybody_while_its_streams_go_on_says_so_and_heals(
    start: Start, monkeypatch: pytest.MonkeyPatch, fault: str, words: str
) -> None:
    monkeypatch.setattr(lookout, "REFUSED_PAUSE", 0.05)
    monkeypatch.setattr("fluxtui.kube.connection._RETRIES", 0)
    cluster, client = await start("east")
    await create(client, flux("ks", "apps", ready(), spec=KS))
    async with running(client.context) as fleet:
        await eventually(lambda: phase(fleet) is Phase.LIVE and names(fleet) == {"apps"})
        await cluster.faults.set(fault)
        await eventually(lambda: phase(fleet) is Phase.DEGRADED)
        info = fleet.mirror.clusters["east"]
        assert words in info.refused.lower()
        assert (info.error, info.distrusted, info.is_lost) == (info.refused, False, False)
        # News come as before.
        kind = cluster.operations.kinds.find(KUSTOMIZATION.group, "v1", "kustomizations")
        assert kind is not None
        cluster.operations.delete(kind, ("flux-system", "apps"))
        await eventually(lambda: not names(fleet))
        await cluster.faults.clear()
        await eventually(lambda: phase(fleet) is Phase.LIVE)
        assert not fleet.mirror.clusters["east"].refused


async def test_one_refused_request_is_no_news(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "REFUSED_PAUSE", 0.05)
    cluster, client = await start("east")
    before, looks = cluster.faults.before, []

    async def refuse_one(request: web.Request) -> None:
        if request.path.endswith("/leases"):
            looks.append(request.path)
            if len(looks) == 2:
                raise internal_error("once")
        await before(request)

    monkeypatch.setattr(cluster.faults, "before", refuse_one)
    async with running(client.context) as fleet:
        told, tell = list[ClusterInfo](), fleet.mirror.set_cluster

        def listen(info: ClusterInfo) -> None:
            told.append(info)
            tell(info)

        monkeypatch.setattr(fleet.mirror, "set_cluster", listen)
        await eventually(lambda: phase(fleet) is Phase.LIVE and len(looks) > 4)
        assert told
        assert not [info for info in told if info.refused or info.phase is Phase.DEGRADED]


async def test_kinds_that_appear_later_are_picked_up(start: Start) -> None:
    _, client = await start("east", flux=False)
    async with running(client.context) as fleet:
        await eventually(lambda: phase(fleet) is Phase.LIVE)
        assert fleet.mirror.clusters["east"].kinds == 0
        await install(client)
        await create(client, flux("ks", "apps", ready(), spec=KS))
        await eventually(lambda: names(fleet) == {"apps"} and phase(fleet) is Phase.LIVE)
        await eventually(lambda: fleet.mirror.clusters["east"].kinds == len(CRDS))


async def test_a_forbidden_kind_is_a_known_fact_and_hides_nothing_else(start: Start) -> None:
    cluster, client = await start("east")
    await create(client, flux("ks", "apps", ready(), spec=KS))
    cluster.deny("list", "helmreleases")
    cluster.deny("list", "leases")
    async with running(client.context) as fleet:
        await eventually(lambda: phase(fleet) is Phase.DEGRADED)
        info = fleet.mirror.clusters["east"]
        assert (info.forbidden, info.synced) == ((HELM_RELEASE.resource,), info.kinds)
        assert names(fleet) == {"apps"}
        assert info.mode is Mode.UNKNOWN


async def test_a_cluster_that_refuses_us_is_denied_and_recovers(start: Start) -> None:
    cluster, client = await start("east")
    await cluster.faults.set("unauthorized")
    async with running(client.context) as fleet:
        await eventually(lambda: phase(fleet) is Phase.DENIED)
        assert fleet.mirror.clusters["east"].error
        with pytest.raises(KubeError):
            await fleet.object(ref("ks", "apps", "east"))
        await cluster.faults.clear()
        await eventually(lambda: phase(fleet) is Phase.LIVE)


@pytest.mark.usefixtures("soon_lost")
async def test_a_kind_that_is_not_heard_any_more_degrades_its_cluster(start: Start) -> None:
    _, client = await start("east")
    await create(client, flux("ks", "apps", ready(), spec=KS))
    async with running(client.context) as fleet:
        await eventually(lambda: phase(fleet) is Phase.LIVE and names(fleet) == {"apps"})
        hear = functools.partial(fleet._collectors["east"]._heard, (KUSTOMIZATION.group, KUSTOMIZATION.kind))
        broken = WatchState(Watching.BROKEN, time.time(), Unauthorized(401, "Unauthorized", "Unauthorized"))

        def degraded() -> bool:
            # The watch itself, which is well, may say so in between.
            hear(broken)
            row = fleet.mirror.rows[ref("ks", "apps", "east")]
            return phase(fleet) is Phase.DEGRADED and row.state is State.UNREACHABLE

        await eventually(degraded)
        info = fleet.mirror.clusters["east"]
        assert (info.silent, info.error) == ((KUSTOMIZATION.resource,), "Unauthorized")
        hear(WatchState(Watching.LIVE, time.time()))
        await eventually(lambda: phase(fleet) is Phase.LIVE)
        assert fleet.mirror.clusters["east"].silent == ()


@pytest.mark.usefixtures("soon_lost")
@pytest.mark.parametrize("fault", ["refuse", "error", "freeze"])
async def test_a_cluster_that_dies_is_unreachable_and_comes_back_without_ghosts(start: Start, fault: str) -> None:
    cluster, client = await start("east")
    _, west = await start("west")
    for name in ("stays", "goes"):
        await create(client, flux("ks", name, failed(), spec=KS))
    await create(west, flux("ks", "other", ready(), spec=KS))
    async with running(client.context, west.context) as fleet:
        await eventually(lambda: phase(fleet) is Phase.LIVE and names(fleet, "west"))
        await cluster.faults.set(fault)
        if fault == "error":
            cluster._cut()
        await eventually(lambda: phase(fleet) is Phase.UNREACHABLE)
        await eventually(lambda: all(_is_lost(fleet, name) for name in ("stays", "goes")))
        info = fleet.mirror.clusters["east"]
        assert info.error
        assert 0 < time.time() - info.lost_since < 60
        assert phase(fleet, "west") is Phase.LIVE
        assert fleet.mirror.rows[ref("ks", "other", "west")].state is State.READY
        with pytest.raises(Unreachable, match="does not answer"):
            await fleet.object(ref("ks", "stays", "east"))
        kind = cluster.operations.kinds.find(KUSTOMIZATION.group, "v1", "kustomizations")
        assert kind is not None
        cluster.store.remove((kind.group, kind.plural), ("flux-system", "goes"))
        cluster.store.compact()
        await cluster.faults.clear()
        await eventually(lambda: phase(fleet) is Phase.LIVE)
        await eventually(lambda: names(fleet) == {"stays"})
        await eventually(lambda: fleet.mirror.rows[ref("ks", "stays", "east")].state is State.FAILED)


def _is_lost(fleet: Fleet, name: str) -> bool:
    row = fleet.mirror.rows[ref("ks", name, "east")]
    return (row.state, row.before) == (State.UNREACHABLE, State.FAILED)


async def test_a_mistake_of_ours_ends_the_reading_of_a_cluster_only_until_it_is_read_anew(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fluxtui.fleet.collector.LOST_AFTER", 0.5)
    _, client = await start("east")
    await create(client, flux("ks", "apps", ready(), spec=KS))
    watched = collector.Collector._watch
    mistakes = ["once"]

    async def mistaken(self: collector.Collector, *args: Any) -> None:
        if mistakes:
            raise RuntimeError(mistakes.pop())
        await watched(self, *args)

    monkeypatch.setattr(collector.Collector, "_watch", mistaken)
    async with running(client.context) as fleet:
        await eventually(lambda: phase(fleet) is Phase.LIVE and names(fleet) == {"apps"})
    assert not mistakes


async def test_a_cluster_that_is_dead_from_the_start_holds_up_nobody(start: Start) -> None:
    cluster, client = await start("east")
    await cluster.faults.set("refuse")
    _, west = await start("west")
    async with running(client.context, west.context) as fleet:
        await eventually(lambda: phase(fleet) is Phase.UNREACHABLE and phase(fleet, "west") is Phase.LIVE)
        await cluster.faults.clear()
        await eventually(lambda: phase(fleet) is Phase.LIVE)


def context_named(context: Context, id: str) -> Context:
    return msgspec.structs.replace(context, id=id, name=id)


async def test_clusters_that_are_looked_at_are_connected_first(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    _, client = await start("east")
    begun: list[str] = []

    async def run(self: collector.Collector) -> None:
        begun.append(self.context.id)
        await asyncio.Event().wait()

    monkeypatch.setattr(collector.Collector, "run", run)
    async with running(*(context_named(client.context, f"c{number}") for number in range(10))) as fleet:
        fleet.visible = lambda: {"c7", "c9"}
        await eventually(lambda: len(begun) == 10)
    assert begun == ["c7", "c9", *(f"c{number}" for number in (0, 1, 2, 3, 4, 5, 6, 8))]


async def test_contexts_come_and_go_while_others_are_left_alone(start: Start) -> None:
    _, east = await start("east")
    _, west = await start("west")
    await create(east, flux("ks", "apps", ready(), spec=KS))
    async with running(east.context) as fleet:
        await eventually(lambda: names(fleet) == {"apps"})
        before = fleet.client("east")
        fleet.set_contexts([east.context, west.context])
        await eventually(lambda: phase(fleet, "west") is Phase.LIVE)
        assert fleet.client("east") is before
        fleet.set_contexts([context_named(west.context, "west"), context_named(east.context, "third")])
        await eventually(lambda: names(fleet, "third") == {"apps"})
        assert names(fleet, "east") == set()
        assert list(fleet.mirror.clusters) == ["west", "third"]
        with pytest.raises(Unreachable):
            fleet.client("east")


async def test_the_version_of_flux_comes_from_its_deployments_or_its_crds(start: Start) -> None:
    _, client = await start("east")
    labels = {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/version": "v2.9.4"}
    await create(client, deployment("source-controller", namespace="flux-system", labels=labels))
    async with running(client.context) as fleet:
        await eventually(lambda: fleet.mirror.clusters["east"].flux_version == "2.9.4")
        assert fleet.mirror.clusters["east"].kubernetes_version
        assert fleet.mirror.clusters["east"].latency > 0


async def test_a_fleet_that_ends_as_a_connection_fails_ends(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    _, client = await start("east")
    closing = asyncio.Event()

    async def connect(self: collector.Collector) -> None:
        # As a TaskGroup before Python 3.13 does that fails while it is cancelled.
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            closing.set()
            raise ExceptionGroup("unhandled errors in a TaskGroup", [Unreachable("gone")]) from None

    monkeypatch.setattr(collector.Collector, "_connect", connect)
    async with asyncio.timeout(60):
        async with running(client.context) as fleet:
            await eventually(lambda: bool(fleet._collectors))
        assert closing.is_set()
