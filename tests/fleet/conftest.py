"""Sandbox clusters with Flux's CRDs, and clients of them."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from fluxtui.fleet import collector, lookout
from fluxtui.kube.client import Client
from fluxtui.kube.liveness import Liveness
from fluxtui.sandbox.cluster import SandboxCluster
from tests.fleet.live import context_of, install

Start = Callable[..., Awaitable[tuple[SandboxCluster, Client]]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """`cluster, client = await start("east")`: a running cluster with Flux's CRDs, until the test ends."""
    async with AsyncExitStack() as stack:

        async def begin(name: str, *, flux: bool = True) -> tuple[SandboxCluster, Client]:
            cluster = await stack.enter_async_context(SandboxCluster(name, speed=50))
            client = await stack.enter_async_context(Client(context_of(cluster, tmp_path)))
            if flux:
                await install(client)
            return cluster, client

        yield begin


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at discovery and Leases often: what is tested is what follows."""
    monkeypatch.setattr(collector, "DISCOVERY_EVERY", 0.2)
    monkeypatch.setattr(collector, "DISCOVERY_WITHOUT_FLUX", 0.2)
    monkeypatch.setattr(lookout, "LEASES_EVERY", 0.2)
    quick = functools.partial(Liveness, quiet=0.3, patience=3.0, max_pause=0.5)
    monkeypatch.setattr("fluxtui.kube.connection.Liveness", quick)


@pytest.fixture
def soon_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silence of half a second is a loss."""
    for module in ("states", "mirror", "collector"):
        monkeypatch.setattr(f"fluxtui.fleet.{module}.LOST_AFTER", 0.5)
