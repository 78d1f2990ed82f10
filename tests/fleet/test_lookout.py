"""How often a cluster is asked for its Leases: seldom while all is well, sooner where something is unusual."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from fluxtui.fleet import lookout, probe
from fluxtui.fleet.clusters import ClusterInfo
from fluxtui.kube.errors import ServerError
from tests.fleet.test_leases import lease

pytestmark = pytest.mark.looptime

Leases = list[dict[str, Any]]
"""As the server has them."""


class Answers:
    """A client whose Leases are what a test says, and when it was asked for them, in the loop's time."""

    def __init__(self, leases: Callable[[float], Leases]) -> None:
        self.leases = leases
        self.asked: list[float] = []
        self.liveness = SimpleNamespace(error=None)

    async def alive(self) -> None:
        """It is."""

    async def version(self) -> dict[str, Any]:
        return {}

    async def request(self, method: str, path: str, **options: Any) -> Any:
        now = asyncio.get_running_loop().time()
        items = []
        if path == probe.LEASES:
            self.asked.append(now)
            items = self.leases(now)
        return SimpleNamespace(body=json.dumps({"items": items}).encode())


async def looks(leases: Callable[[float], Leases], seconds: float) -> list[float]:
    """When the Leases are asked for in so many seconds."""
    client: Any = Answers(leases)
    loop = asyncio.get_running_loop()
    watched = lookout.Lookout(ClusterInfo(id="east"), loop.time, lambda: None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await watched.run(client)
    asked: list[float] = client.asked
    return asked


@pytest.mark.parametrize("clock", [0.0, 3600.0], ids=["same clock", "another clock"])
async def test_leases_that_are_renewed_are_looked_at_now_and_then(clock: float) -> None:
    found = await looks(lambda now: [lease("kustomize-controller", "a_1", now + clock - 2)], 3600)
    assert 3600 / 45 <= len(found) <= 3600 / (45 * 0.9) + 2


@pytest.mark.parametrize("clock", [0.0, 3600.0, -3600.0])
async def test_who_stops_renewing_is_looked_at_more_often(clock: float) -> None:

    def leases(now: float) -> Leases:
        renewed = lease("kustomize-controller", "a_1", min(now, 1000) + clock)
        renewed["spec"]["leaseDurationSeconds"] = 15
        return [renewed]

    found = await looks(leases, 2000)
    after = [moment for moment in found if moment > 1000 + 2 * 45]
    assert all(later - earlier <= 20 for earlier, later in itertools.pairwise(after))
    assert len(after) >= 40


async def test_who_refuses_is_noticed_within_a_minute() -> None:

    def leases(now: float) -> Leases:
        if now > 1000:
            raise ServerError(500, "InternalError", "broken")
        return []

    client: Any = Answers(leases)
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    watched = lookout.Lookout(ClusterInfo(id="east"), loop.time, lambda: told.set() if watched.facts.refused else None)
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(watched.run(client))
        await told.wait()
        assert 1000 < loop.time() <= 1060
        looking.cancel()


async def test_one_slow_answer_is_no_other_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    took = [0.03, 0.03, 0.03, 0.5, 0.03, 0.03, 0.5, 0.5, 0.5]
    moments = itertools.chain.from_iterable((float(index), index + seconds) for index, seconds in enumerate(took))
    monkeypatch.setattr(lookout, "time", SimpleNamespace(perf_counter=lambda: next(moments), time=lambda: 0.0))
    client: Any = Answers(lambda _: [])
    seen: list[float] = []
    done = asyncio.Event()

    def listen() -> None:
        if len(client.asked) > len(seen):
            seen.append(round(watched.facts.latency, 3))
        if len(seen) == len(took):
            done.set()

    watched = lookout.Lookout(ClusterInfo(id="east"), asyncio.get_running_loop().time, listen)
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(watched.run(client))
        await done.wait()
        looking.cancel()
    assert seen == [0.03] * 7 + [0.5] * 2
