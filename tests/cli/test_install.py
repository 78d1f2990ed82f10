"""install and uninstall, on the sandbox and on a real kube-apiserver."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from fluxtui.api.crds import MANAGED_BY, all_crds
from fluxtui.engine import installation
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.errors import KubeError, NotFound
from fluxtui.kube.kubeconfig import Context
from tests.cli.conftest import Fleet
from tests.engine.polling import eventually
from tests.fleet.live import create
from tests.fleet.objects import flux, ready

Object = dict[str, Any]
Start = Callable[..., Awaitable[Fleet]]

CRD = ("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
NAMES = sorted(crd["metadata"]["name"] for crd in all_crds())
KS = {"path": "./apps", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}
OWNED = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.peers)])
async def fleet(request: pytest.FixtureRequest, start: Start, tmp_path: Path) -> AsyncIterator[Fleet]:
    """One cluster without Flux, `one`."""
    if request.param == "sandbox":
        yield await start("one", flux=False)
        return
    context: Context = request.getfixturevalue("own_server")
    found = Fleet(tmp_path / "kubeconfig")
    parts = {
        "clusters": [{"name": "one", "cluster": context.cluster}],
        "users": [{"name": "one", "user": context.user}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
    }
    found.kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **parts}))
    async with Client(context) as client:
        found.clients["one"] = client
        yield found
        # The namespace stays: nothing finishes the deletion of one here.
        await found.run("uninstall", "--yes", "--keep-namespace")


async def definitions(client: Client) -> dict[str, Object]:
    """Flux's CRDs that a cluster has, by name."""
    items = (await client.list(await client.resource_for(CRD))).items
    return {crd["metadata"]["name"]: crd for crd in items if crd["metadata"]["name"] in NAMES}


def lease(holder: str, *, age: float = 0.0, duration: int = 3600) -> Object:
    renewed = datetime.fromtimestamp(time.time() - age, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "source-controller-leader-election", "namespace": "flux-system"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": duration, "renewTime": renewed},
    }


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def settings(name: str, place: str, **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": place, **metadata}}


async def installed(fleet: Fleet) -> Client:
    """The client of the cluster `one`, which knows the new kinds."""
    assert (await fleet.run("install")).exit_code == 0
    await fleet.clients["one"].resources(refresh=True)
    return fleet.clients["one"]


async def test_installing_again_changes_nothing(fleet: Fleet) -> None:
    result = await fleet.run("install")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"CustomResourceDefinition/{NAMES[0]} created" in result.stdout.splitlines()
    crds = await definitions(fleet.clients["one"])
    assert sorted(crds) == NAMES
    for crd in crds.values():
        said = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
        assert said["Established"] == "True"
    result = await fleet.run("install")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == len(NAMES) + 1
    assert all(line.endswith((" unchanged", " kept, it is not fluxtui's")) for line in lines), lines
    after = await definitions(fleet.clients["one"])
    assert {name: crd["metadata"]["generation"] for name, crd in after.items()} == dict.fromkeys(NAMES, 1)


async def test_a_dry_run_changes_nothing(fleet: Fleet) -> None:
    result = await fleet.run("install", "--dry-run")
    assert (result.exit_code, len(await definitions(fleet.clients["one"]))) == (0, 0)
    assert f"CustomResourceDefinition/{NAMES[0]} created (dry run)" in result.stdout.splitlines()
    await create(await installed(fleet), flux("ks", "apps", spec=KS))
    result = await fleet.run("uninstall", "--dry-run")
    assert result.exit_code == 0
    assert "Kustomization/flux-system/apps deleted (dry run)" in result.stdout.splitlines()
    assert sorted(await definitions(fleet.clients["one"])) == NAMES


async def test_uninstall_takes_flux_away_and_keeps_the_workloads(fleet: Fleet) -> None:
    client = await installed(fleet)
    await create(client, namespace("web"))
    finalizers = ["finalizers.fluxcd.io"]
    await create(client, flux("ks", "apps", ready(), spec=KS, finalizers=finalizers))
    await create(client, flux("ks", "stuck", spec=KS, namespace="web", finalizers=finalizers))
    kustomizations = await client.resource_for(("kustomize.toolkit.fluxcd.io", "", "Kustomization"))
    await client.delete(kustomizations, "stuck", "web")
    assert (await client.get(kustomizations, "stuck", "web"))["metadata"]["deletionTimestamp"]
    workload = settings("settings", "web", labels=OWNED)
    await create(client, workload)

    result = await asyncio.wait_for(fleet.run("uninstall", "--yes", "--keep-namespace"), 60)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert {"Kustomization/flux-system/apps deleted", "Kustomization/web/stuck deleted"} <= set(lines)
    assert await definitions(client) == {}
    assert (await client.get(await client.resource_for(workload), "settings", "web"))["metadata"]["labels"] == OWNED
    result = await fleet.run("uninstall", "--yes", "--keep-namespace")
    assert (result.exit_code, result.stdout) == (0, "")


async def test_the_namespace_goes_last(start: Start) -> None:
    fleet = await start("one", flux=False)
    client = await installed(fleet)
    result = await fleet.run("uninstall", "--yes")
    assert result.stdout.splitlines()[-1] == "Namespace/flux-system deleted"

    async def gone() -> bool:
        try:
            await client.get(await client.resource_for(namespace("flux-system")), "flux-system")
        except NotFound:
            return True
        return False

    vanished: bool = await eventually(gone)
    assert vanished
    assert (await fleet.run("install")).exit_code == 0


async def test_a_namespace_that_is_being_deleted_is_said(start: Start) -> None:
    fleet = await start("one", flux=False)
    client = fleet.clients["one"]
    await create(client, namespace("flux-system"))
    await create(client, settings("held", "flux-system", finalizers=["example.com/hold"]))
    await client.delete(await client.resource_for(namespace("flux-system")), "flux-system")
    result = await fleet.run("install")
    assert result.exit_code == 1
    assert result.stderr == "✗ one: Namespace/flux-system is being deleted: wait until it is gone\n"


async def test_a_cluster_of_flux_is_left_alone(start: Start) -> None:
    fleet = await start("one", flux=False)
    client = fleet.clients["one"]
    upstream = {**all_crds()[0]}
    upstream["metadata"] = {"name": upstream["metadata"]["name"], "labels": {"app.kubernetes.io/part-of": "flux"}}
    await create(client, namespace("flux-system"))
    await create(client, upstream)
    await create(client, lease("source-controller-1"))
    result = await fleet.run("install")
    assert result.exit_code == 1
    assert result.stderr == "✗ one: Flux's own controllers reconcile this cluster (source-controller-1)\n"
    assert list(await definitions(client)) == [upstream["metadata"]["name"]]

    await client.delete(await client.resource_for(lease("")), "source-controller-leader-election", "flux-system")
    result = await fleet.run("install")
    assert result.exit_code == 0
    kept = [line for line in result.stdout.splitlines() if line.endswith("kept, it is not fluxtui's")]
    assert kept == [
        "Namespace/flux-system kept, it is not fluxtui's",
        f"CustomResourceDefinition/{upstream['metadata']['name']} kept, it is not fluxtui's",
    ]
    assert MANAGED_BY not in (await definitions(client))[upstream["metadata"]["name"]]["metadata"]["labels"]
    assert (await fleet.run("uninstall", "--yes")).exit_code == 0
    assert list(await definitions(client)) == [upstream["metadata"]["name"]]
    assert await client.get(await client.resource_for(namespace("flux-system")), "flux-system")


async def test_an_engine_that_runs_is_in_the_way_of_uninstall_only(start: Start) -> None:
    fleet = await start("one", flux=False)
    client = await installed(fleet)
    await create(client, lease("fluxtui_bastion_1"))
    assert (await fleet.run("install")).exit_code == 0
    result = await fleet.run("uninstall", "--yes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "✗ one: this cluster is being reconciled by fluxtui_bastion_1: stop that first\n"
    assert sorted(await definitions(client)) == NAMES


@pytest.mark.parametrize("age", [20.0, 3600.0])
async def test_who_died_with_a_lease_is_in_nobodys_way(start: Start, age: float) -> None:
    fleet = await start("one", flux=False)
    await create(fleet.clients["one"], namespace("flux-system"))
    await create(fleet.clients["one"], lease("source-controller-1", age=age, duration=1))
    assert (await fleet.run("install")).exit_code == 0


async def test_a_holder_whose_clock_is_late_is_alive(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_LOOK_EVERY", 0.05)
    fleet = await start("one", flux=False)
    client = fleet.clients["one"]
    await create(client, namespace("flux-system"))
    await create(client, lease("source-controller-1", age=60, duration=10))
    resource = await client.resource_for(lease(""))

    async def renew() -> None:
        while True:
            patch = {"spec": lease("", age=60, duration=10)["spec"] | {"holderIdentity": "source-controller-1"}}
            await client.patch(
                resource, "source-controller-leader-election", "flux-system", patch, type=PatchType.MERGE
            )
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        renewing = group.create_task(renew())
        result = await fleet.run("install")
        renewing.cancel()
    assert (result.exit_code, "source-controller-1" in result.stderr) == (1, True)


async def test_a_dead_cluster_does_not_keep_the_others_from_being_done(start: Start) -> None:
    fleet = await start("east", "north", "west", flux=False)
    await fleet.clusters["north"].faults.set("refuse")
    for words, count in (("install", len(NAMES)), ("uninstall --yes", 0)):
        result = await fleet.run(*words.split(), "--timeout", "30s")
        assert result.exit_code == 1
        assert result.stderr.startswith("✗ north: ")
        assert {line.partition(":")[0] for line in result.stdout.splitlines()} == {"east", "west"}
        for name in ("east", "west"):
            assert len(await definitions(fleet.clients[name])) == count


async def test_what_was_done_before_a_failure_is_told(start: Start) -> None:
    fleet = await start("one", flux=False)
    await create(await installed(fleet), flux("ks", "apps", spec=KS))
    fleet.clusters["one"].deny("delete", "customresourcedefinitions")
    result = await fleet.run("uninstall", "--yes")
    assert (result.exit_code, result.stdout) == (1, "Kustomization/flux-system/apps deleted\n")
    assert "cannot delete resource" in result.stderr


@pytest.mark.parametrize(
    ("words", "stdin", "said", "done"),
    [
        ("uninstall", None, "uninstall asks before it goes on; --yes is needed", False),
        ("uninstall", "n\n", "remove the Flux CRDs and all Flux objects from these clusters?", False),
        ("uninstall", "", "remove the Flux CRDs", False),
        ("uninstall", "y\n", "remove the Flux CRDs", True),
        ("install", None, "", True),
        ("install", "n\n", "install on these 2 clusters?", False),
        ("install", "y\n", "install on these 2 clusters?", True),
        ("install --context *", "", "", True),
        ("install --yes", "", "", True),
    ],
)
async def test_asking(
    start: Start, words: str, stdin: str | None, said: str, done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `stdin` there is no terminal."""
    fleet = await start("east", "west", flux=False)
    removing = words.startswith("uninstall")
    if removing:
        assert (await fleet.run("install", "--yes")).exit_code == 0
    for place in ("asking", "installing"):
        monkeypatch.setattr(f"fluxtui.cli.{place}.asked_at_a_terminal", lambda: stdin is not None)
    result = await fleet.run(*words.split(), stdin=stdin)
    assert result.exit_code == (0 if done else 1)
    assert said in result.stderr
    assert ("nothing was done" in result.stderr) is not done
    left = [len(await definitions(client)) for client in fleet.clients.values()]
    assert left == [len(NAMES) if removing != done else 0] * 2


async def test_protected_clusters_want_their_name_typed(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = await start("prod-east", flux=False)
    settings = tmp_path / "config.yaml"
    settings.write_text("clusters: {protected: ['prod-*']}\n")
    words = ("install", "--config", str(settings))
    result = await fleet.run(*words)
    assert (result.exit_code, "protected: prod-east; --yes is needed" in result.stderr) == (1, True)
    monkeypatch.setattr("fluxtui.cli.asking.asked_at_a_terminal", lambda: True)
    assert (await fleet.run(*words, stdin="prod-west\n")).exit_code == 1
    assert await definitions(fleet.clients["prod-east"]) == {}
    assert (await fleet.run(*words, stdin="prod-east\n")).exit_code == 0
    assert sorted(await definitions(fleet.clients["prod-east"])) == NAMES


async def test_the_export_can_be_applied_by_any_tool(start: Start) -> None:
    fleet = await start("one", flux=False)
    result = await fleet.run("install", "--export")
    listed = json.loads(result.stdout)
    assert listed["kind"] == "List"
    assert [item["kind"] for item in listed["items"]] == ["Namespace", *["CustomResourceDefinition"] * len(NAMES)]
    for item in listed["items"]:
        await create(fleet.clients["one"], item)
    result = await fleet.run("install")
    assert (result.exit_code, "created" in result.stdout) == (0, False)


async def test_a_cluster_that_may_not_be_written(start: Start) -> None:
    fleet = await start("one", flux=False)
    fleet.clusters["one"].deny("patch", "customresourcedefinitions")
    result = await fleet.run("install")
    assert result.exit_code == 1
    assert "cannot patch resource" in result.stderr
    with pytest.raises(KubeError):
        await installation.install(fleet.clients["one"])
