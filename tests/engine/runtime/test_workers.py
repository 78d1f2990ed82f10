"""Worker processes."""

from __future__ import annotations

import asyncio
import os
import threading
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
    async with asyncio.timeout(60):
        await pool.close()


async def test_waiting_holds_up_no_build() -> None:
    pool = WorkerPool()
    go_on = threading.Event()
    try:
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(pool.wait_for(go_on.wait, 60)) for _ in range(6)]
            # The threads of the event loop and the processes are free.
            assert await asyncio.to_thread(sum, [1, 2]) == 3
            assert await pool.run(sum, [1, 2]) == 3
            waiting[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting[0]
            assert not any(task.done() for task in waiting[1:])
            go_on.set()
        assert all(task.result() for task in waiting[1:])
        with pytest.raises(ZeroDivisionError):
            await pool.wait_for(divmod, 1, 0)
    finally:
        go_on.set()
        await pool.close()
