"""`fluxtui diff kustomization`: dry runs over several clusters, from local trees and from artifacts."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from fluxtui.engine.runtime.artifact_server import ArtifactServer
from fluxtui.engine.runtime.artifacts import ArtifactStore
from fluxtui.kube.client import Client
from tests.cli.conftest import Fleet
from tests.fleet.live import create
from tests.fleet.objects import flux

Start = Callable[..., Awaitable[Fleet]]
Object = dict[str, Any]

OWNER = {
    "kustomize.toolkit.fluxcd.io/name": "apps",
    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
}


def spec(path: str = "./apps", **more: Any) -> Object:
    source = {"kind": "GitRepository", "name": "fleet"}
    return {"interval": "10m", "prune": True, "path": path, "sourceRef": source, **more}


def config(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


def applied(obj: Object) -> Object:
    """An object as an earlier reconcile has left it."""
    return {**obj, "metadata": {**obj["metadata"], "labels": OWNER}}


def inventory(*names: str, kind: str = "ConfigMap") -> Object:
    return {"inventory": {"entries": [{"id": f"default_{name}__{kind}", "v": "v1"} for name in names]}}


def write(tree: Path, **files: Any) -> Path:
    for name, content in files.items():
        file = tree / f"{name.replace('__', '/')}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        documents = content if isinstance(content, list) else [content]
        file.write_text(yaml.safe_dump_all(documents))
    return tree


async def drifted(client: Client, **more: Any) -> None:
    """apps has applied `a`, `b` and `old`; somebody has changed `a` since."""
    await create(client, applied(config("a", k="by hand")))
    await create(client, applied(config("b", k="v")))
    await create(client, applied(config("old", k="v")))
    await create(client, flux("ks", "apps", spec=spec(**more), status=inventory("a", "b", "old")))


async def versions(client: Client) -> list[str]:
    resource = await client.resource_for(("", "v1", "ConfigMap"))
    return [item["metadata"]["resourceVersion"] for item in (await client.list(resource, "default")).items]


async def test_what_would_change(start: Start, tmp_path: Path) -> None:
    fleet = await start("east")
    client = fleet.clients["east"]
    await drifted(client)
    before = await versions(client)
    tree = write(tmp_path / "tree", apps__all=[config("a", k="v"), config("b", k="v"), config("new", k="v")])
    result = await fleet.run("diff", "kustomization", "apps", "--path", str(tree / "apps"))
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "► kustomization/flux-system/apps",
        "  ConfigMap/default/a changed",
        "    @@ -1,6 +1,6 @@",
        "     apiVersion: v1",
        "     data:",
        "    -  k: by hand",
        "    +  k: v",
        "     kind: ConfigMap",
        "     metadata:",
        "       labels:",
        "  ConfigMap/default/new created",
        "  ConfigMap/default/old deleted",
        "KUSTOMIZATION     REVISION  CREATED  CHANGED  DELETED  UNCHANGED  SKIPPED  PROBLEM",
        "flux-system/apps  local     1        1        1        1          0",
    ]
    assert result.exit_code == 1
    assert await versions(client) == before


async def test_nothing_would_change(start: Start, tmp_path: Path) -> None:
    fleet = await start("east")
    await create(fleet.clients["east"], applied(config("a", k="v")))
    await create(fleet.clients["east"], flux("ks", "apps", spec=spec(), status=inventory("a")))
    tree = write(tmp_path / "tree", apps__a=config("a", k="v"))
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree / "apps"))
    assert result.stdout.splitlines()[1:] == ["flux-system/apps  local     0        0        0        1          0"]
    assert (result.exit_code, result.stderr) == (0, "")


async def test_clusters_share_what_is_the_same(start: Start, tmp_path: Path) -> None:
    fleet = await start("east", "north", "west")
    for name in ("east", "north"):
        await drifted(fleet.clients[name])
    await create(fleet.clients["west"], applied(config("a", k="v")))
    await create(fleet.clients["west"], flux("ks", "apps", spec=spec(), status=inventory("a")))
    tree = write(tmp_path / "tree", apps__all=[config("a", k="v")])
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree / "apps"))
    assert [line for line in result.stdout.splitlines() if line.startswith("►")] == [
        "► east, north  kustomization/flux-system/apps"
    ]
    rows = [line.split() for line in result.stdout.splitlines()[-3:]]
    assert rows == [
        ["east", "flux-system/apps", "local", "0", "1", "2", "0", "0"],
        ["north", "flux-system/apps", "local", "0", "1", "2", "0", "0"],
        ["west", "flux-system/apps", "local", "0", "0", "0", "1", "0"],
    ]
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree / "apps"), "--summary")
    assert "►" not in result.stdout


async def test_a_dead_cluster_does_not_hide_the_others(start: Start, tmp_path: Path) -> None:
    fleet = await start("east", "west")
    await drifted(fleet.clients["east"])
    await fleet.clusters["west"].faults.set("refuse")
    tree = write(tmp_path / "tree", apps__a=config("a", k="v"))
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree / "apps"), "-o", "json", "--timeout", "30s")
    said = json.loads(result.stdout)
    assert [(item["cluster"], item["name"], item["problems"]) for item in said["items"]] == [("east", "apps", [])]
    assert {change["name"]: change["action"] for change in said["items"][0]["changes"]} == {
        "a": "changed",
        "b": "deleted",
        "old": "deleted",
    }
    assert [error["cluster"] for error in said["errors"]] == ["west"]
    assert result.exit_code == 2


async def test_secrets_are_masked(start: Start, tmp_path: Path) -> None:
    fleet = await start("east")
    hidden = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}}
    live = applied({**hidden, "data": {name: base64.b64encode(b"hunter2").decode() for name in ("one", "two")}})
    live["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":"hunter2"}'}
    await create(fleet.clients["east"], live)
    await create(fleet.clients["east"], flux("ks", "apps", spec=spec(), status=inventory("s", kind="Secret")))
    tree = write(tmp_path / "tree", apps__s={**hidden, "stringData": {"one": "hunter2", "two": "hunter3"}})
    for form in ("table", "json", "yaml"):
        result = await fleet.run("diff", "ks", "apps", "--path", str(tree / "apps"), "-o", form)
        assert result.exit_code == 1
        assert "-  two: '*** (before)'" in result.stdout
        assert "+  two: '*** (after)'" in result.stdout
        for secret in ("hunter2", "hunter3", base64.b64encode(b"hunter2").decode(), "aHVudGVyMw"):
            assert secret not in result.output


async def test_refused_objects_are_told_with_the_others(start: Start, tmp_path: Path) -> None:
    fleet = await start("east")
    await drifted(fleet.clients["east"])
    unknown = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "default"}}
    tree = write(tmp_path / "tree", apps__all=[config("a", k="v"), unknown])
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree / "apps"))
    assert "  ConfigMap/default/a changed" in result.stdout
    assert '✗ Widget/default/w dry-run failed: no matches for kind "Widget"' in result.stdout
    assert "deleted\n" not in result.stdout.partition("KUSTOMIZATION")[0]
    assert result.exit_code == 2


async def test_dry_runs_have_the_rights_of_the_service_account(start: Start, tmp_path: Path) -> None:
    fleet = await start("east", "west")
    for client in fleet.clients.values():
        await drifted(client, serviceAccountName="deployer")
    denial = fleet.clusters["west"].access.deny("impersonate", "serviceaccounts")
    tree = write(tmp_path / "tree", apps__a=config("a", k="v"), apps__b=config("b", k="v"))
    words = ("diff", "ks", "apps", "--path", str(tree / "apps"))
    result = await fleet.run(*words)
    headings = [line for line in result.stdout.splitlines() if line.startswith("►")]
    assert headings == [
        "► east  kustomization/flux-system/apps  as deployer",
        "► west  kustomization/flux-system/apps  with your rights, not those of deployer",
    ]
    found = json.loads((await fleet.run(*words, "-o", "json")).stdout)["items"]
    assert [(item["cluster"], item["serviceAccount"]) for item in found] == [("east", "deployer"), ("west", "")]
    fleet.clusters["west"].access.allow(denial)


async def test_cluster_text_can_do_nothing_to_the_terminal(start: Start, tmp_path: Path) -> None:
    fleet = await start("east")
    await create(fleet.clients["east"], applied(config("a", k="\x1b[31mred\x9b\u202e")))
    await create(fleet.clients["east"], flux("ks", "apps", spec=spec()))
    tree = write(tmp_path / "tree", apps__a=config("a", k="\x1b]0;title\x07"))
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree / "apps"))
    assert result.exit_code == 1
    assert not {"\x1b", "\x9b", "\u202e", "\x07"} & set(result.output)


async def test_variables_of_each_cluster(start: Start, tmp_path: Path) -> None:
    fleet = await start("east", "west")
    build = {"substituteFrom": [{"kind": "ConfigMap", "name": "vars"}]}
    for name, client in fleet.clients.items():
        variables = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "vars", "namespace": "flux-system"}}
        await create(client, {**variables, "data": {"region": name}})
        await create(client, applied(config("a", region="east")))
        await create(client, flux("ks", "apps", spec=spec(postBuild=build)))
    tree = write(tmp_path / "tree", apps__a=config("a", region="${region}"))
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree / "apps"))
    assert "    -  region: east\n    +  region: west\n" in result.stdout
    assert "► west  kustomization/flux-system/apps\n" in result.stdout
    write(tree, apps__a=config("a", region="${region}", zone="x${zone}"))
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree / "apps"), "--context", "east")
    assert (result.exit_code, 'variable not set (strict mode): "zone"' in result.stdout) == (2, True)
    words = ("diff", "ks", "apps", "--path", str(tree / "apps"), "--no-strict-substitute", "--context", "east")
    assert "+  zone: x\n" in (await fleet.run(*words)).stdout


async def test_kustomizations_among_the_objects_follow(start: Start, tmp_path: Path) -> None:
    fleet = await start("east")
    client = fleet.clients["east"]
    child = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "spec": spec("./apps")}
    child["metadata"] = {"name": "apps", "namespace": "flux-system"}
    await drifted(client)
    await create(client, flux("ks", "root", spec=spec("./clusters/east")))
    tree = write(tmp_path / "tree", clusters__east__apps=child, apps__a=config("a", k="v"))
    result = await fleet.run("diff", "ks", "root", "--path", str(tree / "clusters" / "east"), "--recursive")
    assert [line.split()[0] for line in result.stdout.splitlines()[-2:]] == ["flux-system/root", "flux-system/apps"]
    assert "► kustomization/flux-system/apps\n  ConfigMap/default/a changed" in result.stdout
    alone = await fleet.run("diff", "ks", "root", "--path", str(tree / "clusters" / "east"))
    assert "flux-system/apps" not in alone.stdout.splitlines()[-1]
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere, apps__a=config("a", k="w"))
    there = f"GitRepository/flux-system/fleet={elsewhere}"
    result = await fleet.run("diff", "ks", "apps", "--local-sources", there)
    assert "+  k: w" in result.stdout


async def test_a_file_may_hold_the_kustomization(start: Start, tmp_path: Path) -> None:
    fleet = await start("east")
    client = fleet.clients["east"]
    await create(client, applied(config("a", k="v")))
    await create(client, flux("ks", "apps", spec=spec(), status=inventory("a")))
    tree = write(tmp_path / "tree", apps__a=config("a", k="v"))
    given = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "apps"}}
    write(tmp_path, ks=[config("x"), {**given, "spec": spec(namePrefix="p-")}])
    words = ["diff", "ks", "apps", "--path", str(tree / "apps"), "--kustomization-file", str(tmp_path / "ks.yaml")]
    result = await fleet.run(*words)
    assert "  ConfigMap/default/p-a created\n  ConfigMap/default/a deleted\n" in result.stdout
    write(tmp_path, ks=[{**given, "metadata": {"name": "fresh"}, "spec": spec()}])
    words[2] = "fresh"
    result = await fleet.run(*words)
    assert (result.exit_code, '✗ Kustomization "fresh" not found' in result.stderr) == (2, True)
    result = await fleet.run(*words, "--ignore-not-found")
    assert (result.exit_code, "ConfigMap/default/a changed" in result.stdout) == (1, True)


async def test_what_an_artifact_would_not_have_is_left_out(start: Start, tmp_path: Path) -> None:
    fleet = await start("east")
    await create(fleet.clients["east"], flux("ks", "apps", spec=spec("./")))
    tree = write(tmp_path / "tree", a=config("a"), docs__b=config("b"), skipped__c=config("c"))
    (tree / ".github").mkdir()
    (tree / ".github" / "ci.yaml").write_text("on: push\n")
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree), "--ignore-paths", "/skipped/,.github/")
    assert [line for line in result.stdout.splitlines() if "created" in line] == [
        "  ConfigMap/default/a created",
        "  ConfigMap/default/b created",
    ]
    (tree / ".sourceignore").write_text("/docs\n/.github\n/skipped\n")
    result = await fleet.run("diff", "ks", "apps", "--path", str(tree))
    assert [line for line in result.stdout.splitlines() if "created" in line] == ["  ConfigMap/default/a created"]


async def test_without_a_path_and_an_artifact_there_is_nothing_to_compare(start: Start) -> None:
    fleet = await start("east")
    await drifted(fleet.clients["east"], path="./apps")
    result = await fleet.run("diff", "ks", "apps")
    assert (result.exit_code, '✗ GitRepository.source.toolkit.fluxcd.io "fleet" not found' in result.stdout) == (
        2,
        True,
    )
    git = {"interval": "1m", "url": "https://git.example.com/fleet"}
    await create(fleet.clients["east"], flux("git", "fleet", spec=git))
    result = await fleet.run("diff", "ks", "apps")
    # Nobody tries again here.
    assert "  ✗ Source artifact not found\n" in result.stdout
    assert result.exit_code == 2


async def test_without_a_path_the_artifact_is_what_counts(start: Start, tmp_path: Path) -> None:
    fleet = await start("east", "west")
    store = ArtifactStore(tmp_path / "storage")
    store.prepare()
    tree = write(tmp_path / "tree", apps__a=config("a", k="v"))
    async with ArtifactServer(store, "127.0.0.1", 0):
        artifact = await store.for_cluster("x").add(
            "GitRepository", "flux-system", "fleet", tree, revision="main@sha1:" + "7" * 40, file="1.tar.gz"
        )
        status = {"artifact": msgspec.to_builtins(artifact)}
        for client in fleet.clients.values():
            git = {"interval": "1m", "url": "https://git.example.com/fleet"}
            await create(client, flux("git", "fleet", spec=git, status=status))
            await drifted(client, path="./apps")
        result = await fleet.run("diff", "ks", "apps")
        assert "► east, west  kustomization/flux-system/apps  main@77777777\n" in result.stdout
        assert result.exit_code == 1
    result = await fleet.run("diff", "ks", "apps", "--context", "east")
    assert "can't be fetched from http://127.0.0.1:" in result.stdout
    assert result.exit_code == 2


MISTAKES = [
    ("diff ks", "Missing argument 'NAME...'"),
    ("diff ks apps --path /nowhere", "Directory '/nowhere' does not exist"),
    ("diff ks apps infra --path {}", "--path and --kustomization-file are for one"),
    ("diff ks apps --ignore-not-found", "needs --kustomization-file"),
    ("diff ks apps --local-sources fleet={}", "is not KIND/NAMESPACE/NAME=DIR"),
    ("diff ks apps --path {} --kustomization-file {}/none.yaml", "does not exist"),
    ("diff hr web", "No such command 'hr'"),
    ("diff ks nope --path {}", '✗ Kustomization "nope" not found in namespace flux-system'),
]


async def test_mistakes_are_exit_code_two(start: Start, tmp_path: Path) -> None:
    fleet = await start("east")
    for words, message in MISTAKES:
        result = await fleet.run(*words.format(tmp_path, tmp_path).split())
        assert (result.exit_code, message in " ".join(result.stderr.split())) == (2, True), (words, result.output)
