"""LIST and watch through `fluxtui.kube` against plain dicts: CPU time per object, as ratios.

    python -m tests.bench.kube_decoding [OBJECTS]

The server is a child process that sends bytes made beforehand, so only the client's CPU time is counted.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
import msgspec

from fluxtui.api.meta import Condition, ObjectMeta
from fluxtui.kube.client import Client
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.resources import Resource
from fluxtui.kube.watch import watch

KUSTOMIZATIONS = Resource("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations")
PAGE = 500
ROUNDS = 3


class Spec(msgspec.Struct, gc=False):
    """What a row shows of a spec."""

    suspend: bool = False
    interval: str = ""
    path: str = ""


class Status(msgspec.Struct, rename="camel", gc=False):
    """What a row shows of a status."""

    conditions: list[Condition] = []
    last_applied_revision: str = ""


class Row(msgspec.Struct, gc=False):
    """A Kustomization as the fleet reads it."""

    metadata: ObjectMeta
    spec: Spec
    status: Status


def kustomization(number: int) -> dict[str, Any]:
    """An object of some 7 KB, as large as real ones are."""
    inventory = [{"id": f"default_app-{number}-{n}_apps_Deployment", "v": "v1"} for n in range(50)]
    fields: dict[str, Any] = {f"f:field-{n}": {".": {}, "f:value": {}, "k:{name}": {}} for n in range(40)}
    message = "Applied revision: main@sha1:7148a3540f2c1d3b7a7a4b1d64ee1f3f7a0cd111"
    ready = {"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": message,
             "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 3}  # fmt: skip
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {
            "name": f"app-{number}", "namespace": "flux-system", "uid": f"0000-{number}", "generation": 3,
            "resourceVersion": str(1000 + number), "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"kustomize.toolkit.fluxcd.io/name": "flux-system"}, "finalizers": ["finalizers.fluxcd.io"],
            "managedFields": [{"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": fields}],
        },
        "spec": {"interval": "10m0s", "path": "./apps", "prune": True,
                 "sourceRef": {"kind": "GitRepository", "name": "fleet"}},
        "status": {"conditions": [ready], "lastAppliedRevision": "main@sha1:7148a354",
                   "inventory": {"entries": inventory}},
    }  # fmt: skip


def serve(objects: int, pipe: Connection) -> None:
    """The server process: pages of a list, then a stream of one event for each object."""
    bodies = [json.dumps(kustomization(number), separators=(",", ":")).encode() for number in range(objects)]
    events = b"".join(b'{"type":"MODIFIED","object":%s}\n' % body for body in bodies)

    def page(start: int) -> bytes:
        token = b'"continue":"%d",' % (start + PAGE) if start + PAGE < objects else b""
        items = b",".join(bodies[start : start + PAGE])
        return b'{"kind":"List","metadata":{%s"resourceVersion":"9"},"items":[%s]}' % (token, items)

    pages = {start: page(start) for start in range(0, objects, PAGE)}

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            target = head.split(b" ", 2)[1].decode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            if "watch=true" in target:
                writer.write(b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(events), events))
            else:
                start = int(target.partition("continue=")[2].partition("&")[0] or 0) if "continue=" in target else 0
                body = pages.get(start, b"{}")
                writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        server.close()

    asyncio.run(run())


async def ours(url: str, objects: int, item: Any) -> tuple[float, float]:
    """CPU seconds of list and of events through `watch`."""
    async with Client(Context("bench", "bench", "", url, cluster={"server": url})) as client:
        await client.alive()
        began = time.process_time()
        listed, seen = 0.0, 0
        batches = watch(client, KUSTOMIZATIONS, item)
        async for batch in batches:
            if batch.replace:
                listed = time.process_time() - began
                began = time.process_time()
            else:
                seen += len(batch.upserts)
            if seen >= objects:
                break
        followed = time.process_time() - began
        await batches.aclose()
        return listed, followed


async def plain(url: str, objects: int) -> tuple[float, float]:
    """CPU seconds of list and of events as aiohttp and json do them out of the box."""
    path = url + KUSTOMIZATIONS.path()
    async with aiohttp.ClientSession(read_bufsize=1 << 18) as session:
        began = time.process_time()
        kept: list[Any] = []
        token = ""
        while True:
            params = {"limit": str(PAGE)} | ({"continue": token} if token else {})
            async with session.get(path, params=params) as answer:
                body = json.loads(await answer.read())
            kept += body["items"]
            token = body["metadata"].get("continue", "")
            if not token:
                break
        listed = time.process_time() - began
        began = time.process_time()
        seen = 0
        async with session.get(path, params={"watch": "true"}) as answer:
            async for line in answer.content:
                kept[seen % objects] = json.loads(line)["object"]
                seen += 1
                if seen >= objects:
                    break
        return listed, time.process_time() - began


def main() -> None:
    """Measure and write a table."""
    objects = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(objects, there), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{here.recv()}"
    paths: dict[str, Callable[[], Awaitable[tuple[float, float]]]] = {
        "aiohttp + json, dicts": lambda: plain(url, objects),
        "fluxtui.kube, dicts": lambda: ours(url, objects, None),
        "fluxtui.kube, structs": lambda: ours(url, objects, Row),
    }
    results: dict[str, tuple[float, float]] = {}
    for name, measure in paths.items():
        rounds = [asyncio.run(_awaited(measure)) for _ in range(ROUNDS)]
        results[name] = (min(r[0] for r in rounds), min(r[1] for r in rounds))
    here.send("end")
    server.join()
    base = results["aiohttp + json, dicts"]
    size = len(json.dumps(kustomization(1)))
    sys.stdout.write(f"{objects} objects of {size} bytes, CPU of the client, best of {ROUNDS}\n")
    sys.stdout.write(f"{'':24}{'list us/object':>16}{'ratio':>8}{'watch us/event':>16}{'ratio':>8}\n")
    for name, (listed, followed) in results.items():
        sys.stdout.write(
            f"{name:24}{listed / objects * 1e6:16.1f}{base[0] / listed:7.1f}x"
            f"{followed / objects * 1e6:16.1f}{base[1] / followed:7.1f}x\n"
        )


async def _awaited(measure: Callable[[], Awaitable[tuple[float, float]]]) -> tuple[float, float]:
    return await measure()


if __name__ == "__main__":
    main()
