"""The artifact store over HTTP, on loopback unless told otherwise, so that `status.artifact.url` is real."""

from __future__ import annotations

import logging
import socket
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from aiohttp import web

from fluxtui.engine.runtime.artifacts import ArtifactError, ArtifactStore

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
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{path:.+}", self._get)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        remembered = self._store.root / _PORT_FILE
        for port in dict.fromkeys((self._port or _read_port(remembered), self._port)):
            site = web.TCPSite(self._runner, self._host or None, port)
            try:
                await site.start()
            except OSError as error:
                if port == self._port:
                    await self._runner.cleanup()
                    reason = error.strerror or str(error)
                    raise ArtifactError(f"artifacts can't be served on {self._host}:{port}: {reason}") from error
                continue
            break
        bound = self._runner.addresses[0][1]
        host = self._host or socket.gethostname()
        host = f"[{host}]" if ":" in host else host
        self._store.base_url = f"http://{self._advertised or f'{host}:{bound}'}"
        remembered.write_text(str(bound))
        logger.info("serving artifacts at %s", self._store.base_url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

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
