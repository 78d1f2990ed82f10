"""Objects: create, read, change, delete — the same answers from the sandbox and from a real server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import JSON, MERGE, STRATEGIC, Api

Object = dict[str, Any]


def config_map(name: str = "a", **data: str) -> Object:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    return {**obj, "data": data} if data else obj


def deployment(name: str = "web", image: str = "i:1") -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}},
        },
    }


async def test_a_created_object_gets_what_the_server_gives(api: Api) -> None:
    answer = await api.create("configmaps", config_map(x="1"), fieldManager="me")
    assert answer.status == 201
    metadata = answer.body["metadata"]
    assert {"uid", "creationTimestamp", "resourceVersion"} <= metadata.keys()
    assert metadata["namespace"] == api.namespace
    entry = metadata["managedFields"][0]
    assert (entry["manager"], entry["operation"], entry["fieldsType"]) == ("me", "Update", "FieldsV1")
    assert entry["fieldsV1"] == {"f:data": {".": {}, "f:x": {}}}


async def test_without_a_token_nothing_is_said(api: Api) -> None:
    answer = await api.send("GET", "/api/v1/namespaces", token="wrong")
    assert answer.status == 401
    assert answer.body["reason"] == "Unauthorized"


async def test_names_are_taken_once(api: Api) -> None:
    await api.create("configmaps", config_map())
    answer = await api.create("configmaps", config_map())
    assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")
    assert answer.body["details"] == {"name": "a", "kind": "configmaps"}


async def test_what_is_not_there_is_not_found(api: Api) -> None:
    answer = await api.get("configmaps", "none")
    assert (answer.status, answer.body["reason"], answer.body["kind"]) == (404, "NotFound", "Status")
    assert answer.body["message"] == 'configmaps "none" not found'
    assert (await api.send("GET", "/apis/none.example.com/v1/things")).status == 404


async def test_a_missing_namespace_is_named(api: Api) -> None:
    answer = await api.send("POST", "/api/v1/namespaces/nowhere/configmaps", config_map())
    assert answer.status == 404
    assert answer.body["message"] == 'namespaces "nowhere" not found'


async def test_names_can_be_generated(api: Api) -> None:
    obj = {"metadata": {"generateName": "run-"}}
    names = {(await api.create("configmaps", obj)).body["metadata"]["name"] for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("run-") and len(name) == 9 for name in names)


async def test_bad_names_are_invalid(api: Api) -> None:
    answer = await api.create("configmaps", config_map("Not_A_Name"))
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.body["details"]["causes"][0]["field"] == "metadata.name"


async def test_an_update_needs_the_latest_version(api: Api) -> None:
    first = (await api.create("configmaps", config_map(x="1"))).body
    changed = {**first, "data": {"x": "2"}}
    assert (await api.send("PUT", api.path("configmaps", "a"), changed)).status == 200
    answer = await api.send("PUT", api.path("configmaps", "a"), {**first, "data": {"x": "3"}})
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert "the object has been modified" in answer.body["message"]


async def test_writing_the_same_writes_nothing(api: Api) -> None:
    first = (await api.create("configmaps", config_map(x="1"))).body
    answer = await api.patch("configmaps", "a", {"data": {"x": "1"}}, MERGE)
    assert answer.body["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_generation_moves_with_the_spec_alone(api: Api) -> None:
    assert (await api.create("deployments", deployment(), "apps/v1")).body["metadata"]["generation"] == 1
    labelled = await api.patch("deployments", "web", {"metadata": {"labels": {"a": "b"}}}, MERGE, "apps/v1")
    assert labelled.body["metadata"]["generation"] == 1
    scaled = await api.patch("deployments", "web", {"spec": {"replicas": 3}}, MERGE, "apps/v1")
    assert scaled.body["metadata"]["generation"] == 2


async def test_status_and_spec_are_written_apart(api: Api) -> None:
    await api.create("deployments", deployment(), "apps/v1")
    change = {"spec": {"replicas": 5}, "status": {"observedGeneration": 7}}
    through_spec = await api.patch("deployments", "web", change, MERGE, "apps/v1")
    assert through_spec.body["spec"]["replicas"] == 5
    assert "observedGeneration" not in through_spec.body.get("status", {})
    change = {"spec": {"replicas": 9}, "status": {"observedGeneration": 7}}
    through_status = await api.patch("deployments", "web", change, MERGE, "apps/v1", "status")
    assert through_status.body["spec"]["replicas"] == 5
    assert through_status.body["status"]["observedGeneration"] == 7
    assert through_status.body["metadata"]["generation"] == 2


async def test_a_merge_patch_removes_with_null(api: Api) -> None:
    await api.create("configmaps", config_map(x="1", y="2"))
    answer = await api.patch("configmaps", "a", {"data": {"x": None, "z": "3"}}, MERGE)
    assert answer.body["data"] == {"y": "2", "z": "3"}


async def test_a_json_patch_is_all_or_nothing(api: Api) -> None:
    await api.create("configmaps", config_map(x="1"))
    steps = [{"op": "replace", "path": "/data/x", "value": "2"}, {"op": "test", "path": "/data/x", "value": "9"}]
    answer = await api.patch("configmaps", "a", steps, JSON)
    assert answer.status == 422
    assert (await api.get("configmaps", "a")).body["data"] == {"x": "1"}
    steps = [{"op": "test", "path": "/data/x", "value": "1"}, {"op": "add", "path": "/data/y~1z", "value": "3"}]
    assert (await api.patch("configmaps", "a", steps, JSON)).status in (200, 422)


async def test_a_strategic_merge_knows_containers_by_name(api: Api) -> None:
    await api.create("deployments", deployment(), "apps/v1")
    containers = [{"name": "side", "image": "s:1"}, {"name": "main", "image": "i:2"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    answer = await api.patch("deployments", "web", patch, STRATEGIC, "apps/v1")
    found = {item["name"]: item["image"] for item in answer.body["spec"]["template"]["spec"]["containers"]}
    assert found == {"main": "i:2", "side": "s:1"}
    gone = {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}
    answer = await api.patch("deployments", "web", gone, STRATEGIC, "apps/v1")
    assert [item["name"] for item in answer.body["spec"]["template"]["spec"]["containers"]] == ["main"]


async def test_a_merge_patch_replaces_lists(api: Api) -> None:
    await api.create("deployments", deployment(), "apps/v1")
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "other", "image": "o:1"}]}}}}
    answer = await api.patch("deployments", "web", patch, MERGE, "apps/v1")
    assert [item["name"] for item in answer.body["spec"]["template"]["spec"]["containers"]] == ["other"]


async def test_other_patches_are_refused(api: Api) -> None:
    await api.create("configmaps", config_map())
    answer = await api.patch("configmaps", "a", {}, "application/json")
    assert (answer.status, answer.body["reason"]) == (415, "UnsupportedMediaType")


async def test_a_dry_run_changes_nothing(api: Api) -> None:
    answer = await api.create("configmaps", config_map(), dryRun="All")
    assert answer.status == 201
    assert answer.body["metadata"]["uid"]
    assert (await api.get("configmaps", "a")).status == 404


async def test_selectors_can_not_change(api: Api) -> None:
    await api.create("deployments", deployment(), "apps/v1")
    answer = await api.patch(
        "deployments", "web", {"spec": {"selector": {"matchLabels": {"app": "x"}}}}, MERGE, "apps/v1"
    )
    assert answer.status == 422
    assert any("field is immutable" in cause["message"] for cause in answer.body["details"]["causes"])


async def test_what_is_immutable_stays(api: Api) -> None:
    await api.create("configmaps", {**config_map(x="1"), "immutable": True})
    answer = await api.patch("configmaps", "a", {"data": {"x": "2"}}, MERGE)
    assert answer.status == 422
    assert answer.body["details"]["causes"][0]["field"] == "data"


async def test_a_workload_needs_a_selector_that_fits(api: Api) -> None:
    wrong = deployment()
    wrong["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    answer = await api.create("deployments", wrong, "apps/v1")
    assert answer.status == 422
    assert "`selector` does not match template `labels`" in answer.body["message"]


async def test_defaults_are_filled_in(api: Api) -> None:
    spec = (await api.create("deployments", deployment(), "apps/v1")).body["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    container = spec["template"]["spec"]["containers"][0]
    assert (container["imagePullPolicy"], container["terminationMessagePath"]) == (
        "IfNotPresent",
        "/dev/termination-log",
    )


async def test_secrets_take_text_and_give_base64(api: Api) -> None:
    secret = {"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    body = (await api.create("secrets", secret)).body
    assert body["data"] == {"password": "aHVudGVyMg=="}
    assert body["type"] == "Opaque"
    assert "stringData" not in body


async def test_a_deleted_object_is_gone(api: Api) -> None:
    uid = (await api.create("configmaps", config_map())).body["metadata"]["uid"]
    answer = await api.send("DELETE", api.path("configmaps", "a"))
    assert (answer.status, answer.body["status"]) == (200, "Success")
    assert answer.body["details"]["uid"] == uid
    assert (await api.get("configmaps", "a")).status == 404


async def test_a_finalizer_holds_an_object(api: Api) -> None:
    obj = config_map()
    obj["metadata"]["finalizers"] = ["example.com/hold"]
    await api.create("configmaps", obj)
    answer = await api.send("DELETE", api.path("configmaps", "a"))
    assert answer.body["metadata"]["deletionTimestamp"]
    assert (await api.get("configmaps", "a")).status == 200
    await api.patch("configmaps", "a", {"metadata": {"finalizers": None}}, MERGE)
    assert (await api.get("configmaps", "a")).status == 404


async def test_a_delete_may_insist_on_the_object(api: Api) -> None:
    await api.create("configmaps", config_map())
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "other"}}
    answer = await api.send("DELETE", api.path("configmaps", "a"), options)
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")


async def test_a_deleted_namespace_takes_no_more(api: Api) -> None:
    answer = await api.send("DELETE", f"/api/v1/namespaces/{api.namespace}")
    assert answer.body["status"]["phase"] == "Terminating"
    answer = await api.create("configmaps", config_map())
    assert answer.status in (403, 404)


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_namespaces_of_the_system_stay(api: Api, name: str) -> None:
    answer = await api.send("DELETE", f"/api/v1/namespaces/{name}")
    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
    assert answer.body["message"] == f'namespaces "{name}" is forbidden: this namespace may not be deleted'


async def test_a_mismatch_of_path_and_body_is_a_bad_request(api: Api) -> None:
    wrong = config_map()
    wrong["metadata"]["namespace"] = "default"
    assert (await api.create("configmaps", wrong)).status == 400
    assert (await api.create("configmaps", {**config_map(), "kind": "Secret"})).status == 400
    assert (await api.send("POST", api.path("configmaps"), b"{")).status == 400


async def test_scale_is_a_view_of_a_workload(api: Api) -> None:
    await api.create("deployments", deployment(), "apps/v1")
    path = api.path("deployments", "web", "apps/v1", "scale")
    scale = (await api.send("GET", path)).body
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 1)
    answer = await api.send("PATCH", path, {"spec": {"replicas": 4}}, content_type=MERGE)
    assert answer.body["spec"]["replicas"] == 4
    assert (await api.get("deployments", "web", "apps/v1")).body["spec"]["replicas"] == 4


async def test_access_can_be_reviewed(api: Api) -> None:
    attributes = {"verb": "patch", "group": "apps", "resource": "deployments", "namespace": api.namespace}
    review = {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await api.send("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert answer.status == 201
    assert answer.body["status"]["allowed"] is True


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez"])
async def test_health_is_said(api: Api, path: str) -> None:
    answer = await api.send("GET", path)
    assert (answer.status, answer.body) == (200, "ok")


async def test_annotations_of_a_deployment_are_a_new_generation(api: Api) -> None:
    await api.create("deployments", deployment(), "apps/v1")
    answer = await api.patch("deployments", "web", {"metadata": {"annotations": {"a": "b"}}}, MERGE, "apps/v1")
    assert answer.body["metadata"]["generation"] == 2
    body = {"metadata": {"annotations": {"a": "c"}, "labels": {"x": "y"}}}
    answer = await api.patch("deployments", "web", body, MERGE, "apps/v1", "status")
    assert answer.body["metadata"]["generation"] == 2
    assert answer.body["metadata"]["annotations"] == {"a": "c"}
    assert "labels" not in answer.body["metadata"]


async def test_not_every_kind_counts_generations(api: Api) -> None:
    service = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
    assert "generation" not in (await api.create("services", service)).body["metadata"]


async def test_a_strategic_merge_keeps_an_order(api: Api) -> None:
    obj = deployment()
    template = obj["spec"]["template"]["spec"]
    template["containers"] = [{"name": name, "image": "i:1"} for name in ("a", "b", "c")]
    template["containers"][0]["env"] = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    obj["metadata"]["finalizers"] = ["example.com/a"]
    await api.create("deployments", obj, "apps/v1")

    async def containers(patch: Object) -> list[Object]:
        body = {"spec": {"template": {"spec": patch}}}
        answer = await api.patch("deployments", "web", body, STRATEGIC, "apps/v1")
        assert answer.status == 200, answer
        found: list[Object] = answer.body["spec"]["template"]["spec"]["containers"]
        return found

    found = await containers({"containers": [{"name": "d", "image": "i:1"}]})
    assert [item["name"] for item in found] == ["d", "a", "b", "c"]
    found = await containers({"containers": [{"name": "c", "image": "i:2"}, {"name": "a", "image": "i:2"}]})
    assert [item["name"] for item in found] == ["d", "b", "c", "a"]
    order = [{"name": "a"}, {"name": "b"}]
    found = await containers({"$setElementOrder/containers": order, "containers": []})
    assert [item["name"] for item in found] == ["d", "c", "a", "b"]
    env = [{"name": "A", "$patch": "delete"}, {"name": "C", "value": "3"}]
    found = await containers({"containers": [{"name": "a", "env": env}]})
    assert next(item["env"] for item in found if item["name"] == "a") == [
        {"name": "C", "value": "3"},
        {"name": "B", "value": "2"},
    ]
    ports = [{"containerPort": 1, "protocol": protocol} for protocol in ("TCP", "UDP")]
    found = await containers({"containers": [{"name": "a", "ports": ports}]})
    assert next(item["ports"] for item in found if item["name"] == "a") == ports
    patch = {"metadata": {"finalizers": ["example.com/b"]}}
    answer = await api.patch("deployments", "web", patch, STRATEGIC, "apps/v1")
    assert answer.body["metadata"]["finalizers"] == ["example.com/b", "example.com/a"]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}}
    answer = await api.patch("deployments", "web", patch, STRATEGIC, "apps/v1")
    assert answer.body["metadata"]["finalizers"] == ["example.com/b"]


async def test_a_scale_is_owned_apart(api: Api) -> None:
    await api.create("deployments", deployment(), "apps/v1", fieldManager="creator")
    path = api.path("deployments", "web", "apps/v1", "scale")
    answer = await api.send("PATCH", path, {"spec": {"replicas": -1}}, content_type=MERGE)
    assert (answer.status, answer.body["details"]["kind"]) == (422, "Scale")
    await api.send("PATCH", path, {"spec": {"replicas": 4}}, content_type=MERGE, fieldManager="scaler")
    body = (await api.get("deployments", "web", "apps/v1")).body
    entry = next(item for item in body["metadata"]["managedFields"] if item["manager"] == "scaler")
    assert (entry["subresource"], entry["fieldsV1"]) == ("scale", {"f:spec": {"f:replicas": {}}})
    assert body["metadata"]["generation"] == 2


async def test_a_trial_deletion_tells_what_would_be(api: Api) -> None:
    path = f"/api/v1/namespaces/{api.namespace}"
    answer = await api.send("DELETE", path, dryRun="All")
    assert answer.body["status"]["phase"] == "Terminating"
    assert (await api.send("GET", path)).body["status"]["phase"] == "Active"


async def test_what_is_as_good_as_absent_is_left_out(api: Api) -> None:
    obj = deployment()
    obj["spec"] |= {"paused": False, "minReadySeconds": 0, "replicas": 0}
    obj["spec"]["template"]["spec"] |= {"hostNetwork": False, "automountServiceAccountToken": False}
    spec = (await api.create("deployments", obj, "apps/v1")).body["spec"]
    assert spec["replicas"] == 0
    assert {"paused", "minReadySeconds"}.isdisjoint(spec)
    assert spec["template"]["spec"]["automountServiceAccountToken"] is False
    assert "hostNetwork" not in spec["template"]["spec"]


async def test_times_that_are_none_are_shown(api: Api) -> None:
    event = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": api.namespace}}
    body = (await api.create("events", event)).body
    assert (body["eventTime"], body["firstTimestamp"], body["lastTimestamp"]) == (None, None, None)
    await api.create("deployments", deployment(), "apps/v1")
    status = {"status": {"conditions": [{"type": "Available", "status": "True"}]}}
    body = (await api.patch("deployments", "web", status, MERGE, "apps/v1", "status")).body
    assert body["status"]["conditions"] == [
        {"type": "Available", "status": "True", "lastTransitionTime": None, "lastUpdateTime": None}
    ]
