"""An engine under test: quick elections, and questions about what it has done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from fluxtui.engine.process import Engine
from fluxtui.engine.runtime.leases import LEASES
from fluxtui.engine.runtime.settings import EngineSettings
from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context

QUICK = EngineSettings(
    lease_duration=40,
    renew_deadline=30,
    retry_period=0.2,
    drain_deadline=2,
    release_deadline=30,
    min_retry=0.1,
    interval_jitter=0,
)
"""Leads soon, and loses no Lease only because the machine is busy."""
FORGOTTEN = msgspec.structs.replace(QUICK, lease_duration=2, renew_deadline=1.5, release_deadline=0.5)
"""Gives up soon what it can't reach."""
LEASE = "source-controller-leader-election"


@asynccontextmanager
async def running(engine: Engine, *contexts: Context, changes: Any = None) -> AsyncIterator[asyncio.Task[None]]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(engine.run(contexts, changes))
        try:
            yield task
        finally:
            engine.stop.set()


def state(engine: Engine, context: str) -> str:
    return next((found.state for found in engine.states if found.context == context), "")


async def create(client: Client, url: str, name: str = "fleet") -> None:
    resource = (await client.resources()).by_plural("gitrepositories")
    assert resource is not None
    await client.create(
        resource,
        {
            "apiVersion": resource.api_version,
            "kind": "GitRepository",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {"interval": "10m", "url": url, "ref": {"branch": "main"}},
        },
    )


async def revision(client: Client, name: str = "fleet") -> str:
    resource = (await client.resources()).by_plural("gitrepositories")
    assert resource is not None
    obj = await client.get(resource, name, "flux-system")
    return str((obj.get("status") or {}).get("artifact", {}).get("revision", ""))


async def lease(client: Client) -> dict[str, Any]:
    return await client.get(LEASES, LEASE, "flux-system")
