"""Many Kustomizations on one API server: the engine, and upstream's controllers when their binaries are given.

    KUBEBUILDER_ASSETS=DIR [FLUXTUI_FLUX_CONTROLLERS=DIR] python -m tests.bench.engine [--n 200]

`KUBEBUILDER_ASSETS` has etcd and kube-apiserver, `FLUXTUI_FLUX_CONTROLLERS` source-controller and kustomize-controller.
Each Kustomization has one ConfigMap of one GitRepository. Measured, for each of create, request (nothing has changed),
revision (every ConfigMap changes) and delete: seconds until the last one is done, CPU seconds and requests to the API
server for each object, and the largest resident memory. Then, for ten seconds, requests at rest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from fluxtui.api.kinds import BUCKET, GIT_REPOSITORY, HELM_CHART, HELM_REPOSITORY, KUSTOMIZATION, OCI_REPOSITORY, Kind
from fluxtui.engine.installation import install
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.watch import watch
from tests import apiserver, upstream
from tests.bench.engine_peers import NAMESPACE, Processes, commands, running
from tests.engine.polling import eventually
from tests.engine.source.repositories import Repository, serving

BINARIES = "FLUXTUI_FLUX_CONTROLLERS"
_REST = 10.0
_AT_ONCE = 8
_COUNTED = ("kustomizations", "gitrepositories", "configmaps", "events", "secrets", "namespaces")

Object = dict[str, Any]


class Bench:
    """One controller on one cluster."""

    def __init__(self, client: Client, repository: Repository, url: str, processes: Processes, number: int) -> None:
        self._client = client
        self._repository = repository
        self._url = url
        self._processes = processes
        self._names = [f"k-{index:04d}" for index in range(number)]
        self._asked = 0
        self.figures: dict[str, dict[str, float]] = {}
        self._peak = 0.0

    async def run(self) -> None:
        """Go through all phases."""
        self.write("one")
        source = {"interval": "60m", "url": self._url, "ref": {"branch": "main"}}
        await self._create(GIT_REPOSITORY, "fleet", source)
        await self._until(GIT_REPOSITORY, {"fleet"}, _is_ready, _nothing)

        async def create() -> None:
            await self._each(self._create_one)

        await self._phase("create", _is_ready, create)

        async def request() -> None:
            await self._each(lambda name: self._annotate(KUSTOMIZATION, name, "now"))

        await self._phase("request", lambda obj: _handled(obj) == "now" and _is_ready(obj), request)
        self.write("two")
        head = self._repository.git("rev-parse", "HEAD")

        async def revise() -> None:
            await self._annotate(GIT_REPOSITORY, "fleet", "now")

        await self._phase("revision", lambda obj: _applied(obj).endswith(head) and _is_ready(obj), revise)
        before = await self._requests()
        await asyncio.sleep(_REST)
        per_hour = (await self._requests() - before) * 3600 / _REST
        self.figures["rest"] = {"requests per hour": round(per_hour)}

        async def delete() -> None:
            await self._each(self._delete_one)

        await self._phase("delete", None, delete)

    def write(self, value: str) -> None:
        """Commit a ConfigMap with a value for each Kustomization."""
        files = {
            f"{name}/config.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\n"
            f"data: {{value: {value}}}\n"
            for name in self._names
        }
        self._repository.commit(value, files)

    async def _phase(
        self, name: str, done: Callable[[Object], bool] | None, act: Callable[[], Awaitable[None]]
    ) -> None:
        loop = asyncio.get_running_loop()
        self._peak = 0.0
        requests, asked, cpu, started = await self._requests(), self._asked, self._processes.cpu(), loop.time()
        await self._until(KUSTOMIZATION, set(self._names), done, act)
        seconds, used = loop.time() - started, self._processes.cpu() - cpu
        count, sent = len(self._names), await self._requests() - requests - (self._asked - asked)
        self.figures[name] = {
            "seconds": round(seconds, 2),
            "CPU ms each": round(1000 * used / count, 1),
            "requests each": round(sent / count, 2),
            "MiB": round(self._peak),
        }
        sys.stderr.write(f"{name}: {self.figures[name]}\n")

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
            await asyncio.wait_for(task, 1200)

    async def _each(self, work: Callable[[str], Awaitable[None]]) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> None:
            async with gate:
                await work(name)

        async with asyncio.TaskGroup() as group:
            for name in self._names:
                group.create_task(one(name))

    async def _create_one(self, name: str) -> None:
        reference = {"kind": "GitRepository", "name": "fleet"}
        spec = {"interval": "60m", "path": f"./{name}", "prune": True, "sourceRef": reference}
        await self._create(KUSTOMIZATION, name, spec)

    async def _delete_one(self, name: str) -> None:
        self._asked += 1
        await self._client.delete(await self._resource(KUSTOMIZATION), name, NAMESPACE)

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


async def _measure(
    context: Context, binaries: Path | None, number: int, directory: Path, url: str
) -> dict[str, dict[str, float]]:
    upstream.kubeconfig_of(context, directory)
    repository = Repository(directory / "fleet")
    async with Client(context) as client:
        await install(client)
        await _established(client)
        async with running(commands(binaries, directory), directory) as processes:
            bench = Bench(client, repository, url, processes, number)
            await bench.run()
    return bench.figures


async def _established(client: Client) -> None:
    """Serve the kinds of upstream's source-controller which the engine does not need, and wait for all."""
    crds = await client.resource_for(("apiextensions.k8s.io", "v1", "CustomResourceDefinition"))
    kinds = (BUCKET, HELM_CHART, HELM_REPOSITORY, OCI_REPOSITORY)
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    for kind in kinds:
        found = await client.resources(refresh=True)
        if found.find(kind.group, kind.kind) is not None:
            continue
        names = {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower()}
        version = {"name": kind.versions[0], "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        spec = {"group": kind.group, "scope": "Namespaced", "names": names, "versions": [version]}
        version["subresources"] = {"status": {}}
        crd = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": kind.resource},
            "spec": spec,
        }
        await client.create(crds, crd)

    async def served() -> bool:
        found = await client.resources(refresh=True)
        return all(found.find(kind.group, kind.kind) for kind in (*kinds, GIT_REPOSITORY, KUSTOMIZATION))

    await eventually(served, 30)


def _table(measured: dict[str, dict[str, dict[str, float]]]) -> str:
    """A line for each phase, the contestants side by side."""
    lines = []
    for phase in next(iter(measured.values())):
        for contestant, figures in measured.items():
            told = ", ".join(f"{value:g} {name}" for name, value in figures[phase].items())
            lines.append(f"{phase:9} {contestant:9} {told}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print a table; `--json` prints JSON instead."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine")
    parser.add_argument("--n", type=int, default=200, help="Kustomizations")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    assets = apiserver.assets()
    if assets is None:
        sys.exit(apiserver.MISSING)
    contestants: dict[str, Path | None] = {"fluxtui": None}
    if os.environ.get(BINARIES):
        contestants["upstream"] = Path(os.environ[BINARIES])
    measured = {}
    for name, binaries in contestants.items():
        with tempfile.TemporaryDirectory(prefix="fluxtui-bench-") as temporary:
            directory = Path(temporary)
            with serving(directory) as git, apiserver.running(assets, directory) as context:
                measured[name] = asyncio.run(_measure(context, binaries, options.n, directory, f"{git.url}/fleet/.git"))
    sys.stdout.write((json.dumps(measured) if options.json else _table(measured)) + "\n")


if __name__ == "__main__":
    main()
