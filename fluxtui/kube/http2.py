"""HTTP/2 to one server: a connection for all requests, another one when it is full, and fresh ones for those that end.

kube-apiserver takes 100 streams on a connection (250 before the releases of October 2023).
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

from fluxtui.kube.dialing import dial
from fluxtui.kube.exchange import Exchange
from fluxtui.kube.failures import ConnectFailed, ConnectTimeout, Http1Required, Refused
from fluxtui.kube.headerblocks import packed
from fluxtui.kube.proxy import Proxy
from fluxtui.kube.requests import Backend, Request
from fluxtui.kube.session import Session

_ATTEMPTS = 3
_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})


class Http2:
    """Requests to the server at a URL. Raises Http1Required when it does not speak HTTP/2."""

    def __init__(self, server: str, server_name: str | None, connect_timeout: float) -> None:
        parts = urlsplit(server)
        self._host = parts.hostname or ""
        self._port = parts.port or 443
        self._authority = parts.netloc.rpartition("@")[2].removesuffix(":443")
        self._server_name = server_name or ""
        self._timeout = connect_timeout
        self._sessions: list[tuple[ssl.SSLContext | bool, Session]] = []
        self._dialing = asyncio.Lock()
        self._failures = 0
        self._failure: Exception | None = None
        self._generation = 0
        """How often it was closed."""

    async def send(self, request: Request, context: ssl.SSLContext | bool) -> Exchange:
        """The answer as soon as it begins. Raises what `failures.FAILURES` names."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.within
        authorization, headers = self._headers(request)
        generation = self._generation
        attempt = 0
        while True:
            attempt += 1
            session = self._open(context)
            if session is None:
                async with asyncio.timeout_at(deadline):
                    session = await self._session(context)
            is_fresh = session.is_fresh
            exchange = session.begin(
                headers,
                authorization,
                has_body=bool(request.body),
                limit=max(deadline - loop.time(), 0.0),
                is_stream=request.is_stream,
                idle=request.idle,
            )
            try:
                if request.body:
                    await session.send(exchange, request.body)
                await exchange.answered()
            except BaseException as error:
                exchange.end()
                if (
                    attempt == _ATTEMPTS
                    or generation != self._generation
                    or not self._may_go_elsewhere(request, error, is_fresh)
                ):
                    raise
            else:
                return exchange

    def _may_go_elsewhere(self, request: Request, error: BaseException, is_fresh: bool) -> bool:
        """Whether to ask again: the server has not looked at it, or had closed a connection that was idle."""
        if isinstance(error, Refused):
            return True
        return isinstance(error, ConnectionError) and not is_fresh and request.method in _IDEMPOTENT

    async def ping(self, within: float) -> bool:
        """Whether the connections in use were asked for a sign of life, which each has given; False: there is none.

        Raises TimeoutError after so many seconds, and ConnectionResetError when one ends.
        """
        loop = asyncio.get_running_loop()
        began, found = loop.time(), False
        for _, session in [*self._sessions]:
            if session.ended.is_set():
                continue
            try:
                found = await session.vigil.proven(began + within - loop.time()) or found
            except TimeoutError:
                session.suspect(began)
                raise
        return found

    async def close(self) -> None:
        """Close all connections; answers end with an error."""
        self._generation += 1
        sessions = [session for _, session in self._sessions]
        self._sessions.clear()
        for session in sessions:
            session.abort()
        for session in sessions:
            await session.ended.wait()

    def _headers(self, request: Request) -> tuple[str, bytes]:
        """The authorization, and all others packed."""
        headers = [(name.lower(), value) for name, value in request.headers]
        secrets = [value for name, value in headers if name == "authorization"]
        others = [header for header in headers if header[0] != "authorization"]
        if request.body:
            others.append(("content-length", str(len(request.body))))
        return secrets[-1] if secrets else "", packed(request.method, self._authority, request.target, others)

    def _open(self, context: ssl.SSLContext | bool) -> Session | None:
        """A connection with room, if there is one; those of another identity take nothing new."""
        found = None
        for known, session in self._sessions:
            if known is not context:
                session.retire()
            elif found is None and session.has_room:
                found = session
        return found

    async def _session(self, context: ssl.SSLContext | bool) -> Session:
        """A connection with room, when there was none; one dials for all who wait."""
        failures = self._failures
        generation = self._generation
        async with self._dialing:
            found = self._open(context)
            if found is not None:
                return found
            if self._failures != failures and self._failure is not None:
                raise self._failure.with_traceback(None)
            try:
                made = await self._dial(context)
            except Exception as error:
                self._failures += 1
                self._failure = error
                raise
            self._sessions = [each for each in self._sessions if not each[1].ended.is_set()]
            self._sessions.append((context, made))
            if self._generation != generation:
                made.abort()
                await made.ended.wait()
                raise ConnectionResetError
            return made

    async def _dial(self, context: ssl.SSLContext | bool) -> Session:
        if not isinstance(context, ssl.SSLContext):
            raise ConnectFailed(words="no TLS, and thus no HTTP/2")
        try:
            async with asyncio.timeout(self._timeout):
                made = await dial(self._host, self._port, context, self._server_name, Session)
        except TimeoutError as error:
            if error.errno is not None:
                raise ConnectFailed(error) from error
            raise ConnectTimeout from None
        except OSError as error:
            raise ConnectFailed(error) from error
        if made is None:
            raise Http1Required
        return made


def connect(server: str, server_name: str | None, connect_timeout: float, proxy: Proxy | None) -> Backend:
    """Connections to the server at a URL, made as they are needed; there is no `proxy`."""
    assert proxy is None
    return Http2(server, server_name, connect_timeout)
