"""Engines started from here: real processes on a sandbox cluster, found again, refused and stopped."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from fluxtui.fleet.clusters import Mode
from fluxtui.fleet.engines import EngineError, Engines
from fluxtui.fleet.probe import LeaseWatch, leases
from fluxtui.kube.client import Client
from tests.fleet.conftest import Start
from tests.fleet.live import context_of

STANDS_STILL = (sys.executable, "-c", "import time; print('{}', flush=True); time.sleep(60)")


async def test_an_engine_leads_outlives_who_started_it_and_gives_its_leases_back(start: Start, tmp_path: Path) -> None:
    cluster, client = await start("east")
    context = context_of(cluster, tmp_path)
    engines = Engines(tmp_path / "engines")
    assert engines.pid(context) == 0
    pid = await engines.start(context)
    try:
        later = Engines(tmp_path / "engines")
        assert later.pid(context) == pid
        assert await mode(client) is Mode.EMBEDDED
        with pytest.raises(EngineError, match="runs already"):
            await later.start(context)
    finally:
        await engines.stop(context)
    assert engines.pid(context) == 0
    assert await mode(client) is Mode.NONE


async def mode(client: Client) -> Mode:
    found = await leases(client, 5.0)
    assert found is not None
    return LeaseWatch().look(found, time.time()).mode


async def test_why_an_engine_ended_at_once_is_said(start: Start, tmp_path: Path) -> None:
    cluster, _ = await start("east", flux=False)
    context = context_of(cluster, tmp_path)
    await asyncio.to_thread(Path(context.source).unlink)
    engines = Engines(tmp_path / "engines")
    with pytest.raises(EngineError, match="no such file"):
        await engines.start(context)
    assert engines.pid(context) == 0


async def test_one_that_says_nothing_of_the_cluster_does_not_stay(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, _ = await start("east", flux=False)
    context = context_of(cluster, tmp_path)
    engines = Engines(tmp_path / "engines", STANDS_STILL)
    with pytest.raises(EngineError, match="no such context"):
        await engines.start(context)
    assert engines.pid(context) == 0
    silent = Engines(tmp_path / "silent", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr("fluxtui.fleet.engines.BEGINNING", 0.2)
    with pytest.raises(EngineError, match="said nothing"):
        await silent.start(context)
    assert await asyncio.to_thread(silent.pid, context) == 0
