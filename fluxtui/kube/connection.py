"""The connection to one API server: requests and streams that know whether the server is there."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from fluxtui import __version__
from fluxtui.kube.credentials import Credentials
from fluxtui.kube.errors import ServerError, TooManyRequests, Unreachable
from fluxtui.kube.impersonation import impersonation_headers
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.liveness import Liveness
from fluxtui.kube.plugins import ExecPlugins, shared_plugins
from fluxtui.kube.transport import IDLE_TIMEOUT, Response, Stream, Transport

USER_AGENT = f"fluxtui/{__version__}"
_RETRIES = 4
_LONGEST_WAIT = 10.0


class Connection:
    """Requests to one API server as one context sees it; an async context manager; safe for many tasks of one loop.

    `plugins` runs exec plugins (shared by all clients of the loop when not given); `impersonate_*` replace what the
    kubeconfig impersonates.
    """

    def __init__(
        self,
        context: Context,
        *,
        user_agent: str = USER_AGENT,
        request_timeout: float = 30.0,
        connect_timeout: float = 10.0,
        impersonate_user: str = "",
        impersonate_groups: Sequence[str] = (),
        plugins: ExecPlugins | None = None,
        liveness: Liveness | None = None,
    ) -> None:
        self.context = context
        self.id = context.id
        self.liveness = liveness or Liveness()
        """Whether the server is there, its latency, and when it was last heard."""
        self._user_agent = user_agent
        self._timeout = request_timeout
        self._connect_timeout = connect_timeout
        self._impersonation = impersonation_headers(context.user, impersonate_user, impersonate_groups)
        self._plugins = plugins
        self._transport: Transport | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._watchdog: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    async def __aenter__(self) -> Self:
        self._connection()
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._watchdog = self._tasks.create_task(self.liveness.watch(self._sign_of_life), name=f"liveness of {self.id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks, self._tasks = self._tasks, None
        if self._watchdog is not None:
            self._watchdog.cancel()
        try:
            if tasks is not None:
                await tasks.__aexit__(None, None, None)
        finally:
            await self.close()

    async def close(self) -> None:
        """Close all connections, ending streams with Unreachable. `async with` does it."""
        self.liveness.abort(Unreachable(f"{self.context.host}: the connection was closed"))
        if self._transport is not None:
            await self._transport.close()

    def _connection(self) -> Transport:
        if self._transport is None:
            self._transport = Transport(
                self.context,
                Credentials(self.context, self._plugins or shared_plugins()),
                user_agent=self._user_agent,
                request_timeout=self._timeout,
                connect_timeout=self._connect_timeout,
                impersonation=self._impersonation,
                heard=self.liveness.heard,
            )
        return self._transport

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[Any, Any, Response]:
        """One request, answered in whole within `timeout` seconds (default: the client's).

        What the server postpones (429, or 503 of a read, with Retry-After) is asked again after the time it names,
        while that fits. `path` is already percent-encoded. Raises the ApiError of any answer ≥ 300 but 304.
        """
        sent = {"Accept": accept, **(headers or {})}
        if body is not None:
            sent["Content-Type"] = content_type
        return self._request(method, path, params, body, sent, timeout or self._timeout)

    async def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str],
        within: float,
    ) -> Response:
        connection = self._connection()
        deadline, left = time.monotonic() + within, within
        for attempt in range(_RETRIES + 1):
            try:
                return await connection.request(method, path, params=params, body=body, headers=headers, within=left)
            except (TooManyRequests, ServerError) as error:
                postponed = error.status == 429 or (error.status == 503 and method == "GET")
                pause = error.retry_after if postponed else None
                left = deadline - time.monotonic()
                if pause is None or pause > _LONGEST_WAIT or pause >= left or attempt == _RETRIES:
                    raise
                await asyncio.sleep(pause)
                left = max(deadline - time.monotonic(), 0.001)
        raise AssertionError("the loop returns or raises")

    @contextlib.asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        accept: str = "application/json",
        idle_timeout: float | None = IDLE_TIMEOUT,
    ) -> AsyncIterator[Stream]:
        """A GET whose answer goes on: an iterator of raw chunks.

        It raises Unreachable after `idle_timeout` seconds of silence (None: any), or when the server is found dead.
        """
        stream = await self._connection().open(
            path, params=params, headers={"Accept": accept}, idle_timeout=idle_timeout
        )
        self.liveness.opened(stream)
        try:
            yield stream
        finally:
            self.liveness.closed(stream)
            stream.end()

    async def alive(self, ask: Callable[[], Awaitable[object]] | None = None) -> None:
        """Return when the server is known to be there; ask it at the right time otherwise, one asker for all.

        `ask` puts another question than the usual one. Raises KubeError when the server is not there; call again to
        wait for the next attempt.
        """
        await self.liveness.up((lambda _: ask()) if ask else self._probe)

    async def _sign_of_life(self, within: float | None) -> None:
        """The cheapest proof that there is: eight bytes there and back where connections can do that."""
        within = within or self._timeout
        if not await self._connection().ping(within):
            await self._probe(within)

    async def _probe(self, within: float | None) -> None:
        await self._connection().request(
            "GET", "/version", headers={"Accept": "application/json"}, within=within or self._timeout
        )
