"""The console over sandbox clusters: objects planted in them, and a controller that answers requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from textual.pilot import Pilot

from fluxtui.api.crds import all_crds
from fluxtui.config import ClusterSettings, ConsoleSettings, Settings
from fluxtui.console.app import ConsoleApp
from fluxtui.console.screens.fleet import FleetScreen
from fluxtui.console.start import Start
from fluxtui.fleet.lines import LineType
from fluxtui.fleet.refs import Ref
from fluxtui.kube.kubeconfig import load
from fluxtui.sandbox.cluster import SandboxCluster
from fluxtui.sandbox.fleet import SandboxFleet
from fluxtui.sandbox.kinds import Kind
from fluxtui.sandbox.operations import Write
from tests.console import world
from tests.console.still import board

TEST = Write(manager="test")
KS = ("kustomize.toolkit.fluxcd.io/v1", "Kustomization")


async def plant(cluster: SandboxCluster, objects: Iterable[world.Object]) -> None:
    """Put objects, status included, into a cluster; CRDs and namespaces come by themselves."""
    operations = cluster.operations
    definitions = operations.kinds.by_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    namespaces = operations.kinds.by_kind("v1", "Namespace")
    assert definitions
    assert namespaces
    for crd in all_crds():
        if operations.store.get(definitions.store, ("", crd["metadata"]["name"])) is None:
            operations.create(definitions, "", crd, TEST)
    for obj in objects:
        kind = await _taken_up(cluster, obj["apiVersion"], obj["kind"])
        metadata = {key: obj["metadata"][key] for key in ("name", "namespace")}
        if operations.store.get(namespaces.store, ("", metadata["namespace"])) is None:
            operations.create(namespaces, "", {"metadata": {"name": metadata["namespace"]}}, TEST)
        key = (metadata["namespace"], metadata["name"])
        created = operations.create(kind, key[0], {**obj, "metadata": metadata}, TEST)
        operations.update(kind, key, {**created, "status": obj.get("status", {})}, TEST, "status")


async def _taken_up(cluster: SandboxCluster, api_version: str, kind: str) -> Kind:
    """A custom kind; the cluster takes up its definition in its own time."""
    for _ in range(1000):
        if found := cluster.operations.kinds.by_kind(api_version, kind):
            return found
        await asyncio.sleep(0.001)
    raise AssertionError(f"the sandbox does not serve {kind}")


def stored(cluster: SandboxCluster, name: str, namespace: str = world.FLUX) -> dict[str, Any]:
    """A Kustomization as the cluster has it."""
    kind = cluster.operations.kinds.by_kind(*KS)
    assert kind
    return cluster.operations.get(kind, (namespace, name))


def erase(cluster: SandboxCluster, name: str) -> None:
    """Delete a Kustomization."""
    kind = cluster.operations.kinds.by_kind(*KS)
    assert kind
    cluster.operations.delete(kind, (world.FLUX, name))


@contextlib.asynccontextmanager
async def controller(
    cluster: SandboxCluster, failing: Callable[[str], bool] = lambda name: False
) -> AsyncIterator[None]:
    """Handles requested reconciles and new generations of Kustomizations; those that `failing` names fail."""
    kind = cluster.operations.kinds.by_kind(*KS)
    assert kind

    def handle(obj: world.Object) -> None:
        metadata, status = obj["metadata"], obj.get("status", {})
        asked = metadata.get("annotations", {}).get("reconcile.fluxcd.io/requestedAt", "")
        if obj["spec"].get("suspend") or (
            asked == status.get("lastHandledReconcileAt", "")
            and status.get("observedGeneration") == metadata["generation"]
        ):
            return
        good = not failing(metadata["name"])
        said = world.condition(
            "Ready",
            "True" if good else "False",
            "ReconciliationSucceeded" if good else "BuildFailed",
            f"Applied revision: {world.GOOD}" if good else "kustomize build failed: no such file",
            "2026-11-21T12:00:00Z",
        )
        said["observedGeneration"] = metadata["generation"]
        fresh = {
            **status,
            "conditions": [said],
            "observedGeneration": metadata["generation"],
            "lastHandledReconcileAt": asked,
            "lastAppliedRevision": world.GOOD,
        }
        key = (metadata["namespace"], metadata["name"])
        cluster.operations.update(kind, key, {**obj, "status": fresh}, Write(manager="controller"), "status")

    async def work() -> None:
        while True:
            for obj in list(cluster.operations.store.all(kind.store)):
                handle(obj)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def running(
    sandbox: SandboxFleet, path: Any, *, protected: tuple[str, ...] = (), **console: Any
) -> AsyncIterator[tuple[Pilot[None], FleetScreen]]:
    """The console over a fleet of sandbox clusters, all of them read."""
    sandbox.write(path)
    settings = Settings(console=ConsoleSettings(**console), clusters=ClusterSettings(protected=protected))
    app = ConsoleApp(Start(contexts=load([str(path)]).contexts, settings=settings))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = board(pilot)
        mirror = screen.fleet.mirror
        await until(pilot, lambda: all(info.is_settled for info in mirror.clusters.values()))
        yield pilot, screen


async def until(pilot: Pilot[Any], so: Callable[[], object], within: float = 60.0) -> None:
    """Wait until something is so; fails with what it was."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while not so():
        if loop.time() > end:
            raise AssertionError(f"not so within {within} s: {shown(board(pilot))}")
        await pilot.pause(0.02)


def shown(screen: FleetScreen) -> list[str]:
    """The lines of the tree as text."""
    return [screen.fleet_tree.render_line(y).text.rstrip() for y in range(min(30, len(screen.fleet_tree.lines)))]


def names(screen: FleetScreen, cluster: str) -> set[str]:
    """Names of the Kustomizations of a cluster that have a line."""
    return {
        line.ref.name
        for line in screen.fleet_tree.lines
        if line.ref and line.type == LineType.OBJECT and line.cluster == cluster and line.ref.kind == "Kustomization"
    }


def ks(cluster: str, name: str) -> Ref:
    """A Kustomization of flux-system."""
    return Ref(cluster, "kustomize.toolkit.fluxcd.io", "Kustomization", world.FLUX, name)
