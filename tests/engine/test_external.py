"""Kustomizations of artifacts that somebody else makes and serves: an ExternalArtifact, and how it goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from fluxtui.api.source import Artifact
from fluxtui.engine.runtime.artifacts import ArtifactStore
from fluxtui.kube.client import Client, PatchType
from fluxtui.serving import port_of, serving
from tests.engine.kustomize.world import KINDS, NAMESPACE, World, condition_of, config_map
from tests.engine.runtime.test_foreign import Controller, packed

KIND = "ExternalArtifact"


@pytest.fixture
async def producer() -> AsyncIterator[Controller]:
    """Who makes the artifacts and serves them."""
    producer = Controller()
    app = web.Application()
    app.router.add_get("/{path:.+}", producer.get)
    runner = web.AppRunner(app)
    async with serving(runner) as listener:
        producer.base = f"http://127.0.0.1:{port_of(listener)}"
        yield producer


@pytest.fixture
def world(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setitem(KINDS, KIND, KINDS["GitRepository"])
    store = ArtifactStore(tmp_path / "storage")
    store.base_url = "http://127.0.0.1:1"
    store.prepare()
    return World(client, store, tmp_path)


async def publish(world: World, artifact: Artifact) -> None:
    patch = {"status": {"artifact": msgspec.to_builtins(artifact)}}
    resource = await world.resource(KIND)
    await world.client.patch(resource, "made", NAMESPACE, patch, type=PatchType.MERGE, subresource="status")


async def test_an_external_artifact_is_applied_followed_and_fetched_once(world: World, producer: Controller) -> None:
    await world.create(KIND, "made", {"sourceRef": {"apiVersion": "x.dev/v1", "kind": "Maker", "name": "made"}})
    await world.kustomization("one", sourceRef={"kind": KIND, "name": "made"})
    await world.kustomization("two", sourceRef={"kind": KIND, "name": "made"}, targetNamespace="flux-system")
    async with world.running():
        await world.settled("one", "ArtifactFailed", "Source artifact not found")
        first = producer.artifact("a.tar.gz", packed({"a.yaml": config_map("a", value="one")}))
        first.revision = "latest@sha256:" + "1" * 64
        await publish(world, first)
        await world.ready("one", first.revision)
        await world.ready("two", first.revision)
        assert producer.asked == ["/a.tar.gz"]
        second = producer.artifact("b.tar.gz", packed({"a.yaml": config_map("a", value="two")}))
        second.revision = "latest@sha256:" + "2" * 64
        await publish(world, second)
        await world.ready("one", second.revision)
        obj = await world.get("ConfigMap", "a")
        assert obj is not None
        assert obj["data"] == {"value": "two"}


async def test_an_artifact_that_is_not_what_it_says_changes_nothing(world: World, producer: Controller) -> None:
    await world.create(KIND, "made", {})
    await world.kustomization("one", sourceRef={"kind": KIND, "name": "made"})
    artifact = producer.artifact("a.tar.gz", packed({"a.yaml": config_map("a")}))
    producer.files["/a.tar.gz"] = packed({"a.yaml": config_map("evil")})
    async with world.running():
        await publish(world, artifact)
        await world.settled("one", "ArtifactFailed", "computed digest doesn't match")
        assert await world.get("ConfigMap", "a") is None
        assert await world.get("ConfigMap", "evil") is None


async def test_external_artifacts_can_be_refused(world: World) -> None:
    await world.create(KIND, "made", {"sourceRef": {"apiVersion": "x.dev/v1", "kind": "Maker", "name": "made"}})
    await world.kustomization("one", sourceRef={"kind": KIND, "name": "made"})
    async with world.running(external_artifacts=False):
        said = f"can't access '{KIND}/{NAMESPACE}/made', ExternalArtifact feature gate is disabled"
        status = await world.settled("one", "AccessDenied", said)
        assert condition_of(status, "Stalled")["status"] == "True"
