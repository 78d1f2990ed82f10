"""Custom resources — the same answers from the sandbox and from a real server."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from fluxtui.api.crds import all_crds
from tests.contract.conftest import MERGE, Api

Object = dict[str, Any]

_NUMBERS = itertools.count(1)
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SCHEMA: Object = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1},
                "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
                "interval": {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "number": {"type": "integer"}},
                    },
                },
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}


async def answers(api: Api, path: str, status: int) -> None:
    """Ask until the answer has a status."""
    async with asyncio.timeout(60):
        while True:
            if (await api.send("GET", path)).status == status:
                return
            await asyncio.sleep(0.05)


async def defined(api: Api) -> tuple[str, str]:
    """Define a custom resource of the test's own; its kind and the `group/version` it is served at."""
    group = f"t{next(_NUMBERS)}.{api.namespace}.example.com"
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": SCHEMA},
                    "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                }
            ],
        },
    }
    assert (await api.send("POST", CRDS, crd)).status == 201
    await answers(api, api.path("things", group=f"{group}/v1"), 200)
    return group, f"{group}/v1"


def thing(group: str, **spec: Any) -> Object:
    return {"apiVersion": group, "kind": "Thing", "metadata": {"name": "t"}, "spec": spec}


async def test_a_definition_is_established(api: Api) -> None:
    group, _ = await defined(api)
    body = (await api.send("GET", f"{CRDS}/things.{group}")).body
    conditions = {item["type"]: item["status"] for item in body["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions["NamesAccepted"] == "True"
    assert body["status"]["storedVersions"] == ["v1"]


async def test_defaults_and_pruning(api: Api) -> None:
    _, served = await defined(api)
    body = (await api.create("things", thing(served, size=1, unknown=True, free={"any": 1}), served)).body
    assert body["spec"] == {"size": 1, "colour": "red", "free": {"any": 1}}
    assert body["metadata"]["generation"] == 1


async def test_mistakes_are_named_by_field(api: Api) -> None:
    _, served = await defined(api)
    answer = await api.create("things", thing(served, size=0, colour="green", interval="soon"), served)
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert {cause["field"] for cause in answer.body["details"]["causes"]} == {
        "spec.size",
        "spec.colour",
        "spec.interval",
    }
    answer = await api.create("things", thing(served), served)
    assert answer.body["details"]["causes"][0]["field"] == "spec.size"
    assert answer.body["details"]["causes"][0]["reason"] == "FieldValueRequired"
    answer = await api.create("things", thing(served, size="big"), served)
    assert answer.status == 422


async def test_unknown_fields_can_be_refused(api: Api) -> None:
    _, served = await defined(api)
    answer = await api.create("things", thing(served, size=1, unknown=True), served, fieldValidation="Strict")
    assert answer.status == 400
    assert 'unknown field "spec.unknown"' in answer.body["message"]
    answer = await api.create("things", thing(served, size=1, unknown=True), served, fieldValidation="Warn")
    assert 'unknown field "spec.unknown"' in answer.headers["Warning"].replace("\\", "")


async def test_status_is_a_part_of_its_own(api: Api) -> None:
    _, served = await defined(api)
    created = await api.create("things", {**thing(served, size=1), "status": {"phase": "x"}}, served)
    assert "status" not in created.body
    answer = await api.patch("things", "t", {"status": {"phase": "y"}, "spec": {"size": 9}}, MERGE, served, "status")
    assert answer.body["status"] == {"phase": "y"}
    assert answer.body["spec"]["size"] == 1
    assert answer.body["metadata"]["generation"] == 1
    answer = await api.patch("things", "t", {"spec": {"size": 2}, "status": {"phase": "z"}}, MERGE, served)
    assert (answer.body["status"], answer.body["metadata"]["generation"]) == ({"phase": "y"}, 2)


async def test_keyed_lists_merge_when_applied(api: Api) -> None:
    _, served = await defined(api)
    await api.apply("things", thing(served, size=1, ports=[{"name": "a", "number": 1}]), "alpha", served)
    other = {**thing(served, ports=[{"name": "b", "number": 2}])}
    answer = await api.apply("things", other, "beta", served)
    assert answer.body["spec"]["ports"] == [{"name": "a", "number": 1}, {"name": "b", "number": 2}]


async def test_printer_columns_make_the_table(api: Api) -> None:
    _, served = await defined(api)
    await api.create("things", thing(served, size=7), served)
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    body = (await api.send("GET", api.path("things", group=served), accept=accept)).body
    assert [column["name"] for column in body["columnDefinitions"]] == ["Name", "Size"]
    assert body["rows"][0]["cells"] == ["t", 7]


async def test_a_definition_takes_its_objects_along(api: Api) -> None:
    group, served = await defined(api)
    await api.create("things", thing(served, size=1), served)
    await api.send("DELETE", f"{CRDS}/things.{group}")
    await answers(api, f"{CRDS}/things.{group}", 404)
    await answers(api, api.path("things", group=served), 404)


async def test_our_own_definitions_are_accepted(api: Api) -> None:
    for crd in all_crds():
        answer = await api.send("POST", CRDS, crd, dryRun="All")
        assert answer.status in (201, 409), answer
