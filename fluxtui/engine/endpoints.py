"""Small HTTP endpoints of the engine: `/metrics`, `/healthz` and `/readyz`, each where it is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web

from fluxtui.serving import port_of, serving

Answer = Callable[[], tuple[int, str, bytes]]
"""() → (status, content type, body); quick and never raising."""


class EndpointError(Exception):
    """An address can't be listened on; `str()` is a sentence for users."""


class Address(msgspec.Struct, frozen=True):
    """Where to listen: all interfaces when there is no host, any port for 0."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """`:8080`, `127.0.0.1:8080` or `[::1]:8080`. Raises ValueError."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"'{text}' is no address such as :8080 or 127.0.0.1:8080")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Endpoints:
    """Serves some paths at an address for the time of the context."""

    def __init__(self, address: Address, answers: dict[str, Answer]) -> None:
        self.address = address
        """Once the context is entered, with the port that was found for 0."""
        self._answers = answers
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application()
        for path, answer in self._answers.items():
            app.router.add_get(path, _handler(answer))
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        host, port = self.address.host, self.address.port
        try:
            server = await self._stack.enter_async_context(serving(runner, host, port))
        except OSError as error:
            raise EndpointError(f"{self.address} can't be listened on: {error.strerror or error}") from error
        self.address = Address(host, port_of(server))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()


def _handler(answer: Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(_: web.Request) -> web.StreamResponse:
        status, content_type, body = answer()
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})

    return handle
