"""Verbs against two sandbox clusters with Flux's CRDs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from fluxtui.cli.main import cli
from fluxtui.kube.client import Client
from fluxtui.sandbox.cluster import SandboxCluster
from tests.fleet.live import context_of, install


class Fleet:
    """Running clusters, their clients, and `run`, which is the command line."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.clusters: dict[str, SandboxCluster] = {}
        self.clients: dict[str, Client] = {}

    async def run(self, *words: str, stdin: str | None = None) -> Result:
        """`fluxtui WORDS --kubeconfig …`, in a thread: the clusters are served by this loop."""
        arguments = [*words, "--kubeconfig", str(self.kubeconfig)]
        return await asyncio.to_thread(CliRunner().invoke, cli, arguments, stdin)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Fleet]]]:
    """`fleet = await start("east", "west")`: clusters with Flux's CRDs, or bare ones, in one kubeconfig."""
    async with AsyncExitStack() as stack:

        async def begin(*names: str, flux: bool = True) -> Fleet:
            fleet = Fleet(tmp_path / "kubeconfig")
            merged = {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []}
            for name in names:
                cluster = await stack.enter_async_context(SandboxCluster(name, speed=50))
                fleet.clusters[name] = cluster
                client = await stack.enter_async_context(Client(context_of(cluster, tmp_path)))
                fleet.clients[name] = client
                if flux:
                    await install(client)
                own = cluster.kubeconfig()
                for part in ("clusters", "users", "contexts"):
                    merged[part] += own[part]
            fleet.kubeconfig.write_text(yaml.safe_dump(merged))
            return fleet

        yield begin
