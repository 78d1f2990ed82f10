"""Worker processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from fluxtui.engine.runtime.workers import WorkerLost, WorkerPool


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(1)
    yield pool
    await pool.close()


async def test_work_runs_in_another_process_and_its_errors_come_back(pool: WorkerPool) -> None:
    assert await pool.run(os.getpid) != os.getpid()
    with pytest.raises(ValueError, match="invalid literal"):
        await pool.run(int, "x")


async def test_a_worker_that_dies_is_replaced(pool: WorkerPool) -> None:
    with pytest.raises(WorkerLost, match="ended unexpectedly"):
        await pool.run(os._exit, 3)
    assert await pool.run(abs, -1) == 1


async def test_a_pool_that_was_never_used_has_no_process() -> None:
    pool = WorkerPool()
    assert pool._pool is None
    async with asyncio.timeout(1):
        await pool.close()
