"""Waiting for a state instead of for a time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(check: Callable[[], T | Awaitable[T]], within: float = 15.0, every: float = 0.02) -> T:
    """The first true value `check` (a function or coroutine function) returns; fails after `within` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        found = check()
        value: T = await found if inspect.isawaitable(found) else found
        if value:
            return value
        assert loop.time() < deadline, f"not within {within} s; last seen: {value!r}"
        await asyncio.sleep(every)
