"""What is not valid, and how that is said — the same answers from the sandbox and from a real server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import APPLY, JSON, MERGE, STRATEGIC, Answer, Api
from tests.contract.test_objects import config_map

Object = dict[str, Any]

OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "u"}
RANDOM = "x" * 200


def secret(type: str = "", **data: str) -> Object:
    return {"metadata": {"name": "a"}, "type": type, "data": data}


def causes(answer: Answer) -> list[tuple[str, str]]:
    return [(cause["field"], cause["reason"]) for cause in answer.body["details"]["causes"]]


@pytest.mark.parametrize(
    ("metadata", "field", "text"),
    [
        ({"name": "A"}, "name", "a lowercase RFC 1123 subdomain must consist of"),
        ({"name": "a" * 254}, "name", "must be no more than 253 characters"),
        ({"generateName": "A-"}, "name", "a lowercase RFC 1123 subdomain must consist of"),
        ({"name": "a", "labels": {"a b": "x"}}, "labels", 'Invalid value: "a b": name part must consist of'),
        ({"name": "a", "labels": {"/b": "x"}}, "labels", "prefix part must be non-empty"),
        ({"name": "a", "labels": {"A_B/c": "x"}}, "labels", "prefix part a lowercase RFC 1123 subdomain"),
        ({"name": "a", "labels": {"a/b/c": "x"}}, "labels", "with an optional DNS subdomain prefix and '/'"),
        ({"name": "a", "labels": {"a": "x y"}}, "labels", "a valid label must be an empty string or consist of"),
        ({"name": "a", "labels": {"a": "x" * 64}}, "labels", "must be no more than 63 bytes"),
        ({"name": "a", "labels": {"x" * 64: "a"}}, "labels", "name part must be no more than 63 bytes"),
        ({"name": "a", "annotations": {"a b": "x"}}, "annotations", "name part must consist of"),
        ({"name": "a", "annotations": {"a": "x" * 300_000}}, "annotations", "may not be more than 262144 bytes"),
        ({"name": "a", "finalizers": ["plain"]}, "finalizers[0]", "name is neither a standard finalizer name nor"),
        ({"name": "a", "ownerReferences": [{**OWNER, "uid": ""}]}, "ownerReferences.uid", "must not be empty"),
        ({"name": "a", "ownerReferences": [{**OWNER, "apiVersion": ""}]}, "ownerReferences.apiVersion", "version"),
        (
            {
                "name": "a",
                "ownerReferences": [{**OWNER, "controller": True}, {**OWNER, "uid": "v", "controller": True}],
            },
            "ownerReferences",
            'Only one reference can have Controller set to true. Found "true" in references for Pod/a and Pod/a',
        ),
    ],
)
async def test_metadata_is_checked(api: Api, metadata: Object, field: str, text: str) -> None:
    answer = await api.create("configmaps", {"metadata": metadata})
    assert (answer.status, answer.body["reason"]) == (422, "Invalid"), answer
    cause = answer.body["details"]["causes"][0]
    assert cause["field"] == f"metadata.{field}"
    assert text in cause["message"]
    assert cause["message"] in answer.body["message"]


async def test_services_and_namespaces_are_named_as_hosts(api: Api) -> None:
    service = {"metadata": {"name": "1st"}, "spec": {"ports": [{"port": 80}]}}
    assert "a DNS-1035 label" in (await api.create("services", service)).body["message"]
    answer = await api.send("POST", "/api/v1/namespaces", {"metadata": {"name": "a.b"}})
    assert answer.body["details"]["causes"][0]["message"] == 'Invalid value: "a.b": must not contain dots'


@pytest.mark.parametrize(
    ("plural", "obj", "expected"),
    [
        ("configmaps", config_map(**{"k!": "v"}), [("data[k!]", "FieldValueInvalid")]),
        ("configmaps", config_map(**{"..": "v"}), [("data[..]", "FieldValueInvalid")]),
        ("configmaps", {**config_map(x="1"), "binaryData": {"x": "YQ=="}}, [("data[x]", "FieldValueInvalid")]),
        ("secrets", secret(**{"k!": "YQ=="}), [("data[k!]", "FieldValueInvalid")]),
        (
            "secrets",
            secret("kubernetes.io/tls", a="YQ=="),
            [("data[tls.crt]", "FieldValueRequired"), ("data[tls.key]", "FieldValueRequired")],
        ),
        ("secrets", secret("kubernetes.io/ssh-auth"), [("data[ssh-privatekey]", "FieldValueRequired")]),
        (
            "secrets",
            secret("kubernetes.io/basic-auth"),
            [("data[username]", "FieldValueRequired"), ("data[password]", "FieldValueRequired")],
        ),
    ],
)
async def test_data_is_checked(api: Api, plural: str, obj: Object, expected: list[tuple[str, str]]) -> None:
    answer = await api.create(plural, obj)
    assert answer.status == 422, answer
    assert causes(answer) == expected


async def test_data_of_secrets_is_base64(api: Api) -> None:
    answer = await api.create("secrets", secret(k="not base64"))
    assert answer.status == 400
    assert answer.body["message"].endswith("cannot be handled as a Secret: illegal base64 data at input byte 3")


async def test_what_is_not_valid_is_said_before_what_exists(api: Api) -> None:
    await api.create("configmaps", config_map())
    assert (await api.create("configmaps", config_map(**{"k!": "v"}))).status == 422


@pytest.mark.parametrize(
    ("kind", "patch", "status", "text"),
    [
        (MERGE, {"metadata": {"name": "b"}}, 400, "the name of the object (b) does not match the name on the URL (a)"),
        (JSON, [{"op": "replace", "path": "/metadata/name", "value": "b"}], 400, "does not match the name on the URL"),
        (MERGE, {"metadata": {"namespace": "b"}}, 400, "the namespace of the provided object does not match"),
        (MERGE, {"metadata": None}, 400, "name must be provided"),
        (MERGE, {"metadata": {"uid": "b"}}, 422, 'metadata.uid: Invalid value: "b": field is immutable'),
        (MERGE, {"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}}, 422, "field is immutable"),
        (MERGE, {"metadata": {"resourceVersion": "1"}}, 409, "the object has been modified"),
        (MERGE, {"kind": "Secret"}, 422, "patch: Invalid value"),
        (MERGE, {"data": {"x": 5}}, 422, "patch: Invalid value"),
        (STRATEGIC, {"data": {"x y": "1"}}, 422, "a valid config key must consist of"),
        (MERGE, [], 400, "error decoding patch: json: cannot unmarshal array into Go value of type map"),
        (JSON, {}, 400, "error decoding patch: json: cannot unmarshal object into Go value of type"),
        (JSON, [{"op": "remove", "path": "/data/no"}], 422, "the server rejected our request due to an error"),
        (APPLY, {**config_map("b")}, 400, "the name of the object (b) does not match the name on the URL (a)"),
        (APPLY, {"data": {}}, 400, "invalid object type: /, Kind="),
        (APPLY, {**config_map(), "kind": "Secret"}, 400, "invalid object type: /v1, Kind=Secret"),
        (
            APPLY,
            {**config_map(), "odd": 1},
            500,
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .odd: field not declared in schema",
        ),
    ],
)
async def test_patches_are_checked(api: Api, kind: str, patch: Any, status: int, text: str) -> None:
    before = (await api.create("configmaps", config_map(x="1"))).body
    params = {"fieldManager": "me"} if kind == APPLY else {}
    answer = await api.patch("configmaps", "a", patch, kind, **params)
    assert answer.status == status, answer
    assert text in answer.body["message"]
    assert (await api.get("configmaps", "a")).body == before


@pytest.mark.parametrize(
    ("method", "params", "field", "reason"),
    [
        ("POST", {"dryRun": "Some"}, "dryRun", "FieldValueNotSupported"),
        ("POST", {"fieldValidation": "Most"}, "fieldValidation", "FieldValueNotSupported"),
        ("POST", {"fieldManager": RANDOM}, "fieldManager", "FieldValueTooLong"),
        ("POST", {"fieldManager": "a\tb"}, "fieldManager", "FieldValueInvalid"),
        ("PATCH", {"force": "true"}, "force", "FieldValueForbidden"),
        ("DELETE", {"propagationPolicy": "Some"}, "propagationPolicy", "FieldValueNotSupported"),
        ("DELETE", {"dryRun": "Some"}, "dryRun", "FieldValueNotSupported"),
        ("LIST", {"resourceVersionMatch": "Exact"}, "resourceVersionMatch", "FieldValueForbidden"),
        (
            "LIST",
            {"resourceVersionMatch": "Some", "resourceVersion": "1"},
            "resourceVersionMatch",
            "FieldValueNotSupported",
        ),
    ],
)
async def test_options_are_checked(api: Api, method: str, params: dict[str, str], field: str, reason: str) -> None:
    await api.create("configmaps", config_map())
    if method == "LIST":
        answer = await api.send("GET", api.path("configmaps"), **params)
    elif method == "POST":
        answer = await api.create("configmaps", config_map("b"), **params)
    elif method == "PATCH":
        answer = await api.patch("configmaps", "a", {"data": {"x": "1"}}, MERGE, **params)
    else:
        answer = await api.send("DELETE", api.path("configmaps", "a"), **params)
    assert answer.status == 422, answer
    assert causes(answer) == [(field, reason)]
    assert answer.body["details"]["group"] == "meta.k8s.io"


@pytest.mark.parametrize(
    ("params", "status", "text"),
    [
        ({"limit": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ({"continue": "zzz"}, 400, "invalid continue token: continue key is not valid"),
        ({"resourceVersion": "x"}, 400, 'invalid resource version: resourceVersion: Invalid value: "x"'),
        ({"resourceVersion": "99999999"}, 504, "Timeout: Too large resource version: 99999999, current: "),
        ({"fieldSelector": "data.x=1"}, 400, '"data.x" is not a known field selector: only "metadata.name", "metadata'),
        (
            {"fieldSelector": "metadata.name"},
            400,
            "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
        ),
    ],
)
async def test_lists_are_asked_for_rightly(api: Api, params: dict[str, str], status: int, text: str) -> None:
    answer = await api.send("GET", api.path("configmaps"), **params)
    assert answer.status == status, answer
    assert text in answer.body["message"]


async def test_fields_that_are_there_twice_are_warned_of(api: Api) -> None:
    body = b'{"metadata":{"name":"a"},"data":{"x":"1","x":"2"},"odd":1}'
    answer = await api.send("POST", api.path("configmaps"), body)
    assert answer.body["data"] == {"x": "2"}
    assert answer.headers.getall("Warning") == [
        '299 - "duplicate field \\"data.x\\""',
        '299 - "unknown field \\"odd\\""',
    ]
    answer = await api.send("POST", api.path("configmaps"), body, fieldValidation="Strict")
    assert answer.status == 400
    assert answer.body["message"].endswith('strict decoding error: duplicate field "data.x", unknown field "odd"')


async def test_only_known_formats_are_read(api: Api) -> None:
    answer = await api.send("POST", api.path("configmaps"), b"{}", content_type="text/plain")
    assert (answer.status, answer.body["reason"]) == (415, "UnsupportedMediaType")
    yaml = b"metadata:\n  name: a\ndata:\n  x: '1'\n"
    answer = await api.send("POST", api.path("configmaps"), yaml, content_type="application/yaml")
    assert (answer.status, answer.body["data"]) == (201, {"x": "1"})


async def test_paths_that_are_none_are_no_objects(api: Api) -> None:
    for path in ("/nope", "/apis/none.example.com", "/apis/none.example.com/v1/things"):
        answer = await api.send("GET", path)
        assert (answer.status, answer.body) == (404, "404 page not found\n")


async def test_an_apply_of_what_is_not_there_may_not_insist_on_an_object(api: Api) -> None:
    obj = config_map(x="1")
    answer = await api.apply("configmaps", {**obj, "metadata": {"name": "a", "uid": "u"}}, "me")
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert (
        "uid mismatch: the provided object specified uid u, and no existing object was found" in answer.body["message"]
    )


async def test_deleting_many_returns_them(api: Api) -> None:
    for name in ("a", "b"):
        await api.create("configmaps", {"metadata": {"name": name, "labels": {"mine": name}}})
    answer = await api.send("DELETE", api.path("configmaps"), labelSelector="mine", dryRun="All")
    assert (answer.body["kind"], len(answer.body["items"])) == ("ConfigMapList", 2)
    assert (await api.get("configmaps", "a")).status == 200
    answer = await api.send("DELETE", api.path("configmaps"), labelSelector="mine=a")
    assert [item["metadata"]["name"] for item in answer.body["items"]] == ["a"]
    assert (await api.get("configmaps", "a")).status == 404
    assert (await api.get("configmaps", "b")).status == 200


async def test_a_delete_names_what_differs(api: Api) -> None:
    await api.create("configmaps", config_map())
    for field, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        answer = await api.send("DELETE", api.path("configmaps", "a"), {"preconditions": {field: "1"}})
        assert answer.status == 409
        assert f"the {label} in the precondition (1) does not match the {label} in record (" in answer.body["message"]
