"""`fluxtui build kustomization` and `fluxtui debug kustomization`: local trees, variables of clusters, masks."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from fluxtui.cli.main import cli
from fluxtui.kube.client import Client
from tests.cli.conftest import Fleet
from tests.cli.test_diff import config, spec, write
from tests.fleet.live import create
from tests.fleet.objects import flux

Start = Callable[..., Awaitable[Fleet]]
Object = dict[str, Any]

HEAD = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization"}
BUILD = {
    "substituteFrom": [{"kind": "ConfigMap", "name": "vars"}, {"kind": "Secret", "name": "hidden"}],
    "substitute": {"own": "o", "later": "spec"},
}


async def with_variables(client: Client, region: str) -> None:
    metadata = {"namespace": "flux-system"}
    data = {"region": region, "later": "map", "shared": "map"}
    await create(client, {**config("vars", **data), "metadata": {"name": "vars", **metadata}})
    hidden = {name: base64.b64encode(b"hunter2").decode() for name in ("password", "shared")}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hidden", **metadata}, "data": hidden}
    await create(client, secret)
    history = [{"digest": "sha256:1", "lastReconciledStatus": "ReconciliationSucceeded"}]
    for entry in history:
        entry |= {"firstReconciled": "2026-01-01T00:00:00Z", "lastReconciled": "2026-01-01T00:00:00Z"}
        entry |= {"lastReconciledDuration": "1s"}
    status = {"history": [{**entry, "totalReconciliations": 3} for entry in history]}
    await create(client, flux("ks", "apps", spec=spec(postBuild=BUILD, namePrefix="p-"), status=status))


def built(text: str) -> list[Object]:
    return list(yaml.safe_load_all(text))


async def test_built_as_the_cluster_would(start: Start, tmp_path: Path) -> None:
    fleet = await start("east", "west", "north")
    for name in ("east", "west"):
        await with_variables(fleet.clients[name], name)
    tree = write(tmp_path / "tree", apps__a=config("a", region="${region}", own="${own}", later="${later}"))
    result = await fleet.run("build", "kustomization", "apps", "--path", str(tree / "apps"), "--context", "east")
    assert (result.exit_code, result.stderr) == (0, "")
    (found,) = built(result.stdout)
    assert found["data"] == {"region": "east", "own": "o", "later": "spec"}
    assert found["metadata"] == {
        "name": "p-a",
        "namespace": "default",
        "labels": {
            "kustomize.toolkit.fluxcd.io/name": "apps",
            "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
        },
    }
    result = await fleet.run("build", "ks", "apps", "--path", str(tree / "apps"))
    assert [line for line in result.stdout.splitlines() if line.startswith("#")] == ["# east", "# west"]
    assert [obj["data"]["region"] for obj in built(result.stdout)] == ["east", "west"]
    write(tree, apps__a=config("a", k="${nobody}"))
    result = await fleet.run("build", "ks", "apps", "--path", str(tree / "apps"), "--context", "east")
    assert (result.exit_code, result.stdout) == (1, "")
    assert 'variable not set (strict mode): "nobody"' in result.stderr
    result = await fleet.run("build", "ks", "apps", "--path", str(tree / "apps"), "--context", "north")
    assert (result.exit_code, result.stderr) == (1, '✗ Kustomization "apps" not found in namespace flux-system\n')


def test_a_dry_run_asks_no_cluster(tmp_path: Path) -> None:
    tree = write(tmp_path / "tree", apps__a=config("a", own="${own}", region="x${region}"))
    write(tmp_path, ks={**HEAD, "metadata": {"name": "apps", "namespace": "x"}, "spec": spec(postBuild=BUILD)})
    words = ["build", "ks", "apps", "--path", str(tree / "apps"), "--kustomization-file", str(tmp_path / "ks.yaml")]
    environment = {"KUBECONFIG": "/nowhere"}
    result = CliRunner().invoke(cli, [*words, "--dry-run"], env=environment)
    assert (result.exit_code, result.stderr) == (0, "")
    assert built(result.stdout)[0]["data"] == {"own": "o", "region": "x"}
    result = CliRunner().invoke(cli, [*words, "--dry-run", "--strict-substitute"], env=environment)
    assert (result.exit_code, 'not set (strict mode): "region"' in result.stderr) == (1, True)
    result = CliRunner().invoke(cli, [*words, "--dry-run", "-n", "y"], env=environment)
    assert (result.exit_code, "there is no Kustomization apps in namespace y" in result.stderr) == (2, True)
    result = CliRunner().invoke(cli, words, env=environment)
    assert result.exit_code == 2


def test_encrypted_values_are_masked(tmp_path: Path) -> None:
    head = {"apiVersion": "v1", "kind": "Secret"}
    whole = {**head, "metadata": {"name": "whole"}, "data": {"a": "ENC[AES256_GCM,data:x]"}, "sops": {"mac": "ENC[x]"}}
    inner = base64.b64encode(b'{"data": "ENC[x]", "sops": {"mac": "ENC[y]"}}').decode()
    plain = base64.b64encode(b"plain").decode()
    part = {**head, "metadata": {"name": "part"}, "data": {"a": inner, "b": plain}}
    tree = write(tmp_path / "tree", all=[whole, part])
    write(tmp_path, ks={**HEAD, "metadata": {"name": "apps"}, "spec": spec("./", targetNamespace="t")})
    file = ["--kustomization-file", str(tmp_path / "ks.yaml"), "--dry-run"]
    result = CliRunner().invoke(cli, ["build", "ks", "apps", "--path", str(tree), *file])
    masked = base64.b64encode(b"**SOPS**").decode()
    found = {obj["metadata"]["name"]: obj for obj in built(result.stdout)}
    assert found["whole"]["data"] == {"a": masked}
    assert "sops" not in found["whole"]
    assert found["part"]["data"] == {"a": masked, "b": plain}
    assert "ENC[" not in result.output


def test_recursion_needs_to_know_the_other_source(tmp_path: Path) -> None:
    other = {**HEAD, "metadata": {"name": "other", "namespace": "flux-system"}}
    elsewhere = {"kind": "OCIRepository", "name": "charts"}
    tree = write(
        tmp_path / "tree",
        root__ks={**HEAD, "metadata": {"name": "apps", "namespace": "flux-system"}, "spec": spec("./apps")},
        root__other={**other, "spec": {**spec("./o"), "sourceRef": elsewhere}},
        apps__a=config("a"),
    )
    write(tmp_path, ks={**HEAD, "metadata": {"name": "root"}, "spec": spec("./root")})
    write(tmp_path / "charts", o__b=config("b"))
    words = ["build", "ks", "root", "--path", str(tree / "root"), "--dry-run", "--recursive"]
    words += ["--kustomization-file", str(tmp_path / "ks.yaml")]
    result = CliRunner().invoke(cli, words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no --local-sources for OCIRepository/flux-system/charts" in result.stderr
    result = CliRunner().invoke(cli, [*words, "--local-sources", f"OCIRepository/flux-system/charts={tmp_path}/charts"])
    names = [f"{obj['kind']}/{obj['metadata']['name']}" for obj in built(result.stdout)]
    assert names == ["Kustomization/apps", "Kustomization/other", "ConfigMap/a", "ConfigMap/b"]


def test_a_directory_is_still_built(tmp_path: Path) -> None:
    tree = write(tmp_path / "ks", a=config("a"))
    (tree / "kustomization.yaml").write_text("resources: [a.yaml]\n")
    assert built(CliRunner().invoke(cli, ["build", str(tree)]).stdout)[0]["metadata"]["name"] == "a"
    assert "build kustomization NAME" in CliRunner().invoke(cli, ["build", "--help"]).stdout
    assert "--kustomization-file" in CliRunner().invoke(cli, ["build", "ks", "--help"]).stdout


MISTAKES = [
    ("build ks apps", "--path or --local-sources is needed"),
    ("build ks apps --path {} --dry-run", "--dry-run needs --kustomization-file"),
    ("debug ks apps", "exactly one of --show-vars, --show-status and --show-history"),
    ("debug ks apps --show-vars --show-status", "exactly one of --show-vars"),
    ("debug ks apps --show-status --show-secrets", "goes with --show-vars"),
]


def test_mistakes(tmp_path: Path) -> None:
    for words, message in MISTAKES:
        result = CliRunner().invoke(cli, words.format(tmp_path).split())
        assert (result.exit_code, message in result.stderr) == (2, True), words


async def test_debug_shows_variables_and_masks_those_of_secrets(start: Start) -> None:
    fleet = await start("east", "west")
    await with_variables(fleet.clients["east"], "eu\x1b[31m")
    expected = ["later=spec", "own=o", "password=***", "region=eu", "shared=***"]
    result = await fleet.run("debug", "kustomization", "apps", "--show-vars", "--context", "east")
    assert (result.exit_code, result.stdout.splitlines()) == (0, expected)
    result = await fleet.run("debug", "ks", "apps", "--show-vars", "--show-secrets")
    assert result.stdout.splitlines()[0] == "# east  flux-system/apps"
    assert {"password=hunter2", "shared=hunter2"} < set(result.stdout.splitlines())
    await create(fleet.clients["west"], flux("ks", "apps", spec=spec()))
    result = await fleet.run("debug", "ks", "apps", "--show-vars")
    assert (result.exit_code, "✗ west: flux-system/apps: no post build substitutions" in result.stderr) == (1, True)
    assert "own=o" in result.stdout


async def test_debug_shows_status_and_history(start: Start) -> None:
    fleet = await start("east")
    await with_variables(fleet.clients["east"], "eu")
    result = await fleet.run("debug", "ks", "apps", "--show-history")
    assert yaml.safe_load(result.stdout)[0]["totalReconciliations"] == 3
    result = await fleet.run("debug", "ks", "apps", "--show-status")
    assert yaml.safe_load(result.stdout)["history"][0]["digest"] == "sha256:1"
    result = await fleet.run("debug", "ks", "nope", "--show-status")
    assert (result.exit_code, "not found" in result.stderr) == (1, True)
