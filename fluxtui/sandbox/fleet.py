"""Several clusters in one process, one kubeconfig for all, and a port to switch their faults."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from aiohttp import web

from fluxtui.sandbox.cluster import HOST, SandboxCluster
from fluxtui.sandbox.faults import FAULTS
from fluxtui.serving import port_of, serving


class SandboxFleet:
    """Clusters that serve for as long as the context lasts; each is independent of the others."""

    def __init__(self, names: Sequence[str], *, simulate: bool = True, speed: float = 1.0) -> None:
        if len(set(names)) != len(names):
            raise ValueError("cluster names must differ")
        self.clusters = {name: SandboxCluster(name, simulate=simulate, speed=speed) for name in names}
        self.control = ""
        """URL at which faults are switched: `POST /clusters/NAME/fault` with {"fault": "freeze"}."""
        self._stack = AsyncExitStack()

    def __getitem__(self, name: str) -> SandboxCluster:
        return self.clusters[name]

    @property
    def kubeconfig(self) -> dict[str, Any]:
        """One kubeconfig with a context for each cluster."""
        merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []}
        for cluster in self.clusters.values():
            own = cluster.kubeconfig()
            for part in ("clusters", "users", "contexts"):
                merged[part] += own[part]
        merged["current-context"] = next(iter(self.clusters), "")
        return merged

    def write(self, path: Path) -> None:
        """Write the kubeconfig, readable by the user alone, all at once. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w") as file:
                yaml.dump(self.kubeconfig, file, Dumper=yaml.CSafeDumper, sort_keys=False)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for cluster in self.clusters.values():
                await stack.enter_async_context(cluster)
            runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.1)
            server = await stack.enter_async_context(serving(runner, HOST))
            self.control = f"http://{HOST}:{port_of(server)}"
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=1 << 16)
        app.router.add_get("/clusters", self._list)
        app.router.add_post("/clusters/{name}/fault", self._fault)
        return app

    async def _list(self, request: web.Request) -> web.Response:
        found = [
            {"name": cluster.name, "url": cluster.url, "fault": cluster.faults.current}
            for cluster in self.clusters.values()
        ]
        return web.json_response({"clusters": found, "faults": FAULTS})

    async def _fault(self, request: web.Request) -> web.Response:
        cluster = self.clusters.get(request.match_info["name"])
        if cluster is None:
            return web.json_response({"error": f"no cluster {request.match_info['name']!r}"}, status=404)
        try:
            fault = json.loads(await request.read() or b"{}").get("fault", "")
            await cluster.faults.set(fault)
        except (ValueError, AttributeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"name": cluster.name, "fault": cluster.faults.current})
