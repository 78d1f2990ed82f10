"""`fluxtui get` over several clusters: forms, filters, and what a dead one does to the exit code."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import yaml

from fluxtui.kube.client import Client, PatchType
from tests.cli.conftest import Fleet
from tests.engine.polling import eventually
from tests.fleet.live import create
from tests.fleet.objects import REVISION, failed, flux, ready

Start = Callable[..., Awaitable[Fleet]]

KS = {"path": "./apps", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}
GIT = {"url": "https://git.example.com/fleet"}


async def two_clusters(start: Start) -> Fleet:
    fleet = await start("east", "west")
    applied = {"lastAppliedRevision": REVISION}
    await create(fleet.clients["east"], flux("ks", "apps", ready(), spec=KS, status=applied))
    await create(fleet.clients["east"], flux("git", "fleet", ready(), spec=GIT, labels={"team": "platform"}))
    await create(fleet.clients["west"], flux("ks", "apps", failed(message="no such \x1b[31mfile"), spec=KS))
    web = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}}
    await create(fleet.clients["west"], web)
    await create(fleet.clients["west"], flux("ks", "shop", ready(), namespace="web", spec=KS))
    return fleet


def table(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


async def test_tables_of_all_clusters(start: Start) -> None:
    fleet = await two_clusters(start)
    result = await fleet.run("get", "ks")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["CLUSTER", "NAME", "STATE", "REVISION", "AGE", "MESSAGE"]
    assert lines[1].split()[:4] == ["east", "apps", "Ready", "main@7148a354"]
    assert lines[2].split()[:3] == ["west", "apps", "Failed"]
    assert lines[2].endswith("no such file")
    assert lines[0].index("STATE") == lines[1].index("Ready") == lines[2].index("Failed")
    assert "\x1b" not in result.stdout


async def test_everything_everywhere(start: Start) -> None:
    fleet = await two_clusters(start)
    result = await fleet.run("get", "all", "-A", "--no-headers")
    assert [row[:3] for row in table(result.stdout)] == [
        ["east", "flux-system", "gitrepository/fleet"],
        ["east", "flux-system", "kustomization/apps"],
        ["west", "flux-system", "kustomization/apps"],
        ["west", "web", "kustomization/shop"],
    ]
    assert result.exit_code == 0


CHOSEN = [
    ("get ks", ["east apps", "west apps"]),
    ("get ks -A", ["east apps", "west apps", "west shop"]),
    ("get ks -n web", ["west shop"]),
    ("get ks apps --context west", ["west apps"]),
    ("get ks --context w*", ["west apps"]),
    ("get ks -A --status-selector ready=false", ["west apps"]),
    ("get all -A --filter kind=git", ["east fleet"]),
    ("get all -A -l team=platform", ["east fleet"]),
    ("get source git", ["east fleet"]),
    ("get ks,git -A", ["east fleet", "east apps", "west apps", "west shop"]),
    ("get ks/apps", ["east apps", "west apps"]),
]


async def test_what_is_chosen(start: Start) -> None:
    fleet = await two_clusters(start)
    for words, found in CHOSEN:
        result = await fleet.run(*words.split(), "-o", "json")
        items = json.loads(result.stdout)["items"]
        names = sorted(f"{item['cluster']} {item['metadata']['name']}" for item in items)
        assert (names, result.exit_code) == (sorted(found), 0), words


async def test_json_and_yaml_hold_the_objects(start: Start) -> None:
    fleet = await two_clusters(start)
    as_json = json.loads((await fleet.run("get", "ks", "-o", "json")).stdout)
    as_yaml = yaml.safe_load((await fleet.run("get", "ks", "-o", "yaml")).stdout)
    assert as_json == as_yaml
    assert as_json["errors"] == []
    first, second = as_json["items"]
    assert (first["cluster"], first["state"], first["kind"]) == ("east", "ready", "Kustomization")
    assert first["spec"]["path"] == "./apps"
    assert "managedFields" not in first["metadata"]
    assert second["status"]["conditions"][0]["message"] == "no such \x1b[31mfile"


async def test_names_and_wide(start: Start) -> None:
    fleet = await two_clusters(start)
    result = await fleet.run("get", "ks", "-A", "-o", "name")
    assert result.stdout.splitlines() == [
        "east\tkustomization/flux-system/apps",
        "west\tkustomization/flux-system/apps",
        "west\tkustomization/web/shop",
    ]
    result = await fleet.run("get", "ks", "-A", "-o", "name", "--context", "east")
    assert result.stdout == "kustomization/flux-system/apps\n"
    result = await fleet.run("get", "ks", "-o", "wide", "--context", "east")
    assert REVISION in result.stdout
    assert "git/fleet" in result.stdout


async def test_a_dead_cluster_does_not_hide_the_others(start: Start) -> None:
    fleet = await two_clusters(start)
    await fleet.clusters["east"].faults.set("refuse")
    result = await fleet.run("get", "ks", "-o", "json", "--timeout", "30s")
    said = json.loads(result.stdout)
    assert [item["cluster"] for item in said["items"]] == ["west"]
    assert [error["cluster"] for error in said["errors"]] == ["east"]
    assert result.exit_code == 1
    assert result.stderr.startswith("✗ east: ")


async def test_a_frozen_cluster_costs_the_timeout_and_no_more(start: Start) -> None:
    fleet = await two_clusters(start)
    await fleet.clusters["east"].faults.set("freeze")
    result = await asyncio.wait_for(fleet.run("get", "ks", "--timeout", "10s"), 60)
    assert (result.exit_code, "west" in result.stdout) == (1, True)
    assert "no answer within 10 s" in result.stderr


async def test_a_forbidden_kind_is_an_error_of_that_cluster(start: Start) -> None:
    fleet = await two_clusters(start)
    fleet.clusters["east"].deny("list", "kustomizations")
    result = await fleet.run("get", "all", "-A")
    assert result.exit_code == 1
    assert "cannot list resource" in result.stderr
    assert "gitrepository/fleet" in result.stdout


async def test_what_is_not_there(start: Start) -> None:
    fleet = await two_clusters(start)
    result = await fleet.run("get", "ks", "nope")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == '✗ Kustomization "nope" not found in namespace flux-system\n'
    result = await fleet.run("get", "ks", "aps")
    assert result.stderr == '✗ Kustomization "aps" not found in namespace flux-system; did you mean apps?\n'
    result = await fleet.run("get", "hr")
    assert (result.exit_code, result.stderr) == (0, "no HelmRelease objects found in namespace flux-system\n")
    result = await fleet.run("get", "bucket")
    assert result.exit_code == 1
    assert "serves no kind Bucket" in result.stderr
    result = await fleet.run("get", "pods")
    assert (result.exit_code, result.stderr) == (
        1,
        "✗ east: pods is no kind of Flux\n✗ west: pods is no kind of Flux\n",
    )
    result = await fleet.run("get", "nonsense")
    assert (result.exit_code, "serves no kind nonsense\n" in result.stderr) == (1, True)
    result = await fleet.run("get", "kustomisation")
    assert "serves no kind kustomisation; did you mean kustomization?" in result.stderr


async def test_names_are_not_called_missing_where_nobody_answers(start: Start) -> None:
    fleet = await two_clusters(start)
    for cluster in fleet.clusters.values():
        await cluster.faults.set("refuse")
    for verb in ("get", "reconcile", "suspend"):
        result = await fleet.run(verb, "ks", "apps", "--timeout", "30s")
        assert (result.exit_code, "not found" in result.stderr) == (1, False), verb
        assert len(result.stderr.splitlines()) == 2, verb


MISTAKES = [
    ("gte ks", "no such command 'gte'; did you mean get?"),
    ("get source gti", "there is no source gti; did you mean git?"),
    ("get", "a kind is missing"),
    ("get ks -n a -A", "exclude each other"),
    ("get ks --status-selector rady=false", "unknown field rady; did you mean ready?"),
    ("get ks --timeout soon", "is not a duration"),
    ("get ks --timeout 0s", "no time at all"),
    ("get ks -o xml", "Invalid value for '-o'"),
    ("get ks --context north", "no context matches 'north'"),
    ("get ks --config /nowhere/config.yaml", "no such file"),
]


async def test_wrong_usage_is_exit_code_two(start: Start) -> None:
    fleet = await start("east")
    for words, message in MISTAKES:
        result = await fleet.run(*words.split())
        assert result.exit_code == 2, words
        assert message in " ".join(result.stderr.split())


class Watching:
    """A running `get --watch`, and the lines it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.complaints: list[str] = []

    async def read(self, stream: asyncio.StreamReader | None, lines: list[str]) -> None:
        assert stream is not None
        async for line in stream:
            lines.append(line.decode())

    async def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return await asyncio.wait_for(self.process.wait(), 60)


@asynccontextmanager
async def watching(fleet: Fleet, words: str) -> AsyncIterator[Watching]:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "fluxtui", *words.split(), "--kubeconfig", str(fleet.kubeconfig)],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200"},
    )
    found = Watching(process)
    async with asyncio.TaskGroup() as group:
        group.create_task(found.read(process.stdout, found.lines))
        group.create_task(found.read(process.stderr, found.complaints))
        try:
            yield found
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def say(client: Client, name: str, message: str) -> None:
    """Let a Kustomization say that it is ready."""
    resource = await client.resource_for(("kustomize.toolkit.fluxcd.io", "", "Kustomization"))
    news = {"status": {"conditions": [ready(message)]}}
    await client.patch(resource, name, "flux-system", news, type=PatchType.MERGE, subresource="status")


async def test_watch_prints_what_changes_until_interrupted(start: Start) -> None:
    fleet = await two_clusters(start)
    async with watching(fleet, "get ks -w") as seen:
        await eventually(lambda: len(seen.lines) == 3)
        await say(fleet.clients["west"], "apps", "all well")
        await eventually(lambda: len(seen.lines) == 4)
        assert await seen.interrupt() == 0
    assert seen.lines[0].split()[0] == "CLUSTER"
    assert {line.split()[0] for line in seen.lines[1:3]} == {"east", "west"}
    assert seen.lines[3].split()[:3] == ["west", "apps", "Ready"]


async def test_watch_of_a_dead_cluster_goes_on_with_the_others_and_says_so(start: Start) -> None:
    fleet = await two_clusters(start)
    await fleet.clusters["east"].faults.set("refuse")
    async with watching(fleet, "get ks -w -o name") as seen:
        await eventually(lambda: seen.lines and seen.complaints)
        assert await seen.interrupt() == 1
    assert seen.lines == ["west\tkustomization/flux-system/apps\n"]
    assert len(seen.complaints) == 1
    assert seen.complaints[0].startswith("✗ east: ")


async def test_watch_takes_up_a_cluster_that_comes_back(start: Start) -> None:
    fleet = await two_clusters(start)
    await fleet.clusters["east"].faults.set("refuse")
    async with watching(fleet, "get ks apps -w -o json --status-selector ready=true") as seen:
        await eventually(lambda: bool(seen.complaints))
        assert not seen.lines
        await fleet.clusters["east"].faults.set("")
        await eventually(lambda: len(seen.lines) == 1)
        await say(fleet.clients["west"], "apps", "all well")
        await eventually(lambda: len(seen.lines) == 2)
        assert await seen.interrupt() == 0
    assert [json.loads(line)["cluster"] for line in seen.lines] == ["east", "west"]


async def remove(client: Client, name: str) -> None:
    """Delete a Kustomization."""
    resource = await client.resource_for(("kustomize.toolkit.fluxcd.io", "", "Kustomization"))
    await client.delete(resource, name, "flux-system")


async def test_watch_prints_what_goes_and_what_comes_again(start: Start) -> None:
    fleet = await two_clusters(start)
    west = fleet.clients["west"]
    apps = flux("ks", "apps", failed(message="no such file"), spec=KS)
    async with watching(fleet, "get ks -w --context west --no-headers") as seen:
        await eventually(lambda: len(seen.lines) == 1)
        await remove(west, "apps")
        await eventually(lambda: len(seen.lines) == 2)
        await create(west, apps)
        await eventually(lambda: seen.lines[-1].split()[:2] == ["apps", "Failed"])
        # What goes while nobody watches is missing from the next list.
        await fleet.clusters["west"].faults.set("refuse")
        await eventually(lambda: bool(seen.complaints))
        await fleet.clusters["west"].faults.set("")
        await remove(west, "apps")
        fleet.clusters["west"].store.compact()
        await eventually(lambda: "Deleted" in seen.lines[-1])
        assert await seen.interrupt() == 0
    assert [line.split()[:2] for line in (*seen.lines[:2], seen.lines[-1])] == [
        ["apps", "Failed"],
        ["apps", "Deleted"],
        ["apps", "Deleted"],
    ]


async def test_watch_tells_again_of_what_fails_again(start: Start) -> None:
    fleet = await two_clusters(start)
    west = fleet.clients["west"]
    resource = await west.resource_for(("kustomize.toolkit.fluxcd.io", "", "Kustomization"))
    broken = {"status": {"conditions": [failed(message="no such file")]}}
    async with watching(fleet, "get ks -w -o json --status-selector ready=false --context west") as seen:
        await eventually(lambda: len(seen.lines) == 1)
        await say(west, "apps", "all well")
        # What comes at once is told as one change: what is told of another object comes after the recovery.
        await create(west, flux("ks", "other", failed(), spec=KS))
        await eventually(lambda: len(seen.lines) == 2)
        await west.patch(resource, "apps", "flux-system", broken, type=PatchType.MERGE, subresource="status")
        await eventually(lambda: len(seen.lines) == 3)
        await remove(west, "apps")
        await eventually(lambda: len(seen.lines) == 4)
        assert await seen.interrupt() == 0
    told = [(item["metadata"]["name"], item["state"]) for item in map(json.loads, seen.lines)]
    assert told == [("apps", "failed"), ("other", "failed"), ("apps", "failed"), ("apps", "deleted")]


async def test_a_lease_that_is_not_renewed_makes_the_objects_overdue(start: Start) -> None:
    fleet = await two_clusters(start)
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "kustomize-controller-leader-election", "namespace": "flux-system"},
        "spec": {"holderIdentity": "x", "leaseDurationSeconds": 15, "renewTime": "2001-01-01T00:00:00.000000Z"},
    }
    await create(fleet.clients["east"], lease)
    result = await fleet.run("get", "all", "-A", "--status-selector", "state=overdue", "-o", "name")
    assert result.stdout == "east\tkustomization/flux-system/apps\n"
    async with watching(fleet, "get ks -w --status-selector state=overdue") as seen:
        await eventually(lambda: len(seen.lines) == 2)
        assert await seen.interrupt() == 0
    assert "kustomize-controller does not renew its lease" in seen.lines[1]


async def test_kinds_of_the_family_that_nobody_knows_are_among_all(start: Start) -> None:
    fleet = await two_clusters(start)
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.widgets.toolkit.fluxcd.io"},
        "spec": {
            "group": "widgets.toolkit.fluxcd.io",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    east = fleet.clients["east"]
    await create(east, definition)

    async def served() -> bool:
        return (await east.resources(refresh=True)).by_word("widgets") is not None

    await eventually(served)
    metadata = {"name": "it", "namespace": "flux-system"}
    await create(east, {"apiVersion": "widgets.toolkit.fluxcd.io/v1", "kind": "Widget", "metadata": metadata})
    result = await fleet.run("get", "all", "-A", "--status-selector", "kind=widget", "-o", "name")
    assert result.stdout == "east\twidget/flux-system/it\n"
    async with watching(fleet, "get all -w -o name --status-selector kind=widget --context east") as seen:
        await eventually(lambda: len(seen.lines) == 1)
        assert await seen.interrupt() == 0
    async with watching(fleet, "get wigdets -w --context east") as seen:
        assert await asyncio.wait_for(seen.process.wait(), 60) == 1
    assert seen.complaints == ["✗ east: the cluster serves no kind wigdets\n"]
