"""`fluxtui create`, `export` and `delete`: what is applied, printed and taken away, on which clusters."""

from __future__ import annotations

import json
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from click.testing import CliRunner

from fluxtui.api.kinds import GIT_REPOSITORY, KUSTOMIZATION
from fluxtui.api.kustomize import Kustomization
from fluxtui.api.source import GitRepository
from fluxtui.cli.main import cli
from fluxtui.kube.client import Client
from fluxtui.kube.errors import NotFound
from tests.cli.conftest import Fleet
from tests.cli.test_diff import inventory
from tests.engine.polling import eventually
from tests.fleet.live import controlled, create
from tests.fleet.objects import flux

Start = Callable[..., Awaitable[Fleet]]
Object = dict[str, Any]

URL = "--url https://git.example.com/fleet"
KS = {"path": "./apps", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}


def printed(words: str) -> Object:
    result = CliRunner().invoke(cli, [*shlex.split(words), "--export"], env={"KUBECONFIG": "/nowhere"})
    assert (result.exit_code, result.stderr) == (0, ""), words
    found: Object = yaml.safe_load(result.stdout)
    return found


GIT = [
    ("--branch main", {"ref": {"branch": "main"}}),
    ("--tag 1.0 --branch main", {"ref": {"tag": "1.0"}}),
    ("--tag-semver '>=1.0.0 <2' --tag 1.0", {"ref": {"semver": ">=1.0.0 <2"}}),
    ("--ref-name refs/pull/4/head --tag-semver 1.x", {"ref": {"name": "refs/pull/4/head"}}),
    ("--commit abc --branch main", {"ref": {"commit": "abc", "branch": "main"}}),
    ("--branch m --interval 90s --fetch-timeout 2m", {"interval": "1m30s", "timeout": "2m0s", "ref": {"branch": "m"}}),
    (
        "--branch m --secret-ref s --proxy-secret-ref p --provider github --recurse-submodules=true",
        {
            "ref": {"branch": "m"},
            "secretRef": {"name": "s"},
            "proxySecretRef": {"name": "p"},
            "provider": "github",
            "recurseSubmodules": True,
        },
    ),
    (
        "--branch m --ignore-paths /a,/b --sparse-checkout-paths x --sparse-checkout-paths y",
        {"ref": {"branch": "m"}, "ignore": "/a\n/b", "sparseCheckout": ["x", "y"]},
    ),
]


@pytest.mark.parametrize(("flags", "spec"), GIT)
def test_git_flags(flags: str, spec: Object) -> None:
    found = printed(f"create source git fleet {URL} {flags} --label a=b,team.io/c=d -n team")
    assert found["metadata"] == {"name": "fleet", "namespace": "team", "labels": {"a": "b", "team.io/c": "d"}}
    assert found["spec"] == {"interval": "1m0s", "url": "https://git.example.com/fleet", **spec}
    msgspec.convert(found, GitRepository)


BASE = {
    "interval": "1m0s",
    "path": "./",
    "prune": False,
    "sourceRef": {"kind": "GitRepository", "name": "fleet"},
}
KUSTOMIZATIONS = [
    ("--source fleet", {}),
    (
        "--source ocirepository/x.y.team --path ./a --prune=true --interval 1h",
        {
            "sourceRef": {"kind": "OCIRepository", "name": "x.y", "namespace": "team"},
            "path": "./a",
            "prune": True,
            "interval": "1h0m0s",
        },
    ),
    ("--source fleet --wait --health-check Deployment/web.shop", {"wait": True, "timeout": "2m0s"}),
    (
        "--source fleet --health-check Deployment/web.shop,HelmRelease/db.data --health-check-timeout 5m",
        {
            "healthChecks": [
                {"kind": "Deployment", "name": "web", "namespace": "shop"},
                {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "name": "db", "namespace": "data"},
            ],
            "timeout": "5m0s",
        },
    ),
    (
        "--source fleet --depends-on a,team/b --service-account sa --target-namespace t --retry-interval 30s",
        {
            "dependsOn": [{"name": "a"}, {"name": "b", "namespace": "team"}],
            "serviceAccountName": "sa",
            "targetNamespace": "t",
            "retryInterval": "30s",
        },
    ),
    (
        "--source fleet --decryption-provider sops --decryption-secret age --kubeconfig-secret-ref far",
        {
            "decryption": {"provider": "sops", "secretRef": {"name": "age"}},
            "kubeConfig": {"secretRef": {"name": "far"}},
        },
    ),
]


@pytest.mark.parametrize(("flags", "spec"), KUSTOMIZATIONS)
def test_kustomization_flags(flags: str, spec: Object) -> None:
    for word in ("kustomization", "ks"):
        found = printed(f"create {word} apps {flags}")
        assert found["metadata"] == {"name": "apps", "namespace": "flux-system"}
        assert found["spec"] == {**BASE, **spec}
        msgspec.convert(found, Kustomization)


MISTAKES = [
    ("source git fleet --branch main", "--url is needed"),
    (f"source git fleet {URL}", "one of --branch, --tag"),
    ("source git fleet --url ftp://x --branch main", "the scheme 'ftp' is none of"),
    (f"source git Fleet {URL} --branch main", "is not a name"),
    (f"source git fleet {URL} --branch main --label a", "is not a label"),
    (f"source git fleet {URL} --branch main --interval 0s", "no time at all"),
    (f"source git fleet {URL} --branch main -A", "-A has no meaning"),
    ("ks apps", "Missing option '--source'"),
    ("ks apps --source nonsense/x", "is not [KIND/]NAME[.NAMESPACE]"),
    ("ks apps --source fleet --path ../x", "--path begins with ./"),
    ("ks apps --source fleet --path ./a/../..", "stays in the source"),
    ("ks apps --source fleet --health-check Pod/x.y", "is not KIND/NAME.NAMESPACE"),
    ("ks apps --source fleet --depends-on /x", "is not NAME or NAMESPACE/NAME"),
    ("ks apps --source fleet --decryption-secret x", "needs --decryption-provider"),
    ("hr web", "No such command"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES)
def test_mistakes(words: str, message: str) -> None:
    result = CliRunner().invoke(cli, ["create", *words.split()], env={"KUBECONFIG": "/nowhere"})
    assert (result.exit_code, message in " ".join(result.stderr.split())) == (2, True), result.stderr


async def spec_of(client: Client, name: str, kind: str = "GitRepository") -> Object | None:
    group = {"GitRepository": GIT_REPOSITORY, "Kustomization": KUSTOMIZATION}[kind].group
    try:
        found = await client.get(await client.resource_for((group, "", kind)), name, "flux-system")
    except NotFound:
        return None
    spec: Object = found["spec"]
    return spec


async def test_created_on_all_clusters_changed_and_waited_for(start: Start, tmp_path: Path) -> None:
    fleet = await start("east", "west")
    words = ["create", "source", "git", "fleet", *URL.split(), "--branch", "main"]
    async with controlled(fleet.clients["east"], GIT_REPOSITORY), controlled(fleet.clients["west"], GIT_REPOSITORY):
        result = await fleet.run(*words)
        assert (result.exit_code, result.stdout.splitlines()) == (
            0,
            [f"✓ {cluster} gitrepository/flux-system/fleet: all well" for cluster in ("east", "west")],
        )
        assert "► east gitrepository/flux-system/fleet: created, waiting" in result.stderr
        result = await fleet.run(*words, "--context", "east")
        assert "unchanged" in result.stderr
        result = await fleet.run(*words[:-1], "next", "--context", "east", "--interval", "5m")
        assert (result.exit_code, "configured" in result.stderr) == (0, True)
    assert await spec_of(fleet.clients["east"], "fleet") == {
        "interval": "5m0s",
        "timeout": "60s",
        "url": "https://git.example.com/fleet",
        "ref": {"branch": "next"},
    }
    assert (await spec_of(fleet.clients["west"], "fleet") or {})["ref"] == {"branch": "main"}
    audit = [json.loads(line) for file in Path.home().rglob("audit.jsonl") for line in file.read_text().splitlines()]
    assert sorted((entry["action"], entry["cluster"], entry["result"]) for entry in audit[:2]) == [
        ("create", "east", "written"),
        ("create", "west", "written"),
    ]


async def test_fields_of_others_are_taken_over_only_by_force(start: Start) -> None:
    fleet = await start("east")
    await create(fleet.clients["east"], flux("git", "fleet", spec={"url": "https://other.example.com/x"}))
    words = ["create", "source", "git", "fleet", *URL.split(), "--branch", "main"]
    async with controlled(fleet.clients["east"], GIT_REPOSITORY):
        result = await fleet.run(*words)
        assert (result.exit_code, "--force-conflicts takes these fields over" in result.stderr) == (1, True)
        result = await fleet.run(*words, "--force-conflicts")
        assert (result.exit_code, result.stdout) == (0, "✓ gitrepository/flux-system/fleet: all well\n")
    assert (await spec_of(fleet.clients["east"], "fleet") or {})["url"] == "https://git.example.com/fleet"


async def test_what_does_not_become_ready_is_told(start: Start) -> None:
    fleet = await start("east", "west")
    await fleet.clusters["west"].faults.set("refuse")
    words = ["create", "ks", "apps", "--source", "fleet", "--timeout", "60s"]
    async with controlled(fleet.clients["east"], KUSTOMIZATION) as controllers:
        controllers["Kustomization"].verdicts["apps"] = ("False", "no such path")
        result = await fleet.run(*words)
    assert (result.exit_code, result.stdout) == (1, "✗ east kustomization/flux-system/apps: no such path\n")
    assert "✗ west: " in result.stderr


async def test_protected_clusters_want_their_name(start: Start, tmp_path: Path) -> None:
    fleet = await start("east")
    settings = tmp_path / "settings.yaml"
    settings.write_text("clusters: {protected: [east]}\n")
    words = ["create", "ks", "apps", "--source", "fleet", "--config", str(settings)]
    result = await fleet.run(*words)
    assert (result.exit_code, "protected: east" in result.stderr) == (1, True)
    assert await spec_of(fleet.clients["east"], "apps", "Kustomization") is None


async def exported_fleet(start: Start) -> Fleet:
    fleet = await start("east", "west")
    east = fleet.clients["east"]
    notes = {"team": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    await create(east, flux("git", "fleet", spec={"url": "https://x", "secretRef": {"name": "key"}}, annotations=notes))
    await create(east, flux("git", "other", spec={"url": "https://y"}, labels={"l": "v"}))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "flux-system"}}
    await create(east, {**secret, "data": {"password": "aHVudGVyMg=="}})
    await create(fleet.clients["west"], flux("ks", "apps", spec=KS))
    return fleet


async def test_export(start: Start) -> None:
    fleet = await exported_fleet(start)
    result = await fleet.run("export", "source", "git", "fleet", "--context", "east")
    assert (result.exit_code, result.stderr) == (0, "")
    (found,) = yaml.safe_load_all(result.stdout)
    assert list(found) == ["apiVersion", "kind", "metadata", "spec"]
    assert found["metadata"] == {"name": "fleet", "namespace": "flux-system", "annotations": {"team": "x"}}
    assert found["spec"]["url"] == "https://x"
    result = await fleet.run("export", "source", "git", "--all", "--context", "east")
    assert [obj["metadata"]["name"] for obj in yaml.safe_load_all(result.stdout)] == ["fleet", "other"]
    result = await fleet.run("export", "ks", "--all")
    assert result.stdout.startswith("# west\n---\n")
    result = await fleet.run("export", "source", "git", "fleet", "--with-credentials", "--context", "east")
    assert [obj["kind"] for obj in yaml.safe_load_all(result.stdout)] == ["GitRepository", "Secret"]
    assert "aHVudGVyMg==" in result.stdout
    result = await fleet.run("export", "ks", "nope")
    assert (result.exit_code, 'Kustomization "nope" not found' in result.stderr) == (1, True)
    result = await fleet.run("export", "ks")
    assert (result.exit_code, "say --all" in result.stderr) == (2, True)


async def test_what_is_exported_can_be_applied(start: Start) -> None:
    fleet = await exported_fleet(start)
    result = await fleet.run("export", "ks", "apps", "--context", "west")
    await create(fleet.clients["east"], yaml.safe_load(result.stdout))
    assert await spec_of(fleet.clients["east"], "apps", "Kustomization") == await spec_of(
        fleet.clients["west"], "apps", "Kustomization"
    )


async def test_delete_needs_an_answer(start: Start) -> None:
    fleet = await exported_fleet(start)
    result = await fleet.run("delete", "ks", "apps")
    assert (result.exit_code, "--silent is needed" in result.stderr) == (1, True)
    assert await spec_of(fleet.clients["west"], "apps", "Kustomization")
    result = await fleet.run("delete", "ks", "apps", "--silent")
    assert (result.exit_code, result.stdout) == (0, "✓ west kustomization/flux-system/apps: deleted\n")
    assert await spec_of(fleet.clients["west"], "apps", "Kustomization") is None
    result = await fleet.run("delete", "ks", "apps", "-s")
    assert (result.exit_code, 'Kustomization "apps" not found' in result.stderr) == (1, True)
    result = await fleet.run("delete", "ks")
    assert (result.exit_code, "the name of a Kustomization is missing" in result.stderr) == (2, True)


async def test_delete_asks_and_says_what_goes_with_it(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = await start("east")
    client = fleet.clients["east"]
    ks = flux("ks", "apps", spec=KS, status=inventory("a", "b"), finalizers=["finalizers.fluxcd.io"])
    await create(client, ks)
    monkeypatch.setattr("fluxtui.cli.delete.asked_at_a_terminal", lambda: True)
    monkeypatch.setattr("fluxtui.cli.asking.asked_at_a_terminal", lambda: True)
    result = await fleet.run("delete", "ks", "apps", stdin="n\n")
    assert (result.exit_code, "nothing was done" in result.stderr) == (1, True)
    assert "east  kustomization/flux-system/apps  and the 2 objects it applied" in result.stderr
    result = await fleet.run("delete", "ks", "apps", stdin="y\n")
    assert (result.exit_code, "being deleted: its finalizers come first" in result.stdout) == (0, True)

    async def is_deleting() -> bool:
        resource = await client.resource_for((KUSTOMIZATION.group, "", "Kustomization"))
        return "deletionTimestamp" in (await client.get(resource, "apps", "flux-system"))["metadata"]

    await eventually(is_deleting)
