"""Sandbox clusters for tests of any room."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from fluxtui.sandbox.cluster import SandboxCluster
from fluxtui.sandbox.fleet import SandboxFleet


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxCluster]:
    """One running cluster, with workloads that settle fast."""
    async with SandboxCluster("sandbox", speed=20) as cluster:
        yield cluster


@pytest.fixture
async def sandbox_fleet() -> AsyncIterator[Callable[..., Any]]:
    """`await sandbox_fleet(3)` or `await sandbox_fleet("a", "b")`: a running fleet that ends with the test."""
    async with AsyncExitStack() as stack:

        async def start(*names: str | int, **options: Any) -> SandboxFleet:
            chosen = [str(name) for name in names]
            if len(names) == 1 and isinstance(names[0], int):
                chosen = [f"sandbox-{number + 1}" for number in range(names[0])]
            return await stack.enter_async_context(SandboxFleet(chosen, speed=20, **options))

        yield start
