"""Servers that end while a client dials leave no connection behind: what a loop leaves open is warned of, and fails."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fluxtui.engine.endpoints import Address, Endpoints
from fluxtui.engine.runtime.artifact_server import ArtifactServer
from fluxtui.engine.runtime.artifacts import ArtifactStore
from fluxtui.sandbox.cluster import SandboxCluster
from fluxtui.sandbox.fleet import SandboxFleet
from tests.listening import streams, swallow

Serve = Callable[[Path], AbstractAsyncContextManager[int]]
"""Takes a directory, gives the port."""


@asynccontextmanager
async def endpoints(directory: Path) -> AsyncIterator[int]:
    async with Endpoints(Address("127.0.0.1", 0), {"/x": lambda: (200, "text/plain", b"")}) as served:
        yield served.address.port


@asynccontextmanager
async def artifacts(directory: Path) -> AsyncIterator[int]:
    store = ArtifactStore(directory)
    store.prepare()
    async with ArtifactServer(store):
        yield urlsplit(store.base_url).port or 0


@asynccontextmanager
async def cluster(directory: Path) -> AsyncIterator[int]:
    async with SandboxCluster("alpha", simulate=False) as served:
        yield urlsplit(served.url).port or 0


@asynccontextmanager
async def refusing(directory: Path) -> AsyncIterator[int]:
    async with SandboxCluster("alpha", simulate=False) as served:
        yield urlsplit(served.url).port or 0
        await served.faults.set("refuse")


@asynccontextmanager
async def fleet(directory: Path) -> AsyncIterator[int]:
    async with SandboxFleet([]) as served:
        yield urlsplit(served.control).port or 0


@asynccontextmanager
async def a_test(directory: Path) -> AsyncIterator[int]:
    async with streams(swallow) as port:
        yield port


@pytest.mark.parametrize("is_patient", [True, False])
@pytest.mark.parametrize("serve", [endpoints, artifacts, cluster, refusing, fleet, a_test])
def test_a_server_ends_with_all_its_connections(serve: Serve, is_patient: bool, tmp_path: Path) -> None:
    async def run(turns: int) -> None:
        async with serve(tmp_path) as port:
            client = socket.create_connection(("127.0.0.1", port))
            clients.append(client)
            if not is_patient:
                client.close()
            for _ in range(turns):
                await asyncio.sleep(0)

    for turns in range(8):
        clients: list[socket.socket] = []
        asyncio.run(run(turns))
        for client in clients:
            client.close()
    gc.collect()
