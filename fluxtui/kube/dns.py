"""Name lookups that can hang without holding anybody up."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

from fluxtui.kube.http import AbstractResolver, ResolveResult


class Resolver(AbstractResolver):
    """getaddrinfo in threads of its own.

    The loop's default executor has few threads, all of which a handful of unanswered lookups would hold for half a
    minute, and the interpreter waits for them at exit; a daemon thread per lookup does neither.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of `host`. Raises OSError."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()

        def finish(found: list[Any] | None, error: OSError | UnicodeError | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error if isinstance(error, OSError) else OSError(None, "not a host name"))
            else:
                future.set_result(found or [])

        def look_up() -> None:
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

        threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in await future
        ]

    async def close(self) -> None:
        """Nothing is held."""
