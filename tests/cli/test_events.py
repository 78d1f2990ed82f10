"""`fluxtui events` over several clusters."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from fluxtui.kube.client import Client
from tests.cli.conftest import Fleet
from tests.cli.test_get import watching
from tests.engine.polling import eventually
from tests.fleet.live import create
from tests.fleet.objects import flux

Start = Callable[..., Awaitable[Fleet]]
Object = dict[str, Any]

KS = {"path": "./apps", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet", "namespace": "sources"}}


async def emit(client: Client, subject: str, reason: str, minutes: float = 1, **more: Any) -> None:
    """An event about `kind/namespace/name` of Flux, so many minutes ago."""
    kind, namespace, name = subject.split("/")
    groups = {"GitRepository": "source", "Kustomization": "kustomize", "HelmRelease": "helm"}
    version = f"{groups[kind]}.toolkit.fluxcd.io/v1" if kind in groups else "v1"
    moment = (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    controller = f"{groups[kind]}-controller" if kind in groups else "kubelet"
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{reason.lower()}", "namespace": namespace},
        "involvedObject": {"apiVersion": version, "kind": kind, "namespace": namespace, "name": name},
        "type": "Normal",
        "reason": reason,
        "message": f"{reason} of {name}",
        "source": {"component": controller},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        **more,
    }
    await create(client, event)


async def two_clusters(start: Start) -> Fleet:
    fleet = await start("east", "west")
    east, west = fleet.clients["east"], fleet.clients["west"]
    await create(east, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sources"}})
    await create(east, flux("ks", "apps", spec=KS))
    await emit(east, "Kustomization/flux-system/apps", "Progressing", 30, count=4)
    await emit(east, "GitRepository/sources/fleet", "NewArtifact", 31)
    await emit(east, "Pod/flux-system/web", "Pulled", 2)
    await emit(
        west, "Kustomization/flux-system/apps", "HealthCheckFailed", 5, type="Warning", message="no\x1b[31m luck"
    )
    await emit(west, "Kustomization/flux-system/infra", "ReconciliationSucceeded", 3)
    return fleet


def reasons(text: str) -> list[str]:
    return [f"{item['cluster']} {item['reason']}" for item in json.loads(text)["items"]]


async def test_events_of_all_clusters_by_time(start: Start) -> None:
    fleet = await two_clusters(start)
    result = await fleet.run("events")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["CLUSTER", "NAMESPACE", "LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert [line[:3] for line in lines[1:]] == [
        ["east", "flux-system", "30m"],
        ["west", "flux-system", "5m"],
        ["west", "flux-system", "3m"],
    ]
    assert "(x4 over 30m)" in result.stdout
    assert lines[2][3:6] == ["Warning", "HealthCheckFailed", "Kustomization/apps"]
    assert lines[2][6:] == ["no", "luck"]
    assert (result.exit_code, result.stderr) == (0, "")


CHOSEN = [
    ("-A", ["east NewArtifact", "east Progressing", "west HealthCheckFailed", "west ReconciliationSucceeded"]),
    ("-n sources", ["east NewArtifact"]),
    ("--types warning", ["west HealthCheckFailed"]),
    ("--types Normal,Warning --context west", ["west HealthCheckFailed", "west ReconciliationSucceeded"]),
    ("--for ks", ["east Progressing", "west HealthCheckFailed", "west ReconciliationSucceeded"]),
    ("--for ks/apps", ["east NewArtifact", "east Progressing", "west HealthCheckFailed"]),
    ("--for Kustomization/infra", ["west ReconciliationSucceeded"]),
    ("--for hr/web", []),
]


async def test_what_is_chosen(start: Start) -> None:
    fleet = await two_clusters(start)
    for words, expected in CHOSEN:
        result = await fleet.run("events", *words.split(), "-o", "json")
        assert (reasons(result.stdout), result.exit_code) == (expected, 0), words


async def test_nothing_found_and_dead_clusters(start: Start) -> None:
    fleet = await two_clusters(start)
    result = await fleet.run("events", "-n", "default")
    assert (result.stdout, result.stderr, result.exit_code) == ("", "no events found in namespace default\n", 0)
    await fleet.clusters["east"].faults.set("refuse")
    result = await fleet.run("events", "-o", "json", "--timeout", "30s")
    assert reasons(result.stdout) == ["west HealthCheckFailed", "west ReconciliationSucceeded"]
    assert (result.exit_code, result.stderr.startswith("✗ east: ")) == (1, True)


async def test_mistakes(start: Start) -> None:
    fleet = await start("east")
    for words, message in (("--for pod/x", "not KIND or KIND/NAME"), ("--types bad", "neither Normal nor Warning")):
        result = await fleet.run("events", *words.split())
        assert (result.exit_code, message in result.stderr) == (2, True)


async def test_watch_tells_new_events_once(start: Start) -> None:
    fleet = await two_clusters(start)
    async with watching(fleet, "events -w --for ks/apps -o json") as seen:
        await eventually(lambda: len(seen.lines) == 3)
        await emit(fleet.clients["west"], "Kustomization/flux-system/apps", "Progressing", 0)
        await emit(fleet.clients["west"], "Kustomization/flux-system/infra", "Progressing", 0)
        await emit(fleet.clients["east"], "GitRepository/sources/fleet", "GitOperationSucceeded", 0)
        await eventually(lambda: len(seen.lines) == 5)
        assert await seen.interrupt() == 0
    told = [json.loads(line) for line in seen.lines[3:]]
    assert sorted(item["reason"] for item in told) == ["GitOperationSucceeded", "Progressing"]
    assert seen.complaints == []


async def test_watch_says_which_cluster_is_not_heard(start: Start) -> None:
    fleet = await two_clusters(start)
    await fleet.clusters["east"].faults.set("refuse")
    async with watching(fleet, "events --watch --types warning") as seen:
        await eventually(lambda: len(seen.lines) == 2 and seen.complaints)
        assert await seen.interrupt() == 1
    assert seen.lines[1].split()[:2] == ["west", "flux-system"]
    assert seen.complaints[0].startswith("✗ east: ")
