"""The engine started from here: one real process for all clusters asked of it, found again, refused and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from fluxtui.fleet.clusters import Mode
from fluxtui.fleet.engines import EngineError, Engines
from fluxtui.fleet.probe import LeaseWatch, Standing, leases
from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context, load
from fluxtui.kube.roster import read
from tests.engine.polling import eventually
from tests.fleet.conftest import Start
from tests.fleet.live import LEASES, context_of

SILENT = (sys.executable, "-c", "import time; time.sleep(600)")
COMPLAINS = (sys.executable, "-c", "import sys; sys.exit('fluxtui engine: the disk is full')")


@asynccontextmanager
async def stopped_at_last(engines: Engines, *contexts: Context) -> AsyncIterator[Engines]:
    """Leave no process behind, whatever becomes of the test."""
    try:
        yield engines
    finally:
        for context in contexts:
            await engines.stop(context)


async def standing(client: Client) -> Standing:
    found = await leases(client, 30.0)
    assert found is not None
    return LeaseWatch().look(found, time.time())


async def test_one_process_has_all_clusters_and_lets_go_of_one_without_disturbing_the_others(
    start: Start, tmp_path: Path
) -> None:
    (east_cluster, east_client), (west_cluster, west_client) = await start("east"), await start("west")
    east, west = context_of(east_cluster, tmp_path), context_of(west_cluster, tmp_path)
    async with stopped_at_last(Engines(tmp_path / "engines"), east, west) as engines:
        assert engines.pid(east) == 0
        pid = await engines.start(east)
        # Another console finds it, and adds a cluster to it.
        later = Engines(tmp_path / "engines")
        assert (later.pid(east), later.pid(west)) == (pid, 0)
        with pytest.raises(EngineError, match="runs already"):
            await later.start(east)
        assert await later.start(west) == pid
        assert [(await standing(client)).mode for client in (east_client, west_client)] == [Mode.EMBEDDED] * 2
        before = (await standing(west_client)).holder
        assert engines.is_own(before)
        await later.stop(east)
        assert (engines.pid(east), engines.pid(west)) == (0, pid)
        assert (await standing(east_client)).mode is Mode.NONE
        assert (await standing(west_client)).holder == before
        assert await transitions(west_client) == {0}
        # The same cluster again, by the process that is there.
        assert await engines.start(east) == pid
        await engines.stop(east)
        await engines.stop(west)
        assert engines.pid(west) == 0
        assert (await standing(west_client)).mode is Mode.NONE
        assert engines.left_behind() == []


async def specs(client: Client) -> list[dict[str, Any]]:
    return [lease["spec"] for lease in (await client.list(LEASES, "flux-system")).items]


async def transitions(client: Client) -> set[int]:
    return {spec["leaseTransitions"] for spec in await specs(client)}


async def renewals(client: Client) -> set[str]:
    return {spec["renewTime"] for spec in await specs(client)}


async def test_two_consoles_at_once_start_one_process(start: Start, tmp_path: Path) -> None:
    (east_cluster, _), (west_cluster, _) = await start("east"), await start("west")
    east, west = context_of(east_cluster, tmp_path), context_of(west_cluster, tmp_path)
    async with stopped_at_last(Engines(tmp_path / "engines"), east, west) as one:
        other = Engines(tmp_path / "engines")
        async with asyncio.TaskGroup() as group:
            starts = [group.create_task(one.start(east)), group.create_task(other.start(west))]
        pid = one.pid(east)
        assert pid
        assert [task.result() for task in starts] == [pid, pid]


async def test_an_engine_that_was_killed_is_seen_and_starts_again_with_what_it_had(
    start: Start, tmp_path: Path
) -> None:
    (east_cluster, east_client), (west_cluster, west_client) = await start("east"), await start("west")
    east, west = context_of(east_cluster, tmp_path), context_of(west_cluster, tmp_path)
    async with stopped_at_last(Engines(tmp_path / "engines"), east, west) as engines:
        pid = await engines.start(east)
        await engines.start(west)
        renewed = await renewals(west_client)
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: engines.pid(east) == 0)
        assert engines.left_behind() == ["east", "west"]
        # Nobody gave the Leases back: it gets its own at once.
        assert engines.is_own((await standing(east_client)).holder)
        assert await engines.start(east, others=True) != pid

        async def led_again() -> bool:
            return not renewed & await renewals(west_client)

        await eventually(led_again)
        assert engines.pid(west)
        assert await transitions(west_client) == {0}
        assert engines.left_behind() == []


async def test_one_that_is_started_anew_has_only_what_is_asked_of_it(start: Start, tmp_path: Path) -> None:
    (east_cluster, _), (west_cluster, _) = await start("east"), await start("west")
    east, west = context_of(east_cluster, tmp_path), context_of(west_cluster, tmp_path)
    async with stopped_at_last(Engines(tmp_path / "engines"), east, west) as engines:
        os.kill(await engines.start(east), signal.SIGKILL)
        await eventually(lambda: engines.left_behind() == ["east"])
        await engines.start(west)
        assert engines.pid(east) == 0


async def test_a_cluster_asked_for_while_the_process_ends_gets_a_new_one(start: Start, tmp_path: Path) -> None:
    (east_cluster, _), (west_cluster, west_client) = await start("east"), await start("west")
    east, west = context_of(east_cluster, tmp_path), context_of(west_cluster, tmp_path)
    async with stopped_at_last(Engines(tmp_path / "engines"), east, west) as engines:
        await engines.start(east)
        async with asyncio.TaskGroup() as group:
            group.create_task(engines.stop(east))
            started = group.create_task(Engines(tmp_path / "engines").start(west))
        assert started.result() == engines.pid(west)
        assert engines.pid(east) == 0
        assert (await standing(west_client)).mode is Mode.EMBEDDED


async def test_who_cannot_be_reconciled_is_named_and_not_asked_for_any_more(start: Start, tmp_path: Path) -> None:
    (east_cluster, _), (west_cluster, _) = await start("east", flux=False), await start("west")
    east, west = context_of(east_cluster, tmp_path), context_of(west_cluster, tmp_path)
    async with stopped_at_last(Engines(tmp_path / "engines"), east, west) as engines:
        pid = await engines.start(west)
        with pytest.raises(EngineError, match="fluxtui install"):
            await engines.start(east)
        await asyncio.to_thread(Path(east.source).unlink)
        with pytest.raises(EngineError, match="no such file"):
            await engines.start(east)
        assert (engines.pid(east), engines.pid(west)) == (0, pid)


async def test_clusters_of_the_same_name_stay_apart(start: Start, tmp_path: Path) -> None:
    contexts = []
    for name in ("east", "west"):
        cluster, _ = await start(name)
        content = yaml.safe_load(yaml.safe_dump(cluster.kubeconfig()).replace(name, "prod"))
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content))
        contexts.append(load([str(path)]).contexts[0])
    assert [context.id for context in contexts] == ["prod", "prod"]
    async with stopped_at_last(Engines(tmp_path / "engines"), *contexts) as engines:
        assert await engines.start(contexts[0]) == await engines.start(contexts[1])
        ids = [entry.id for entry in read(tmp_path / "engines" / "roster.json").clusters]
        assert ids[0] == "prod"
        assert ids[1].startswith("prod@")


async def test_why_an_engine_ended_at_once_is_said(start: Start, tmp_path: Path) -> None:
    cluster, _ = await start("east", flux=False)
    context = context_of(cluster, tmp_path)
    engines = Engines(tmp_path / "engines", COMPLAINS)
    with pytest.raises(EngineError, match="the disk is full"):
        await engines.start(context)
    assert engines.pid(context) == 0
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="can't be used"):
        await Engines(tmp_path / "file").start(context)


async def test_one_that_says_nothing_of_the_cluster_does_not_stay(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, _ = await start("east", flux=False)
    context = context_of(cluster, tmp_path)
    silent = Engines(tmp_path / "silent", SILENT)
    monkeypatch.setattr("fluxtui.fleet.engines.BEGINNING", 0.2)
    with pytest.raises(EngineError, match="said nothing"):
        await silent.start(context)
    assert await asyncio.to_thread(silent.pid, context) == 0
