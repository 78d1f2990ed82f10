"""A cluster in which Kustomizations are reconciled, and what a test does with it and asks of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fluxtui.engine.controllers.kustomize.kustomization import KustomizationReconciler
from fluxtui.engine.runtime.artifacts import ArtifactStore
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.controller import Controller
from fluxtui.engine.runtime.limits import Limits
from fluxtui.engine.runtime.settings import EngineSettings
from fluxtui.engine.runtime.workers import WorkerPool
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.errors import NotFound
from tests.engine.polling import eventually

Object = dict[str, Any]

NAMESPACE = "flux-system"
KINDS = {
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "Deployment": "apps/v1",
    "Job": "batch/v1",
}
SETTINGS = EngineSettings(interval_jitter=0, min_retry=0.1, dependency_requeue=30)

_numbers = itertools.count(1)


class World:
    """One cluster, one store of artifacts, one controller."""

    def __init__(self, client: Client, store: ArtifactStore, scratch: Path) -> None:
        self.client = client
        self.store = store
        self.scratch = scratch
        self.streams: set[str] = set()
        """Kinds whose metadata is streamed, when a test counts them."""

    @asynccontextmanager
    async def running(self, client: Client | None = None, **settings: Any) -> AsyncIterator[Controller[Any]]:
        """Reconcile for the time of the context."""
        workers = WorkerPool()
        options = msgspec.structs.replace(SETTINGS, **settings)
        cluster = Cluster(client or self.client, self.store.for_cluster("test"), options, workers, Limits(options))
        controller = Controller(KustomizationReconciler(cluster), cluster, options.concurrent)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(cluster.recorder.run()), group.create_task(cluster.cache.run())]
                run = group.create_task(controller.run())
                yield controller
                controller.stop()
                await run
                await cluster.recorder.flush()
                for task in tasks:
                    task.cancel()
        finally:
            await workers.close()

    async def publish(self, files: dict[str, str], name: str = "fleet") -> str:
        """Make an artifact of files and let a GitRepository have it; its revision."""
        number = next(_numbers)
        directory = self.scratch / f"tree-{number}"
        for path, text in files.items():
            file = directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        revision = f"main@sha1:{number:040x}"
        artifact = await self.store.for_cluster("test").add(
            "GitRepository", NAMESPACE, name, directory, revision=revision, file=f"{number}.tar.gz"
        )
        await self.set_artifact(msgspec.to_builtins(artifact), name)
        return revision

    async def set_artifact(self, artifact: Object | None, name: str = "fleet") -> None:
        """Give a GitRepository, made if need be, an artifact."""
        resource = await self.resource("GitRepository")
        try:
            await self.client.get(resource, name, NAMESPACE)
        except NotFound:
            spec = {"interval": "10m", "url": "https://example.com/fleet.git"}
            await self.create("GitRepository", name, spec)
        await self.client.patch(
            resource, name, NAMESPACE, {"status": {"artifact": artifact}}, type=PatchType.MERGE, subresource="status"
        )

    async def create(self, kind: str, name: str, spec: Object, namespace: str = NAMESPACE) -> Object:
        """Create an object."""
        metadata = {"name": name, "namespace": namespace}
        obj = {"apiVersion": KINDS[kind], "kind": kind, "metadata": metadata, "spec": spec}
        return await self.client.create(await self.resource(kind), obj)

    async def kustomization(self, name: str, **spec: Any) -> None:
        """Create a Kustomization of the GitRepository fleet."""
        source = {"kind": "GitRepository", "name": "fleet"}
        await self.create("Kustomization", name, {"interval": "10m", "prune": True, "sourceRef": source, **spec})

    async def change(self, name: str, patch: Object, kind: str = "Kustomization") -> None:
        """Merge-patch an object of flux-system."""
        await self.client.patch(await self.resource(kind), name, NAMESPACE, patch, type=PatchType.MERGE)

    async def delete(self, kind: str, name: str, namespace: str = NAMESPACE) -> None:
        """Delete an object."""
        await self.client.delete(await self.resource(kind), name, namespace)

    async def resource(self, kind: str) -> Any:
        """Where a kind is served."""
        return await self.client.resource_for({"apiVersion": KINDS.get(kind, "v1"), "kind": kind})

    async def get(self, kind: str, name: str, namespace: str = "default") -> Object | None:
        """An object, None when there is none."""
        try:
            return await self.client.get(await self.resource(kind), name, namespace)
        except NotFound:
            return None

    async def status(self, name: str) -> Object:
        """The status of a Kustomization."""
        obj = await self.get("Kustomization", name, NAMESPACE)
        return (obj or {}).get("status") or {}

    async def condition(self, name: str, type: str = "Ready") -> Object:
        """A condition of a Kustomization."""
        return condition_of(await self.status(name), type)

    async def settled(self, name: str, reason: str, message: str = "", within: float = 60.0) -> Object:
        """The status of a Kustomization once its Ready condition has a reason and a message that contains a text."""

        async def check() -> Object | None:
            status = await self.status(name)
            ready = condition_of(status)
            return status if ready.get("reason") == reason and message in ready["message"] else None

        try:
            found: Object = await eventually(check, within)
        except AssertionError:
            raise AssertionError(f"{name} did not become {reason} {message!r}: {await self.status(name)}") from None
        return found

    async def ready(self, name: str, revision: str = "", within: float = 60.0) -> Object:
        """The status of a Kustomization once it has applied a revision."""
        return await self.settled(name, "ReconciliationSucceeded", f"Applied revision: {revision}", within)

    async def gone(self, kind: str, name: str, namespace: str = "default") -> None:
        """Wait until an object does not exist."""

        async def check() -> bool:
            return await self.get(kind, name, namespace) is None

        await eventually(check)

    async def events(self, name: str) -> list[tuple[str, str, str]]:
        """(type, reason, message) of the events about a Kustomization, in order."""
        resource = await self.client.resource_for(("", "v1", "Event"))
        found = await self.client.list(resource, NAMESPACE, field_selector=f"involvedObject.name={name}")
        return [
            (item["type"], item["reason"], item["message"])
            for item in sorted(found.items, key=lambda item: item["metadata"]["name"])
        ]


def condition_of(status: Object, type: str = "Ready") -> Object:
    """A condition of a status that was read before: read anew, a retry may have replaced it."""
    return next((item for item in status.get("conditions") or [] if item["type"] == type), {})


def counting(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The requests of the world's client from now on, as (method, path)."""
    made: list[tuple[str, str]] = []
    send = world.client.request

    def request(method: str, path: str, **options: Any) -> Any:
        made.append((method, path))
        return send(method, path, **options)

    monkeypatch.setattr(world.client, "request", request)
    return made


def config_map(name: str, namespace: str = "default", **data: str) -> str:
    """A ConfigMap as YAML."""
    lines = "".join(f"  {key}: {value}\n" for key, value in (data or {"k": "v"}).items())
    head = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
    return f"{head}data:\n{lines}"


def deployment(name: str, behavior: str = "ready", namespace: str = "default") -> str:
    """A Deployment as YAML whose pods behave as the simulation is told."""
    return f"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  namespace: {namespace}
  annotations:
    sandbox.fluxtui.dev/behavior: {behavior}
spec:
  replicas: 1
  selector:
    matchLabels:
      app: {name}
  template:
    metadata:
      labels:
        app: {name}
    spec:
      containers:
        - name: app
          image: example.com/app:1
"""
