"""What an engine survives without a restart: each fault of an API server while it works."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from fluxtui.engine.process import Engine
from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context
from fluxtui.sandbox.cluster import SandboxCluster
from fluxtui.sandbox.faults import FAULTS
from tests.engine.harness import FORGOTTEN, QUICK, create, lease, revision, running, state
from tests.engine.polling import eventually
from tests.engine.source.repositories import Repository

SHORT = 0.5
"""Shorter than a Lease lasts: the engine keeps leading."""


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_commit_during_a_short_fault_walks_through_after_it(
    sandbox: SandboxCluster,
    client: Client,
    context: Context,
    repository: Repository,
    tmp_path: Path,
    fault: str,
) -> None:
    await create(client, repository.url)
    async with running(Engine(QUICK, tmp_path / "storage", "fluxtui_one"), context):
        await eventually(lambda: revision(client))
        await sandbox.faults.set(fault)
        head = await asyncio.to_thread(repository.commit, "during the fault")
        await asyncio.sleep(SHORT)
        await sandbox.faults.clear()

        async def walked() -> bool:
            return head in await revision(client)

        await eventually(walked)


async def test_a_server_away_for_longer_than_a_lease_is_taken_up_again(
    sandbox: SandboxCluster, client: Client, context: Context, repository: Repository, tmp_path: Path
) -> None:
    await create(client, repository.url)
    engine = Engine(FORGOTTEN, tmp_path / "storage", "fluxtui_one")
    async with running(engine, context):
        await eventually(lambda: revision(client))
        await sandbox.faults.set("refuse")
        await eventually(lambda: state(engine, context.id) == "unreachable")
        head = await asyncio.to_thread(repository.commit, "while it was away")
        await sandbox.faults.clear()
        await eventually(lambda: state(engine, context.id) == "leading")

        async def walked() -> bool:
            return head in await revision(client)

        await eventually(walked)
        assert (await lease(client))["spec"]["leaseTransitions"] == 0


async def test_a_frozen_server_does_not_hold_up_a_stop(
    sandbox: SandboxCluster, client: Client, context: Context, repository: Repository, tmp_path: Path
) -> None:
    await create(client, repository.url)
    settings = msgspec.structs.replace(FORGOTTEN, drain_deadline=0.2)
    async with asyncio.timeout(60), running(Engine(settings, tmp_path / "storage", "fluxtui_one"), context):
        await eventually(lambda: revision(client))
        await sandbox.faults.set("freeze")
    await sandbox.faults.clear()
