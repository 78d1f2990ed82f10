"""The GitRepository reconciler at work on a cluster, for tests to play the user of."""

from __future__ import annotations

import base64
import tarfile
from collections.abc import Callable
from typing import Any

import msgspec

from fluxtui.api.kinds import GIT_REPOSITORY
from fluxtui.api.meta import REQUESTED_AT, Condition
from fluxtui.engine.controllers.source.gitrepository import GitRepositoryReconciler
from fluxtui.engine.runtime.artifacts import ArtifactStore
from fluxtui.engine.runtime.backoff import Backoff
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.conditions import violations
from fluxtui.engine.runtime.controller import Controller
from fluxtui.kube.client import Client, PatchType
from tests.engine.polling import eventually

NAMESPACE = "flux-system"


class Bench:
    """The reconciler at work on a cluster, and hands to play the user."""

    def __init__(self, client: Client, cluster: Cluster, store: ArtifactStore) -> None:
        self.client = client
        self.cluster = cluster
        self.store = store
        self.controller = Controller(GitRepositoryReconciler(cluster), cluster)

    def retry_late(self) -> None:
        """From now on, what fails is tried again in an hour: what is said of it stays."""
        self.controller._backoff = Backoff(3600.0, 3600.0)

    async def create(self, name: str, url: str, **spec: object) -> dict[str, Any]:
        resource = await self.cluster.resource(GIT_REPOSITORY)
        obj = {
            "apiVersion": resource.api_version,
            "kind": "GitRepository",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"interval": "10m", "url": url, "ref": {"branch": "main"}, **spec},
        }
        return await self.client.create(resource, obj)

    async def secret(self, name: str, **data: str) -> None:
        resources = await self.client.resources()
        resource = resources.find("", "Secret")
        assert resource is not None
        encoded = {key.replace("__", "."): base64.b64encode(value.encode()).decode() for key, value in data.items()}
        obj = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "data": encoded,
        }
        await self.client.create(resource, obj)

    async def get(self, name: str) -> dict[str, Any]:
        return await self.client.get(await self.cluster.resource(GIT_REPOSITORY), name, NAMESPACE)

    async def patch(self, name: str, patch: dict[str, Any]) -> None:
        resource = await self.cluster.resource(GIT_REPOSITORY)
        await self.client.patch(resource, name, NAMESPACE, patch, type=PatchType.MERGE)

    async def until(self, name: str, check: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The object once `check` holds for it; its conditions are sane then."""

        async def look() -> dict[str, Any] | None:
            obj = await self.get(name)
            return obj if check(obj) else None

        obj: dict[str, Any] = await eventually(look)
        assert violations(msgspec.convert(item, Condition) for item in conditions(obj).values()) == []
        return obj

    async def ready(self, name: str, revision: str = "") -> dict[str, Any]:
        return await self.until(
            name,
            lambda obj: status(obj, "Ready") == "True" and revision in obj["status"]["artifact"]["revision"],
        )

    async def failed(self, name: str, reason: str) -> dict[str, Any]:
        return await self.until(
            name, lambda obj: status(obj, "Ready") == "False" and conditions(obj)["Ready"]["reason"] == reason
        )

    async def event(self, name: str, reason: str) -> dict[str, Any]:
        resource = (await self.client.resources()).find("", "Event")
        assert resource is not None

        async def look() -> dict[str, Any] | None:
            found = await self.client.list(resource, NAMESPACE)
            matching = [
                item for item in found.items if item["involvedObject"]["name"] == name and item["reason"] == reason
            ]
            return matching[0] if matching else None

        return await eventually(look)

    def files(self, obj: dict[str, Any]) -> set[str]:
        with tarfile.open(self.store.root / "alpha" / obj["status"]["artifact"]["path"]) as tar:
            return {entry.name for entry in tar if entry.isreg()}


def conditions(obj: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["type"]: item for item in (obj.get("status") or {}).get("conditions") or []}


def status(obj: dict[str, Any], type: str) -> str:
    return str(conditions(obj).get(type, {}).get("status", ""))


def shape(obj: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """(type, status, reason, message) of the conditions, in their order."""
    return [(item["type"], item["status"], item["reason"], item["message"]) for item in obj["status"]["conditions"]]


async def retry(bench: Bench, name: str, number: int = 1) -> None:
    """Ask for a reconciliation, as `flux reconcile` does."""
    await bench.patch(name, {"metadata": {"annotations": {REQUESTED_AT: str(number)}}})
