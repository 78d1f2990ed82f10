"""`fluxtui logs`: controllers' pods and the engine's file, over several clusters."""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fluxtui.kube.client import Client
from fluxtui.sandbox.statuses import internal_error
from tests.cli.conftest import Fleet
from tests.cli.test_get import watching
from tests.engine.polling import eventually
from tests.fleet.live import LEASES, create, deployment

Start = Callable[..., Awaitable[Fleet]]
Object = dict[str, Any]


def line(message: str, minutes: float = 0, **more: Any) -> Object:
    moment = datetime.now(UTC) - timedelta(minutes=minutes)
    about = {"controllerKind": "Kustomization", "name": "apps", "namespace": "flux-system"}
    return {"level": "info", "ts": moment.isoformat().replace("+00:00", "Z"), "msg": message, **about, **more}


async def controller(client: Client, name: str, *lines: Object) -> None:
    """A controller at work, which has written these lines."""
    text = "\n".join(["started", *map(json.dumps, lines)])
    pods = await client.resource_for(("", "v1", "Pod"))
    await create(client, deployment(name, namespace="flux-system", log=text))

    async def runs() -> bool:
        found = (await client.list(pods, "flux-system", label_selector=f"app={name}")).items
        return any((pod.get("status") or {}).get("phase") == "Running" for pod in found)

    await eventually(runs)


async def two_clusters(start: Start) -> Fleet:
    fleet = await start("east", "west")
    east, west = fleet.clients["east"], fleet.clients["west"]
    source = {"controllerKind": "GitRepository", "name": "fleet"}
    await controller(east, "kustomize-controller", line("applied", 20), line("health", 4, namespace="web"))
    starting = line("starting", 90, name="", namespace="")
    await controller(east, "source-controller", starting, line("stored", 21, **source))
    failure = line("failed", 10, level="error", error="no \x1b[31msuch file")
    await controller(west, "kustomize-controller", failure, line("applied again", 3))
    return fleet


def messages(text: str) -> list[str]:
    return [f"{item['cluster']} {item['message']}" for item in map(json.loads, text.splitlines())]


async def test_lines_of_all_clusters_in_the_order_of_time(start: Start) -> None:
    fleet = await two_clusters(start)
    result = await fleet.run("logs")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [text.split() for text in result.stdout.splitlines()]
    assert [[text[0], *text[2:]] for text in lines] == [
        ["east", "info", "GitRepository/fleet.flux-system", "-", "stored"],
        ["east", "info", "Kustomization/apps.flux-system", "-", "applied"],
        ["west", "error", "Kustomization/apps.flux-system", "-", "failed:", "no", "such", "file"],
        ["west", "info", "Kustomization/apps.flux-system", "-", "applied", "again"],
    ]
    assert [text[1] for text in lines] == sorted(text[1] for text in lines)


AGAIN = "west applied again"
CHOSEN = [
    ("-A", ["east starting", "east stored", "east applied", "west failed: no such file", "east health", AGAIN]),
    ("-n web", ["east health"]),
    ("--kind ks", ["east applied", "west failed: no such file", "west applied again"]),
    ("--kind gitrepository", ["east stored"]),
    ("--name fleet", ["east stored"]),
    ("--level error", ["west failed: no such file"]),
    ("--since 15m", ["west failed: no such file", "west applied again"]),
    ("--tail 0", []),
    ("--tail -1 --level error", ["west failed: no such file"]),
    ("--name nobody", []),
]


async def test_what_is_chosen(start: Start) -> None:
    fleet = await two_clusters(start)
    for words, expected in CHOSEN:
        result = await fleet.run("logs", *words.split(), "-o", "json")
        assert messages(result.stdout) == expected, words
        assert result.exit_code == 0


async def test_dead_clusters_and_clusters_without_flux(start: Start) -> None:
    fleet = await two_clusters(start)
    await fleet.clusters["east"].faults.set("refuse")
    result = await fleet.run("logs", "-o", "json", "--timeout", "30s")
    assert messages(result.stdout) == ["west failed: no such file", "west applied again"]
    assert (result.exit_code, result.stderr.startswith("✗ east: ")) == (1, True)
    result = await fleet.run("logs", "--context", "west", "--flux-namespace", "default")
    assert result.stderr == "✗ west: no pod of Flux's controllers in namespace default\n"
    assert result.exit_code == 1


async def embedded(client: Client, path: Path, host: str) -> None:
    """An engine that holds the Leases and writes to a file."""
    annotations = {"engine.fluxtui.dev/log-file": str(path), "engine.fluxtui.dev/host": host}
    metadata = {"name": "kustomize-controller-leader-election", "namespace": "flux-system", "annotations": annotations}
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "fluxtui_x", "leaseDurationSeconds": 3600, "renewTime": moment}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
    await client.create(LEASES, lease)


async def test_the_engines_file(start: Start, tmp_path: Path) -> None:
    fleet = await start("east", "west")
    path = tmp_path / "engine.jsonl"
    lines = [line(f"{cluster} {number}", 9 - number, cluster=cluster) for number in (1, 2) for cluster in ("east", "x")]
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    await embedded(fleet.clients["east"], path, socket.gethostname())
    await embedded(fleet.clients["west"], path, "elsewhere")
    result = await fleet.run("logs", "-o", "json")
    assert messages(result.stdout) == ["east east 1", "east east 2"]
    assert (result.exit_code, result.stderr) == (
        1,
        f"✗ west: the engine runs on elsewhere and logs to {path} there\n",
    )
    result = await fleet.run("logs", "-o", "json", "--tail", "2", "--context", "east")
    assert messages(result.stdout) == ["east east 2"]
    async with watching(fleet, "logs -f -o json --context east") as seen:
        await eventually(lambda: len(seen.lines) == 2)
        with path.open("a") as file:
            file.write(json.dumps(line("east 3", cluster="east")) + "\n")
        await eventually(lambda: len(seen.lines) == 3)
        assert await seen.interrupt() == 0


async def test_following_goes_on_with_new_pods(start: Start) -> None:
    fleet = await two_clusters(start)
    async with watching(fleet, "logs --follow -o json --kind HelmRelease --context west") as seen:
        helm: Object = {"controllerKind": "HelmRelease", "name": "web"}
        await controller(fleet.clients["west"], "helm-controller", line("upgraded", **helm), line("not of interest"))
        await eventually(lambda: len(seen.lines) == 1)
        assert await seen.interrupt() == 0
    assert messages("".join(seen.lines)) == ["west upgraded"]
    assert seen.complaints == []


def unreachable_node(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the node of east's kustomize-controller not answer; the result ends that."""
    logs = fleet.clusters["east"].logs
    lines, broken = logs.lines, [True]

    def failing(pod: Object, query: Mapping[str, str]) -> list[bytes]:
        if broken and pod["metadata"]["name"].startswith("kustomize-controller"):
            raise internal_error("dial tcp 10.0.0.7:10250: i/o timeout")
        return lines(pod, query)

    monkeypatch.setattr(logs, "lines", failing)
    return broken.clear


async def test_a_pod_whose_node_does_not_answer_is_told_beside_the_others(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = await two_clusters(start)
    unreachable_node(fleet, monkeypatch)
    result = await fleet.run("logs", "-o", "json")
    assert messages(result.stdout) == ["east stored", "west failed: no such file", "west applied again"]
    assert result.stderr.startswith("✗ east: kustomize-controller-")
    assert "10.0.0.7:10250: i/o timeout" in result.stderr
    assert result.exit_code == 1


async def test_a_pod_whose_node_answers_again_is_followed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = await two_clusters(start)
    answers = unreachable_node(fleet, monkeypatch)
    async with watching(fleet, "logs -f -A -o json --context east") as seen:
        await eventually(lambda: len(seen.lines) == 2 and len(seen.complaints) == 1)
        answers()
        await eventually(lambda: len(seen.lines) == 4)
        assert await seen.interrupt() == 0
    assert sorted(messages("".join(seen.lines))) == ["east applied", "east health", "east starting", "east stored"]
    assert "10.0.0.7:10250: i/o timeout" in seen.complaints[0]


async def test_seconds_are_rounded_up_for_the_server(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = await two_clusters(start)
    asked: list[str] = []
    logs = fleet.clusters["east"].logs
    lines = logs.lines

    def listening(pod: Object, query: Mapping[str, str]) -> list[bytes]:
        asked.append(query["sinceSeconds"])
        return lines(pod, query)

    monkeypatch.setattr(logs, "lines", listening)
    await fleet.run("logs", "--since", "100.1s", "--context", "east")
    # What is a second too much is left out here, what the server left out would be missing.
    assert asked
    assert min(map(int, asked)) > 100


MISTAKES = [
    ("--since 1m --since-time 2026-01-01T00:00:00Z", "exclude each other"),
    ("--since-time yesterday", "not an RFC 3339 time"),
    ("--level loud", "Invalid value for '--level'"),
    ("--tail -2", "Invalid value for '--tail'"),
]


async def test_mistakes(start: Start) -> None:
    fleet = await start("east")
    for words, message in MISTAKES:
        result = await fleet.run("logs", *words.split())
        assert (result.exit_code, message in result.stderr) == (2, True), words
