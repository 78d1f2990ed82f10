"""What the tests of this room share: a scripted API server, contexts by hand, and waiting for a state."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.resources import Resource
from fluxtui.serving import port_of, serving

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", "configmap")


def context(server: str, user: dict[str, Any] | None = None, **cluster: Any) -> Context:
    """A context without a file behind it."""
    fields = {key.replace("_", "-"): value for key, value in cluster.items()}
    return Context("test", "test", "/test/config", server, cluster={"server": server, **fields}, user=user or {})


async def until(true: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait until `true()` is, or fail."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "the awaited state did not come"
        await asyncio.sleep(0.005)


def status(code: int, reason: str = "", message: str = "", headers: dict[str, str] | None = None) -> web.Response:
    """An error as an API server sends it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return web.json_response(body | {"message": message}, status=code, headers=headers)


def config_map(name: str, version: int, **data: str) -> dict[str, Any]:
    """An object of the kind the tests watch."""
    meta = {"name": name, "namespace": "default", "resourceVersion": str(version), "uid": f"uid-{name}"}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta, "data": data}


class ScriptedApi:
    """An API server of ConfigMaps that does what a test tells it.

    Requests go to the first handler in `script` (used up), then to the ordinary behaviour.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.version = 100
        self.requests: list[web.Request] = []
        self.script: dict[str, list[Handler]] = {"list": [], "watch": [], "version": []}
        self.watches: set[web.StreamResponse] = set()
        self.frozen = asyncio.Event()
        self.frozen.set()
        self.url = ""

    def seen(self, verb: str) -> list[web.Request]:
        """The requests of one kind so far."""
        return [request for request in self.requests if _verb(request) == verb]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self.requests.append(request)
        await self.frozen.wait()
        verb = _verb(request)
        if self.script.get(verb):
            return await self.script[verb].pop(0)(request)
        if verb == "version":
            return web.json_response({"gitVersion": "v1.99.0"})
        if verb == "list":
            return web.json_response(self.listing())
        if verb == "watch":
            return await self.watch(request)
        return status(404, "NotFound", f"no {request.path}")

    def listing(self) -> dict[str, Any]:
        """The list of all objects."""
        items = [{k: v for k, v in obj.items() if k not in ("kind", "apiVersion")} for obj in self.objects.values()]
        meta = {"resourceVersion": str(self.version)}
        return {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": meta, "items": items}

    async def watch(self, request: web.Request, *first: bytes) -> web.StreamResponse:
        """A stream that stays open, beginning with raw lines."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for line in first:
            await response.write(line)
        self.watches.add(response)
        try:
            await asyncio.Event().wait()  # until the server stops
        finally:
            self.watches.discard(response)
        return response

    async def send(self, *lines: bytes) -> None:
        """Write raw bytes to every open watch."""
        for response in self.open_watches():
            await response.write(b"".join(lines))

    async def put(self, name: str, **data: str) -> None:
        """Create or change an object, and tell the watches."""
        self.version += 1
        kind = "MODIFIED" if name in self.objects else "ADDED"
        self.objects[name] = config_map(name, self.version, **data)
        await self.send(event(kind, self.objects[name]))

    async def remove(self, name: str) -> None:
        """Delete an object, and tell the watches."""
        self.version += 1
        gone = self.objects.pop(name)
        gone["metadata"]["resourceVersion"] = str(self.version)
        await self.send(event("DELETED", gone))

    def cut(self) -> None:
        """Tear every open watch."""
        for response in self.open_watches():
            transport = response._req.transport if response._req else None
            if transport is not None:
                transport.abort()
        self.watches.clear()

    def open_watches(self) -> list[web.StreamResponse]:
        """Watches whose client is still there."""
        return [
            response
            for response in self.watches
            if response._req and response._req.transport and not response._req.transport.is_closing()
        ]


def event(kind: str, obj: Any) -> bytes:
    """A watch event as a line."""
    return json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n"


def _verb(request: web.Request) -> str:
    if request.path == "/version":
        return "version"
    if request.path.endswith("/configmaps"):
        return "watch" if request.query.get("watch") == "true" else "list"
    return request.path


@asynccontextmanager
async def serve(handler: Handler, context: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[str]:
    """Serve `handler` on loopback; the URL."""
    # The types know only handlers that need nothing of an application.
    server = web.Server(cast("Any", handler), handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.1, handle_signals=False)
    async with serving(runner, port=port, tls=context) as listener:
        yield f"{'https' if context else 'http'}://127.0.0.1:{port_of(listener)}"


@asynccontextmanager
async def scripted() -> AsyncIterator[ScriptedApi]:
    """A running ScriptedApi."""
    api = ScriptedApi()
    async with serve(api.handle) as api.url:
        yield api


class Authority:
    """A certificate authority made with the openssl command."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory / name
        self.directory.mkdir()
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                  "-keyout", "ca.key", "-out", "ca.crt", "-subj", f"/CN={name}",
                  "-addext", "keyUsage=critical,keyCertSign,digitalSignature")  # fmt: skip
        self.certificate = (self.directory / "ca.crt").read_bytes()
        self.data = base64.b64encode(self.certificate).decode()

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    def issue(self, name: str, san: str = "", days: int = 30) -> tuple[Path, Path]:
        """Certificate and key files for a subject; `san` such as `DNS:a.test` or `IP:127.0.0.1`."""
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                  "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")  # fmt: skip
        (self.directory / f"{name}.ext").write_text(f"subjectAltName={san}\n" if san else "")
        self._run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                  "-days", str(days), "-out", f"{name}.crt", "-extfile", f"{name}.ext")  # fmt: skip
        return self.directory / f"{name}.crt", self.directory / f"{name}.key"

    def server_context(self, name: str, san: str, *, clients: bool = False) -> ssl.SSLContext:
        """A server's TLS context; `clients`: it demands a client certificate of this authority."""
        certificate, key = self.issue(name, san)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(certificate, key)
        if clients:
            made.verify_mode = ssl.CERT_REQUIRED
            made.load_verify_locations(cadata=self.certificate.decode())
        return made


class Recorder:
    """Answers everything with `reply` and remembers requests."""

    def __init__(self, reply: Any = None) -> None:
        self.reply = {} if reply is None else reply
        self.requests: list[tuple[web.Request, bytes]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self.requests.append((request, await request.read()))
        return web.json_response(self.reply)

    @property
    def last(self) -> web.Request:
        """The newest request."""
        return self.requests[-1][0]

    @property
    def body(self) -> Any:
        """The newest body."""
        return json.loads(self.requests[-1][1])


async def answered(response: web.StreamResponse) -> web.StreamResponse:
    """A response as a script of `ScriptedApi` gives it."""
    return response
