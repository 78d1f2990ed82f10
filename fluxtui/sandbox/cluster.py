"""One cluster of the sandbox: an API server on a loopback port, and what lives in it."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from fluxtui.sandbox.faults import Faults
from fluxtui.sandbox.http import PREFIX, Server
from fluxtui.sandbox.kinds import Kinds
from fluxtui.sandbox.lifecycle import Lifecycle
from fluxtui.sandbox.logs import Logs
from fluxtui.sandbox.operations import Operations, Write
from fluxtui.sandbox.reviews import Access, Denial
from fluxtui.sandbox.simulation.kubelet import Simulation
from fluxtui.sandbox.store import Store
from fluxtui.serving import end, stop

HOST = "127.0.0.1"
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class SandboxCluster:
    """A cluster that serves for as long as its context lasts.

    `simulate` runs workloads: without it Deployments, Jobs and the like stay as they are written. `speed` divides the
    simulation's delays.
    """

    def __init__(
        self,
        name: str,
        *,
        token: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        simulate: bool = True,
        speed: float = 1.0,
        port: int = 0,
    ) -> None:
        self.name = name
        self.token = token or secrets.token_urlsafe(24)
        self.faults = Faults()
        self.access = Access()
        self.store = Store()
        self.operations = Operations(self.store, Kinds(), clock)
        self.logs = Logs(clock)
        self._port = port
        self._simulate = simulate
        self._speed = speed
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._held: socket.socket | None = None
        self._switching = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        """Where the API is served, for clients that send the token."""
        return f"http://{HOST}:{self._port}"

    def kubeconfig(self) -> dict[str, Any]:
        """A kubeconfig with one context, named as the cluster.

        client-go sends no token over plain HTTP: the server's URL carries it in its path, too.
        """
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": self.name,
            "clusters": [{"name": self.name, "cluster": {"server": f"{self.url}{PREFIX}{self.token}"}}],
            "users": [{"name": self.name, "user": {"token": self.token}}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": self.name}}],
        }

    def deny(self, verb: str = "", plural: str = "", *, group: str | None = None, namespace: str = "") -> Denial:
        """Forbid a verb on a resource from now on."""
        return self.access.deny(verb, plural, group=group, namespace=namespace)

    async def __aenter__(self) -> Self:
        self.faults.on_change(self._on_fault)
        lifecycle = Lifecycle(self.operations)
        self._tasks = [asyncio.create_task(lifecycle.run(), name=f"lifecycle of {self.name}")]
        if self._simulate:
            simulation = Simulation(self.operations, self.logs, speed=self._speed)
            self._tasks.append(asyncio.create_task(simulation.run(), name=f"simulation of {self.name}"))
        server = Server(self.operations, self.access, self.faults, self.logs, self.token)
        self._runner = web.AppRunner(
            server.application(), access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        await self._listen()
        self._create_namespaces()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.faults.set("")
        if self._listener is not None:
            await stop(self._listener)
            self._listener = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._cut()
        if self._runner is not None:
            await end(self._runner)

    def _create_namespaces(self) -> None:
        kind = self.operations.kinds.find("", "v1", "namespaces")
        assert kind is not None
        for name in NAMESPACES:
            namespace = {"metadata": {"name": name}}
            self.operations.create(kind, "", namespace, Write(manager="kube-apiserver"))

    async def _listen(self) -> None:
        assert self._runner is not None
        assert self._runner.server is not None
        place, self._held = self._held or self._hold(), None
        self._port = int(place.getsockname()[1])
        self._listener = await asyncio.get_running_loop().create_server(self._runner.server, sock=place)

    def _hold(self) -> socket.socket:
        """The port as ours, so that nobody else gets it; as long as nobody listens, connections are refused."""
        place = socket.socket()
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind((HOST, self._port))
        return place

    async def _on_fault(self, fault: str) -> None:
        """Close the port, open it again, or cut connections."""
        async with self._switching:
            if fault == "refuse" and self._listener is not None:
                listener, self._listener = self._listener, None
                await stop(listener)
                self._held = self._hold()
            elif fault != "refuse" and self._listener is None and self._runner is not None:
                await self._listen()
        if fault in ("refuse", "cut", "gone"):
            if fault == "gone":
                self.store.compact()
            self._cut()

    def _cut(self) -> None:
        """Cut every connection."""
        if self._runner is None or self._runner.server is None:
            return
        for connection in list(self._runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()
