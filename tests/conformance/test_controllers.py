"""The same objects through upstream's controllers and through the engine: what a user sees afterwards is the same.

Each side has a real kube-apiserver (`KUBEBUILDER_ASSETS`) of its own; both take from the same Git server.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fluxtui.api.kinds import BUCKET, GIT_REPOSITORY, HELM_CHART, HELM_REPOSITORY, KUSTOMIZATION, OCI_REPOSITORY, Kind
from fluxtui.engine.installation import manifests
from fluxtui.engine.process import Engine
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.errors import NotFound
from fluxtui.kube.identity import parse_id
from fluxtui.kube.kubeconfig import Context
from tests import apiserver, upstream
from tests.conformance import scenarios
from tests.conformance.comparison import Object, differences, seen, told
from tests.conformance.scenarios import NAMESPACE
from tests.engine.harness import QUICK, running
from tests.engine.polling import eventually
from tests.engine.source.repositories import Repository, need_http_backend, serving
from tests.engine.test_endpoints import serve


class Side:
    """A cluster and who reconciles it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def prepare(self, url: str) -> None:
        """CRDs, and all Flux objects."""
        for obj in manifests():
            await self.create(obj)
        for kind in (BUCKET, HELM_CHART, HELM_REPOSITORY, OCI_REPOSITORY):
            await serve(self.client, kind)
        await self.client.resources(refresh=True)
        for obj in scenarios.OTHERS:
            await self.create(obj)
        for name, spec in {"fleet": {}, **scenarios.REPOSITORIES}.items():
            await self.flux(GIT_REPOSITORY, name, {"interval": "1h", "url": url, "ref": {"branch": "main"}, **spec})
        source = {"kind": "GitRepository", "name": "fleet"}
        for name, spec in scenarios.KUSTOMIZATIONS.items():
            general = {"interval": "1h", "retryInterval": "1h", "path": f"./{name}", "prune": True, "sourceRef": source}
            await self.flux(KUSTOMIZATION, name, {**general, **spec})

    async def create(self, obj: Object) -> None:
        await self.client.create(await self.client.resource_for(obj), obj)

    async def flux(self, kind: Kind, name: str, spec: Object) -> None:
        metadata = {"name": name, "namespace": NAMESPACE}
        await self.create(
            {"apiVersion": f"{kind.group}/{kind.versions[0]}", "kind": kind.kind, "metadata": metadata, "spec": spec}
        )

    async def all(self, kind: Kind) -> list[Object]:
        resource = await self.client.resource_for((kind.group, kind.versions[0], kind.kind))
        return (await self.client.list(resource, NAMESPACE)).items

    async def everything(self) -> list[Object]:
        return [*await self.all(GIT_REPOSITORY), *await self.all(KUSTOMIZATION)]

    async def settled(self, revision: str) -> bool:
        """Whether nothing is under way, and the repository's revision has been tried by all that can."""
        for obj in await self.everything():
            status, spec = obj.get("status") or {}, obj["spec"]
            if spec.get("suspend"):
                continue
            ready = {item["type"]: item for item in status.get("conditions") or []}.get("Ready")
            if ready is None or ready["status"] == "Unknown" or ready["observedGeneration"] != 1:
                return False
            if obj["metadata"]["name"] == "fleet" and revision not in status["artifact"]["revision"]:
                return False
            tried = status.get("lastAttemptedRevision", "")
            waits = ready["reason"] in ("DependencyNotReady", "ArtifactFailed")
            if tried and revision not in tried and not waits:
                return False
        return True

    async def request(self, kind: Kind, name: str) -> None:
        """Ask for a reconciliation."""
        resource = await self.client.resource_for((kind.group, kind.versions[0], kind.kind))
        patch = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}}
        await self.client.patch(resource, name, NAMESPACE, patch, type=PatchType.MERGE)

    async def delete(self, kind: Kind, names: Iterable[str]) -> None:
        """Delete Flux objects, and wait until they are gone."""
        resource = await self.client.resource_for((kind.group, kind.versions[0], kind.kind))
        wanted = set(names)
        for name in wanted:
            await self.client.delete(resource, name, NAMESPACE)

        async def gone() -> bool:
            return not wanted & {obj["metadata"]["name"] for obj in await self.all(kind)}

        await eventually(gone, 120, 0.2)

    async def seen(self) -> dict[str, str]:
        """All Flux objects and what they have applied."""
        return seen([*await self.everything(), *await self.applied(await self.all(KUSTOMIZATION))])

    async def applied(self, owners: Iterable[Object]) -> list[Object]:
        """The objects of inventories that exist."""
        objects = []
        entries = {
            (entry["id"], entry["v"])
            for obj in owners
            for entry in ((obj.get("status") or {}).get("inventory") or {}).get("entries") or []
        }
        served = await self.client.resources(refresh=True)
        for entry, version in sorted(entries):
            found = parse_id(entry)
            resource = served.find(found.group, found.kind, version)
            # A kind goes with its CRD.
            if resource is not None:
                with contextlib.suppress(NotFound):
                    objects.append(await self.client.get(resource, found.name, found.namespace))
        return objects

    async def events(self) -> set[str]:
        """What was reported, however often."""
        resource = (await self.client.resources()).find("", "Event", "v1")
        assert resource is not None
        found = (await self.client.list(resource, NAMESPACE)).items
        return {line for item in found if (line := told(item))}


async def both(*what: Awaitable[Any]) -> list[Any]:
    return await asyncio.gather(*what)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """The scenarios' repository, with tags and a branch on its first commit."""
    repository = Repository(tmp_path / "repositories" / "fleet")
    repository.commit("before", {"README.md": "scenarios", "plain/a.yaml": "a: b"})
    for tag in ("v1.0.0", "v1.2.0", "v2.0.0-rc.1"):
        repository.git("tag", tag)
    repository.git("branch", "other")
    return repository


@pytest.fixture
def contexts(tmp_path: Path) -> Iterator[tuple[Context, Context]]:
    """Two clusters."""
    binaries = upstream.binaries()
    states = [tmp_path / "theirs", tmp_path / "ours"]
    for state in states:
        state.mkdir()
    with apiserver.running(binaries, states[0]) as theirs, apiserver.running(binaries, states[1]) as ours:
        yield theirs, ours


async def assert_same(sides: list[Side], revision: str) -> None:
    """Wait until both sides have settled and look alike."""

    async def settled() -> bool:
        return all(await both(*(side.settled(revision) for side in sides)))

    different = ""

    async def alike() -> bool:
        nonlocal different
        different = differences(*await both(*(side.seen() for side in sides)))
        return not different

    await eventually(settled, 400, 0.5)
    # What fails is tried again now and then, so both have to be looked at in a moment when neither does.
    with contextlib.suppress(AssertionError):
        await eventually(alike, 120, 0.5)
    assert different == ""


@pytest.mark.timeout(900)
async def test_a_user_sees_the_same(contexts: tuple[Context, Context], repository: Repository, tmp_path: Path) -> None:
    need_http_backend()
    # A busy machine must not cost the engine its Leases, and checks before apply are not upstream's.
    settings = msgspec.structs.replace(QUICK, lease_duration=60, renew_deadline=50, min_retry=0.75, strict=False)
    engine = Engine(settings, tmp_path / "storage", "fluxtui_one")
    revision = repository.commit("first", scenarios.FILES)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(serving(repository.path.parent))
        sides = [Side(await stack.enter_async_context(Client(context))) for context in contexts]
        await both(*(side.prepare(f"{server.url}/fleet/.git") for side in sides))
        peers = upstream.controllers(contexts[0], tmp_path / "upstream", "--requeue-dependency=5s")
        await stack.enter_async_context(peers)
        await stack.enter_async_context(running(engine, contexts[1]))
        await assert_same(sides, revision)
        await both(*(side.delete(KUSTOMIZATION, scenarios.SLOW) for side in sides))
        for name in [name for name, content in scenarios.CHANGED.items() if content is None]:
            (repository.path / name).unlink()
        changed = {name: content for name, content in scenarios.CHANGED.items() if content is not None}
        revision = repository.commit("second", changed)
        await both(*(side.request(GIT_REPOSITORY, "fleet") for side in sides))
        await assert_same(sides, revision)
        await assert_same_end(sides)


async def assert_same_end(sides: list[Side]) -> None:
    """Delete everything: the same is left, and the same has been reported from first to last."""
    owners = await both(*(side.all(KUSTOMIZATION) for side in sides))
    # Who prunes an object while its CRD goes may fail once, and say so, or not.
    await both(*(side.delete(KUSTOMIZATION, scenarios.CUSTOM) for side in sides))
    for kind in (KUSTOMIZATION, GIT_REPOSITORY):
        for side in sides:
            await side.delete(kind, [obj["metadata"]["name"] for obj in await side.all(kind)])
    left = [seen(await side.applied(found)) for side, found in zip(sides, owners, strict=True)]
    assert differences(*left) == ""
    assert left[0], "what is not to be pruned is left"

    different: list[str] = []

    async def alike() -> bool:
        nonlocal different
        theirs, ours = await both(*(side.events() for side in sides))
        different = [*(f"- {line}" for line in sorted(theirs - ours)), *(f"+ {line}" for line in sorted(ours - theirs))]
        return not different

    with contextlib.suppress(AssertionError):
        await eventually(alike, 60, 0.5)
    assert different == []
