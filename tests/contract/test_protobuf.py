"""Bodies in protobuf, which Go clients send for built-in kinds — the same objects for the sandbox and a real server."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtui.sandbox import protobuf, schema
from fluxtui.sandbox.decoding import decode as as_typed
from tests.contract.conftest import Api
from tests.contract.test_custom import CRDS, SCHEMA
from tests.contract.test_objects import deployment

Object = dict[str, Any]


def field(number: int, value: int | str | bytes) -> bytes:
    """A field of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def entry(key: str, value: str) -> bytes:
    return field(1, key) + field(2, value)


def body(api_version: str, kind: str, raw: bytes) -> bytes:
    said = field(1, api_version) + field(2, kind)
    return protobuf.MAGIC + field(1, said) + field(2, raw) + field(3, "") + field(4, "")


METADATA = field(1, "a") + field(2, "") + field(11, entry("tier", "back")) + field(14, "example.com/one")


async def test_a_config_map_is_read(api: Api) -> None:
    raw = field(1, METADATA) + field(2, entry("x", "1")) + field(3, entry("y", "\x00\x01"))
    data = body("v1", "ConfigMap", raw)
    answer = await api.send("POST", api.path("configmaps"), data, content_type=protobuf.CONTENT_TYPE)
    assert answer.status == 201, answer
    assert (answer.body["data"], answer.body["binaryData"]) == ({"x": "1"}, {"y": "AAE="})
    assert answer.body["metadata"]["labels"] == {"tier": "back"}
    assert answer.body["metadata"]["finalizers"] == ["example.com/one"]


async def test_zero_is_not_nothing_where_that_is_a_difference(api: Api) -> None:
    container = field(1, "main") + field(2, "i:1")
    template = field(1, field(11, entry("app", "web"))) + field(2, field(2, container))
    spec = field(1, 0) + field(2, field(1, entry("app", "web"))) + field(3, template) + field(5, 0)
    data = body("apps/v1", "Deployment", field(1, field(1, "web")) + field(2, spec))
    path = api.path("deployments", group="apps/v1")
    answer = await api.send("POST", path, data, content_type=protobuf.CONTENT_TYPE)
    assert answer.status == 201, answer
    assert answer.body["spec"]["replicas"] == 0
    assert "minReadySeconds" not in answer.body["spec"]
    assert answer.body["spec"]["template"]["spec"]["containers"][0]["image"] == "i:1"


async def test_deletions_are_read(api: Api) -> None:
    await api.create("configmaps", {"metadata": {"name": "a"}})
    wrong = body("v1", "DeleteOptions", field(2, field(1, "other")))
    answer = await api.send("DELETE", api.path("configmaps", "a"), wrong, content_type=protobuf.CONTENT_TYPE)
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")


@pytest.mark.parametrize("data", [b"", b"xx", b"k8s\x00\xff", protobuf.MAGIC + field(2, "x")])
async def test_what_is_no_protobuf_is_refused(api: Api, data: bytes) -> None:
    answer = await api.send("POST", api.path("configmaps"), data, content_type=protobuf.CONTENT_TYPE)
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest"), answer


@given(st.binary(max_size=200), st.sampled_from(["Pod", "ConfigMap", "Event"]))
def test_noise_is_read_or_refused(data: bytes, kind: str) -> None:
    for text in (protobuf.MAGIC + data, body("v1", kind, data)):
        try:
            found = protobuf.decode(text, ("v1", kind))
        except protobuf.ProtobufError:
            continue
        assert found["kind"]


WORKLOAD = {
    **deployment(),
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": "10%"}},
        "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": {"note": ""}},
            "spec": {
                "automountServiceAccountToken": False,
                "containers": [
                    {
                        "name": "main",
                        "image": "i:1",
                        "env": [
                            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}
                        ],
                        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
                        "ports": [{"name": "http", "containerPort": 80}],
                        "resources": {"limits": {"cpu": "500m"}, "requests": {"cpu": "0.1", "memory": "1Gi"}},
                        "securityContext": {"runAsUser": 0, "capabilities": {"drop": ["ALL"]}},
                        "volumeMounts": [{"name": "c", "mountPath": "/c"}],
                    }
                ],
                "volumes": [{"name": "c", "configMap": {"name": "c", "items": [{"key": "a", "path": "b"}]}}],
            },
        },
    },
}
KINDS: list[tuple[str, str, Object]] = [
    ("apps/v1", "deployments", WORKLOAD),
    (
        "",
        "services",
        {"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80, "targetPort": "x"}]}},
    ),
    ("", "secrets", {"kind": "Secret", "metadata": {"name": "a"}, "data": {"k": "/+8="}}),
    (
        "coordination.k8s.io/v1",
        "leases",
        {"kind": "Lease", "metadata": {"name": "a"}, "spec": {"renewTime": "2026-01-02T03:04:05.060708Z"}},
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "roles",
        {
            "kind": "Role",
            "metadata": {"name": "a"},
            "rules": [{"apiGroups": [""], "resources": ["x"], "verbs": ["get"]}],
        },
    ),
    (
        "batch/v1",
        "cronjobs",
        {
            "kind": "CronJob",
            "metadata": {"name": "a"},
            "spec": {
                "schedule": "0 * * * *",
                "jobTemplate": {
                    "spec": {
                        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "m", "image": "i"}]}}
                    }
                },
            },
        },
    ),
]


@pytest.mark.peers
@pytest.mark.parametrize("api", ["real"], indirect=True)
@pytest.mark.parametrize(("group", "plural", "obj"), KINDS, ids=[plural for _, plural, _ in KINDS])
async def test_what_a_server_writes_is_what_its_json_says(api: Api, group: str, plural: str, obj: Object) -> None:
    created = await api.create(plural, copy.deepcopy(obj), group)
    assert created.status == 201, created
    said = (await api.get(plural, obj["metadata"]["name"], group)).body
    await same(api, api.path(plural, obj["metadata"]["name"], group), said)


@pytest.mark.peers
@pytest.mark.parametrize("api", ["real"], indirect=True)
async def test_a_definition_is_read_from_protobuf(api: Api) -> None:
    group = f"protobuf.{api.namespace}.example.com"
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}}
    names = {"plural": "things", "kind": "Thing"}
    obj = {
        "metadata": {"name": f"things.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }
    created = await api.send("POST", CRDS, obj)
    assert created.status == 201, created
    await same(api, f"{CRDS}/things.{group}", created.body, volatile=True)
    await api.send("DELETE", f"{CRDS}/things.{group}")


async def same(api: Api, path: str, said: Object, *, volatile: bool = False) -> None:
    """Read an object as protobuf, and compare it with what JSON says."""
    headers = {"Accept": protobuf.CONTENT_TYPE, "Authorization": f"Bearer {api.token}"}
    async with api.session.get(api.server + path, headers=headers) as response:
        assert response.headers["Content-Type"] == protobuf.CONTENT_TYPE
        found = protobuf.decode(await response.read(), ("", ""))
    group, _, version = said["apiVersion"].rpartition("/")
    node = schema.builtin(group, version, said["kind"])
    one, other = as_typed(found, node)[0], as_typed(said, node)[0]
    if volatile:
        for item in (one, other):
            item.pop("status", None)
            for name in ("resourceVersion", "managedFields", "finalizers"):
                item["metadata"].pop(name, None)
    assert one == other
