"""A cluster is handed from upstream's controllers to the engine and back, while its repository goes on.

Wants a real kube-apiserver (`KUBEBUILDER_ASSETS`) with source-controller and kustomize-controller beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fluxtui.api.kinds import BUCKET, GIT_REPOSITORY, HELM_CHART, HELM_REPOSITORY, KUSTOMIZATION, OCI_REPOSITORY, Kind
from fluxtui.engine.installation import manifests
from fluxtui.engine.process import Engine
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.kubeconfig import Context
from tests import apiserver, upstream
from tests.engine.harness import QUICK, running
from tests.engine.polling import eventually
from tests.engine.source.repositories import Repository, need_http_backend, serving
from tests.engine.test_endpoints import serve
from tests.upstream import NAMESPACE

Object = dict[str, Any]


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    binaries, state = upstream.binaries(), tmp_path / "apiserver"
    state.mkdir()
    with apiserver.running(binaries, state) as found:
        yield found


@pytest.fixture
async def client(context: Context) -> AsyncIterator[Client]:
    """A cluster with the CRDs that both need."""
    async with Client(context) as client:
        for obj in manifests():
            group, _, version = obj["apiVersion"].rpartition("/")
            resource = (await client.resources()).find(group, obj["kind"], version)
            assert resource is not None
            await client.create(resource, obj)
        for kind in (BUCKET, HELM_CHART, HELM_REPOSITORY, OCI_REPOSITORY):
            await serve(client, kind)
        yield client


class Fleet:
    """What a user of the cluster sees."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def create(self, kind: Kind, name: str, spec: Object) -> None:
        resource = await self.client.resource_for((kind.group, kind.versions[0], kind.kind))
        metadata = {"name": name, "namespace": NAMESPACE}
        obj = {"apiVersion": resource.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
        await self.client.create(resource, obj)

    async def begin(self, url: str) -> None:
        """A repository, and a Kustomization of it."""
        interval = {"interval": "10m"}
        await self.create(GIT_REPOSITORY, "fleet", {**interval, "url": url, "ref": {"branch": "main"}})
        source = {"kind": "GitRepository", "name": "fleet"}
        spec = {**interval, "sourceRef": source, "path": "./apps", "prune": True, "targetNamespace": NAMESPACE}
        await self.create(KUSTOMIZATION, "fleet", spec)

    async def get(self, kind: Kind, name: str = "fleet") -> Object:
        resource = await self.client.resource_for((kind.group, kind.versions[0], kind.kind))
        return await self.client.get(resource, name, NAMESPACE)

    async def request(self, kind: Kind, value: str) -> None:
        resource = await self.client.resource_for((kind.group, kind.versions[0], kind.kind))
        patch = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": value}}}
        await self.client.patch(resource, "fleet", NAMESPACE, patch, type=PatchType.MERGE)

    async def applied(self, revision: str) -> Object:
        """The Kustomization once a revision is applied and everything is ready."""

        async def look() -> Object | None:
            source, obj = await self.get(GIT_REPOSITORY), await self.get(KUSTOMIZATION)
            done = obj.get("status", {}).get("lastAppliedRevision") == f"main@sha1:{revision}"
            return obj if done and ready(obj) and ready(source) else None

        return await eventually(look)

    async def settings(self) -> Object:
        config_maps = (await self.client.resources()).by_plural("configmaps")
        assert config_maps is not None
        return await self.client.get(config_maps, "settings", NAMESPACE)

    async def events(self) -> list[tuple[str, str, str]]:
        """(kind, type, reason) of each event, once for each time it happened."""
        events = (await self.client.resources()).find("", "Event", "v1")
        assert events is not None
        found = (await self.client.list(events, NAMESPACE)).items
        return sorted(
            (item["involvedObject"]["kind"], item["type"], item["reason"])
            for item in found
            for _ in range(item.get("count") or 1)
        )


def ready(obj: Object) -> bool:
    found = [item["status"] for item in (obj.get("status") or {}).get("conditions") or [] if item["type"] == "Ready"]
    return found == ["True"] and obj["status"].get("observedGeneration") == obj["metadata"]["generation"]


def shape(obj: Object) -> tuple[set[str], list[tuple[str, str, str]]]:
    """Fields of the status, and type, status and reason of its conditions."""
    status = obj["status"]
    conditions = [(item["type"], item["status"], item["reason"]) for item in status["conditions"]]
    return set(status), sorted(conditions)


def news(before: list[tuple[str, str, str]], after: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    rest = list(after)
    for item in before:
        if item in rest:
            rest.remove(item)
    return rest


def config_map(value: str) -> str:
    return yaml.safe_dump(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"value": value}}
    )


async def test_a_cluster_is_handed_over_and_back(
    client: Client, context: Context, repository: Repository, tmp_path: Path
) -> None:
    need_http_backend()
    fleet = Fleet(client)
    head = await asyncio.to_thread(repository.commit, "first", {"apps/web.yaml": config_map("one")})
    with serving(repository.path.parent) as server:
        await fleet.begin(f"{server.url}/fleet/.git")
        async with upstream.controllers(context, tmp_path / "upstream"):
            await fleet.applied(head)
            made = await fleet.settings()
            shapes = [shape(await fleet.get(kind)) for kind in (GIT_REPOSITORY, KUSTOMIZATION)]
        before = await fleet.events()

        lines: list[Object] = []
        engine = Engine(QUICK, tmp_path / "storage", "fluxtui_one", on_ready=lines.append)
        async with running(engine, context):

            async def ours() -> bool:
                found = await fleet.get(GIT_REPOSITORY)
                url = ((found.get("status") or {}).get("artifact") or {}).get("url", "")
                return bool(lines) and ready(found) and url.startswith(lines[0]["artifacts"])

            await eventually(ours)
            # At once, not when it is looked at again.
            await fleet.applied(head)
            assert [shape(await fleet.get(kind)) for kind in (GIT_REPOSITORY, KUSTOMIZATION)] == shapes
            unchanged = await fleet.settings()
            assert unchanged["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
            taken = news(before, await fleet.events())
            assert [item for item in taken if item[1] != "Normal" or item[2] == "NewArtifact"] == []
            head = await asyncio.to_thread(repository.commit, "second", {"apps/web.yaml": config_map("two")})
            await fleet.request(GIT_REPOSITORY, "2")
            await fleet.applied(head)
            changed = await fleet.settings()
            assert (changed["data"]["value"], changed["metadata"]["uid"]) == ("two", made["metadata"]["uid"])
            managers = {item["manager"] for item in changed["metadata"]["managedFields"]}
            assert managers == {item["manager"] for item in made["metadata"]["managedFields"]}

            async def told() -> bool:
                found = news(before, await fleet.events())
                return {
                    ("GitRepository", "Normal", "NewArtifact"),
                    ("Kustomization", "Normal", "ReconciliationSucceeded"),
                } <= set(found)

            await eventually(told)
            assert [item for item in news(before, await fleet.events()) if item[1] != "Normal"] == []

        async with upstream.controllers(context, tmp_path / "upstream"):
            head = await asyncio.to_thread(repository.commit, "third", {"apps/web.yaml": config_map("three")})
            await fleet.request(GIT_REPOSITORY, "3")
            await fleet.applied(head)
            last = await fleet.settings()
            assert (last["data"]["value"], last["metadata"]["uid"]) == ("three", made["metadata"]["uid"])
            assert [shape(await fleet.get(KUSTOMIZATION))] == shapes[1:]
            assert {item["manager"] for item in last["metadata"]["managedFields"]} == managers
