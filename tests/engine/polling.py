"""Waiting for a state instead of for a time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

WITHIN = 60.0
"""Seconds that a state may take to come: no test waits so long, unless something is broken or the machine is busy."""


@overload
async def eventually(check: Callable[[], Awaitable[T | None]], within: float = ..., every: float = ...) -> T: ...
@overload
async def eventually(check: Callable[[], T | None], within: float = ..., every: float = ...) -> T: ...
async def eventually(check: Callable[[], Any], within: float = WITHIN, every: float = 0.02) -> Any:
    """The first true value `check` (a function or coroutine function) returns; fails after `within` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        found = check()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        assert loop.time() < deadline, f"not within {within} s; last seen: {value!r}"
        await asyncio.sleep(every)
