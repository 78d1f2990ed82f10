"""The work queue: once each, never twice at the same time, delays on the loop's clock."""

from __future__ import annotations

import asyncio

import pytest

from fluxtui.engine.runtime.queue import Queue, QueueClosed

pytestmark = pytest.mark.looptime


async def test_a_burst_of_adds_is_one_piece_of_work() -> None:
    queue: Queue[str] = Queue()
    for _ in range(10):
        queue.add("a")
    assert await queue.get() == "a"
    assert len(queue) == 0


async def test_a_key_added_while_it_is_worked_on_comes_again_afterwards_and_only_then() -> None:
    queue: Queue[str] = Queue()
    queue.add("a")
    await queue.get()
    for _ in range(5):
        queue.add("a")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await queue.get()
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_four_workers_never_overlap_on_a_key() -> None:
    queue: Queue[int] = Queue()
    busy: set[int] = set()
    runs: list[int] = []

    async def work() -> None:
        while True:
            try:
                key = await queue.get()
            except QueueClosed:
                return
            assert key not in busy
            busy.add(key)
            await asyncio.sleep(1)
            runs.append(key)
            busy.discard(key)
            queue.done(key)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(work())
        for _ in range(3):
            for key in range(3):
                queue.add(key)
            await asyncio.sleep(0.3)
        await asyncio.sleep(10)
        queue.close()
    assert sorted(runs) == [0, 0, 1, 1, 2, 2]


async def test_a_delayed_key_comes_when_it_is_due(looptime: object) -> None:
    queue: Queue[str] = Queue()
    loop = asyncio.get_running_loop()
    start = loop.time()
    queue.add_after("later", 600)
    queue.add_after("sooner", 30)
    assert await queue.get() == "sooner"
    assert loop.time() - start == pytest.approx(30)
    assert await queue.get() == "later"
    assert loop.time() - start == pytest.approx(600)


async def test_an_event_cuts_the_wait_short_and_the_delay_is_gone() -> None:
    queue: Queue[str] = Queue()
    queue.add_after("a", 900)
    queue.add("a")
    assert queue.due("a") is None
    assert await queue.get() == "a"
    queue.done("a")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2000):
            await queue.get()


async def test_the_sooner_of_two_delays_counts() -> None:
    queue: Queue[str] = Queue()
    start = asyncio.get_running_loop().time()
    queue.add_after("a", 100)
    queue.add_after("a", 10)
    queue.add_after("a", 50)
    await queue.get()
    assert asyncio.get_running_loop().time() - start == pytest.approx(10)


async def test_closing_ends_waiting_workers_but_not_the_work_in_flight() -> None:
    queue: Queue[str] = Queue()
    queue.add("a")
    await queue.get()
    queue.add("b")
    queue.add_after("c", 5)
    waiting = [asyncio.ensure_future(_ended(queue)) for _ in range(3)]
    queue.close()
    assert await asyncio.gather(*waiting) == [True, True, True]
    assert queue.processing == {"a"}
    queue.done("a")
    await queue.idle()


async def test_a_cancelled_worker_loses_no_key() -> None:
    queue: Queue[str] = Queue()
    first, second = (asyncio.ensure_future(queue.get()) for _ in range(2))
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await second == "a"
    with pytest.raises(asyncio.CancelledError):
        await first


async def _ended(queue: Queue[str]) -> bool:
    try:
        await queue.get()
    except QueueClosed:
        return True
    return False
