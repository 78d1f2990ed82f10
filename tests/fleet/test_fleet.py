"""A live fleet over sandbox clusters: what is read, what may not be, what dies and comes back."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import Any

import pytest

from fluxtui.api.kinds import GIT_REPOSITORY, HELM_RELEASE, KUSTOMIZATION
from fluxtui.fleet import collector
from fluxtui.fleet.actions import Action
from fluxtui.fleet.clusters import Mode, Phase
from fluxtui.fleet.fleet import Fleet
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.states import State
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.errors import KubeError, Unauthorized, Unreachable
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.liveness import Liveness
from fluxtui.kube.resources import Resource
from fluxtui.kube.watch import Phase as Watching
from fluxtui.kube.watch import WatchState
from tests.engine.polling import eventually
from tests.fleet.conftest import Start
from tests.fleet.live import CRDS, LEASES, create, install, running
from tests.fleet.objects import failed, flux, ready, ref

DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments")


def names(fleet: Fleet, cluster: str = "east") -> set[str]:
    return {each.name for each in fleet.mirror.rows if each.cluster == cluster}


def phase(fleet: Fleet, cluster: str = "east") -> Phase:
    return fleet.mirror.clusters[cluster].phase


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at discovery and Leases often: what is tested is what follows."""
    monkeypatch.setattr(collector, "DISCOVERY_EVERY", 0.2)
    monkeypatch.setattr(collector, "DISCOVERY_WITHOUT_FLUX", 0.2)
    monkeypatch.setattr(collector, "LEASES_EVERY", 0.2)
    quick = functools.partial(Liveness, quiet=0.3, patience=0.3, max_pause=0.5)
    monkeypatch.setattr("fluxtui.kube.connection.Liveness", quick)


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


KS = {"path": "./", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}


async def test_a_cluster_that_refuses_us_while_its_streams_go_on_says_so(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, client = await start("east")
    await create(client, flux("ks", "apps", ready(), spec=KS))
    # Nothing but being refused has it look.
    monkeypatch.setattr(collector, "LEASES_EVERY", 3600.0)
    monkeypatch.setattr(collector, "DISCOVERY_EVERY", 3600.0)
    async with running(client.context) as fleet:
        await eventually(lambda: phase(fleet) is Phase.LIVE and fleet.mirror.clusters["east"].latency > 0)
        await cluster.faults.set("unauthorized")
        plan = await fleet.commands.plan(Action.RECONCILE, [ref("ks", "apps", "east")])
        assert "nauthorized" in plan.items[0].refusal
        await eventually(lambda: bool(fleet.mirror.clusters["east"].refused))
        assert phase(fleet) is Phase.LIVE
        await cluster.faults.clear()
        fleet.look("east")
        await eventually(lambda: not fleet.mirror.clusters["east"].refused)


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


async def test_a_kind_that_is_not_heard_any_more_degrades_its_cluster(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("states", "mirror", "collector"):
        monkeypatch.setattr(f"fluxtui.fleet.{module}.LOST_AFTER", 0.5)
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


@pytest.mark.parametrize("fault", ["refuse", "error", "freeze"])
async def test_a_cluster_that_dies_is_unreachable_and_comes_back_without_ghosts(
    start: Start, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fluxtui.fleet.states.LOST_AFTER", 0.5)
    monkeypatch.setattr("fluxtui.fleet.mirror.LOST_AFTER", 0.5)
    monkeypatch.setattr("fluxtui.fleet.collector.LOST_AFTER", 0.5)
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


async def test_a_cluster_that_is_dead_from_the_start_holds_up_nobody(start: Start) -> None:
    cluster, client = await start("east")
    await cluster.faults.set("refuse")
    _, west = await start("west")
    async with running(client.context, west.context) as fleet:
        await eventually(lambda: phase(fleet) is Phase.UNREACHABLE and phase(fleet, "west") is Phase.LIVE)
        await cluster.faults.clear()
        await eventually(lambda: phase(fleet) is Phase.LIVE)


def context_named(context: Context, id: str) -> Context:
    import msgspec

    return msgspec.structs.replace(context, id=id, name=id)


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


def lease(controller: str, holder: str, renewed: float, **annotations: str) -> dict[str, Any]:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(renewed))
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": f"{controller}-leader-election",
            "namespace": "flux-system",
            "annotations": annotations,
        },
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 600, "renewTime": moment},
    }


async def test_the_leases_say_who_reconciles(start: Start) -> None:
    _, client = await start("east")
    async with running(client.context) as fleet:

        def info() -> tuple[Mode, str, tuple[str, ...]]:
            found = fleet.mirror.clusters["east"]
            return found.mode, found.holder, found.stale_controllers

        await eventually(lambda: info()[0] is Mode.NONE)
        await create(client, lease("source-controller", "source-controller-6d9f_1", time.time()))
        await create(client, lease("some-operator", "somebody", time.time()))
        await eventually(lambda: info() == (Mode.DELEGATED, "source-controller-6d9f_1", ()))
        await create(client, lease("kustomize-controller", "kustomize-controller_2", time.time() - 3600))
        await create(client, flux("ks", "apps", ready(), spec=KS))
        await eventually(lambda: info()[2] == ("kustomize-controller",))
        await eventually(lambda: fleet.mirror.rows[ref("ks", "apps", "east")].state is State.OVERDUE)
        for name in ("source-controller", "kustomize-controller"):
            spec = lease(name, "fluxtui_host_1", time.time(), **{"engine.fluxtui.dev/log-file": "/tmp/x"})
            patch = {"spec": spec["spec"], "metadata": {"annotations": spec["metadata"]["annotations"]}}
            await client.patch(LEASES, spec["metadata"]["name"], "flux-system", patch, type=PatchType.MERGE)
        await eventually(lambda: info() == (Mode.EMBEDDED, "fluxtui_host_1", ()))
        assert fleet.mirror.clusters["east"].log_file == "/tmp/x"
        await eventually(lambda: fleet.mirror.rows[ref("ks", "apps", "east")].state is State.READY)


async def test_who_begins_to_reconcile_is_seen_with_the_first_change(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "LEASES_EVERY", 3600.0)
    monkeypatch.setattr(collector, "LEASES_STIRRED", 0.1)
    _, client = await start("east")
    async with running(client.context) as fleet:
        await eventually(lambda: fleet.mirror.clusters["east"].mode is Mode.NONE)
        await create(client, lease("kustomize-controller", "fluxtui_host_1", time.time()))
        await create(client, flux("ks", "apps", ready(), spec=KS))
        await eventually(lambda: fleet.mirror.clusters["east"].mode is Mode.EMBEDDED)


async def test_the_version_of_flux_comes_from_its_deployments_or_its_crds(start: Start) -> None:
    _, client = await start("east")
    labels = {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/version": "v2.9.4"}
    await create(client, deployment("source-controller", namespace="flux-system", labels=labels))
    async with running(client.context) as fleet:
        await eventually(lambda: fleet.mirror.clusters["east"].flux_version == "2.9.4")
        assert fleet.mirror.clusters["east"].kubernetes_version
        assert fleet.mirror.clusters["east"].latency > 0


def deployment(
    name: str, *, namespace: str = "web", labels: dict[str, str] | None = None, **notes: str
) -> dict[str, Any]:
    template = {
        "metadata": {
            "labels": {"app": name},
            "annotations": {f"sandbox.fluxtui.dev/{key}": value for key, value in notes.items()},
        },
        "spec": {"containers": [{"name": "main", "image": "web:1"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


OWNED = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}


async def applied(client: Client) -> Ref:
    """A Kustomization with four objects, one of which is not there, and one that crashes."""
    await create(client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    await create(client, deployment("api", labels=OWNED, behavior="crash", **{"exit-message": "DB_URL is not set"}))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "web", "labels": OWNED}}
    await create(client, {**secret, "stringData": {"password": "hunter2"}})
    unlabelled = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "web"}}
    await create(client, unlabelled)
    ids = ("web_api_apps_Deployment", "web_key__Secret", "web_settings__ConfigMap", "web_gone__Service")
    status = {"inventory": {"entries": [{"id": each, "v": "v1"} for each in ids]}}
    await create(client, flux("ks", "apps", ready(), spec=KS, status=status))
    return ref("ks", "apps", "east")


async def test_an_opened_object_shows_its_children_and_their_pods(start: Start) -> None:
    _, client = await start("east")
    apps = await applied(client)
    async with running(client.context) as fleet:
        await eventually(lambda: names(fleet) == {"apps"})
        fleet.open(apps)

        def states() -> dict[str, tuple[State, str]]:
            branch = fleet.mirror.branches.get(apps)
            if branch is None or branch.loading:
                return {}
            return {child.ref.name: (child.state, child.message) for child in branch.children}

        found = await eventually(states)
        assert list(found) == ["gone", "api", "key", "settings"]
        assert found["key"] == found["settings"] == (State.READY, "")
        assert found["gone"] == (State.FAILED, "not found in the cluster")
        api = Ref("east", "apps", "Deployment", "web", "api")
        fleet.open(api)

        def pod_words() -> str:
            branch = fleet.mirror.branches.get(api)
            return branch.children[0].message if branch and branch.children else ""

        await eventually(lambda: "DB_URL is not set" in pod_words())
        pod = fleet.mirror.branches[api].children[0]
        assert (pod.ref.kind, pod.state) == ("Pod", State.FAILED)
        await client.delete(DEPLOYMENTS, "api", "web")
        await eventually(lambda: states().get("api") == (State.FAILED, "not found in the cluster"))
        fleet.close(api)
        fleet.close(apps)
        assert not fleet.mirror.branches


async def test_children_follow_the_inventory_and_what_may_not_be_read_is_said(start: Start) -> None:
    cluster, client = await start("east")
    apps = await applied(client)
    cluster.deny(plural="secrets")
    async with running(client.context) as fleet:
        await eventually(lambda: names(fleet) == {"apps"})
        fleet.open(apps)
        await eventually(lambda: apps in fleet.mirror.branches and not fleet.mirror.branches[apps].loading)
        assert fleet.mirror.branches[apps].error == "Secret may not be read"
        resource = await client.resource_for((KUSTOMIZATION.group, "", KUSTOMIZATION.kind))
        entries = {"inventory": {"entries": [{"id": "web_settings__ConfigMap", "v": "v1"}]}}
        await client.patch(
            resource, "apps", "flux-system", {"status": entries}, type=PatchType.MERGE, subresource="status"
        )

        def children() -> list[str]:
            return [child.ref.name for child in fleet.mirror.branches[apps].children]

        await eventually(lambda: children() == ["settings"])
        await eventually(lambda: not fleet.mirror.branches[apps].error)


async def test_a_git_repository_has_no_children(start: Start) -> None:
    _, client = await start("east")
    await create(client, flux("git", "fleet", ready(), spec={"url": "https://example.com/x"}))
    fleet_ref = ref("git", "fleet", "east")
    async with running(client.context) as fleet:
        await eventually(lambda: fleet_ref in fleet.mirror.rows)
        fleet.open(fleet_ref)
        await eventually(lambda: fleet_ref in fleet.mirror.branches)
        assert fleet.mirror.branches[fleet_ref].children == ()
        assert fleet.mirror.rows[fleet_ref].kind == GIT_REPOSITORY


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
