"""HTTP/1.1 to one server, on aiohttp: for plain http://, through proxies, and where a server speaks nothing newer.

On aiohttp directly: kubernetes_asyncio's REST client would add a quarter of a second of imports, an own trust store for
each cluster (17 ms, 860 kB) and no timeouts, and does nothing with our requests that aiohttp does not.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from yarl import URL

from fluxtui.kube.dialing import watched_socket
from fluxtui.kube.dns import look_up
from fluxtui.kube.failures import ConnectFailed, ConnectTimeout, GarbledAnswer, IdleTimeout
from fluxtui.kube.http import AbstractResolver, ResolveResult, aiohttp
from fluxtui.kube.proxy import Proxy
from fluxtui.kube.requests import Backend, Request

MAX_CONNECTIONS = 512
"""Per cluster; a watch holds one."""
_KEEPALIVE = 30.0


class Resolver(AbstractResolver):
    """Name lookups of ours for aiohttp."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of `host`. Raises OSError."""
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in await look_up(host, port, family)
        ]

    async def close(self) -> None:
        """Nothing is held."""


class Http1:
    """Requests to the server at a URL, through `proxy` if there is one."""

    def __init__(self, server: str, server_name: str | None, connect_timeout: float, proxy: Proxy | None) -> None:
        parts = URL(server)
        self._origin = str(parts.origin())
        self._is_secure = parts.scheme == "https"
        self._server_name = server_name
        self._connect_timeout = connect_timeout
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request, context: ssl.SSLContext | bool) -> Http1Answer:
        """The answer as soon as it begins. Raises what `failures.FAILURES` names."""
        limits = aiohttp.ClientTimeout(
            total=None if request.is_stream else request.within,
            sock_connect=self._connect_timeout,
            sock_read=request.idle if request.is_stream else None,
        )
        headers = request.headers
        extra: dict[str, Any] = {}
        if self._proxy is not None:
            extra["proxy"] = self._proxy.url
            if self._proxy.authorization and self._is_secure:
                extra["proxy_headers"] = {"Proxy-Authorization": self._proxy.authorization}
            elif self._proxy.authorization:
                headers = [*headers, ("Proxy-Authorization", self._proxy.authorization)]
        try:
            async with asyncio.timeout(request.within):
                answer = await self._open().request(
                    request.method,
                    URL(self._origin + request.target, encoded=True),
                    headers=headers,
                    data=request.body,
                    timeout=limits,
                    ssl=context,
                    server_hostname=self._server_name,
                    allow_redirects=False,
                    **extra,
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise plain(error) from error
        return Http1Answer(answer)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=MAX_CONNECTIONS,
                keepalive_timeout=_KEEPALIVE,
                resolver=Resolver(),
                socket_factory=watched_socket,
            )
            # trust_env stays off: the proxy is chosen elsewhere, and no netrc shall add a password.
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=1 << 18
            )
        return self._session

    async def ping(self, within: float) -> bool:
        """False: there is no other sign of life than an answer."""
        return False

    async def close(self) -> None:
        """Close all connections; answers end with an error."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


class Http1Answer:
    """An answer of aiohttp."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers

    async def chunk(self) -> bytes:
        """The next piece; b"" at the end. Raises what `failures.FAILURES` names."""
        try:
            return await self._answer.content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise plain(error) from error

    def abort(self, error: Exception) -> None:
        """Make the reader raise `error` at once."""
        self._answer.content.set_exception(error)

    def end(self) -> None:
        """No more is wanted of it."""
        answer = self._answer
        if answer.content.at_eof():
            answer.release()
            return
        # Closing TLS in order would wait for the server's word, for as long as half a minute.
        if answer.connection is not None and answer.connection.transport is not None:
            answer.connection.transport.abort()
        answer.close()


def plain(error: Exception) -> Exception:
    """What aiohttp raised, in the words of `failures`."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return ConnectTimeout()
        case aiohttp.SocketTimeoutError():
            return IdleTimeout()
        case TimeoutError():
            return error
        case aiohttp.ClientHttpProxyError():
            return ConnectFailed(words=f"refused to connect ({error.status} {error.message})")
        case aiohttp.ClientConnectorCertificateError():
            return error.certificate_error
        case aiohttp.ClientConnectorDNSError():
            return socket.gaierror(socket.EAI_NONAME, "not found")
        case aiohttp.ClientSSLError():
            inner: OSError = error.os_error
            return inner if isinstance(inner, ssl.SSLError) else ssl.SSLError(0, type(inner).__name__)
        case aiohttp.ClientConnectorError():
            return ConnectFailed(error.os_error)
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | aiohttp.ClientConnectionResetError():
            return ConnectionResetError()
        case aiohttp.ClientResponseError():
            return GarbledAnswer()
        case aiohttp.ClientConnectionError() if not isinstance(error, OSError):
            # What a request hears that is under way when its connections are closed.
            return ConnectionResetError()
        case _:
            return error if isinstance(error, OSError) else ConnectFailed(words=f"failed ({type(error).__name__})")


def connect(server: str, server_name: str | None, connect_timeout: float, proxy: Proxy | None) -> Backend:
    """Connections to the server at a URL, made as they are needed."""
    return Http1(server, server_name, connect_timeout, proxy)
