"""Name lookups that can hang without holding anybody up."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]
"""As getaddrinfo gives it: family, type, protocol, canonical name, address."""


async def look_up(host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[AddressInfo]:
    """Addresses of `host` for TCP, looked up in a thread of its own. Raises OSError.

    The loop's default executor has few threads, all of which a handful of unanswered lookups would hold for half a
    minute, and the interpreter waits for them at exit; a daemon thread per lookup does neither.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Any]] = loop.create_future()

    def finish(found: list[Any] | None, error: OSError | UnicodeError | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error if isinstance(error, OSError) else OSError(None, "not a host name"))
        else:
            future.set_result(found or [])

    def ask() -> None:
        found: list[Any] | None = None
        problem: OSError | UnicodeError | None = None
        try:
            found = list(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            problem = error
        try:
            loop.call_soon_threadsafe(finish, found, problem)
        except RuntimeError:
            return  # the loop is closed; nobody waits any more

    threading.Thread(target=ask, name=f"look up {host}", daemon=True).start()
    return await future
