"""kill -9 in the middle of an apply or of pruning, then a restart: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context
from fluxtui.sandbox.cluster import SandboxCluster
from tests.engine.harness import create
from tests.engine.kustomize.world import World, config_map
from tests.engine.polling import eventually
from tests.engine.source.repositories import Repository

NAMES = [f"m{number:02}" for number in range(30)]


@asynccontextmanager
async def engine(context: Context, directory: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`fluxtui engine` as a process, ended by SIGKILL if nobody else did."""
    kubeconfig = directory / "engine.kubeconfig"
    user, cluster = {"name": "u", "user": context.user}, {"name": "c", "cluster": context.cluster}
    named = {"name": context.name, "context": {"cluster": "c", "user": "u"}}
    document = {"apiVersion": "v1", "kind": "Config", "users": [user], "clusters": [cluster], "contexts": [named]}
    kubeconfig.write_text(yaml.safe_dump(document))
    with (directory / "engine.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "fluxtui", "engine", "--kubeconfig", str(kubeconfig), "--storage-path", str(directory / "engine")),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def kill_at(
    sandbox: SandboxCluster, count: int, counts: Callable[[web.Request], bool], monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], None]:
    """Kill a process, whose id the returned function is told, when so many requests of a sort have come."""
    pids: list[int] = []
    seen = 0
    before = sandbox.faults.before

    async def hook(request: web.Request) -> None:
        nonlocal seen
        if counts(request):
            seen += 1
            if seen == count:
                os.kill(pids[-1], signal.SIGKILL)
        await before(request)

    monkeypatch.setattr(sandbox.faults, "before", hook)
    return pids.append


def writes(request: web.Request) -> bool:
    return request.method == "PATCH" and "/configmaps/" in request.path and "dryRun" not in request.query


def deletes(request: web.Request) -> bool:
    return request.method == "DELETE" and "/configmaps/" in request.path


async def uids(world: World) -> dict[str, str]:
    """Name → uid of the ConfigMaps that belong to the Kustomization."""
    resource = await world.resource("ConfigMap")
    owned = "kustomize.toolkit.fluxcd.io/name=apps"
    found = (await world.client.list(resource, "default", label_selector=owned)).items
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in found}


@pytest.mark.parametrize(("count", "sort"), [(9, writes), (5, deletes)])
async def test_nothing_is_lost_and_nothing_is_done_twice(
    world: World,
    client: Client,
    context: Context,
    sandbox: SandboxCluster,
    tmp_path: Path,
    count: int,
    sort: Callable[[web.Request], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repository = Repository(tmp_path / "repositories" / "apps")
    await asyncio.to_thread(repository.commit, "first", {f"{name}.yaml": config_map(name) for name in NAMES})
    await create(client, repository.url)
    await world.kustomization("apps", retryInterval="1s")
    aim = kill_at(sandbox, count, sort, monkeypatch)
    async with engine(context, tmp_path) as process:
        aim(process.pid)
        if sort is deletes:
            await world.ready("apps")
            await asyncio.to_thread(leave, repository, NAMES[15:])
        await asyncio.wait_for(process.wait(), 60)
    killed = await uids(world)
    assert 0 < len(killed) < len(NAMES)
    # What was applied is owned: another revision without it takes it away.
    head = await asyncio.to_thread(leave, repository, NAMES[20:])
    async with engine(context, tmp_path) as process:

        async def as_wanted() -> bool:
            return set(await uids(world)) == set(NAMES[20:])

        await eventually(as_wanted, 60)
        status: dict[str, Any] = await world.ready("apps", f"main@sha1:{head}")
    after = await uids(world)
    assert {name: after[name] for name in killed if name in after} == {
        name: uid for name, uid in killed.items() if name in after
    }
    assert {entry["id"] for entry in status["inventory"]["entries"]} == {
        f"default_{name}__ConfigMap" for name in NAMES[20:]
    }


def leave(repository: Repository, names: list[str]) -> str:
    """Commit the removal of all manifests but some; the commit."""
    for file in repository.path.glob("*.yaml"):
        if file.stem not in names:
            file.unlink()
    return repository.commit("fewer")
