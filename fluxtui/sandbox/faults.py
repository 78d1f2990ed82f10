"""What can be wrong with a cluster, switched on and off while it runs.

- refuse        the port is closed and connections are cut
- freeze        requests are accepted and never answered; watches stand still
- slow          every request takes a second longer
- gone          every version is too old: lists begin anew, watches get 410
- too-many      429 with Retry-After
- error         500
- unauthorized  401, as with an expired token
- garbage       watches send what is no JSON
- cut           all connections are cut once
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from fluxtui.sandbox import statuses

FAULTS = ("refuse", "freeze", "slow", "gone", "too-many", "error", "unauthorized", "garbage", "cut")
SLOW_SECONDS = 1.0
RETRY_SECONDS = 1


class Faults:
    """The fault of one cluster; at most one at a time."""

    def __init__(self) -> None:
        self.current = ""
        """One of FAULTS, or empty."""
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._change: Callable[[str], Awaitable[None]] | None = None

    def on_change(self, change: Callable[[str], Awaitable[None]]) -> None:
        """Let the cluster act on a fault that is about its connections."""
        self._change = change

    async def set(self, fault: str) -> None:
        """Switch a fault on, in place of the one that is. Raises ValueError for one that does not exist."""
        if fault and fault not in FAULTS:
            raise ValueError(f"unknown fault {fault!r}; known are {', '.join(FAULTS)}")
        self.current = "" if fault == "cut" else fault
        if fault == "freeze":
            self._thawed.clear()
        else:
            self._thawed.set()
        if self._change is not None:
            await self._change(fault)

    async def clear(self) -> None:
        """Switch the fault off."""
        await self.set("")

    async def before(self, request: web.Request) -> None:
        """Do to a request what the fault does. Raises StatusError."""
        await self._thawed.wait()
        watching = request.query.get("watch") in ("true", "1")
        match self.current:
            case "slow":
                await asyncio.sleep(SLOW_SECONDS)
            case "gone":
                if watching or request.query.get("continue"):
                    raise statuses.gone("too old resource version")
            case "too-many":
                raise statuses.too_many_requests(RETRY_SECONDS)
            case "error":
                raise statuses.internal_error("the sandbox was told to fail")
            case "unauthorized":
                raise statuses.unauthorized()

    async def during(self) -> None:
        """Hold up a stream."""
        await self._thawed.wait()

    def spoil(self, data: bytes) -> bytes:
        """The bytes of a stream as they are sent."""
        return b'{"type":"MODIFIED","object":{"kind":\x00\n' if self.current == "garbage" else data
