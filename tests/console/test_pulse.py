"""When news become paint: folded, at a rate, and not while the terminal is behind."""

from __future__ import annotations

import asyncio
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest

from fluxtui.console.backlog import has_backlog
from fluxtui.console.pulse import Lull, Pulse, Ticks

pytestmark = pytest.mark.looptime


async def test_the_first_kick_beats_at_once_and_a_burst_beats_once_more() -> None:
    loop = asyncio.get_running_loop()
    began, beats = loop.time(), list[float]()
    pulse = Pulse(lambda: beats.append(round(loop.time() - began, 2)), 4)
    for _ in range(10):
        pulse.kick()
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    pulse.stop()
    assert beats == [0.0, 0.25, 0.5]


@pytest.mark.parametrize(("longer", "beats"), [(3.0, [0.0, 0.4, 0.5, 0.6]), (-0.5, [0.0, 0.05, 0.15, 0.25])])
async def test_a_beat_says_how_long_the_pause_after_it_is(longer: float, beats: list[float]) -> None:
    loop = asyncio.get_running_loop()
    began, seen = loop.time(), list[float]()

    def beat() -> float:
        seen.append(round(loop.time() - began, 2))
        return longer if len(seen) == 1 else 0.0

    pulse = Pulse(beat, 10)
    while len(seen) < len(beats):
        pulse.kick()
        await asyncio.sleep(0.01)
    pulse.stop()
    assert seen == beats


async def test_while_it_is_held_nothing_is_painted_and_nothing_is_lost() -> None:
    loop = asyncio.get_running_loop()
    began, beats = loop.time(), list[float]()
    pulse = Pulse(lambda: beats.append(round(loop.time() - began, 1)), 10, lambda: loop.time() - began < 1.95)
    pulse.kick()
    await asyncio.sleep(5)
    pulse.stop()
    assert beats == [2.0]


async def test_a_held_pulse_can_be_stopped() -> None:
    beats = list[int]()
    pulse = Pulse(lambda: beats.append(1), 10, lambda: True)
    pulse.kick()
    await asyncio.sleep(1)
    pulse.stop()
    await asyncio.sleep(1)
    assert beats == []


def test_a_terminal_is_behind_while_something_waits_to_be_written() -> None:
    queue: Queue[str] = Queue()
    app: Any = SimpleNamespace(_driver=SimpleNamespace(_writer_thread=SimpleNamespace(_queue=queue)))
    assert not has_backlog(app)
    queue.put("painted")
    assert has_backlog(app)
    queue.get()
    assert not has_backlog(app)


@pytest.mark.parametrize("driver", [None, SimpleNamespace(), SimpleNamespace(_writer_thread=None)])
def test_a_driver_of_another_shape_counts_as_fast(driver: object) -> None:
    app: Any = SimpleNamespace(_driver=driver)
    assert not has_backlog(app)


async def test_a_lull_comes_once_and_only_after_the_last_beginning() -> None:
    loop = asyncio.get_running_loop()
    began, calls = loop.time(), list[float]()
    lull = Lull(lambda: calls.append(round(loop.time() - began, 2)))
    for _ in range(5):
        lull.begin(0.12)
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    assert calls == [0.52]
    lull.begin(0.12)
    lull.stop()
    await asyncio.sleep(1)
    assert calls == [0.52]


@pytest.mark.parametrize(("every", "expected"), [(1, [1.0, 2.0, 3.0]), (10, [10.0, 20.0, 30.0])])
async def test_ticks_come_at_whole_seconds_until_they_are_stopped(every: int, expected: list[float]) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.3 - loop.time() % 1)
    first, seen = loop.time() // 1, list[float]()
    ticks = Ticks(lambda: seen.append(round(loop.time() - first, 3)), every)
    ticks.start()
    await asyncio.sleep(3 * every)
    ticks.stop()
    await asyncio.sleep(3 * every)
    assert [moment - seen[0] for moment in seen] == [moment - expected[0] for moment in expected]
    assert all(moment % 1 == 0 for moment in seen)


async def test_a_tick_that_fails_is_not_the_last() -> None:
    loop = asyncio.get_running_loop()
    seen, problems = list[int](), list[object]()
    loop.set_exception_handler(lambda _, problem: problems.append(problem["exception"]))

    def tick() -> None:
        seen.append(len(seen))
        raise ValueError(len(seen))

    ticks = Ticks(tick, 1)
    ticks.start()
    await asyncio.sleep(3.5)
    ticks.stop()
    loop.set_exception_handler(None)
    assert len(seen) == len(problems) >= 3
