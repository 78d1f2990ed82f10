from __future__ import annotations

import hashlib
from typing import Any

import pytest

from fluxtui.api.kinds import Kind
from fluxtui.api.meta import REQUESTED_AT
from fluxtui.engine.runtime.cluster import Cluster
from fluxtui.engine.runtime.objects import Key
from fluxtui.kube.client import PatchType
from fluxtui.kube.errors import UnknownKind
from tests.engine.kustomize.world import World, condition_of, config_map, counting, deployment
from tests.engine.polling import eventually

OWNER = {
    "kustomize.toolkit.fluxcd.io/name": "apps",
    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
}


async def test_applies_what_the_source_says(world: World) -> None:
    revision = await world.publish({"apps/a.yaml": config_map("a"), "apps/b.yaml": config_map("b", k="w")})
    await world.kustomization("apps", path="./apps")
    async with world.running():
        status = await world.ready("apps", revision)
    found = await world.get("ConfigMap", "a")
    assert found is not None
    assert found["metadata"]["labels"] == OWNER
    assert found["metadata"]["managedFields"][0]["manager"] == "kustomize-controller"
    assert status["inventory"] == {
        "entries": [{"id": "default_a__ConfigMap", "v": "v1"}, {"id": "default_b__ConfigMap", "v": "v1"}]
    }
    assert status["lastAppliedRevision"] == status["lastAttemptedRevision"] == revision
    assert status["observedGeneration"] == 1
    assert [item["type"] for item in status["conditions"]] == ["Ready"]
    assert status["history"][0]["lastReconciledStatus"] == "ReconciliationSucceeded"
    assert status["history"][0]["metadata"] == {"revision": revision}
    events = await world.events("apps")
    assert events[0] == ("Normal", "Progressing", "ConfigMap/default/a created\nConfigMap/default/b created")
    assert events[1][:2] == ("Normal", "ReconciliationSucceeded")
    assert events[1][2].startswith("Reconciliation finished in ")
    assert events[1][2].endswith(", next run in 10m0s")


async def test_a_new_revision_changes_and_prunes(world: World) -> None:
    await world.publish({"a.yaml": config_map("a"), "old.yaml": config_map("old")})
    await world.kustomization("apps")
    async with world.running():
        await world.ready("apps")
        revision = await world.publish({"a.yaml": config_map("a", k="new"), "b.yaml": config_map("b")})
        status = await world.ready("apps", revision)
        assert (await world.get("ConfigMap", "a") or {})["data"] == {"k": "new"}
        await world.gone("ConfigMap", "old")
    assert len(status["history"]) == 2
    messages = [message for _, reason, message in await world.events("apps") if reason == "Progressing"]
    assert messages == [
        "ConfigMap/default/a created\nConfigMap/default/old created",
        "ConfigMap/default/a configured\nConfigMap/default/b created",
        "ConfigMap/default/old deleted",
    ]


async def test_unchanged_objects_cost_no_dry_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.publish({f"{name}.yaml": config_map(name) for name in "abc"})
    await world.kustomization("apps", interval="1s")
    counted = counting(world, monkeypatch)
    async with world.running():
        await world.ready("apps")
        runs = (await world.status("apps"))["history"][0]["totalReconciliations"]
        counted.clear()

        async def again() -> bool:
            return bool((await world.status("apps"))["history"][0]["totalReconciliations"] >= runs + 2)

        await eventually(again)
    assert [path for method, path in counted if method == "PATCH" and "configmaps" in path] == []


async def test_drift_is_corrected_at_the_interval(world: World) -> None:
    await world.publish({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    await world.kustomization("apps", interval="1s")
    async with world.running():
        await world.ready("apps")
        resource = await world.resource("ConfigMap")
        drift = {"data": {"k": "drifted", "more": "x"}}
        await world.client.patch(resource, "a", "default", drift, type=PatchType.MERGE, field_manager="someone")
        await world.delete("ConfigMap", "b", "default")

        async def corrected() -> bool:
            a, b = await world.get("ConfigMap", "a"), await world.get("ConfigMap", "b")
            return a is not None and a["data"] == {"k": "v", "more": "x"} and b is not None

        await eventually(corrected)
    messages = [message for _, _, message in await world.events("apps")]
    assert any("ConfigMap/default/a configured" in message for message in messages)


async def test_a_request_runs_everything_again(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps")
    async with world.running(drift_detection=False):
        await world.ready("apps")
        await world.delete("ConfigMap", "a", "default")
        await world.change("apps", {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}})

        async def handled() -> bool:
            return (await world.status("apps")).get("lastHandledReconcileAt") == "now"

        await eventually(handled)
        assert await world.get("ConfigMap", "a") is not None
    assert (await world.status("apps"))["history"][0]["totalReconciliations"] == 2


async def test_the_source_is_awaited(world: World) -> None:
    await world.kustomization("apps")
    async with world.running():
        missing = 'GitRepository.source.toolkit.fluxcd.io "fleet" not found'
        status = await world.settled("apps", "ArtifactFailed", missing)
        assert status["observedGeneration"] == -1
        await world.set_artifact(None)
        revision = await world.publish({"a.yaml": config_map("a")})
        await world.ready("apps", revision)


async def test_a_source_without_an_artifact_is_awaited(world: World) -> None:
    await world.set_artifact(None)
    await world.kustomization("apps")
    async with world.running():
        await world.settled("apps", "ArtifactFailed", "Source artifact not found, retrying in 30s")
        await world.publish({"a.yaml": config_map("a")})
        await world.ready("apps")


async def test_a_kind_of_source_that_the_cluster_does_not_have(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Cluster.read

    async def unknown(cluster: Cluster, kind: Kind, key: Key) -> dict[str, Any]:
        if kind.kind == "Bucket":
            raise UnknownKind(kind.group, kind.kind)
        return await read(cluster, kind, key)

    monkeypatch.setattr(Cluster, "read", unknown)
    await world.kustomization("apps", sourceRef={"kind": "Bucket", "name": "fleet"})
    async with world.running():
        message = "unable to get source 'flux-system/fleet': the cluster serves no kind Bucket"
        await world.settled("apps", "ArtifactFailed", message)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}\n"])
async def test_an_empty_kustomization_builds_to_nothing(world: World, text: str) -> None:
    """The controllers write `buildMetadata` into it, so that it is not empty for kustomize."""
    await world.publish({"kustomization.yaml": text, "a.yaml": config_map("a")})
    await world.kustomization("apps")
    async with world.running():
        await world.ready("apps")
    status = await world.status("apps")
    assert status["inventory"] == {"entries": []}
    # As kustomize-controller 1.9.4 wrote it.
    assert status["history"][0]["digest"] == f"sha256:{hashlib.sha256(b'').hexdigest()}"


async def test_a_lost_artifact_is_said_to_be_lost(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    for file in world.store.root.rglob("*.tar.gz"):
        file.unlink()
    await world.kustomization("apps")
    async with world.running():
        await world.settled("apps", "ArtifactFailed", "Source is not ready, artifact not found, retrying in 30s")


async def test_a_damaged_artifact_is_refused(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    for file in world.store.root.rglob("*.tar.gz"):
        file.write_bytes(b"other")
    await world.kustomization("apps")
    async with world.running():
        await world.settled("apps", "ArtifactFailed", "computed digest doesn't match")
    assert await world.get("ConfigMap", "a") is None


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("./apps", True),
        ("apps/", True),
        ("/apps", True),
        ("../../apps", True),
        ("nowhere", False),
        ("apps/a.yaml", False),
    ],
)
async def test_paths_stay_inside_the_artifact(world: World, path: str, found: bool) -> None:
    await world.publish({"apps/a.yaml": config_map("a")})
    await world.kustomization("apps", path=path)
    async with world.running():
        if found:
            await world.ready("apps")
        else:
            status = await world.settled("apps", "PathNotFound", "kustomization path not found: stat ")
            message = condition_of(status, "Reconciling")["message"]
            assert message.startswith("Fetching manifests for revision main@sha1:")
            assert message.endswith(" with a timeout of 9m30s")
            assert condition_of(status, "Reconciling")["reason"] == "ProgressingWithRetry"


async def test_a_build_that_fails_names_the_file(world: World) -> None:
    revision = await world.publish({"k/kustomization.yaml": "resources: [missing.yaml]\n"})
    await world.kustomization("apps", path="k", retryInterval="1s")
    async with world.running():
        status = await world.settled("apps", "BuildFailed", "missing.yaml: no such file or directory")
        assert status["lastAttemptedRevision"] == revision
        assert "inventory" not in status
        message = condition_of(status)["message"]
        assert message.startswith("kustomize build failed: k/kustomization.yaml")
        assert str(world.store.root) not in message
        await world.publish({"k/kustomization.yaml": "resources: [a.yaml]\n", "k/a.yaml": config_map("a")})
        await world.ready("apps")
    assert ("Warning", "BuildFailed", message) in await world.events("apps")


async def test_an_object_that_is_refused_is_named_and_nothing_is_applied(world: World) -> None:
    wrong = deployment("web").replace("replicas: 1", "replicas: many")
    await world.publish({"a.yaml": config_map("a"), "b.yaml": wrong})
    await world.kustomization("apps")
    async with world.running():
        status = await world.settled("apps", "ReconciliationFailed", "Deployment/default/web dry-run failed")
        assert "spec.replicas" in condition_of(status)["message"]
        assert "inventory" not in status
        assert status["history"][0]["lastReconciledStatus"] == "ReconciliationFailed"
    assert await world.get("ConfigMap", "a") is None


async def test_what_was_applied_before_a_failure_is_in_the_inventory(world: World) -> None:
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: team\n"
    unknown = "apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: w\n  namespace: team\n"
    await world.publish({"n.yaml": namespace, "w.yaml": unknown})
    await world.kustomization("apps")
    async with world.running():
        no_match = 'Widget/team/w dry-run failed: no matches for kind "Widget" in version "example.com/v1"'
        status = await world.settled("apps", "ReconciliationFailed", no_match)
        assert condition_of(status)["message"].endswith("\nNamespace/team created")
        assert status["inventory"]["entries"] == [{"id": "_team__Namespace", "v": "v1"}]
        await world.publish({"a.yaml": config_map("a")})
        await world.ready("apps")
        await world.gone("Namespace", "team", "")


async def test_what_was_never_written_is_not_in_the_inventory(world: World) -> None:
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: team\n"
    await world.publish({"old.yaml": config_map("old")})
    await world.kustomization("apps")
    async with world.running():
        await world.ready("apps")
        files = {"n.yaml": namespace, "new.yaml": config_map("new"), "bad.yaml": config_map("Bad_Name")}
        await world.publish(files)
        status = await world.settled("apps", "ReconciliationFailed", "ConfigMap/default/Bad_Name dry-run failed")
        ids = [entry["id"] for entry in status["inventory"]["entries"]]
        assert ids == ["default_old__ConfigMap", "_team__Namespace"]
        await world.publish({"a.yaml": config_map("a")})
        await world.ready("apps")
    deleted = {message for _, _, message in await world.events("apps") if message.endswith("deleted")}
    assert deleted == {"ConfigMap/default/old deleted\nNamespace/team deleted"}


async def test_prune_leaves_what_is_not_its_own(world: World) -> None:
    files = {f"{name}.yaml": config_map(name) for name in ("foreign", "kept", "ignored", "gone")}
    await world.publish(files)
    await world.kustomization("apps")
    async with world.running(drift_detection=False):
        await world.ready("apps")
        resource = await world.resource("ConfigMap")
        for name, metadata in {
            "foreign": {"labels": {"kustomize.toolkit.fluxcd.io/name": "other"}},
            "kept": {"annotations": {"kustomize.toolkit.fluxcd.io/prune": "Disabled"}},
            "ignored": {"labels": {"kustomize.toolkit.fluxcd.io/ssa": "ignore"}},
        }.items():
            await world.client.patch(resource, name, "default", {"metadata": metadata}, type=PatchType.MERGE)
        revision = await world.publish({"a.yaml": config_map("a")})
        status = await world.ready("apps", revision)
        await world.gone("ConfigMap", "gone")
        for name in ("foreign", "kept", "ignored"):
            assert await world.get("ConfigMap", name) is not None
        assert [entry["id"] for entry in status["inventory"]["entries"]] == ["default_a__ConfigMap"]
    assert any(
        "ConfigMap/default/foreign skipped" in message and "ConfigMap/default/gone deleted" in message
        for _, _, message in await world.events("apps")
    )


async def test_without_prune_objects_stay_and_leave_the_inventory(world: World) -> None:
    await world.publish({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    await world.kustomization("apps", prune=False)
    async with world.running():
        await world.ready("apps")
        status = await world.ready("apps", await world.publish({"a.yaml": config_map("a")}))
        assert [entry["id"] for entry in status["inventory"]["entries"]] == ["default_a__ConfigMap"]
    assert await world.get("ConfigMap", "b") is not None


async def test_two_kustomizations_do_not_delete_each_others_objects(world: World) -> None:
    await world.publish({"one/a.yaml": config_map("a"), "two/b.yaml": config_map("b")})
    await world.kustomization("one", path="one")
    await world.kustomization("two", path="two")
    async with world.running():
        await world.ready("one")
        await world.ready("two")
        revision = await world.publish({"one/c.yaml": config_map("c"), "two/a.yaml": config_map("a")})
        await world.ready("one", revision)
        await world.ready("two", revision)

        async def handed_over() -> bool:
            a = await world.get("ConfigMap", "a")
            return a is not None and a["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] == "two"

        await eventually(handed_over)
        await world.gone("ConfigMap", "b")


async def test_suspended_is_left_alone(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps", suspend=True)
    async with world.running():

        async def has_finalizer() -> bool:
            obj = await world.get("Kustomization", "apps", "flux-system")
            return obj is not None and obj["metadata"].get("finalizers") == ["finalizers.fluxcd.io"]

        await eventually(has_finalizer)
        assert await world.status("apps") == {"observedGeneration": -1}
        await world.change("apps", {"spec": {"suspend": False}})
        await world.ready("apps")


@pytest.mark.parametrize(
    ("path", "ready", "observed", "reconciling"), [("./", "True", 2, None), ("./none", "False", -1, 2)]
)
async def test_suspending_settles_what_is_ready_and_nothing_else(
    world: World, path: str, ready: str, observed: int, reconciling: int | None
) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps", path=path)
    async with world.running():

        async def has(field: str, value: object) -> dict[str, Any] | None:
            status = await world.status("apps")
            return status if status.get(field) == value else None

        async def concluded() -> bool:
            found = {each["type"]: each for each in (await world.status("apps")).get("conditions") or []}
            return "Ready" in found and bool(found["Ready"]["status"] == ready)

        await eventually(concluded)
        await world.change("apps", {"spec": {"suspend": True}, "metadata": {"annotations": {REQUESTED_AT: "asleep"}}})
        status = await eventually(lambda: has("lastHandledReconcileAt", "asleep"))
        assert status["observedGeneration"] == observed
        found = {each["type"]: each for each in status["conditions"]}
        assert found["Ready"]["observedGeneration"] == 1
        assert found.get("Reconciling", {}).get("observedGeneration") == reconciling


@pytest.mark.parametrize(
    ("spec", "stays"),
    [
        ({"prune": True}, False),
        ({"prune": False}, True),
        ({"prune": True, "deletionPolicy": "Orphan"}, True),
        ({"prune": False, "deletionPolicy": "Delete"}, False),
        ({"prune": False, "deletionPolicy": "WaitForTermination"}, False),
        ({"prune": True, "suspend": True}, True),
    ],
)
async def test_deletion_follows_its_policy(world: World, spec: dict[str, Any], stays: bool) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps", **{**spec, "suspend": False})
    async with world.running():
        await world.ready("apps")
        await world.change("apps", {"spec": spec})
        await world.delete("Kustomization", "apps")
        await world.gone("Kustomization", "apps", "flux-system")
    assert (await world.get("ConfigMap", "a") is not None) is stays
    messages = [message for _, reason, message in await world.events("apps") if reason == "ReconciliationSucceeded"]
    assert ("ConfigMap/default/a deleted" in messages) is not stays


async def test_sources_of_other_namespaces_can_be_refused(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    source = {"kind": "GitRepository", "name": "fleet", "namespace": "flux-system"}
    await world.create("Kustomization", "apps", {"interval": "1m", "prune": True, "sourceRef": source}, "default")
    async with world.running(no_cross_namespace_refs=True):

        async def stalled() -> bool:
            obj = await world.get("Kustomization", "apps")
            conditions = ((obj or {}).get("status") or {}).get("conditions") or []
            return any(item["reason"] == "AccessDenied" and item["type"] == "Stalled" for item in conditions)

        await eventually(stalled)
    assert await world.get("ConfigMap", "a") is None
