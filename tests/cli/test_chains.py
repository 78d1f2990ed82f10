"""tree, trace, check and version on the command line."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import fluxtui
from tests.cli.conftest import Fleet
from tests.fleet.live import create
from tests.fleet.objects import REVISION, failed, flux, ready

Start = Callable[..., Awaitable[Fleet]]

KS = {"path": "./apps", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}
GIT = {"url": "https://git.example.com/fleet", "ref": {"branch": "main"}}
OWNED = {"kustomize.toolkit.fluxcd.io/name": "root", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}


def inventory(*ids: str) -> dict[str, Any]:
    return {"inventory": {"entries": [{"id": each, "v": "v1"} for each in ids]}}


async def fleet_of(start: Start) -> Fleet:
    fleet = await start("east", "west")
    east = fleet.clients["east"]
    artifact = {
        "artifact": {
            "revision": REVISION,
            "lastUpdateTime": "2026-11-21T05:00:00Z",
            "digest": "sha256:" + "0" * 64,
            "path": "x",
            "url": "http://x/x.tar.gz",
        }
    }
    await create(east, flux("git", "fleet", ready(), spec=GIT, status=artifact))
    root = inventory("flux-system_apps_kustomize.toolkit.fluxcd.io_Kustomization", "_web__Namespace")
    await create(east, flux("ks", "root", ready(), spec=KS, status=root))
    apps = inventory("web_settings__ConfigMap", "web_api_apps_Deployment")
    waits = failed("DependencyNotReady", "dependency 'flux-system/infra' is not ready")
    spec = {**KS, "dependsOn": [{"name": "infra"}]}
    await create(east, flux("ks", "apps", waits, spec=spec, status=apps, labels=OWNED))
    await create(east, flux("ks", "infra", failed(message="no such file"), spec=KS))
    await create(east, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    for name in ("settings", "stray"):
        await create(east, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "web"}})
    return fleet


async def test_a_tree_goes_down_through_flux_objects(start: Start) -> None:
    fleet = await fleet_of(start)
    result = await fleet.run("tree", "ks", "root", "--context", "east")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "Kustomization/flux-system/root  Ready",
        "├── Kustomization/flux-system/apps  Failed",
        "│   ├── ConfigMap/web/settings",
        "│   └── Deployment/web/api",
        "└── Namespace/web",
    ]
    said = json.loads((await fleet.run("tree", "ks", "root", "-o", "json")).stdout)
    assert [item["cluster"] for item in said["items"]] == ["east"]
    first = said["items"][0]["resources"][0]
    assert (first["resource"]["name"], first["resource"]["state"]) == ("apps", "failed")
    assert [child["resource"]["kind"] for child in first["resources"]] == ["ConfigMap", "Deployment"]


@pytest.mark.parametrize(
    "words",
    ["trace ks apps", "trace kustomization/apps", "trace apps --kind ks", "trace kustomization apps -n flux-system"],
)
async def test_a_trace_of_a_flux_object(start: Start, words: str) -> None:
    fleet = await fleet_of(start)
    result = await fleet.run(*words.split(), "--context", "east")
    assert result.exit_code == 0
    blocks = [block.split("\n") for block in result.stdout.strip().split("\n---\n")]
    titles = [block[0].split() for block in blocks]
    assert titles[:4] == [
        ["Object:", "Kustomization/apps"],
        ["Kustomization:", "root"],
        ["GitRepository:", "fleet"],
        ["Depends", "on:", "Kustomization/infra"],
    ]
    assert blocks[-1] == ["Cause:           ks apps waits for ks infra, which failed: no such file"]


@pytest.mark.parametrize(
    "words",
    [
        "trace configmap/settings -n web",
        "trace settings --kind configmap --api-version v1 -n web",
        "trace cm settings -A",
    ],
)
async def test_a_trace_of_any_object_in_an_inventory(start: Start, words: str) -> None:
    fleet = await fleet_of(start)
    result = await fleet.run(*words.split(), "-o", "json", "--context", "east")
    [item] = json.loads(result.stdout)["items"]
    assert [(step["role"], step["name"]) for step in item["steps"]] == [
        ("source", "fleet"),
        ("owner", "root"),
        ("owner", "apps"),
        ("depends on", "infra"),
        ("object", "settings"),
    ]


async def test_an_object_that_nobody_manages(start: Start) -> None:
    fleet = await fleet_of(start)
    result = await fleet.run("trace", "configmap/stray", "-n", "web", "--context", "east")
    assert "Not managed by Flux" in result.stdout
    result = await fleet.run("trace", "configmap/nothing", "-n", "web")
    assert (result.exit_code, result.stderr) == (1, '✗ configmap "nothing" not found in namespace web\n')
    result = await fleet.run("trace", "configmap/setings", "-n", "web")
    assert result.stderr == '✗ configmap "setings" not found in namespace web; did you mean settings?\n'
    result = await fleet.run("tree", "ks", "rot")
    assert result.stderr == '✗ Kustomization "rot" not found in namespace flux-system; did you mean root?\n'
    result = await fleet.run("trace", "gadget/nothing", "-n", "web", "--context", "east")
    assert "serves no kind gadget" in result.stderr


async def test_a_dead_cluster_is_said_and_the_others_answer(start: Start) -> None:
    fleet = await fleet_of(start)
    await fleet.clusters["west"].faults.set("refuse")
    for words in ("tree ks root", "trace ks apps", "version"):
        result = await fleet.run(*words.split(), "--timeout", "30s")
        assert result.exit_code == 1
        assert "east" in result.stdout
        assert "✗ west: " in result.stderr


def lease(name: str, holder: str) -> dict[str, Any]:
    renewed = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": f"{name}-leader-election", "namespace": "flux-system"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 3600, "renewTime": renewed},
    }


async def test_check_and_version(start: Start) -> None:
    fleet = await start("east", "west")
    await create(fleet.clients["east"], lease("source-controller", "source-controller-1"))
    result = await fleet.run("check", "--context", "east")
    assert result.exit_code == 0
    assert "✓ reconciled by Flux's controllers (source-controller-1)" in result.stdout
    assert "✓ kustomizations.kustomize.toolkit.fluxcd.io/v1" in result.stdout
    assert "✓ you may reconcile, suspend and resume objects" in result.stdout

    fleet.clusters["west"].deny("patch", "kustomizations")
    said = json.loads((result := await fleet.run("check", "-o", "json")).stdout)
    assert [(item["cluster"], item["good"]) for item in said["items"]] == [("east", True), ("west", False)]
    texts = [check["text"] for check in said["items"][1]["checks"]]
    assert "reconciled by nobody: no controller holds its lease" in texts
    assert "you may not reconcile, suspend and resume objects (patch)" in texts
    assert result.exit_code == 1

    said = json.loads((await fleet.run("version", "-o", "json")).stdout)
    assert said["fluxtui"] == fluxtui.__version__
    assert [(item["cluster"], item["mode"]) for item in said["items"]] == [("east", "delegated"), ("west", "none")]
    assert (await fleet.run("version", "--client")).stdout == f"fluxtui {fluxtui.__version__}\n"
