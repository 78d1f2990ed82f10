"""Faults of a cluster, switched over the control port while it runs."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from fluxtui.sandbox import faults
from fluxtui.sandbox.fleet import SandboxFleet
from tests.contract.test_objects import config_map
from tests.sandbox.conftest import World

Object = dict[str, Any]


class Faulty(World):
    """The first cluster of a fleet of two, and the control port of the fleet."""

    def __init__(self, session: aiohttp.ClientSession, fleet: SandboxFleet) -> None:
        super().__init__(session, fleet["sandbox-1"].url, fleet["sandbox-1"].token)
        self.fleet = fleet
        self.namespace = "default"

    async def switch(self, fault: str, cluster: str = "sandbox-1", body: Any = None) -> tuple[int, Object]:
        """Switch a fault; status and answer."""
        url = f"{self.fleet.control}/clusters/{cluster}/fault"
        data = json.dumps({"fault": fault}) if body is None else body
        async with self.session.post(url, data=data) as response:
            return response.status, await response.json()

    async def version(self, cluster: str = "sandbox-1") -> int:
        """The status of a plain request to a cluster."""
        server = self.fleet[cluster]
        headers = {"Authorization": f"Bearer {server.token}"}
        async with self.session.get(f"{server.url}/api/v1/namespaces/default", headers=headers) as response:
            await response.read()
            return response.status

    async def open_watch(self, version: str = "") -> aiohttp.ClientResponse:
        """A watch of ConfigMaps."""
        headers = {"Authorization": f"Bearer {self.token}"}
        params = {"watch": "true", **({"resourceVersion": version} if version else {})}
        return await self.session.get(self.server + self.path("configmaps"), params=params, headers=headers)


@pytest.fixture
async def faulty(sandbox_fleet: Callable[..., Any]) -> AsyncIterator[Faulty]:
    fleet = await sandbox_fleet(2, simulate=False)
    async with aiohttp.ClientSession() as session:
        yield Faulty(session, fleet)
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_control_port_tells_what_there_is(faulty: Faulty) -> None:
    await faulty.switch("slow")
    async with faulty.session.get(f"{faulty.fleet.control}/clusters") as response:
        found = await response.json()
    assert [(item["name"], item["fault"]) for item in found["clusters"]] == [("sandbox-1", "slow"), ("sandbox-2", "")]
    assert found["clusters"][0]["url"] == faulty.server
    assert found["faults"] == list(faults.FAULTS)


async def test_the_control_port_refuses_what_is_wrong(faulty: Faulty) -> None:
    status, answer = await faulty.switch("explode")
    assert status == 400
    assert answer["error"].startswith("unknown fault 'explode'; known are refuse, freeze, ")
    assert (await faulty.switch("slow", "sandbox-9"))[0] == 404
    for body in ("{", "[]", '{"fault": 5}', '{"fault": ["slow"]}'):
        assert (await faulty.switch("", body=body))[0] == 400, body
    assert await faulty.version() == 200


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [("too-many", 429, "TooManyRequests"), ("error", 500, "InternalError"), ("unauthorized", 401, "Unauthorized")],
)
async def test_requests_are_answered_with_an_error(faulty: Faulty, fault: str, status: int, reason: str) -> None:
    assert await faulty.switch(fault) == (200, {"name": "sandbox-1", "fault": fault})
    answer = await faulty.get("configmaps", "a")
    assert (answer.status, answer.body["reason"]) == (status, reason)
    if fault == "too-many":
        assert answer.headers["Retry-After"] == "1"
        assert answer.body["details"]["retryAfterSeconds"] == 1
    assert await faulty.version("sandbox-2") == 200
    await faulty.switch("")
    assert await faulty.version() == 200


async def test_a_port_is_closed_and_opened_again(faulty: Faulty) -> None:
    watch = await faulty.open_watch()
    await faulty.switch("refuse")
    with pytest.raises(aiohttp.ClientError):
        await watch.content.readline()
    watch.close()
    with pytest.raises(aiohttp.ClientConnectorError):
        await faulty.version()
    # The port stays its own.
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", int(faulty.server.rpartition(":")[2])))
    await faulty.switch("")
    assert await faulty.version() == 200


async def test_a_frozen_server_takes_requests_and_stands_still(faulty: Faulty) -> None:
    async with await faulty.open_watch() as watch:
        await faulty.switch("freeze")
        async with asyncio.TaskGroup() as group:
            written = group.create_task(faulty.create("configmaps", config_map()))
            event = group.create_task(watch.content.readline())
            done, _ = await asyncio.wait({written, event}, timeout=0.3)
            assert not done
            await faulty.switch("")
            assert (await written).status == 201
            assert json.loads(await event)["type"] == "ADDED"


async def test_a_slow_server_answers_late(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "SLOW_SECONDS", 0.2)
    await faulty.switch("slow")
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await faulty.version() == 200
    assert loop.time() - began >= 0.2


async def test_versions_that_are_gone_stay_gone(faulty: Faulty) -> None:
    version = (await faulty.made("configmaps", config_map()))["metadata"]["resourceVersion"]
    await faulty.made("configmaps", config_map("b"))
    await faulty.switch("gone")
    async with await faulty.open_watch(version) as watch:
        assert (watch.status, (await watch.json())["reason"]) == (410, "Expired")
    assert len(await faulty.items("configmaps")) == 2
    await faulty.switch("")
    async with await faulty.open_watch(version) as watch:
        assert watch.status == 410


async def test_pages_of_a_list_that_is_gone_are_refused(faulty: Faulty) -> None:
    for name in ("a", "b"):
        await faulty.made("configmaps", config_map(name))
    token = (await faulty.send("GET", faulty.path("configmaps"), limit="1")).body["metadata"]["continue"]
    await faulty.made("configmaps", config_map("c"))
    await faulty.switch("gone")
    await faulty.switch("")
    answer = await faulty.send("GET", faulty.path("configmaps"), limit="1", **{"continue": token})
    assert (answer.status, answer.body["reason"]) == (410, "Expired")


async def test_streams_may_be_garbage(faulty: Faulty) -> None:
    async with await faulty.open_watch() as watch:
        await faulty.switch("garbage")
        await faulty.made("configmaps", config_map())
        line = await watch.content.readline()
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)


async def test_connections_are_cut_once(faulty: Faulty) -> None:
    watch = await faulty.open_watch()
    assert await faulty.switch("cut") == (200, {"name": "sandbox-1", "fault": ""})
    with pytest.raises(aiohttp.ClientError):
        await watch.content.readline()
    watch.close()
    assert await faulty.version() == 200
