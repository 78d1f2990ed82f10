"""What happens while a Kustomization is reconciled: it runs again only for what it has not seen."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from fluxtui.api.kinds import GIT_REPOSITORY
from fluxtui.engine.controllers.kustomize.sources import artifact_of
from fluxtui.engine.runtime.controller import Controller
from fluxtui.engine.runtime.objects import Key
from fluxtui.sandbox.cluster import SandboxCluster
from tests.engine.kustomize.world import NAMESPACE, World
from tests.engine.polling import eventually


def config_map(text: str) -> dict[str, str]:
    return {
        "a.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: default}}\ndata: {{k: {text}}}\n"
    }


async def quiet(controller: Controller[Any]) -> None:
    await eventually(lambda: not controller.queue.processing and not len(controller.queue), 60)


async def test_a_source_that_becomes_ready_as_a_run_begins_is_no_reason_for_another(
    world: World, sandbox: SandboxCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, published = sandbox.faults.before, False
    controllers: list[Controller[Any]] = []

    async def hook(request: web.Request) -> None:
        nonlocal published
        # The finalizer: the run is under way, and has yet to look at the source.
        if request.method == "PATCH" and request.path.endswith("/kustomizations/apps") and not published:
            published = True
            await world.publish(config_map("one"))
            cache = controllers[0].cluster.cache
            await eventually(lambda: artifact_of(cache.get(GIT_REPOSITORY, Key(NAMESPACE, "fleet"))), 60)
        await before(request)

    monkeypatch.setattr(sandbox.faults, "before", hook)
    await world.set_artifact(None)
    async with world.running() as controller:
        controllers.append(controller)
        await world.kustomization("apps")
        await world.ready("apps")
        await quiet(controller)
        assert controller.runs == 1
        status = await world.ready("apps", await world.publish(config_map("two")))
    assert [entry["totalReconciliations"] for entry in status["history"]] == [1, 1]


async def test_a_revision_that_comes_while_another_is_applied_follows_it(
    world: World, sandbox: SandboxCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sandbox.faults.before
    published: list[str] = []
    controllers: list[Controller[Any]] = []

    async def hook(request: web.Request) -> None:
        if request.method == "PATCH" and "/configmaps/" in request.path and not published:
            published.append(await world.publish(config_map("two")))
            cache = controllers[0].cluster.cache

            def arrived() -> bool:
                artifact = artifact_of(cache.get(GIT_REPOSITORY, Key(NAMESPACE, "fleet")))
                return artifact is not None and artifact.revision == published[0]

            await eventually(arrived, 60)
        await before(request)

    monkeypatch.setattr(sandbox.faults, "before", hook)
    await world.publish(config_map("one"))
    async with world.running() as controller:
        controllers.append(controller)
        await world.kustomization("apps")
        await eventually(lambda: published, 60)
        await world.ready("apps", published[0])
        await quiet(controller)
        assert controller.runs == 2
    assert (await world.get("ConfigMap", "a") or {})["data"] == {"k": "two"}
