"""The API under test: the sandbox always, a real kube-apiserver when `KUBEBUILDER_ASSETS` names one."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from fluxtui.sandbox.cluster import SandboxCluster

Object = dict[str, Any]

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
_NUMBERS = itertools.count(1)


class Answer:
    """An answer: `status`, `body` (decoded JSON) and `headers`."""

    def __init__(self, status: int, text: str, headers: Any) -> None:
        self.status = status
        self.body: Any = json.loads(text) if text.startswith("{") else text
        self.headers = headers

    def __repr__(self) -> str:
        return f"Answer({self.status}, {json.dumps(self.body)[:2000]})"


class Api:
    """Plain HTTP requests to one API server, in a namespace of the test's own."""

    def __init__(self, session: aiohttp.ClientSession, server: str, token: str) -> None:
        self.session = session
        self.server = server
        self.token = token
        self.namespace = f"contract-{next(_NUMBERS)}"

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        token: str | None = None,
        **params: str,
    ) -> Answer:
        headers = {"Accept": accept, "Authorization": f"Bearer {self.token if token is None else token}"}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["Content-Type"] = content_type
        async with self.session.request(
            method, self.server + path, data=data, headers=headers, params=params
        ) as response:
            return Answer(response.status, await response.text(), response.headers)

    def path(self, plural: str, name: str = "", group: str = "", part: str = "") -> str:
        root = f"/apis/{group}" if group else "/api/v1"
        return "/".join(filter(None, (f"{root}/namespaces/{self.namespace}/{plural}", name, part)))

    async def create(self, plural: str, obj: Object, group: str = "", **params: str) -> Answer:
        return await self.send("POST", self.path(plural, group=group), obj, **params)

    async def get(self, plural: str, name: str, group: str = "", **params: str) -> Answer:
        return await self.send("GET", self.path(plural, name, group), **params)

    async def patch(
        self, plural: str, name: str, body: Any, kind: str, group: str = "", part: str = "", **params: str
    ) -> Answer:
        return await self.send("PATCH", self.path(plural, name, group, part), body, content_type=kind, **params)

    async def apply(
        self, plural: str, obj: Object, manager: str, group: str = "", part: str = "", **params: str
    ) -> Answer:
        name = obj["metadata"]["name"]
        return await self.patch(plural, name, obj, APPLY, group, part, fieldManager=manager, **params)

    async def watch(self, plural: str, count: int, group: str = "", **params: str) -> list[Object]:
        """The first `count` events of a watch."""
        events: list[Object] = []
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            asyncio.timeout(60),
            self.session.get(
                self.server + self.path(plural, group=group), params={"watch": "true", **params}, headers=headers
            ) as response,
        ):
            assert response.status == 200, await response.text()
            async for line in response.content:
                events.append(json.loads(line))
                if len(events) == count:
                    break
            if response.connection is not None and response.connection.transport is not None:
                # Closing TLS in order waits for the server, and the loop of a test may end before.
                response.connection.transport.abort()
        return events


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.peers)])
async def api(request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    """An API server with an empty namespace."""
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=unverified)) as session:
        if request.param == "real":
            context = request.getfixturevalue("real_server")
            found = Api(session, context.server, context.user["token"])
            yield await _prepared(found)
        else:
            async with SandboxCluster("contract", simulate=False) as cluster:
                yield await _prepared(Api(session, cluster.url, cluster.token))
    for _ in range(10):
        # Closed connections are let go in the loop's next turns.
        await asyncio.sleep(0)


async def _prepared(api: Api) -> Api:
    answer = await api.send("POST", "/api/v1/namespaces", {"metadata": {"name": api.namespace}})
    assert answer.status == 201, answer
    return api
