"""A sandbox cluster over plain HTTP, with a namespace of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from fluxtui.sandbox.cluster import SandboxCluster
from tests.contract.conftest import Api
from tests.engine.polling import eventually

Object = dict[str, Any]


class World(Api):
    """Requests to a sandbox cluster, and waiting for what becomes of its objects."""

    async def items(self, plural: str, group: str = "", **params: str) -> list[Object]:
        """The objects of a kind in the namespace."""
        answer = await self.send("GET", self.path(plural, group=group), **params)
        assert answer.status == 200, answer
        found: list[Object] = answer.body["items"]
        return found

    async def made(self, plural: str, obj: Object, group: str = "") -> Object:
        """An object, as it is right after it was created."""
        answer = await self.create(plural, obj, group)
        assert answer.status == 201, answer
        body: Object = answer.body
        return body

    async def status(self, plural: str, name: str, group: str = "") -> Object:
        """The status of an object; empty when it has none or is gone."""
        answer = await self.get(plural, name, group)
        return (answer.body.get("status") or {}) if answer.status == 200 else {}

    async def reached(self, plural: str, name: str, group: str = "", /, **fields: Any) -> Object:
        """The status of an object once these fields are in it; an empty value means none."""

        async def check() -> Object | None:
            status = await self.status(plural, name, group)
            return status if status and all((status.get(key) or 0) == value for key, value in fields.items()) else None

        return await eventually(check)

    async def conditions(self, plural: str, name: str, group: str = "") -> dict[str, tuple[str, str]]:
        """Type → (status, reason)."""
        found = (await self.status(plural, name, group)).get("conditions") or []
        return {item["type"]: (item["status"], item.get("reason", "")) for item in found}

    async def became(self, plural: str, name: str, group: str, type: str, status: str, reason: str) -> None:
        """Wait until an object has a condition."""

        async def check() -> bool:
            return (await self.conditions(plural, name, group)).get(type) == (status, reason)

        await eventually(check)

    async def gone(self, plural: str, name: str, group: str = "") -> None:
        """Wait until an object does not exist."""

        async def check() -> bool:
            return (await self.get(plural, name, group)).status == 404

        await eventually(check)

    async def reasons(self, name: str) -> set[str]:
        """The reasons of the Events about objects of a name."""
        return {item["reason"] for item in await self.items("events", fieldSelector=f"involvedObject.name={name}")}


@pytest.fixture
async def world(sandbox: SandboxCluster) -> AsyncIterator[World]:
    """A running cluster with workloads that settle fast."""
    async with aiohttp.ClientSession() as session:
        found = World(session, sandbox.url, sandbox.token)
        await found.send("POST", "/api/v1/namespaces", {"metadata": {"name": found.namespace}})
        yield found
    for _ in range(10):
        # Closed connections are let go in the loop's next turns.
        await asyncio.sleep(0)
