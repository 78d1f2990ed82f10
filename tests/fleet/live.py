"""Live fleets for tests: sandbox clusters with Flux's CRDs, a controller that obeys the test, and a running Fleet."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import yaml

from fluxtui.api.crds import all_crds
from fluxtui.api.kinds import BY_KIND, Kind
from fluxtui.api.meta import REQUESTED_AT
from fluxtui.config import Settings
from fluxtui.fleet.clusters import Phase
from fluxtui.fleet.fleet import Fleet
from fluxtui.fleet.refs import Ref
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.errors import AlreadyExists, NotFound
from fluxtui.kube.kubeconfig import Context, load
from fluxtui.kube.resources import Resource
from fluxtui.kube.watch import watch
from fluxtui.sandbox.cluster import SandboxCluster
from tests.engine.polling import eventually
from tests.fleet.objects import flux, ready, ref

Object = dict[str, Any]

CRDS = all_crds()
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases")
KS = {"path": "./", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}
OWNED = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}


def context_of(cluster: SandboxCluster, tmp_path: Any) -> Context:
    """The context of a sandbox cluster."""
    path = tmp_path / f"{cluster.name}.kubeconfig"
    path.write_text(yaml.safe_dump(cluster.kubeconfig()))
    return load([str(path)]).contexts[0]


async def install(client: Client, crds: list[Object] = CRDS) -> None:
    """Flux's CRDs and its namespace."""
    await create(client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    for crd in crds:
        await create(client, copy.deepcopy(crd))
    plurals = [crd["spec"]["names"]["plural"] for crd in crds]

    async def served() -> bool:
        found = await client.resources(refresh=True)
        return all(found.by_plural(plural) for plural in plurals)

    await eventually(served)


async def create(client: Client, obj: Object) -> Object:
    """Create an object, its status too; one that is there already stays."""
    resource = await client.resource_for(obj)
    try:
        made = await client.create(resource, {key: value for key, value in obj.items() if key != "status"})
    except AlreadyExists:
        made = {}
    if "status" in obj:
        metadata = obj["metadata"]
        return await set_status(client, resource, metadata["name"], metadata.get("namespace", ""), obj["status"])
    return made


async def set_status(client: Client, resource: Resource, name: str, namespace: str, status: Object) -> Object:
    return await client.patch(resource, name, namespace, {"status": status}, type=PatchType.MERGE, subresource="status")


def condition(status: str, generation: int, message: str = "", reason: str = "") -> Object:
    return {
        "type": "Ready",
        "status": status,
        "reason": reason or {"True": "Succeeded", "False": "Failed"}.get(status, "Progressing"),
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": "2026-11-21T05:00:00Z",
    }


class Controller:
    """Handles requests and new generations of one kind as Flux's controllers do, with the verdict a test sets."""

    def __init__(self, client: Client, kind: Kind) -> None:
        self.client = client
        self.kind = kind
        self.verdicts: dict[str, tuple[str, str]] = {}
        """Name → status and message of Ready; True when not said."""
        self.idle: set[str] = set()
        """Names that nobody works on."""
        self.handled: list[tuple[str, str]] = []
        """(name, request) in the order in which they were handled."""

    async def run(self) -> None:
        """Work until cancelled."""
        resource = await self.client.resource_for((self.kind.group, "", self.kind.kind))
        async with aclosing(watch(self.client, resource)) as batches:
            async for batch in batches:
                for obj in batch.upserts:
                    await self._reconcile(resource, obj["metadata"]["name"], obj["metadata"]["namespace"])

    async def _reconcile(self, resource: Resource, name: str, namespace: str) -> None:
        try:
            obj = await self.client.get(resource, name, namespace)
        except NotFound:
            return
        metadata, status = obj["metadata"], obj.get("status") or {}
        request = (metadata.get("annotations") or {}).get(REQUESTED_AT, "")
        news = (
            request != status.get("lastHandledReconcileAt", "")
            or status.get("observedGeneration") != metadata["generation"]
        )
        if name in self.idle or (obj.get("spec") or {}).get("suspend") or not news:
            return
        verdict, message = self.verdicts.get(name, ("True", "all well"))
        self.handled.append((name, request))
        generation = metadata["generation"]
        working = {"conditions": [condition("Unknown", generation)]}
        await set_status(self.client, resource, name, metadata["namespace"], working)
        done = {
            "conditions": [condition(verdict, generation, message)],
            "observedGeneration": generation,
            "lastHandledReconcileAt": request,
        }
        if self.kind.plural == "kustomizations":
            done["lastAppliedRevision"] = "main@sha1:7148a354c0ffee5d0d8b1f2a3c4d5e6f70819203"
        await set_status(self.client, resource, name, metadata["namespace"], done)


@asynccontextmanager
async def running(*contexts: Context, settings: Settings | None = None, **options: Any) -> AsyncIterator[Fleet]:
    """A fleet that runs as long as the block."""
    fleet = Fleet(contexts, settings, **options)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(fleet.run())
        try:
            yield fleet
        finally:
            task.cancel()


@asynccontextmanager
async def controlled(client: Client, *kinds: Kind) -> AsyncIterator[dict[str, Controller]]:
    """Controllers of these kinds at work, by kind."""
    controllers = {kind.kind: Controller(client, kind) for kind in kinds}
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(controller.run()) for controller in controllers.values()]
        try:
            yield controllers
        finally:
            for task in tasks:
                task.cancel()


def names(fleet: Fleet, cluster: str = "east") -> set[str]:
    """The names of a cluster's rows."""
    return {each.name for each in fleet.mirror.rows if each.cluster == cluster}


def phase(fleet: Fleet, cluster: str = "east") -> Phase:
    """How a cluster is connected."""
    return fleet.mirror.clusters[cluster].phase


def deployment(name: str, *, namespace: str = "web", labels: dict[str, str] | None = None, **notes: str) -> Object:
    """A Deployment of one Pod; `notes` are what the sandbox is told of it."""
    template: Object = {
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


def kind_of(obj: Object) -> Kind:
    """The kind of an object."""
    return BY_KIND[obj["apiVersion"].partition("/")[0], obj["kind"]]
