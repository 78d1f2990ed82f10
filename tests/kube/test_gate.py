"""The order of the start-up storm, and liveness, in virtual time."""

from __future__ import annotations

import asyncio
import time
import types

import pytest

from fluxtui.kube.errors import KubeError, NotFound, Unreachable
from fluxtui.kube.gate import OPENING_PATIENCE, OPENINGS, Gate
from fluxtui.kube.liveness import QUIET, Liveness, full_jitter

pytestmark = pytest.mark.looptime


async def sync(gate: Gate, cluster: str, seconds: float, order: list[str]) -> None:
    """One kind of a cluster is listed."""
    async with gate.syncing(cluster):
        order.append(cluster)
        await asyncio.sleep(seconds)


async def test_few_clusters_at_once_with_all_their_kinds() -> None:
    gate = Gate(clusters=2)
    order: list[str] = []
    async with asyncio.TaskGroup() as group:
        for cluster in "abcd":
            for _ in range(3):
                group.create_task(sync(gate, cluster, 1, order))
        await asyncio.sleep(0.5)
        assert sorted(order) == list("aaabbb")
        assert gate.waiting == 2
        await asyncio.sleep(1)
        assert sorted(order) == list("aaabbbcccddd")


async def test_clusters_on_screen_go_first() -> None:
    visible = {"d"}
    gate = Gate(clusters=1, first=lambda: visible)
    order: list[str] = []
    async with asyncio.TaskGroup() as group:
        for cluster in "abcd":
            group.create_task(sync(gate, cluster, 1, order))
        await asyncio.sleep(1.5)
        assert order == ["a", "d"]
        visible.add("c")
    assert order == ["a", "d", "c", "b"]


async def test_a_cluster_that_takes_long_does_not_hold_up_the_others() -> None:
    gate = Gate(clusters=1, patience=10)
    order: list[str] = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        group.create_task(sync(gate, "slow", 300, order))
        group.create_task(sync(gate, "fast", 1, order))
        await asyncio.sleep(11.5)
        assert order == ["slow", "fast"]
        # What was lent out comes back once only.
        group.create_task(sync(gate, "x", 1000, order))
        group.create_task(sync(gate, "y", 1, order))
        await asyncio.sleep(1)
        assert order == ["slow", "fast", "x"]
        await asyncio.sleep(10)
        assert order == ["slow", "fast", "x", "y"]
    assert loop.time() - began < 1100


async def test_who_gives_up_waiting_leaves_no_trace() -> None:
    gate = Gate(clusters=1)
    order: list[str] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(sync(gate, "a", 2, order))
        waiting = group.create_task(sync(gate, "b", 1, order))
        group.create_task(sync(gate, "c", 1, order))
        await asyncio.sleep(1)
        waiting.cancel()
    assert order == ["a", "c"]
    assert gate.waiting == 0


async def test_long_work_waits_while_something_else_wants_the_loop() -> None:
    loop = asyncio.get_running_loop()
    free_at = loop.time() + 0.2
    gate = Gate(waits=lambda: max(0.0, free_at - loop.time()))
    async with gate.decoding():
        assert loop.time() >= free_at - 0.01
    free_at = loop.time() + 0.2
    await gate.breathe()
    assert loop.time() >= free_at - 0.01


async def test_requests_and_decoding_are_limited() -> None:
    gate = Gate(requests=3)
    running = {"requests": 0, "decoding": 0}
    most = dict(running)

    async def work() -> None:
        for what, limit in (("requests", gate.requesting()), ("decoding", gate.decoding())):
            async with limit:
                running[what] += 1
                most[what] = max(most[what], running[what])
                await asyncio.sleep(0.1)
                running[what] -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(work())
    assert most == {"requests": 3, "decoding": 1}


def test_pauses_grow_and_stay_bounded() -> None:
    for attempt, bound in ((1, 1.0), (3, 4.0), (5, 16.0), (10, 30.0), (1000, 30.0)):
        pauses = [full_jitter(attempt) for _ in range(200)]
        assert all(0.25 <= pause <= bound for pause in pauses)
        assert max(pauses) - min(pauses) > bound / 3


class Server:
    """Answers probes, or does not."""

    def __init__(self) -> None:
        self.error: KubeError | None = None
        self.asked = 0

    async def probe(self, within: float | None) -> None:
        """One question."""
        self.asked += 1
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error


async def test_one_asks_for_all_and_everybody_hears() -> None:
    server, liveness = Server(), Liveness()
    server.error = Unreachable("gone")
    results = await asyncio.gather(*(liveness.up(server.probe) for _ in range(20)), return_exceptions=True)
    assert {str(result) for result in results} == {"gone"}
    assert server.asked == 1
    assert liveness.error is not None
    assert not liveness.is_up()


async def test_an_hour_of_silence_costs_few_questions_and_ends_at_once() -> None:
    server, liveness = Server(), Liveness()
    server.error = Unreachable("gone")
    loop = asyncio.get_running_loop()

    async def wait() -> None:
        while True:
            try:
                await liveness.up(server.probe)
            except Unreachable:
                continue
            return

    async with asyncio.TaskGroup() as group:
        for _ in range(13):
            group.create_task(wait())
        await asyncio.sleep(3600)
        assert 3600 / 30 < server.asked < 3600 / 10
        server.error = None
        back = loop.time()
    assert loop.time() - back <= 31
    assert liveness.is_up()


class Stream:
    """Something open."""

    def abort(self, error: Exception) -> None:
        """A server that answers is left alone."""
        raise AssertionError(error)


async def test_a_busy_server_is_asked_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = types.SimpleNamespace(monotonic=asyncio.get_running_loop().time, time=time.time)
    monkeypatch.setattr("fluxtui.kube.liveness.time", clock)
    server, liveness = Server(), Liveness()
    liveness.opened(Stream())
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(liveness.watch(server.probe))
        for _ in range(50):
            await asyncio.sleep(QUIET - 1)
            liveness.heard()
        assert server.asked == 0
        await asyncio.sleep(QUIET + 1)
        assert server.asked == 1
        watching.cancel()


async def test_any_answer_is_a_sign_of_life() -> None:
    server, liveness = Server(), Liveness()
    server.error = NotFound(404)
    await liveness.up(server.probe)
    assert liveness.is_up()
    assert liveness.error is None


async def test_a_failure_makes_the_next_ask_first() -> None:
    server, liveness = Server(), Liveness()
    await liveness.up(server.probe)
    await liveness.up(server.probe)
    assert server.asked == 1
    liveness.failed(Unreachable("cut"))
    assert not liveness.is_up()
    await liveness.up(server.probe)
    assert server.asked == 2


async def test_streams_are_opened_a_few_at_a_time_and_a_slow_server_holds_no_place() -> None:
    gate = Gate()
    loop = asyncio.get_running_loop()
    opened: list[float] = []

    async def slow() -> None:
        async with gate.opening():
            await asyncio.sleep(60)

    async def quick() -> None:
        async with gate.opening():
            opened.append(loop.time() - began)

    began = loop.time()
    async with asyncio.TaskGroup() as group:
        frozen = [group.create_task(slow()) for _ in range(OPENINGS)]
        await asyncio.sleep(0)
        for _ in range(OPENINGS * 3):
            group.create_task(quick())
        await asyncio.sleep(OPENING_PATIENCE * 2)
        for task in frozen:
            task.cancel()
    assert len(opened) == OPENINGS * 3
    assert min(opened) >= OPENING_PATIENCE
    assert max(opened) < OPENING_PATIENCE * 1.5, "those that froze gave their places back once, not again and again"
