"""What a benchmark of controllers has them do: many Kustomizations, created, asked for, revised and deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from fluxtui.api.kinds import GIT_REPOSITORY, KUSTOMIZATION, Kind
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.watch import watch
from tests.bench.engine_peers import NAMESPACE, Contestant, Processes
from tests.engine.source.repositories import Repository

PHASES = ("create", "request", "revision", "rest", "restart", "delete")
REST = 30.0
_AT_ONCE = 8
_WITHIN = 3600.0
_COUNTED = ("kustomizations", "gitrepositories", "configmaps", "events", "secrets", "namespaces")

Object = dict[str, Any]


class Measured(msgspec.Struct):
    """What one phase took one contestant."""

    seconds: float
    """From the first request to the last object that is done."""
    cpu: float
    """CPU seconds of the controllers."""
    server: float
    """CPU seconds of etcd and kube-apiserver."""
    requests: float
    """Requests that the controllers sent, Leases and watches not counted."""
    memory: float
    """Largest resident memory of the controllers, MiB."""


class Bench:
    """One contestant on a cluster of its own; phases are done in the order of PHASES."""

    def __init__(
        self,
        client: Client,
        repository: Repository,
        url: str,
        contestant: Contestant,
        servers: Processes,
        number: int,
    ) -> None:
        self._client = client
        self._repository = repository
        self._url = url
        self._contestant = contestant
        self._processes = contestant.measured
        self._servers = servers
        self._names = [f"k-{index:04d}" for index in range(number)]
        self._asked = 0
        self._round = 0
        self._peak = 0.0

    async def start(self) -> None:
        """Make the source, and wait for it."""
        self._write("zero")
        source = {"interval": "60m", "url": self._url, "ref": {"branch": "main"}}
        await self._create(GIT_REPOSITORY, "fleet", source)
        await self._until(GIT_REPOSITORY, {"fleet"}, _is_ready, _nothing)

    async def phase(self, name: str) -> Measured:
        """Do one phase and measure it."""
        work: dict[str, Callable[[], Awaitable[None]]] = {
            "create": self._creation,
            "request": self._request,
            "revision": self._revision,
            "rest": self._rest,
            "restart": self._contestant_starts,
            "delete": self._deletion,
        }
        if name == "revision":
            self._round += 1
            await asyncio.to_thread(self._write, f"value{self._round}")
        if name == "restart":
            await self._contestant.stop()
            await self._each(lambda name: self._annotate(KUSTOMIZATION, name, "meanwhile"))
        loop = asyncio.get_running_loop()
        self._peak = self._processes.memory()
        requests, asked = await self._requests(), self._asked
        cpu, server, started = self._processes.cpu(), self._servers.cpu(), loop.time()
        await work[name]()
        return Measured(
            seconds=loop.time() - started,
            cpu=self._processes.cpu() - cpu,
            server=self._servers.cpu() - server,
            requests=await self._requests() - requests - (self._asked - asked),
            memory=max(self._peak, self._processes.memory()),
        )

    async def _creation(self) -> None:
        async def create(name: str) -> None:
            reference = {"kind": "GitRepository", "name": "fleet"}
            spec = {"interval": "60m", "path": f"./{name}", "prune": True, "sourceRef": reference}
            await self._create(KUSTOMIZATION, name, spec)

        await self._until(KUSTOMIZATION, set(self._names), _is_ready, lambda: self._each(create))

    async def _request(self) -> None:
        await self._until(
            KUSTOMIZATION,
            set(self._names),
            lambda obj: _handled(obj) == "now" and _is_ready(obj),
            lambda: self._each(lambda name: self._annotate(KUSTOMIZATION, name, "now")),
        )

    async def _revision(self) -> None:
        head = self._repository.git("rev-parse", "HEAD")
        await self._until(
            KUSTOMIZATION,
            set(self._names),
            lambda obj: _applied(obj).endswith(head) and _is_ready(obj),
            lambda: self._annotate(GIT_REPOSITORY, "fleet", f"round {self._round}"),
        )

    async def _rest(self) -> None:
        await asyncio.sleep(REST)

    async def _contestant_starts(self) -> None:
        """Begin anew with everything asked for at once."""
        await self._until(
            KUSTOMIZATION,
            set(self._names),
            lambda obj: _handled(obj) == "meanwhile" and _is_ready(obj),
            self._contestant.start,
        )

    async def _deletion(self) -> None:
        async def delete(name: str) -> None:
            self._asked += 1
            await self._client.delete(await self._resource(KUSTOMIZATION), name, NAMESPACE)

        await self._until(KUSTOMIZATION, set(self._names), None, lambda: self._each(delete))

    def _write(self, value: str) -> None:
        """Commit a ConfigMap with a value for each Kustomization."""
        files = {
            f"{name}/config.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\n"
            f"data: {{value: {value}}}\n"
            for name in self._names
        }
        self._repository.commit(value, files)

    async def _until(
        self, kind: Kind, names: set[str], done: Callable[[Object], bool] | None, act: Callable[[], Awaitable[None]]
    ) -> None:
        """Act, and return when each object satisfies `done`, or (without it) is gone."""
        left = set(names)
        resource = await self._resource(kind)
        begun = asyncio.Event()
        async with asyncio.TaskGroup() as group:

            async def follow() -> None:
                async with aclosing(watch(self._client, resource, namespace=NAMESPACE)) as batches:
                    async for batch in batches:
                        self._peak = max(self._peak, self._processes.memory())
                        begun.set()
                        for obj in batch.upserts if done is not None else ():
                            if done is not None and done(obj):
                                left.discard(obj["metadata"]["name"])
                        if done is None:
                            left.difference_update(name for _, name in batch.deletes)
                        if not left:
                            return

            task = group.create_task(follow())
            await begun.wait()
            await act()
            await asyncio.wait_for(task, _WITHIN)

    async def _each(self, work: Callable[[str], Awaitable[None]]) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> None:
            async with gate:
                await work(name)

        async with asyncio.TaskGroup() as group:
            for name in self._names:
                group.create_task(one(name))

    async def _create(self, kind: Kind, name: str, spec: Object) -> None:
        resource = await self._resource(kind)
        metadata = {"name": name, "namespace": NAMESPACE}
        self._asked += 1
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}
        await self._client.create(resource, obj)

    async def _annotate(self, kind: Kind, name: str, value: str) -> None:
        patch = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": value}}}
        self._asked += 1
        await self._client.patch(await self._resource(kind), name, NAMESPACE, patch, type=PatchType.MERGE)

    async def _resource(self, kind: Kind) -> Any:
        return await self._client.resource_for((kind.group, kind.versions[0], kind.kind))

    async def _requests(self) -> int:
        """Requests that the server has answered so far about the kinds that matter; watches count when they end."""
        answer = await self._client.request("GET", "/metrics", accept="text/plain")
        total = 0.0
        for line in answer.body.decode().splitlines():
            if line.startswith("apiserver_request_total{") and 'verb="WATCH"' not in line:
                labels, _, value = line.rpartition(" ")
                if any(f'resource="{resource}"' in labels for resource in _COUNTED):
                    total += float(value)
        return round(total)


async def _nothing() -> None:
    return


def _is_ready(obj: Object) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or []
    generation = obj["metadata"].get("generation")
    return any(
        item["type"] == "Ready" and item["status"] == "True" and item.get("observedGeneration") == generation
        for item in conditions
    )


def _handled(obj: Object) -> str:
    return str((obj.get("status") or {}).get("lastHandledReconcileAt", ""))


def _applied(obj: Object) -> str:
    return str((obj.get("status") or {}).get("lastAppliedRevision", ""))
