"""Lists, watches and discovery — the same answers from the sandbox and from a real server."""

from __future__ import annotations

import pytest

from tests.contract.conftest import MERGE, Api
from tests.contract.test_objects import config_map, deployment


async def three(api: Api) -> None:
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "red")):
        obj = config_map(name)
        obj["metadata"]["labels"] = {"colour": colour}
        await api.create("configmaps", obj)


def names(body: dict[str, object]) -> list[str]:
    items = body["items"]
    assert isinstance(items, list)
    return [item["metadata"]["name"] for item in items if item["metadata"]["name"] != "kube-root-ca.crt"]


async def test_a_list_has_a_version_and_plain_items(api: Api) -> None:
    await three(api)
    body = (await api.send("GET", api.path("configmaps"))).body
    assert (body["kind"], body["apiVersion"]) == ("ConfigMapList", "v1")
    assert int(body["metadata"]["resourceVersion"]) > 0
    assert names(body) == ["a", "b", "c"]
    assert "kind" not in body["items"][0]


async def test_lists_are_selected_by_label(api: Api) -> None:
    await three(api)
    for selector, expected in (
        ("colour=red", ["a", "c"]),
        ("colour!=red,colour", ["b"]),
        ("colour in (blue,green)", ["b"]),
        ("colour notin (blue),colour", ["a", "c"]),
        ("!colour", []),
    ):
        assert names((await api.send("GET", api.path("configmaps"), labelSelector=selector)).body) == expected, selector


async def test_lists_are_selected_by_field(api: Api) -> None:
    await three(api)
    assert names((await api.send("GET", api.path("configmaps"), fieldSelector="metadata.name=b")).body) == ["b"]
    assert "a" not in names((await api.send("GET", api.path("configmaps"), fieldSelector="metadata.name!=a")).body)
    answer = await api.send("GET", api.path("configmaps"), fieldSelector="data.x=1")
    assert answer.status == 400


async def test_events_are_selected_by_who_reports_them(api: Api) -> None:
    for name, reporter in (
        ("a", {"source": {"component": "kustomize-controller"}}),
        ("b", {"source": {"component": "kubelet"}, "reportingComponent": "kustomize-controller"}),
        ("c", {"reportingComponent": "kustomize-controller", "reportingInstance": "x"}),
    ):
        involved = {"kind": "ConfigMap", "namespace": api.namespace, "name": "x"}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name},
            "involvedObject": involved,
            **reporter,
        }
        await api.create("events", event)
    for field, expected in (("source", ["a", "c"]), ("reportingComponent", ["b", "c"])):
        selector = f"{field}=kustomize-controller"
        found = await api.send("GET", api.path("events"), fieldSelector=selector)
        assert names(found.body) == expected, field


async def test_a_list_comes_in_pages_of_one_moment(api: Api) -> None:
    await three(api)
    first = (await api.send("GET", api.path("configmaps"), limit="2")).body
    assert names(first) == ["a", "b"]
    assert first["metadata"]["continue"]
    late = config_map("bb")
    await api.create("configmaps", late)
    second = (
        await api.send("GET", api.path("configmaps"), limit="2", **{"continue": first["metadata"]["continue"]})
    ).body
    assert names(second) == ["c"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_watch_tells_what_happens(api: Api) -> None:
    version = (await api.send("GET", api.path("configmaps"))).body["metadata"]["resourceVersion"]
    await api.create("configmaps", config_map(x="1"))
    await api.patch("configmaps", "a", {"data": {"x": "2"}}, MERGE)
    await api.send("DELETE", api.path("configmaps", "a"))
    events = await api.watch("configmaps", 3, resourceVersion=version, fieldSelector="metadata.name=a")
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))
    assert events[0]["object"]["kind"] == "ConfigMap"


async def test_a_watch_without_a_version_begins_with_what_is(api: Api) -> None:
    await three(api)
    events = await api.watch("configmaps", 2, labelSelector="colour=red")
    assert {event["object"]["metadata"]["name"] for event in events} == {"a", "c"}
    assert {event["type"] for event in events} == {"ADDED"}


async def test_an_object_that_leaves_a_selection_is_deleted_to_its_watch(api: Api) -> None:
    await three(api)
    version = (await api.send("GET", api.path("configmaps"))).body["metadata"]["resourceVersion"]
    await api.patch("configmaps", "a", {"metadata": {"labels": {"colour": "blue"}}}, MERGE)
    await api.patch("configmaps", "b", {"metadata": {"labels": {"colour": "red"}}}, MERGE)
    events = await api.watch("configmaps", 2, resourceVersion=version, labelSelector="colour=red")
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
        ("DELETED", "a"),
        ("ADDED", "b"),
    ]


async def test_initial_events_end_with_a_bookmark(api: Api) -> None:
    await three(api)
    events = await api.watch(
        "configmaps",
        3,
        labelSelector="colour=red",
        sendInitialEvents="true",
        allowWatchBookmarks="true",
        resourceVersionMatch="NotOlderThan",
    )
    assert [event["type"] for event in events] == ["ADDED", "ADDED", "BOOKMARK"]
    assert events[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_table_has_columns(api: Api) -> None:
    await three(api)
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    body = (await api.send("GET", api.path("configmaps"), accept=accept, labelSelector="colour")).body
    assert body["kind"] == "Table"
    assert [column["name"] for column in body["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert [row["cells"][0] for row in body["rows"]] == ["a", "b", "c"]
    assert body["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_metadata_can_be_had_alone(api: Api) -> None:
    await api.create("configmaps", config_map(x="1"))
    accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    body = (await api.send("GET", api.path("configmaps", "a"), accept=accept)).body
    assert body["kind"] == "PartialObjectMetadata"
    assert "data" not in body


async def test_discovery_is_aggregated(api: Api) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    body = (await api.send("GET", "/apis", accept=accept)).body
    apps = next(item for item in body["items"] if item["metadata"]["name"] == "apps")
    resources = {item["resource"]: item for item in apps["versions"][0]["resources"]}
    assert resources["deployments"]["scope"] == "Namespaced"
    assert resources["deployments"]["responseKind"]["kind"] == "Deployment"
    assert {part["subresource"] for part in resources["deployments"]["subresources"]} == {"scale", "status"}


async def test_discovery_is_had_the_old_way_too(api: Api) -> None:
    groups = (await api.send("GET", "/apis")).body
    assert groups["kind"] == "APIGroupList"
    assert "apps" in [group["name"] for group in groups["groups"]]
    core = (await api.send("GET", "/api/v1")).body
    found = {item["name"]: item for item in core["resources"]}
    assert found["configmaps"]["shortNames"] == ["cm"]
    assert found["namespaces"]["namespaced"] is False
    assert "pods/status" in found
    assert (await api.send("GET", "/version")).body["major"] == "1"


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("x", "ab"), ("!x", "c"), ("x=1", "a"), ("x == 1", "a"), ("x!=1", "bc"), ("x in (1,2)", "ab"),
        ("x in(1),y", "a"), ("x notin (1)", "bc"), ("x>1", "b"), ("x<2", "a"), ("x=", ""), ("x in ()", ""), 
        ("x notin (1,)", "bc"),
        ("y = two , x", "a"),
    ],
)  # fmt: skip
async def test_labels_select(api: Api, selector: str, names: str) -> None:
    for name, labels in (("a", {"x": "1", "y": "two"}), ("b", {"x": "2"}), ("c", {})):
        await api.create("leases", {"metadata": {"name": name, "labels": labels}}, "coordination.k8s.io/v1")
    path = api.path("leases", group="coordination.k8s.io/v1")
    answer = await api.send("GET", path, labelSelector=selector)
    assert answer.status == 200, answer
    assert "".join(item["metadata"]["name"] for item in answer.body["items"]) == names


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("x in (1", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("x=1 y", "found 'y', expected: ',' or 'end of string'"),
        ("=1", "found '=', expected: !, identifier, or 'end of string'"),
        ("x,", "found '', expected: identifier after ','"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("x gt 1", "unable to parse requirement: found 'gt', expected: in, notin, =, ==, !=, gt, lt"),
        ("x!", "unable to parse requirement: found '!', expected: in, notin, =, ==, !=, gt, lt"),
    ],
)
async def test_label_selectors_are_read_strictly(api: Api, selector: str, message: str) -> None:
    answer = await api.send("GET", api.path("configmaps"), labelSelector=selector)
    assert (answer.status, answer.body["message"]) == (400, message)


async def test_fields_select_with_escapes(api: Api) -> None:
    await api.create("leases", {"metadata": {"name": "a"}}, "coordination.k8s.io/v1")
    path = api.path("leases", group="coordination.k8s.io/v1")
    found = (await api.send("GET", path, fieldSelector="metadata.name!=a\\,b,metadata.name!=c")).body["items"]
    assert [item["metadata"]["name"] for item in found] == ["a"]


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


async def columns(api: Api, plural: str, group: str = "") -> list[tuple[str, int]]:
    body = (await api.send("GET", api.path(plural, group=group), accept=TABLE)).body
    return [(item["name"], item["priority"]) for item in body["columnDefinitions"]]


async def cells(api: Api, plural: str, obj: dict[str, object], group: str = "") -> list[object]:
    answer = await api.create(plural, obj, group)
    assert answer.status == 201, answer
    name = answer.body["metadata"]["name"]
    body = (await api.send("GET", api.path(plural, name, group), accept=TABLE)).body
    (row,) = body["rows"]
    found: list[object] = row["cells"]
    return found


async def test_kinds_have_their_columns(api: Api) -> None:
    assert await columns(api, "deployments", "apps/v1") == [
        ("Name", 0), ("Ready", 0), ("Up-to-date", 0), ("Available", 0), ("Age", 0),
        ("Containers", 1), ("Images", 1), ("Selector", 1),
    ]  # fmt: skip
    assert await columns(api, "pods") == [
        ("Name", 0), ("Ready", 0), ("Status", 0), ("Restarts", 0), ("Age", 0),
        ("IP", 1), ("Node", 1), ("Nominated Node", 1), ("Readiness Gates", 1),
    ]  # fmt: skip
    assert (await columns(api, "events"))[:4] == [("Last Seen", 0), ("Type", 0), ("Reason", 0), ("Object", 0)]
    assert await columns(api, "roles", "rbac.authorization.k8s.io/v1") == [("Name", 0), ("Created At", 0)]


async def test_cells_tell_what_there_is(api: Api) -> None:
    found = await cells(api, "deployments", deployment(), "apps/v1")
    assert [*found[:4], *found[5:]] == ["web", "0/1", 0, 0, "main", "i:1", "app=web"]
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 53, "protocol": "UDP"}]
    service: dict[str, object] = {"metadata": {"name": "s"}, "spec": {"ports": ports, "selector": {"a": "b"}}}
    found = await cells(api, "services", service)
    assert [found[1], *found[3:5], found[6]] == ["ClusterIP", "<none>", "80/TCP,53/UDP", "a=b"]
    secret: dict[str, object] = {"metadata": {"name": "s"}, "data": {"k": "YQ=="}}
    assert (await cells(api, "secrets", secret))[:3] == ["s", "Opaque", 1]
    binding: dict[str, object] = {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "d", "namespace": "n"}, {"kind": "User", "name": "u"}],
    }
    found = await cells(api, "rolebindings", binding, "rbac.authorization.k8s.io/v1")
    assert [found[1], *found[3:]] == ["Role/r", "u", "", "n/d"]


async def test_other_forms_are_refused(api: Api) -> None:
    for accept in ("text/html", "application/json;as=Other;v=v1;g=meta.k8s.io"):
        answer = await api.send("GET", api.path("configmaps"), accept=accept)
        assert (answer.status, answer.body["reason"]) == (406, "NotAcceptable")
    answer = await api.send("GET", api.path("configmaps"), accept=f"application/json;as=Other,{TABLE}")
    assert answer.body["kind"] == "Table"
    await api.create("configmaps", config_map())
    answer = await api.send("GET", api.path("configmaps", "a"), accept=TABLE, includeObject="Some")
    assert answer.status == 400
    answer = await api.send("GET", api.path("configmaps", "a"), accept=TABLE, includeObject="None")
    assert answer.body["rows"][0]["object"] is None


async def test_writes_are_answered_in_the_form_asked_for(api: Api) -> None:
    answer = await api.send("POST", api.path("configmaps"), config_map(x="1"), accept=TABLE)
    assert (answer.status, answer.body["kind"]) == (201, "Table")
    accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    path = api.path("configmaps", "a")
    answer = await api.send("PATCH", path, {"data": {"x": "2"}}, content_type=MERGE, accept=accept)
    assert answer.body["kind"] == "PartialObjectMetadata"
