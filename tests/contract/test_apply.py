"""Server-side apply — the same answers from the sandbox and from a real server."""

from __future__ import annotations

from typing import Any

from tests.contract.conftest import Api
from tests.contract.test_objects import config_map, deployment

Object = dict[str, Any]


def entry(body: Object, manager: str) -> Object:
    found: Object = next(item for item in body["metadata"]["managedFields"] if item["manager"] == manager)
    return found


async def test_applying_creates_and_owns(api: Api) -> None:
    answer = await api.apply("configmaps", config_map(x="1"), "alpha")
    assert answer.status == 201
    owned = entry(answer.body, "alpha")
    assert owned["operation"] == "Apply"
    assert owned["fieldsV1"] == {"f:data": {"f:x": {}}}
    again = await api.apply("configmaps", config_map(x="1"), "alpha")
    assert again.status == 200
    assert again.body["metadata"]["resourceVersion"] == answer.body["metadata"]["resourceVersion"]


async def test_applying_needs_a_manager(api: Api) -> None:
    answer = await api.patch("configmaps", "a", config_map(), "application/apply-patch+yaml")
    assert answer.status in (400, 422)


async def test_what_is_no_longer_applied_goes(api: Api) -> None:
    await api.apply("configmaps", config_map(x="1", y="2"), "alpha")
    answer = await api.apply("configmaps", config_map(y="2"), "alpha")
    assert answer.body["data"] == {"y": "2"}


async def test_what_others_own_is_a_conflict(api: Api) -> None:
    await api.apply("configmaps", config_map(x="1"), "alpha")
    answer = await api.apply("configmaps", config_map(x="2"), "beta")
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.body["message"] == 'Apply failed with 1 conflict: conflict with "alpha": .data.x'
    assert answer.body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "alpha"', "field": ".data.x"}
    ]
    assert (await api.get("configmaps", "a")).body["data"] == {"x": "1"}


async def test_force_takes_over(api: Api) -> None:
    await api.apply("configmaps", config_map(x="1", y="1"), "alpha")
    answer = await api.apply("configmaps", config_map(x="2"), "beta", force="true")
    assert answer.body["data"] == {"x": "2", "y": "1"}
    assert entry(answer.body, "alpha")["fieldsV1"] == {"f:data": {"f:y": {}}}
    assert entry(answer.body, "beta")["fieldsV1"] == {"f:data": {"f:x": {}}}


async def test_the_same_value_is_owned_together(api: Api) -> None:
    await api.apply("configmaps", config_map(x="1"), "alpha")
    answer = await api.apply("configmaps", config_map(x="1"), "beta")
    assert answer.status == 200
    assert "f:x" in entry(answer.body, "alpha")["fieldsV1"]["f:data"]
    answer = await api.apply("configmaps", config_map(), "alpha")
    assert answer.body["data"] == {"x": "1"}


async def test_an_update_takes_a_field_from_its_applier(api: Api) -> None:
    await api.apply("configmaps", config_map(x="1", y="1"), "alpha")
    answer = await api.patch(
        "configmaps", "a", {"data": {"x": "9"}}, "application/merge-patch+json", fieldManager="editor"
    )
    assert entry(answer.body, "alpha")["fieldsV1"] == {"f:data": {"f:y": {}}}
    assert entry(answer.body, "editor")["fieldsV1"] == {"f:data": {"f:x": {}}}
    answer = await api.apply("configmaps", config_map(x="1", y="1"), "alpha")
    assert answer.status == 409
    assert 'conflict with "editor" using v1' in answer.body["message"]


async def test_containers_are_owned_by_name(api: Api) -> None:
    await api.apply("deployments", deployment(), "alpha", "apps/v1")
    side: Object = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [{"name": "side", "image": "s:1"}]}}},
    }
    answer = await api.apply("deployments", side, "beta", "apps/v1")
    assert [item["name"] for item in answer.body["spec"]["template"]["spec"]["containers"]] == ["main", "side"]
    owned = entry(answer.body, "beta")["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert owned == {'k:{"name":"side"}': {".": {}, "f:image": {}, "f:name": {}}}
    answer = await api.apply("deployments", deployment(image="i:2"), "alpha", "apps/v1")
    assert {item["name"]: item["image"] for item in answer.body["spec"]["template"]["spec"]["containers"]} == {
        "main": "i:2",
        "side": "s:1",
    }


async def test_status_is_applied_apart(api: Api) -> None:
    await api.apply("deployments", deployment(), "alpha", "apps/v1")
    status = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "status": {"replicas": 3}}
    answer = await api.apply("deployments", status, "beta", "apps/v1", "status")
    assert answer.body["status"]["replicas"] == 3
    assert entry(answer.body, "beta")["subresource"] == "status"
    assert entry(answer.body, "alpha")["fieldsV1"]["f:spec"]


async def test_an_apply_can_be_tried(api: Api) -> None:
    await api.apply("configmaps", config_map(x="1"), "alpha")
    answer = await api.apply("configmaps", config_map(x="2"), "alpha", dryRun="All")
    assert answer.body["data"] == {"x": "2"}
    assert (await api.get("configmaps", "a")).body["data"] == {"x": "1"}


async def test_finalizers_are_a_set(api: Api) -> None:
    one, two = config_map(), config_map()
    one["metadata"]["finalizers"] = ["example.com/one"]
    two["metadata"]["finalizers"] = ["example.com/two"]
    await api.apply("configmaps", one, "alpha")
    answer = await api.apply("configmaps", two, "beta")
    assert answer.status == 200, answer
    assert answer.body["metadata"]["finalizers"] == ["example.com/one", "example.com/two"]
    answer = await api.apply("configmaps", config_map(), "alpha")
    assert answer.body["metadata"]["finalizers"] == ["example.com/two"]
    await api.apply("configmaps", config_map(), "beta")


async def test_ownership_can_be_cleared(api: Api) -> None:
    await api.apply("configmaps", config_map(x="1"), "alpha")
    answer = await api.patch("configmaps", "a", {"metadata": {"managedFields": []}}, "application/merge-patch+json")
    assert "managedFields" not in answer.body["metadata"]
    answer = await api.apply("configmaps", config_map(x="2"), "alpha")
    assert 'conflict with "before-first-apply" using v1: .data.x' in answer.body["message"]


async def test_an_emptied_map_is_still_owned(api: Api) -> None:
    await api.create("configmaps", config_map(x="1"), fieldManager="creator")
    await api.apply("configmaps", config_map(x="1"), "alpha")
    await api.apply("configmaps", config_map(x="2"), "alpha", force="true")
    answer = await api.apply("configmaps", config_map(), "alpha")
    assert "data" not in answer.body
    assert entry(answer.body, "creator")["fieldsV1"] == {"f:data": {}}
