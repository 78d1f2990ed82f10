"""Leader election in virtual time: hand-over both ways, loss, and never two at once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from fluxtui.engine.runtime.leases import LeaderElection, Standing
from fluxtui.engine.runtime.settings import EngineSettings
from tests.engine.runtime.memory import LeaseClient, LeaseServer

pytestmark = pytest.mark.looptime

CONTROLLERS = ("source-controller", "kustomize-controller")
SOURCE, KUSTOMIZE = (f"{name}-leader-election" for name in CONTROLLERS)


class Candidate:
    """An election and what it did: when it led, and how it stood."""

    def __init__(self, server: LeaseServer, identity: str) -> None:
        self.client = LeaseClient(server)
        self.standings: list[Standing] = []
        self.terms: list[list[float]] = []
        self.finish = asyncio.Event()
        self.election = LeaderElection(
            cast("Any", self.client),
            CONTROLLERS,
            identity,
            EngineSettings(),
            annotations={"engine/host": "here"},
            on_change=self.standings.append,
        )

    async def lead(self) -> None:
        loop = asyncio.get_running_loop()
        self.terms.append([loop.time()])
        try:
            await self.finish.wait()
        finally:
            self.terms[-1].append(loop.time())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.election.run(self.lead))
            try:
                yield task
            finally:
                task.cancel()


@pytest.fixture
def server() -> LeaseServer:
    return LeaseServer()


def upstream(server: LeaseServer, name: str, identity: str = "vm_upstream") -> None:
    """A Lease as the controller called `name` leaves it."""
    server.put(
        name,
        {
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {
                "holderIdentity": identity,
                "leaseDurationSeconds": 35,
                "acquireTime": "2026-11-21T05:14:01.949461Z",
                "renewTime": "2026-11-21T05:15:12.044640Z",
                "leaseTransitions": 3,
            },
        },
    )


async def test_free_leases_are_taken_renewed_and_given_back(server: LeaseServer) -> None:
    one = Candidate(server, "fluxtui_one")
    async with one.running():
        await asyncio.sleep(1)
        assert one.election.leading
        spec = server.leases[SOURCE]["spec"]
        assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == (
            "fluxtui_one",
            35,
            0,
        )
        assert spec["renewTime"].endswith("Z")
        assert len(spec["renewTime"]) == len("2026-11-21T05:15:12.177085Z")
        assert server.leases[SOURCE]["metadata"]["annotations"] == {"engine/host": "here"}
        writes = server.writes
        await asyncio.sleep(60)
        assert server.writes - writes == 2 * 12
    assert one.election.remaining == 0
    assert server.holder(SOURCE) == server.holder(KUSTOMIZE) == ""
    assert server.leases[SOURCE]["metadata"]["annotations"] == {}


async def test_a_lease_alive_in_other_hands_keeps_us_off_all_of_them(server: LeaseServer) -> None:
    upstream(server, KUSTOMIZE)
    one = Candidate(server, "fluxtui_one")
    async with one.running():
        for _ in range(20):
            await asyncio.sleep(10)
            upstream(server, KUSTOMIZE, identity="vm_upstream")
            server.leases[KUSTOMIZE]["spec"]["renewTime"] = f"2026-11-21T05:{_ + 16}:12.044640Z"
        assert one.terms == []
        assert SOURCE not in server.leases
        assert "kustomize-controller-leader-election is held by vm_upstream" in str(one.election.standing.holders[0])


async def test_an_expired_lease_is_taken_over_after_a_whole_lease_duration_of_watching(server: LeaseServer) -> None:
    upstream(server, SOURCE)
    one = Candidate(server, "fluxtui_one")
    start = asyncio.get_running_loop().time()
    async with one.running():
        await asyncio.sleep(60)
        assert one.election.leading
    assert 35 <= one.terms[0][0] - start <= 35 + 6
    assert server.leases[SOURCE]["spec"]["leaseTransitions"] == 4


async def test_a_released_lease_is_taken_at_once(server: LeaseServer) -> None:
    one, two = Candidate(server, "fluxtui_one"), Candidate(server, "fluxtui_two")
    async with two.running() as second:
        await asyncio.sleep(1)
        async with one.running():
            await asyncio.sleep(20)
            assert one.terms == []
            released = asyncio.get_running_loop().time()
            second.cancel()
            await asyncio.sleep(7)
            assert one.election.leading
            assert one.terms[0][0] - released <= 6


async def test_never_two_at_once_whoever_fails(server: LeaseServer) -> None:
    candidates = [Candidate(server, f"fluxtui_{name}") for name in "abc"]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each.election.run(each.lead)) for each in candidates]
        for round in range(12):
            candidates[round % 3].client.reachable = round % 2 == 0
            for _ in range(50):
                await asyncio.sleep(1)
                assert sum(each.election.leading for each in candidates) <= 1
        for task in tasks:
            task.cancel()
    terms = sorted(term for each in candidates for term in each.terms)
    assert len(terms) >= 3
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(terms))


async def test_work_stops_before_anybody_else_may_begin_when_the_server_is_gone(server: LeaseServer) -> None:
    one = Candidate(server, "fluxtui_one")
    async with one.running():
        await asyncio.sleep(1)
        lost = asyncio.get_running_loop().time()
        one.client.reachable = False
        await asyncio.sleep(60)
        assert not one.election.leading
        assert one.terms[0][1] - lost <= 30
        assert not one.election.standing.reachable
        one.client.reachable = True
        await asyncio.sleep(10)
        assert one.election.remaining > 0
        assert len(one.terms) == 2


async def test_work_stops_at_once_when_somebody_takes_a_lease(server: LeaseServer) -> None:
    one = Candidate(server, "fluxtui_one")
    async with one.running():
        await asyncio.sleep(1)
        upstream(server, KUSTOMIZE, "vm_thief")
        taken = asyncio.get_running_loop().time()
        await asyncio.sleep(6)
        assert one.terms[0][1] - taken <= 5
        assert not one.election.leading
        assert server.holder(KUSTOMIZE) == "vm_thief"
        assert server.holder(SOURCE) == ""
        assert one.election.standing.holders[0].identity == "vm_thief"


async def test_a_cancellation_while_a_lease_is_lost_is_heard(server: LeaseServer) -> None:
    one = Candidate(server, "fluxtui_one")

    async def lead() -> None:
        try:
            await one.lead()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
            raise

    task = asyncio.create_task(one.election.run(lead))
    await asyncio.sleep(1)
    upstream(server, KUSTOMIZE, "vm_thief")
    await asyncio.wait((task,), timeout=60)
    assert task.cancelled()
    assert server.holder(KUSTOMIZE) == "vm_thief"
    assert server.holder(SOURCE) == ""


async def test_somebody_elses_label_on_a_lease_is_no_loss(server: LeaseServer) -> None:
    one = Candidate(server, "fluxtui_one")
    async with one.running():
        await asyncio.sleep(1)
        for _ in range(5):
            lease = server.leases[SOURCE]
            lease["metadata"]["labels"] = {"team": "platform"}
            server.put(SOURCE, lease)
            await asyncio.sleep(7)
        assert len(one.terms) == 1
        assert server.leases[SOURCE]["metadata"]["labels"] == {"team": "platform"}


async def test_a_killed_engine_gets_its_own_leases_back_at_once(server: LeaseServer) -> None:
    upstream(server, SOURCE, "fluxtui_one")
    upstream(server, KUSTOMIZE, "fluxtui_one")
    one = Candidate(server, "fluxtui_one")
    async with one.running():
        await asyncio.sleep(0.1)
        assert one.election.leading
        assert server.leases[SOURCE]["spec"]["leaseTransitions"] == 3


async def test_a_cluster_without_flux_system_says_what_to_do(server: LeaseServer) -> None:
    server.namespaces.clear()
    one = Candidate(server, "fluxtui_one")
    async with one.running():
        await asyncio.sleep(1)
        assert one.election.standing.problem == "namespace flux-system does not exist; `fluxtui install` creates it"
        server.namespaces.add("flux-system")
        await asyncio.sleep(6)
        assert one.election.leading


async def test_work_that_ends_by_itself_gives_the_leases_back_and_ends_the_election(server: LeaseServer) -> None:
    one = Candidate(server, "fluxtui_one")
    async with one.running() as task:
        await asyncio.sleep(1)
        one.finish.set()
        await task
        assert server.holder(SOURCE) == ""


async def test_an_error_in_the_work_comes_through_and_the_leases_are_given_back(server: LeaseServer) -> None:
    election = Candidate(server, "fluxtui_one").election

    async def broken() -> None:
        raise RuntimeError("bug")

    with pytest.raises(ExceptionGroup) as caught:
        await election.run(broken)
    assert "bug" in str(caught.value.exceptions)
    assert server.holder(SOURCE) == ""
