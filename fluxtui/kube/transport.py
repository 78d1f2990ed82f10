"""Requests and streams to one API server: identity, TLS, proxy, timeouts; bytes in, bytes out.

HTTP/2 where the server speaks it, so that all watches of a cluster share one connection; HTTP/1.1 else. What a proxy
is on the way of is asked over HTTP/1.1, and so is everything with DISABLE_HTTP2 in the environment, as with kubectl.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from fluxtui.kube.credentials import Credentials, Identity
from fluxtui.kube.dialing import ALPN
from fluxtui.kube.errors import ApiError, Unauthorized, Unreachable, api_error
from fluxtui.kube.failures import FAILURES, ConnectTimeout, Http1Required, unreachable
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.proxy import proxy_for
from fluxtui.kube.requests import Answer, Backend, Request
from fluxtui.kube.tls import Trust, context_for, trust_of

logger = logging.getLogger("fluxtui.kube")

CONNECT_TIMEOUT = 10.0
"""Seconds for name lookup, TCP and TLS together."""
IDLE_TIMEOUT = 100.0
"""Seconds of silence after which a watch is dead; bookmarks come about once a minute."""
MAX_BODY = 512 << 20
DISABLE_HTTP2 = "DISABLE_HTTP2"
"""Name of the environment variable which, set to anything, keeps to HTTP/1.1; that of client-go."""


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
        self._base = urlsplit(context.server).path.rstrip("/")
        self._cluster = context.cluster
        self._server_name = context.cluster.get("tls-server-name") or None
        self._credentials = credentials
        self._timeout = request_timeout
        self._connect_timeout = connect_timeout
        encoding = "identity" if context.cluster.get("disable-compression") else "gzip"
        self._headers = [("User-Agent", user_agent), ("Accept-Encoding", encoding), *impersonation]
        self._proxy = proxy_for(context.server, context.cluster.get("proxy-url") or "", where=self._where)
        self._speaks_http2 = (
            self._server.startswith("https:") and self._proxy is None and not os.environ.get(DISABLE_HTTP2)
        )
        self._heard = heard
        self._backend: Backend | None = None
        self._contexts: tuple[tuple[bytes, bytes, bool], ssl.SSLContext] | None = None
        self._trust: Trust | None = None

    async def close(self) -> None:
        """Close all connections; streams end with an error."""
        backend, self._backend = self._backend, None
        if backend is not None:
            await backend.close()

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
        answer = await self._send(self._request(method, path, params, body, headers, within))
        try:
            content = await self._read(answer, within)
            if answer.status >= 300 and answer.status != 304:
                raise await self._refusal(answer, content)
            return Response(answer.status, content, answer.headers)
        finally:
            answer.end()

    async def ping(self, within: float) -> bool:
        """Whether open connections were asked for a sign of life, and gave one; False: only a request can tell.

        Raises Unreachable when there is none within so many seconds.
        """
        if self._backend is None:
            return False
        try:
            found = await self._backend.ping(within)
        except FAILURES as error:
            raise self._unreachable(error, within) from error
        if found:
            self._heard()
        return found

    async def open(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        idle_timeout: float | None = IDLE_TIMEOUT,
    ) -> Stream:
        """A GET whose answer is read as it comes, with at most `idle_timeout` seconds of silence (None: any). `end` it.

        Raises the tree of `errors`, and so does the stream.
        """
        request = self._request("GET", path, params, None, headers, self._timeout)
        answer = await self._send(msgspec.structs.replace(request, is_stream=True, idle=idle_timeout))
        if answer.status < 300:
            return Stream(answer, lambda error: self._unreachable(error, idle_timeout), self._heard)
        try:
            raise await self._refusal(answer, await self._read(answer, self._timeout))
        finally:
            answer.end()

    async def _refusal(self, answer: Answer, content: bytes) -> ApiError:
        """The error of an answer; of 401, which servers never explain, with what is known here."""
        error = api_error(answer.status, content, answer.headers)
        words = await self._credentials.why_refused() if answer.status == 401 else ""
        return Unauthorized(401, error.reason, words, error.details) if words else error

    def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        within: float,
    ) -> Request:
        """A request that lacks its identity."""
        query = f"?{urlencode(params, quote_via=quote)}" if params else ""
        sent = [*self._headers, *(headers or {}).items()]
        return Request(method, f"{self._base}{path}{query}", sent, body, within)

    async def _send(self, request: Request) -> Answer:
        """The answer to a request, asked once more with a fresh identity when the first was refused (401). `end` it."""
        try:
            identity = await self._credentials.identity()
            answer = await self._once(request, identity)
            if answer.status == 401:
                answer = await self._again(answer, request, identity)
        except FAILURES as error:
            raise self._unreachable(error, request.within) from error
        self._heard()
        logger.debug("%s: %s %s %s", self.id, request.method, request.target.partition("?")[0], answer.status)
        return answer

    async def _again(self, refused: Answer, request: Request, identity: Identity) -> Answer:
        """The answer to a second try with another identity, or `refused` when there is no other."""
        try:
            if not self._credentials.reject(identity):
                return refused
            fresh = await self._credentials.identity()
        except BaseException:
            refused.end()
            raise
        if fresh == identity:
            return refused
        refused.end()
        return await self._once(request, fresh)

    async def _once(self, request: Request, identity: Identity) -> Answer:
        if identity.authorization:
            headers = [*request.headers, ("Authorization", identity.authorization)]
            request = msgspec.structs.replace(request, headers=headers)
        backend, context, is_http2 = await self._open(identity)
        try:
            return await backend.send(request, context)
        except Http1Required:
            if not is_http2:
                raise
        self._speaks_http2 = False
        if backend is self._backend:
            await self.close()
        return await self._once(request, Identity("", identity.certificate, identity.key))

    async def _open(self, identity: Identity) -> tuple[Backend, ssl.SSLContext | bool, bool]:
        """The connections, the TLS context to use them with, and whether they are to be HTTP/2."""
        while True:
            is_http2 = self._speaks_http2
            context = await self._context(identity, is_http2)
            # Either takes so long to import that keys would be felt to wait.
            name = "http2" if is_http2 else "http1"
            module = None if self._backend else await asyncio.to_thread(import_module, f"fluxtui.kube.{name}")
            if is_http2 is not self._speaks_http2:
                continue
            if self._backend is None and module is not None:
                self._backend = module.connect(self._server, self._server_name, self._connect_timeout, self._proxy)
            if self._backend is not None:
                return self._backend, context, is_http2

    async def _context(self, identity: Identity, is_http2: bool) -> ssl.SSLContext | bool:
        """The TLS context for an identity that offers HTTP/2 or does not; kept until its certificate changes."""
        if not self._server.startswith("https:"):
            # Only an https:// proxy is spoken to over TLS then, as the system trusts it.
            return True
        kept = self._contexts
        wanted = (identity.certificate, identity.key, is_http2)
        if kept is not None and kept[0] == wanted:
            return kept[1]
        context = await asyncio.to_thread(self._make_context, identity, is_http2)
        self._contexts = (wanted, context)
        return context

    def _make_context(self, identity: Identity, is_http2: bool) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = trust_of(self._cluster, self._where)
        proxy_host = self._proxy.host if self._proxy is not None and self._proxy.secure else ""
        protocols = (ALPN, "http/1.1") if is_http2 else ("http/1.1",)
        return context_for(self._trust, identity.certificate, identity.key, self._where, proxy_host, protocols)

    async def _read(self, answer: Answer, within: float) -> bytes:
        """All of an answer's body; `within` is the time that a timeout means, in seconds."""
        chunks: list[bytes] = []
        size = 0
        try:
            while chunk := await answer.chunk():
                chunks.append(chunk)
                size += len(chunk)
                if size > MAX_BODY:
                    raise Unreachable(f"the server's answer is larger than {MAX_BODY >> 20} MiB")
        except FAILURES as error:
            raise self._unreachable(error, within) from error
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _unreachable(self, error: Exception, limit: float | None) -> Unreachable:
        connecting = isinstance(error, ConnectTimeout)
        return unreachable(error, self._server, self._proxy, self._connect_timeout if connecting else limit)


class Stream:
    """The body of an answer that goes on: an iterator of chunks."""

    def __init__(
        self, answer: Answer, unreachable: Callable[[Exception], Unreachable], heard: Callable[[], None]
    ) -> None:
        self._answer = answer
        self._unreachable = unreachable
        self._heard = heard

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._answer.chunk()
        except FAILURES as error:
            raise self._unreachable(error) from error
        if not chunk:
            raise StopAsyncIteration
        self._heard()
        return chunk

    def abort(self, error: Exception) -> None:
        """Make the reader raise `error` at once."""
        self._answer.abort(error)

    def end(self) -> None:
        """No more is wanted of it."""
        self._answer.end()
