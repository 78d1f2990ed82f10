"""Servers of tests that speak to streams, and end with all their connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fluxtui.serving import port_of, stop

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def streams(handle: Handle, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on a port of loopback, which is given; who breaks a connection off disturbs nobody.

    In the end connections are cut and handlers cancelled; what else a handler raised is raised then.
    """
    handlers: list[asyncio.Future[None]] = []
    writers: list[asyncio.StreamWriter] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        handlers.append(asyncio.ensure_future(handle(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield port_of(server)
    finally:
        await stop(server)
        for writer in writers:
            writer.transport.abort()
        for handler in handlers:
            handler.cancel()
        ended = await asyncio.gather(*handlers, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception) and not isinstance(error, OSError | asyncio.IncompleteReadError):
            raise error


async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Listen, and say nothing."""
    await reader.read()
    writer.close()
