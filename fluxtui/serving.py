"""Servers on asyncio that end without forgetting a connection. A leaf: engine and sandbox serve by it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

_TURNS = 5
"""Turns of the event loop in which an accepted connection gets its handler."""
_BACKLOG = 128


async def stop(server: asyncio.Server) -> None:
    """Listen no more; connections stay.

    A connection that asyncio accepts in the turn in which a server is closed is neither served nor closed: its client
    waits in vain. So accepting ends first, and what was accepted gets its handler.
    """
    loop = asyncio.get_running_loop()
    for place in server.sockets:
        loop.remove_reader(place.fileno())
    try:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
    finally:
        server.close()


@asynccontextmanager
async def serving(
    runner: web.AppRunner | web.ServerRunner, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[asyncio.Server]:
    """Serve what a runner has, which is not set up yet, on a host (all interfaces for "") and a port (any for 0).

    Raises OSError when it can't be listened there.
    """
    await runner.setup()
    try:
        assert runner.server is not None
        loop = asyncio.get_running_loop()
        server = await loop.create_server(runner.server, host or None, port, ssl=tls, backlog=_BACKLOG)
        try:
            yield server
        finally:
            await stop(server)
    finally:
        await end(runner)


async def end(runner: web.AppRunner | web.ServerRunner) -> None:
    """Close all connections of a runner that listens nowhere any more; its handlers get the runner's time to end."""
    connections = runner.server.connections if runner.server is not None else []
    transports = [connection.transport for connection in connections]
    await runner.cleanup()
    # What is closed in order waits for a client that does not read, or for its word over TLS.
    for transport in transports:
        if transport is not None:
            transport.abort()
    await asyncio.sleep(0)


def port_of(server: asyncio.Server) -> int:
    """Where a server listens."""
    return int(server.sockets[0].getsockname()[1])
