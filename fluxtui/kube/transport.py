"""HTTP to one API server: connections, TLS, proxy, identity, timeouts; bytes in, bytes out.

HTTP/1.1 on aiohttp directly: kubernetes_asyncio's REST client would add a quarter of a second of imports, an own trust
store for each cluster (17 ms, 860 kB) and no timeouts, and does nothing with our requests that aiohttp does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from yarl import URL

from fluxtui.kube.credentials import Credentials, Identity
from fluxtui.kube.dns import Resolver
from fluxtui.kube.errors import Unreachable, api_error
from fluxtui.kube.failures import unreachable
from fluxtui.kube.http import aiohttp
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.proxy import proxy_for
from fluxtui.kube.tls import Trust, context_for, trust_of

logger = logging.getLogger("fluxtui.kube")

CONNECT_TIMEOUT = 10.0
"""Seconds for name lookup, TCP and TLS together."""
IDLE_TIMEOUT = 100.0
"""Seconds of silence after which a watch is dead; bookmarks come about once a minute."""
MAX_CONNECTIONS = 512
"""Per cluster; a watch holds one."""
MAX_BODY = 512 << 20
_KEEPALIVE = 30.0
_TLS_BUFFER = 16 << 10
"""One TLS record."""

# As shipped each TLS connection keeps a read buffer of 256 KiB; 2,000 watches would keep 500 MB (the attribute is
# asyncio's own, so it may go; then we only lose memory).
if hasattr(SSLProtocol, "max_size"):
    SSLProtocol.max_size = _TLS_BUFFER


class Response(msgspec.Struct, frozen=True):
    """A complete answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    """Case-insensitive."""


class Transport:
    """Requests and streams to the API server of one context. `close` it."""

    def __init__(
        self,
        context: Context,
        credentials: Credentials,
        *,
        user_agent: str,
        request_timeout: float,
        connect_timeout: float = CONNECT_TIMEOUT,
        impersonation: Sequence[tuple[str, str]] = (),
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        self.id = context.id
        self._where = f"{context.source}: context {context.name!r}"
        self._server = context.server
        self._cluster = context.cluster
        self._server_name = context.cluster.get("tls-server-name") or None
        self._credentials = credentials
        self._timeout = request_timeout
        self._connect_timeout = connect_timeout
        self._headers = [("User-Agent", user_agent), *impersonation]
        if context.cluster.get("disable-compression"):
            self._headers.append(("Accept-Encoding", "identity"))
        self._proxy = proxy_for(context.server, context.cluster.get("proxy-url") or "", where=self._where)
        self._heard = heard
        self._session: aiohttp.ClientSession | None = None
        self._contexts: tuple[Identity, ssl.SSLContext | bool] | None = None
        self._trust: Trust | None = None

    async def close(self) -> None:
        """Close all connections; streams end with an error."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        within: float | None = None,
    ) -> Response:
        """One request, answered in whole within so many seconds.

        Raises the tree of `errors`, also for any status ≥ 300 but 304.
        """
        within = within or self._timeout
        limits = aiohttp.ClientTimeout(total=within, sock_connect=self._connect_timeout)
        async with self._send(method, path, params, body, headers, limits, within) as answer:
            with self._translated(within):
                content = await _read(answer)
            if answer.status >= 300 and answer.status != 304:
                raise api_error(answer.status, content, answer.headers)
            return Response(answer.status, content, answer.headers)

    @contextlib.asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        idle_timeout: float | None = IDLE_TIMEOUT,
    ) -> AsyncIterator[Stream]:
        """A GET whose answer is read as it comes, with at most `idle_timeout` seconds of silence (None: any).

        Raises the tree of `errors`, and so does the stream.
        """
        limits = aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout, sock_read=idle_timeout)
        async with self._send("GET", path, params, None, headers, limits, self._timeout) as answer:
            if answer.status >= 300:
                with self._translated(self._timeout):
                    raise api_error(answer.status, await _read(answer), answer.headers)
            yield Stream(answer, lambda: self._translated(idle_timeout), self._heard)

    @contextlib.asynccontextmanager
    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        limits: aiohttp.ClientTimeout,
        within: float,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a request, asked once more with a fresh identity when the first was refused (401)."""
        url = URL(self._server + path, encoded=True)
        if params:
            url = url.with_query(params)
        with self._translated(within):
            identity = await self._credentials.identity()
            answer = await self._once(method, url, body, headers, limits, identity, within)
            if answer.status == 401:
                answer = await self._again(answer, method, url, body, headers, limits, identity, within)
        self._heard()
        logger.debug("%s: %s %s %s", self.id, method, path, answer.status)
        try:
            yield answer
        finally:
            if answer.content.at_eof():
                answer.release()
            else:
                # Closing TLS in order would wait for the server's word, for as long as half a minute.
                if answer.connection is not None and answer.connection.transport is not None:
                    answer.connection.transport.abort()
                answer.close()

    async def _again(
        self,
        refused: aiohttp.ClientResponse,
        method: str,
        url: URL,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        limits: aiohttp.ClientTimeout,
        identity: Identity,
        within: float,
    ) -> aiohttp.ClientResponse:
        """The answer to a second try with another identity, or `refused` when there is no other."""
        try:
            if not self._credentials.reject(identity):
                return refused
            fresh = await self._credentials.identity()
        except BaseException:
            refused.close()
            raise
        if fresh == identity:
            return refused
        refused.close()
        return await self._once(method, url, body, headers, limits, fresh, within)

    async def _once(
        self,
        method: str,
        url: URL,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        limits: aiohttp.ClientTimeout,
        identity: Identity,
        within: float,
    ) -> aiohttp.ClientResponse:
        session = self._open()
        sent = [*self._headers, *(headers or {}).items()]
        if identity.authorization:
            sent.append(("Authorization", identity.authorization))
        extra: dict[str, Any] = {}
        if self._proxy is not None:
            extra["proxy"] = self._proxy.url
            if self._proxy.authorization and url.scheme == "https":
                extra["proxy_headers"] = {"Proxy-Authorization": self._proxy.authorization}
            elif self._proxy.authorization:
                sent.append(("Proxy-Authorization", self._proxy.authorization))
        context = await self._context(identity)
        async with asyncio.timeout(within):
            return await session.request(
                method,
                url,
                headers=sent,
                data=body,
                timeout=limits,
                ssl=context,
                server_hostname=self._server_name,
                allow_redirects=False,
                **extra,
            )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=MAX_CONNECTIONS,
                keepalive_timeout=_KEEPALIVE,
                resolver=Resolver(),
                socket_factory=_socket,
            )
            # trust_env stays off: the proxy is chosen above, and no netrc shall add a password.
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=1 << 18
            )
        return self._session

    async def _context(self, identity: Identity) -> ssl.SSLContext | bool:
        """The TLS context for an identity; kept until its certificate changes."""
        if not self._server.startswith("https:"):
            # Only an https:// proxy is spoken to over TLS then, as the system trusts it.
            return True
        kept = self._contexts
        if kept is not None and (kept[0].certificate, kept[0].key) == (identity.certificate, identity.key):
            return kept[1]
        context = await asyncio.to_thread(self._make_context, identity)
        self._contexts = (identity, context)
        return context

    def _make_context(self, identity: Identity) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = trust_of(self._cluster, self._where)
        proxy_host = self._proxy.host if self._proxy is not None and self._proxy.secure else ""
        return context_for(self._trust, identity.certificate, identity.key, self._where, proxy_host)

    @contextlib.contextmanager
    def _translated(self, limit: float | None) -> Iterator[None]:
        """Turn what aiohttp raises into Unreachable; `limit` is the time that a timeout means, in seconds."""
        try:
            yield
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
            raise unreachable(
                error, self._server, self._proxy, self._connect_timeout if connecting else limit
            ) from error


class Stream:
    """The body of an answer that goes on: an iterator of chunks."""

    def __init__(
        self,
        answer: aiohttp.ClientResponse,
        translated: Callable[[], contextlib.AbstractContextManager[None]],
        heard: Callable[[], None],
    ) -> None:
        self._content = answer.content
        self._translated = translated
        self._heard = heard

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        with self._translated():
            chunk = await self._content.readany()
        if not chunk:
            raise StopAsyncIteration
        self._heard()
        return chunk

    def abort(self, error: Exception) -> None:
        """Make the reader raise `error` at once."""
        self._content.set_exception(error)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY:
            raise Unreachable(f"the server's answer is larger than {MAX_BODY >> 20} MiB")
    return b"".join(chunks)


def _socket(info: Any) -> socket.socket:
    """A socket whose peer is noticed to be gone within a minute, by the kernel alone."""
    family, kind, protocol, _, _ = info
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 60000)):
        option = getattr(socket, name, None)
        if option is not None:
            with contextlib.suppress(OSError):
                made.setsockopt(socket.IPPROTO_TCP, option, value)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
