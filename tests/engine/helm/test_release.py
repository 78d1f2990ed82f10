"""HelmReleases on a cluster: installed, upgraded, refused, interrupted, uninstalled."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fluxtui.engine.adapters import helm, helm_storage
from fluxtui.engine.controllers.helm.helmrelease import HelmReleaseReconciler
from fluxtui.engine.runtime.artifacts import ArtifactStore
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.controller import Controller
from fluxtui.engine.runtime.limits import Limits
from fluxtui.engine.runtime.objects import now
from fluxtui.engine.runtime.workers import WorkerPool
from fluxtui.kube.client import Client, PatchType
from tests.engine.kustomize.world import KINDS, NAMESPACE, SETTINGS, World
from tests.engine.polling import eventually

Object = dict[str, Any]

KINDS["HelmRelease"] = "helm.toolkit.fluxcd.io/v2"
CHART = {
    "charts/demo/Chart.yaml": "apiVersion: v2\nname: demo\nversion: 0.1.0\nappVersion: '1.2'\n",
    "charts/demo/values.yaml": "colour: red\nbroken: false\n",
    "charts/demo/templates/config.yaml": (
        '{{ if .Values.broken }}{{ fail "asked to fail" }}{{ end }}\n'
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n"
        "  colour: {{ .Values.colour | quote }}\n"
    ),
}
NEXT = CHART["charts/demo/Chart.yaml"].replace("0.1", "0.2")
SOURCE = {"kind": "GitRepository", "name": "fleet"}


class HelmWorld(World):
    """A cluster in which HelmReleases are reconciled."""

    @asynccontextmanager
    async def running(self, client: Client | None = None, **settings: Any) -> AsyncIterator[Controller[Any]]:
        workers = WorkerPool()
        options = msgspec.structs.replace(SETTINGS, **settings)
        cluster = Cluster(client or self.client, self.store.for_cluster("test"), options, workers, Limits(options))
        controller = Controller(HelmReleaseReconciler(cluster), cluster, options.concurrent)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(cluster.recorder.run()), group.create_task(cluster.cache.run())]
            run = group.create_task(controller.run())
            yield controller
            controller.stop()
            await run
            await cluster.recorder.flush()
            for task in tasks:
                task.cancel()
        await workers.close()

    async def status(self, name: str) -> Object:
        obj = await self.get("HelmRelease", name, NAMESPACE)
        return (obj or {}).get("status") or {}

    async def release(self, name: str = "demo", **spec: Any) -> None:
        """Create a HelmRelease of the chart in the GitRepository fleet, whose objects go to `default`."""
        chart = {"spec": {"chart": "./charts/demo", "sourceRef": SOURCE}}
        defaults = {
            "interval": "10m",
            "timeout": "1m",
            "targetNamespace": "default",
            "releaseName": name,
            "chart": chart,
        }
        wanted = {**defaults, **spec}
        await self.create("HelmRelease", name, {field: value for field, value in wanted.items() if value is not None})

    async def colour(self, name: str = "demo") -> str | None:
        found = await self.get("ConfigMap", name)
        return str(found["data"]["colour"]) if found else None

    async def stored(self, name: str = "demo") -> list[Object]:
        """The revisions in Helm's storage, oldest first."""
        secrets = await self.client.list(
            await self.resource("Secret"), NAMESPACE, label_selector=helm_storage.selector(name)
        )
        return sorted(map(helm_storage.decode, secrets.items), key=lambda item: int(item["version"]))


@pytest.fixture
def world(client: Client, tmp_path: Path) -> HelmWorld:
    pytest.importorskip("helm_python", reason="Helm's SDK is not installed (pip install 'fluxtui[helm]')")
    store = ArtifactStore(tmp_path / "storage")
    store.base_url = "http://127.0.0.1:1"
    store.prepare()
    return HelmWorld(client, store, tmp_path)


async def test_a_release_is_installed_as_helm_controller_would(world: HelmWorld) -> None:
    await world.publish(CHART)
    async with world.running():
        await world.release(values={"colour": "blue"})
        status = await world.settled("demo", "InstallSucceeded")
        assert await world.colour() == "blue"
        message = "Helm install succeeded for release default/demo.v1 with chart demo@0.1.0"
        assert (await world.condition("demo", "Released"))["message"] == message
        assert [(item["version"], item["status"], item["action"]) for item in status["history"]] == [
            (1, "deployed", "install")
        ]
        assert status["lastAttemptedReleaseAction"] == "install"
        assert status["storageNamespace"] == NAMESPACE
        assert status["inventory"] == {"entries": [{"id": "default_demo__ConfigMap", "v": "v1"}]}
        stored = (await world.stored())[0]
        assert (stored["namespace"], stored["info"]["status"], stored["config"]) == (
            "default",
            "deployed",
            {"colour": "blue"},
        )
        config = await world.get("ConfigMap", "demo")
        assert config is not None
        assert config["metadata"]["labels"]["helm.toolkit.fluxcd.io/name"] == "demo"
        assert {entry["manager"] for entry in config["metadata"]["managedFields"]} == {"helm-controller"}


async def test_changed_values_upgrade_and_unchanged_ones_do_nothing(world: HelmWorld) -> None:
    await world.publish(CHART)
    async with world.running():
        await world.release()
        await world.settled("demo", "InstallSucceeded")
        await world.change("demo", {"spec": {"values": {"colour": "green"}}}, "HelmRelease")
        status = await world.settled("demo", "UpgradeSucceeded")
        assert await world.colour() == "green"
        assert [(item["version"], item["status"]) for item in status["history"]] == [(2, "deployed"), (1, "superseded")]
        await world.change(
            "demo", {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}}, "HelmRelease"
        )

        async def handled() -> bool:
            return (await world.status("demo")).get("lastHandledReconcileAt") == "now"

        await eventually(handled)
        assert len(await world.stored()) == 2


async def test_a_new_chart_version_of_the_source_upgrades(world: HelmWorld) -> None:
    await world.publish(CHART)
    async with world.running():
        await world.release()
        await world.settled("demo", "InstallSucceeded")
        newer = CHART["charts/demo/Chart.yaml"].replace("0.1.0", "0.2.0")
        await world.publish({**CHART, "charts/demo/Chart.yaml": newer})
        await world.settled("demo", "UpgradeSucceeded", "demo@0.2.0")


async def test_values_come_from_references_in_order(world: HelmWorld) -> None:
    await world.publish(CHART)
    config_maps, secrets = await world.resource("ConfigMap"), await world.resource("Secret")
    metadata = {"namespace": NAMESPACE}
    first = {"metadata": {"name": "one", **metadata}, "data": {"values.yaml": "colour: from-map\n"}}
    await world.client.create(config_maps, {"apiVersion": "v1", "kind": "ConfigMap", **first})
    second = {"metadata": {"name": "two", **metadata}, "stringData": {"paint": "from-secret"}}
    await world.client.create(secrets, {"apiVersion": "v1", "kind": "Secret", **second})
    references = [
        {"kind": "ConfigMap", "name": "one"},
        {"kind": "Secret", "name": "two", "valuesKey": "paint", "targetPath": "colour"},
        {"kind": "Secret", "name": "absent", "optional": True},
    ]
    async with world.running():
        await world.release(valuesFrom=references, values={"colour": "inline"})
        await world.settled("demo", "InstallSucceeded")
        assert await world.colour() == "from-secret"


async def test_a_missing_reference_is_named(world: HelmWorld) -> None:
    await world.publish(CHART)
    async with world.running():
        await world.release(valuesFrom=[{"kind": "Secret", "name": "absent"}])
        await world.settled("demo", "ValuesError", f"reference '{NAMESPACE}/absent' with key 'values.yaml': secrets")


async def test_a_template_that_fails_leaves_nothing(world: HelmWorld) -> None:
    await world.publish(CHART)
    async with world.running():
        await world.release(values={"broken": True})
        status = await world.settled("demo", "InstallFailed", "asked to fail")
        assert status["failures"] >= 1
        assert await world.stored() == []
        await world.change("demo", {"spec": {"values": {"broken": False}}}, "HelmRelease")
        await world.settled("demo", "InstallSucceeded")


async def test_what_fails_on_the_cluster_is_stalled_until_something_changes(world: HelmWorld) -> None:
    await world.publish({**CHART, "charts/demo/templates/config.yaml": BAD})
    async with world.running():
        await world.release()
        await eventually(lambda: world.condition("demo", "Stalled"))
        stalled = await world.condition("demo", "Stalled")
        assert (stalled["reason"], stalled["message"]) == ("RetriesExceeded", "Failed to install after 1 attempt(s)")
        status = await world.settled("demo", "InstallFailed", "Helm install failed for release default/demo")
        assert status["history"][0]["status"] == "failed"
        await world.publish({**CHART, "charts/demo/Chart.yaml": NEXT})
        await world.settled("demo", "UpgradeSucceeded")


BAD = CHART["charts/demo/templates/config.yaml"].replace("name: {{ .Release.Name }}", "name: Not_A_Name")


async def stalled(world: HelmWorld) -> Object:
    """The status once no try is left."""
    await eventually(lambda: world.condition("demo", "Stalled"))
    return await world.status("demo")


async def test_a_failed_install_is_uninstalled_before_the_next_try(world: HelmWorld) -> None:
    await world.publish({**CHART, "charts/demo/templates/config.yaml": BAD})
    async with world.running():
        await world.release(install={"remediation": {"retries": 1}})
        status = await stalled(world)
    assert (await world.condition("demo", "Stalled"))["message"] == "Failed to install after 2 attempt(s)"
    assert (await world.condition("demo"))["reason"] == "InstallFailed"
    assert [(entry["version"], entry["status"]) for entry in status["history"]] == [(1, "failed")]
    assert (status["failures"], status["installFailures"]) == (2, 2)
    reasons = [reason for _, reason, _ in await world.events("demo")]
    assert "InstallFailed" in reasons
    assert "RetriesExceeded" not in reasons
    undone = "Helm uninstall remediation for release default/demo.v1 with chart demo@0.1.0 succeeded"
    assert ("Normal", "UninstallSucceeded", undone) in await world.events("demo")


@pytest.mark.parametrize("last", [None, False])
async def test_a_failed_upgrade_is_rolled_back(world: HelmWorld, last: bool | None) -> None:
    await world.publish(CHART)
    async with world.running():
        remediation = {"retries": 1, **({} if last is None else {"remediateLastFailure": last})}
        await world.release(upgrade={"remediation": remediation})
        await world.settled("demo", "InstallSucceeded")
        await world.publish({**CHART, "charts/demo/templates/config.yaml": BAD, "charts/demo/Chart.yaml": NEXT})
        status = await stalled(world)
        assert await world.colour() == "red"
    assert (await world.condition("demo", "Stalled"))["message"] == "Failed to upgrade after 2 attempt(s)"
    rollbacks = [message for _, reason, message in await world.events("demo") if reason == "RollbackSucceeded"]
    to = ["v1", "v3"] if last is None else ["v1"]
    assert rollbacks == [
        f"Helm rollback to previous release default/demo.{n} with chart demo@0.1.0 succeeded" for n in to
    ]
    newest = (await world.stored())[-1]["info"]
    if last is None:
        assert (newest["status"], (await world.condition("demo"))["reason"]) == ("deployed", "RollbackSucceeded")
    else:
        assert (newest["status"], (await world.condition("demo"))["reason"]) == ("failed", "UpgradeFailed")
    assert status["upgradeFailures"] == 2


async def test_a_dependency_is_waited_for(world: HelmWorld) -> None:
    await world.publish(CHART)
    async with world.running():
        await world.release("second", dependsOn=[{"name": "demo"}])
        await world.settled("second", "DependencyNotReady", f"unable to get '{NAMESPACE}/demo' dependency")
        await world.release()
        await world.settled("second", "InstallSucceeded")


async def test_an_interrupted_action_is_taken_up_again(world: HelmWorld) -> None:
    await world.publish(CHART)
    async with world.running():
        await world.release()
        await world.settled("demo", "InstallSucceeded")
    release = (await world.stored())[-1]
    release["version"], release["info"]["status"] = 2, "pending-upgrade"
    await world.client.create(await world.resource("Secret"), helm_storage.encode(release, NAMESPACE, now()))
    async with world.running():
        await world.change("demo", {"spec": {"values": {"colour": "green"}}}, "HelmRelease")
        await world.settled("demo", "UpgradeSucceeded", "demo.v3")
        assert [item["info"]["status"] for item in await world.stored()] == ["superseded", "failed", "deployed"]


async def test_drift_is_corrected_when_asked_for(world: HelmWorld) -> None:
    await world.publish(CHART)
    async with world.running():
        await world.release(driftDetection={"mode": "enabled"})
        await world.settled("demo", "InstallSucceeded")
        await world.client.patch(
            await world.resource("ConfigMap"), "demo", "default", {"data": {"colour": "hacked"}}, type=PatchType.MERGE
        )
        await world.change(
            "demo", {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}}, "HelmRelease"
        )

        async def corrected() -> bool:
            return await world.colour() == "red"

        await eventually(corrected)


async def test_deleting_uninstalls(world: HelmWorld) -> None:
    await world.publish(CHART)
    async with world.running():
        await world.release()
        await world.settled("demo", "InstallSucceeded")
        await world.delete("HelmRelease", "demo", NAMESPACE)

        async def gone() -> bool:
            return await world.get("HelmRelease", "demo", NAMESPACE) is None

        await eventually(gone)
        assert await world.colour() is None
        assert await world.stored() == []


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"postRenderers": [{"kustomize": {}}]}, "spec.postRenderers"),
        ({"chart": None, "chartRef": {"kind": "HelmChart", "name": "x"}}, "spec.chartRef"),
        ({"test": {"enable": True}}, "spec.test.enable"),
    ],
)
async def test_what_can_not_be_done_is_refused_by_name(world: HelmWorld, spec: Object, named: str) -> None:
    async with world.running():
        await world.release(**spec)
        await world.settled("demo", "Unsupported", named)
        assert (await world.condition("demo", "Stalled"))["status"] == "True"


async def test_without_the_extra_it_is_stalled_with_its_name(world: HelmWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "helm_python", None)
    monkeypatch.setattr(helm, "available", lambda: False)
    async with world.running():
        await world.release()
        await world.settled("demo", "HelmMissing", "pip install 'fluxtui[helm]'")
        assert (await world.condition("demo", "Stalled"))["status"] == "True"


async def test_labelled_values_are_followed(world: HelmWorld) -> None:
    metadata = {"name": "values", "namespace": NAMESPACE, "labels": {"reconcile.fluxcd.io/watch": "Enabled"}}
    values = {"metadata": metadata, "data": {"values.yaml": "colour: blue"}}
    resource = await world.resource("ConfigMap")
    await world.client.create(resource, {"apiVersion": "v1", "kind": "ConfigMap", **values})
    await world.publish(CHART)
    async with world.running():
        await world.release(valuesFrom=[{"kind": "ConfigMap", "name": "values"}])
        await world.settled("demo", "InstallSucceeded")
        assert await world.colour() == "blue"
        change = {"data": {"values.yaml": "colour: green"}}
        await world.client.patch(resource, "values", NAMESPACE, change, type=PatchType.MERGE)
        await world.settled("demo", "UpgradeSucceeded")
        assert await world.colour() == "green"
