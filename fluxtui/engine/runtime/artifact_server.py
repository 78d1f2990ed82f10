"""The artifact store over HTTP, on loopback unless told otherwise, so that `status.artifact.url` is real."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import AsyncExitStack
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from aiohttp import web

from fluxtui.engine.runtime.artifacts import ArtifactError, ArtifactStore
from fluxtui.serving import port_of, serving

_PORT_FILE = "port"

logger = logging.getLogger("fluxtui.engine.artifacts")


class ArtifactServer:
    """Serves `/<cluster>/<kind>/<namespace>/<name>/<file>.tar.gz`, and nothing else.

    With port 0 the port of the last time is tried first, so that URLs in the clusters survive a restart. `advertised`
    is the host and port that others find it at, when that is another than where it listens.
    """

    def __init__(self, store: ArtifactStore, host: str = "127.0.0.1", port: int = 0, advertised: str = "") -> None:
        self._store = store
        self._advertised = advertised
        self._host = host
        self._port = port
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        remembered = self._store.root / _PORT_FILE
        bound = port_of(await self._listen(_read_port(remembered)))
        host = self._host or socket.gethostname()
        host = f"[{host}]" if ":" in host else host
        self._store.base_url = f"http://{self._advertised or f'{host}:{bound}'}"
        remembered.write_text(str(bound))
        logger.info("serving artifacts at %s", self._store.base_url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _listen(self, last: int) -> asyncio.Server:
        for port in dict.fromkeys((self._port or last, self._port)):
            app = web.Application()
            app.router.add_get("/{path:.+}", self._get)
            runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
            try:
                return await self._stack.enter_async_context(serving(runner, self._host, port))
            except OSError as error:
                problem = error
        reason = problem.strerror or str(problem)
        raise ArtifactError(f"artifacts can't be served on {self._host}:{self._port}: {reason}") from problem

    async def _get(self, request: web.Request) -> web.StreamResponse:
        path = PurePosixPath(request.match_info["path"])
        if any(part.startswith(".") for part in path.parts) or not path.name.endswith(".tar.gz"):
            raise web.HTTPNotFound
        file = self._store.root / path
        if file.is_symlink() or not file.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(file, headers={"Content-Type": "application/gzip"})


def _read_port(file: Path) -> int:
    try:
        port = int(file.read_text())
    except (OSError, ValueError):
        return 0
    return port if 0 < port < 65536 else 0
