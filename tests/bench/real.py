"""The console on a real kube-apiserver: time to rows, memory, and what it asks for when nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fluxtui.api.crds import all_crds
from fluxtui.kube.client import Client
from fluxtui.kube.errors import ApiError, NotFound
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.resources import Resource
from tests import apiserver
from tests.bench.console import Console, Late
from tests.bench.figures import Figures
from tests.bench.live import LIVE, PATIENCE
from tests.bench.payloads import MIX, Collection, first_look, variant
from tests.bench.rig import environment, program, write_kubeconfig
from tests.bench.server import now

_CRDS = Resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
_NAMESPACES = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
AT_ONCE = 16


async def fill(context: Context, objects: int) -> int:
    """Install the CRDs we have and put that many objects there; how many the server took."""
    async with Client(context) as client:
        definitions = all_crds()
        for definition in definitions:
            await client.create(_CRDS, definition)
        plurals = {definition["spec"]["names"]["plural"] for definition in definitions}
        share = sum(share for kind, share in MIX if kind.plural in plurals)
        collections = [each for each in variant(0, round(objects / share), now()) if each.kind.plural in plurals]
        namespaces = sorted({body.namespace for each in collections for body in each.bodies})
        for name in namespaces:
            await client.create(_NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        await _served(client, collections)
        gate = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_put(client, each, obj, gate)) for each in collections for obj in _read(each)]
        return len(tasks)


async def _served(client: Client, collections: list[Collection]) -> None:
    """Return when the server lists every kind."""
    async with asyncio.timeout(30):
        for path in [each.path for each in collections]:
            while True:
                with contextlib.suppress(NotFound):
                    await client.request("GET", path, params={"limit": "1"})
                    break
                await asyncio.sleep(0.1)


def _read(collection: Collection) -> list[dict[str, Any]]:
    return [json.loads(first_look(body, 1, now())) for body in collection.bodies]


async def _put(client: Client, collection: Collection, obj: dict[str, Any], gate: asyncio.Semaphore) -> None:
    """Create an object with its status."""
    kind = collection.kind
    resource = Resource(kind.group, kind.versions[0], kind.kind, kind.plural)
    for field in ("resourceVersion", "uid", "managedFields", "finalizers", "creationTimestamp", "generation"):
        obj["metadata"].pop(field, None)
    async with gate:
        try:
            made = await client.create(resource, obj)
            made["status"] = {**obj["status"], "observedGeneration": 1}
            await client.replace(resource, made, subresource="status")
        except ApiError as error:
            raise Late(f"{kind.kind} {obj['metadata']['name']}: {error}") from error


AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["ResponseStarted", "ResponseComplete", "Panic"],
    # An API server also asks itself, as a user of its own.
    "rules": [{"level": "Metadata", "users": ["admin"]}],
}
"""Of each request a line, when it comes."""


def audited(directory: Path) -> tuple[Path, list[str]]:
    """Where the API server's audit log will be, and the flags that have it written."""
    policy, log = directory / "audit-policy.yaml", directory / "audit.log"
    policy.write_text(json.dumps(AUDIT_POLICY))
    return log, [f"--audit-policy-file={policy}", f"--audit-log-path={log}"]


def asked(log: Path) -> Counter[str]:
    """Requests so far, by verb and resource."""
    counts: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        event = json.loads(line)
        counts[f"{event['verb']} {(event.get('objectRef') or {}).get('resource', event['requestURI'])}"] += 1
    return counts


SMALL, ROUNDS = 40, 5
ROWS = re.compile(rb"ks-\d{3}")
"""Names of Kustomizations, as a small cluster shows them without a key."""


def small(binaries: Path, directory: Path, figures: Figures) -> None:
    """Time to the rows of a kube-apiserver with few objects."""
    state = directory / "small"
    state.mkdir()
    with apiserver.running(binaries, state) as context:
        count = asyncio.run(fill(context, SMALL))
        took = _starts(_command(context, state / "kubeconfig"), directory, ROWS)
        figures.add(f"exec to rows of {count} objects of a kube-apiserver", statistics.median(took), "s", target=0.6)


def real(binaries: Path, directory: Path, figures: Figures, *, objects: int, minutes: float) -> None:
    """Time to a live screen, and requests a minute at rest, on a kube-apiserver with so many objects."""
    log, flags = audited(directory)
    with apiserver.running(binaries, directory, *flags) as context:
        count = asyncio.run(fill(context, objects))
        command = _command(context, directory / "real")
        took = _starts(command, directory, LIVE)
        figures.add(f"exec to all {count} objects of a kube-apiserver", statistics.median(took), "s", target=0.6)
        with Console(command, environment(directory)) as console:
            console.until(lambda seen: LIVE.search(seen) is not None, PATIENCE, what="the cluster")
            console.drain(10)
            before, began = asked(log), time.monotonic()
            used, _ = console.load(minutes * 60)
            passed = (time.monotonic() - began) / 60
            requests = asked(log) - before
            watches = sum(number for what, number in requests.items() if what.startswith("watch "))
            others = ", ".join(
                f"{what} {number / passed:.1f}"
                for what, number in sorted(requests.items())
                if not what.startswith("watch ")
            )
            note = f"watches renewed {watches / passed:.1f}" + (f", {others}" if others else "")
            figures.add("requests a minute at rest", sum(requests.values()) / passed, "", note=note)
            figures.add("CPU on it at rest", used, "%", target=0.5)
            figures.add("memory on it", console.resident(), "MB")


def _command(context: Context, directory: Path) -> list[str]:
    user = {"insecure-skip-tls-verify": True}
    config = write_kubeconfig(directory, {"real": context.server}, user, str(context.user["token"]))
    return [program(), "--kubeconfig", str(config)]


def _starts(command: Sequence[str], directory: Path, pattern: re.Pattern[bytes]) -> list[float]:
    """Seconds from each of some starts to that text on the screen."""
    took = []
    for _ in range(ROUNDS):
        with Console(command, environment(directory)) as console:
            found = console.until(lambda seen: pattern.search(seen) is not None, PATIENCE, what="the cluster")
            took.append(found - console.began)
    return took
