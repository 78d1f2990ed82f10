"""A fake fleet: API servers on loopback that send bytes made beforehand, in a process of their own.

    python -m tests.bench.server CLUSTERS OBJECTS CERTIFICATE KEY

Prints the ports as one line of JSON, then obeys orders: one JSON object a line on stdin, answered by one on stdout.
`{"do": "events", "rate": 500, "hot": false, "churn": 5}` sends so many MODIFIED a second (and additions and removals);
`cut` ends all watches at once, `delay` lets clusters answer late, `lossy` holds every so manieth packet back for the
time of a retransmission, `probe` sends an event that can be found on a screen, `tell` and `forget` count requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import random
import ssl
import sys
import time
from asyncio.sslproto import SSLProtocol
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.bench.connections import Negotiated, Reply, Watch
from tests.bench.payloads import PAGE, VARIANTS, Body, Collection, compressed, variant

LARGE = 128 << 10
"""From this size on, an API server compresses an answer."""
BOOKMARKS = 60.0
TICK = 0.01
HOT = 40
"""Rows that take all events when they are hot."""
_NOT_FOUND = (
    b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"not found","code":404}'
)


def now() -> str:
    """This second as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Variant:
    """What all clusters of a variant answer, ready to send."""

    def __init__(self, number: int, objects: int, started: str) -> None:
        self.collections = {each.path: each for each in variant(number, objects, started)}
        self.answers: dict[tuple[str, int, bool], Reply] = {}
        self.singles = {
            f"{each.path}/{body.name}": (each, body) for each in self.collections.values() for body in each.bodies
        }
        for path, collection in self.collections.items():
            for index, page in enumerate(collection.pages(PAGE, 1000, started)):
                small = len(page) < LARGE
                self.answers[path, index * PAGE, False] = Reply(page)
                zipped = Reply(page) if small else Reply(compressed(page), (("Content-Encoding", "gzip"),))
                self.answers[path, index * PAGE, True] = zipped
        self.discovery = Reply(_discovery(self.collections.values()), _TAG, _AGGREGATED)


_TAG = (("ETag", '"1"'),)
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def _discovery(collections: Any) -> bytes:
    groups: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for each in collections:
        found = {
            "resource": each.kind.plural,
            "responseKind": {"group": each.kind.group, "version": each.kind.versions[0], "kind": each.kind.kind},
            "scope": "Namespaced",
            "singularResource": each.kind.kind.lower(),
            "verbs": ["delete", "get", "list", "patch", "create", "update", "watch"],
            "subresources": [{"subresource": "status", "verbs": ["get", "patch"]}],
        }
        groups.setdefault(each.kind.group, {}).setdefault(each.kind.versions[0], []).append(found)
    items = [
        {
            "metadata": {"name": group},
            "versions": [
                {"version": version, "resources": resources, "freshness": "Current"}
                for version, resources in versions.items()
            ],
        }
        for group, versions in groups.items()
    ]
    head = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}}
    return json.dumps({**head, "items": items}).encode()


class Cluster:
    """One API server."""

    def __init__(self, number: int, served: Variant, counter: Counter[str]) -> None:
        self.number = number
        self.served = served
        self.counter = counter
        self.version = 1000
        self.watchers: dict[str, set[Watch]] = {path: set() for path in served.collections}
        self.delay = 0.0
        self.lossy = 0.0

    def reply(self, target: str, headers: dict[str, str]) -> Reply | tuple[str, float]:
        """The answer to a GET, or what it wants to watch, and for how many seconds."""
        parts = urlsplit(target)
        path, query = parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()}
        if path in self.served.collections:
            if query.get("watch") == "true":
                self.counter["watch"] += 1
                return path, float(query.get("timeoutSeconds", "300"))
            self.counter["list"] += 1
            return self.served.answers[
                path, int(query.get("continue", "0")), "gzip" in headers.get("accept-encoding", "")
            ]
        self.counter[path.rpartition("/")[2]] += 1
        if path in ("/apis", "/api"):
            return Reply(b"", _TAG, status=304) if headers.get("if-none-match") else self._groups(path)
        if path == "/version":
            return Reply(b'{"major":"1","minor":"34","gitVersion":"v1.34.1"}')
        if path.endswith("/leases"):
            return Reply(self._leases())
        if path.endswith("/namespaces/flux-system/deployments"):
            return Reply(
                b'{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","items":[{"metadata":'
                b'{"name":"source-controller","labels":{"app.kubernetes.io/version":"v2.7.5"}}}]}'
            )
        single = self._single(path)
        return Reply(single) if single else Reply(_NOT_FOUND, status=404)

    def _groups(self, path: str) -> Reply:
        if path == "/apis":
            return self.served.discovery
        empty = b'{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[]}'
        return Reply(empty, _TAG, _AGGREGATED)

    def _leases(self) -> bytes:
        renewed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        items = [
            {
                "metadata": {"name": f"{name}-controller-leader-election"},
                "spec": {"holderIdentity": f"{name}-0", "leaseDurationSeconds": 35, "renewTime": renewed},
            }
            for name in ("source", "kustomize", "helm", "notification")
        ]
        return json.dumps({"kind": "LeaseList", "apiVersion": "coordination.k8s.io/v1", "items": items}).encode()

    def _single(self, path: str) -> bytes:
        base, _, rest = path.partition("/namespaces/")
        found = self.served.singles.get("/".join([base, *rest.split("/")[1:]]))
        if found is None:
            return b""
        body = found[1]
        return body.render(self.version, now(), body.good, "ReconciliationSucceeded", "True")

    def send(
        self, collection: Collection, body: Body, message: str, *, type: str = "MODIFIED", ready: str = ""
    ) -> None:
        """One event to all who watch the kind; `ready` False or Unknown makes the object a failed or busy one."""
        self.version += 1
        reasons = {"": "ReconciliationSucceeded", "False": "HealthCheckFailed", "Unknown": "Progressing"}
        shown = body.render(self.version, now(), message or body.good, reasons[ready], ready or "True")
        line = b'{"type":"%s","object":%s}\n' % (type.encode(), shown)
        for watch in self.watchers[collection.path]:
            watch.send(line)

    def bookmark(self) -> None:
        """Say on all streams where they stand."""
        for path, watches in self.watchers.items():
            kind = self.served.collections[path].kind
            line = (
                f'{{"type":"BOOKMARK","object":{{"kind":"{kind.kind}","apiVersion":"{kind.group}/{kind.versions[0]}",'
                f'"metadata":{{"resourceVersion":"{self.version}","creationTimestamp":null}}}}}}\n'
            ).encode()
            for watch in watches:
                watch.send(line)

    def cut(self) -> None:
        """End all streams in the middle."""
        for watches in self.watchers.values():
            for watch in list(watches):
                watch.abort()


class Fleet:
    """All clusters, and what happens in them."""

    def __init__(self, clusters: int, objects: int) -> None:
        self.counter: Counter[str] = Counter()
        variants = [Variant(number, objects, now()) for number in range(min(VARIANTS, clusters))]
        self.clusters = [Cluster(number, variants[number % VARIANTS], self.counter) for number in range(clusters)]
        self.rate, self.churn, self.hot = 0.0, 0.0, False
        self.sent = 0
        self._gone: list[tuple[Cluster, Collection, Body]] = []

    async def serve(self, context: ssl.SSLContext) -> list[int]:
        """Listen, one port a cluster; the ports."""
        loop = asyncio.get_running_loop()
        ports = []
        for cluster in self.clusters:
            server = await loop.create_server(
                functools.partial(Negotiated, cluster), "127.0.0.1", 0, ssl=context, backlog=128
            )
            ports.append(int(server.sockets[0].getsockname()[1]))
        return ports

    async def happen(self) -> None:
        """Send events at their rate, in small bursts."""
        owed = churn = 0.0
        last = time.monotonic()
        while True:
            await asyncio.sleep(TICK if self.rate or self.churn else 0.1)
            moment = time.monotonic()
            owed += self.rate * min(moment - last, 1.0)
            churn += self.churn * min(moment - last, 1.0)
            last = moment
            for _ in range(int(owed)):
                self._event()
            for _ in range(int(churn)):
                self._change()
            owed, churn = owed % 1, churn % 1

    def _event(self) -> None:
        self.sent += 1
        if self.hot:
            cluster = self.clusters[0]
            collection = next(each for each in cluster.served.collections.values() if each.kind.short == "ks")
            body = random.choice(collection.bodies[:HOT])
        else:
            cluster = random.choice(self.clusters)
            collection = random.choices(self._kinds(cluster), self._weights(cluster))[0]
            body = random.choice(collection.bodies)
        dice = random.random()
        if dice < 0.05:
            cluster.send(collection, body, "", ready="Unknown")
        elif body.is_bad or dice > 0.98:
            cluster.send(collection, body, f"timeout waiting for deployment/{body.name}", ready="False")
        else:
            cluster.send(collection, body, "")

    @staticmethod
    def _kinds(cluster: Cluster) -> list[Collection]:
        return list(cluster.served.collections.values())

    @staticmethod
    def _weights(cluster: Cluster) -> list[int]:
        return [len(each.bodies) for each in cluster.served.collections.values()]

    def _change(self) -> None:
        """One object goes, or comes back."""
        if self._gone and random.random() < 0.5:
            cluster, collection, body = self._gone.pop(random.randrange(len(self._gone)))
            cluster.send(collection, body, "", type="ADDED")
            return
        cluster = random.choice(self.clusters)
        collection = random.choices(self._kinds(cluster), self._weights(cluster))[0]
        body = random.choice(collection.bodies)
        if (cluster, collection, body) not in self._gone:
            self._gone.append((cluster, collection, body))
            cluster.send(collection, body, "", type="DELETED")

    async def bookmarks(self) -> None:
        """Every cluster once a minute, one after the other."""
        while True:
            for cluster in self.clusters:
                await asyncio.sleep(BOOKMARKS / len(self.clusters))
                cluster.bookmark()

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """One order; the answer."""
        chosen = self.clusters[: order.get("clusters", len(self.clusters))]
        match order["do"]:
            case "events":
                self.rate, self.churn = float(order.get("rate", 0)), float(order.get("churn", 0))
                self.hot = bool(order.get("hot"))
            case "cut":
                for cluster in chosen:
                    cluster.cut()
            case "delay":
                for cluster in chosen:
                    cluster.delay = float(order["seconds"])
            case "lossy":
                for cluster in chosen:
                    cluster.lossy = float(order["share"])
            case "probe":
                cluster = self.clusters[0]
                collection = next(each for each in cluster.served.collections.values() if each.kind.short == "ks")
                cluster.send(collection, collection.bodies[order["row"]], order["message"], ready="False")
            case "forget":
                self.counter.clear()
                self.sent = 0
        watches = sum(len(each) for cluster in self.clusters for each in cluster.watchers.values())
        return {"requests": dict(self.counter), "sent": self.sent, "watches": watches, "at": time.monotonic()}


async def main(clusters: int, objects: int, certificate: str, key: str) -> None:
    """Serve until stdin ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    SSLProtocol.max_size = 32 << 10
    fleet = Fleet(clusters, objects)
    gc.collect()
    gc.freeze()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    sys.stdout.write(json.dumps(await fleet.serve(context)) + "\n")
    sys.stdout.flush()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(fleet.happen()), group.create_task(fleet.bookmarks())]
        while line := await reader.readline():
            sys.stdout.write(json.dumps(fleet.obey(json.loads(line))) + "\n")
            sys.stdout.flush()
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))
