"""`fluxtui stats` over several clusters."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from tests.cli.conftest import Fleet
from tests.fleet.live import create
from tests.fleet.objects import failed, flux, ready

Start = Callable[..., Awaitable[Fleet]]

KS: dict[str, Any] = {"path": "./apps", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}
GIT = {"url": "https://git.example.com/fleet"}


def artifact(size: int) -> dict[str, Any]:
    made = {"path": "p", "url": "http://x/p", "revision": "main@sha1:1", "digest": "sha256:" + "0" * 64, "size": size}
    return {"artifact": {**made, "lastUpdateTime": "2026-01-01T00:00:00Z"}}


async def two_clusters(start: Start) -> Fleet:
    fleet = await start("east", "west")
    east, west = fleet.clients["east"], fleet.clients["west"]
    await create(east, flux("git", "fleet", ready(), spec=GIT, status=artifact(1536)))
    await create(east, flux("git", "other", ready(), spec=GIT, status=artifact(512)))
    await create(east, flux("ks", "apps", failed(), spec=KS))
    await create(east, flux("ks", "off", failed(), spec={**KS, "suspend": True}))
    await create(west, flux("ks", "apps", ready(), spec=KS))
    await create(west, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    await create(west, flux("ks", "shop", ready(), namespace="web", spec=KS))
    return fleet


async def test_counts_by_cluster_and_over_all(start: Start) -> None:
    fleet = await two_clusters(start)
    result = await fleet.run("stats", "-A")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["CLUSTER", "RECONCILERS", "RUNNING", "FAILING", "SUSPENDED", "STORAGE"],
        ["east", "GitRepository", "2", "0", "0", "2.0", "KiB"],
        ["east", "Kustomization", "1", "2", "1", "-"],
        ["west", "Kustomization", "2", "0", "0", "-"],
        ["all", "GitRepository", "2", "0", "0", "2.0", "KiB"],
        ["all", "Kustomization", "3", "2", "1", "-"],
    ]


async def test_one_cluster_has_no_sums(start: Start) -> None:
    fleet = await two_clusters(start)
    result = await fleet.run("stats", "--context", "west", "--no-headers")
    assert result.stdout.split() == ["Kustomization", "1", "0", "0", "-"]
    result = await fleet.run("stats", "-n", "default")
    assert (result.stdout, result.stderr) == ("", "no Flux objects found in namespace default\n")


async def test_json_and_dead_clusters(start: Start) -> None:
    fleet = await two_clusters(start)
    await fleet.clusters["west"].faults.set("refuse")
    result = await fleet.run("stats", "-o", "json", "--timeout", "30s")
    said = json.loads(result.stdout)
    assert said["items"] == [
        {"cluster": "east", "kind": "GitRepository", "running": 2, "failing": 0, "suspended": 0, "storage": 2048},
        {"cluster": "east", "kind": "Kustomization", "running": 1, "failing": 2, "suspended": 1, "storage": 0},
    ]
    assert [error["cluster"] for error in said["errors"]] == ["west"]
    assert result.exit_code == 1
