"""Fixtures of the source tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fluxtui.engine.runtime.artifact_server import ArtifactServer
from fluxtui.engine.runtime.artifacts import ArtifactStore
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.limits import Limits
from fluxtui.engine.runtime.settings import EngineSettings
from fluxtui.engine.runtime.workers import WorkerPool
from fluxtui.kube.client import Client
from tests.engine.source.bench import Bench
from tests.engine.source.repositories import GitServer, Repository, need_http_backend, serving


@pytest.fixture
def server(repository: Repository) -> Iterator[GitServer]:
    """The repository at `<url>/fleet/.git`."""
    need_http_backend()
    with serving(repository.path.parent) as found:
        yield found


@pytest.fixture
async def bench(client: Client, tmp_path: Path) -> AsyncIterator[Bench]:
    store = ArtifactStore(tmp_path / "storage")
    store.prepare()
    settings = EngineSettings(min_retry=0.1, dependency_requeue=0.1, interval_jitter=0.0)
    cluster = Cluster(client, store.for_cluster("alpha"), settings, WorkerPool(1), Limits(settings))
    async with ArtifactServer(store), asyncio.TaskGroup() as group:
        bench = Bench(client, cluster, store)
        tasks = [group.create_task(part.run()) for part in (cluster.cache, bench.controller, cluster.recorder)]
        try:
            yield bench
        finally:
            for task in tasks:
                task.cancel()
