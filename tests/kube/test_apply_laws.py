"""Laws of applying that hold for any set of objects, and the parts of which it is made."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fluxtui.kube.apply import Applier
from fluxtui.kube.changes import Action
from fluxtui.kube.client import Client
from fluxtui.kube.drift import has_drifted, live_digest, payload
from fluxtui.kube.identity import Identity, identity_of, parse_id
from fluxtui.kube.inventory import Inventory, InventoryError
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.masking import masked_message
from fluxtui.kube.memory import Memory
from fluxtui.kube.normalize import drop_undeclared, normalized
from fluxtui.kube.ownership import cleanup_patch, flux_cleanup, union
from fluxtui.kube.plan import ApplyOptions
from fluxtui.kube.prune import PruneOptions, prune
from fluxtui.sandbox.cluster import SandboxCluster

Object = dict[str, Any]
OWNER = {"example.com/name": "mine"}
OTHER = {"example.com/name": "theirs"}

VALUES = st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from(["v", "w"]), min_size=1)
SETS = st.dictionaries(
    st.tuples(st.sampled_from(["ConfigMap", "Secret"]), st.sampled_from(["a", "b", "c", "d"])), VALUES, max_size=6
)


def objects_of(found: dict[tuple[str, str], dict[str, str]]) -> list[Object]:
    return [
        {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": "default"},
            ("data" if kind == "ConfigMap" else "stringData"): values,
        }
        for (kind, name), values in found.items()
    ]


def options(owner: dict[str, str], thorough: bool = True) -> ApplyOptions:
    return ApplyOptions(manager="kustomize-controller", owner=owner, thorough=thorough)


async def contents(client: Client) -> dict[Identity, Any]:
    found = {}
    for kind in ("ConfigMap", "Secret"):
        resource = await client.resource_for(("", "v1", kind))
        for item in (await client.list(resource, "default")).items:
            obj = {"apiVersion": "v1", "kind": kind, **item}
            found[identity_of(obj)] = (obj.get("data"), obj["metadata"].get("labels"))
    return found


@given(first=SETS, second=SETS, foreign=SETS, thorough=st.booleans())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_one_set_after_the_other(first: Any, second: Any, foreign: Any, thorough: bool) -> None:
    """Applying a set after another gives what applying it alone gives, and twice is once; pruning takes the rest."""

    async def run() -> None:
        async with SandboxCluster("laws", simulate=False) as cluster:
            server = {"server": cluster.url}
            context = Context("laws", "laws", "/config", cluster.url, cluster=server, user={"token": cluster.token})
            async with Client(context) as client:
                await check(client)

    async def check(client: Client) -> None:
        applier = Applier(client, Memory())
        empty = await contents(client)
        ours = {*first, *second}
        theirs = {key: value for key, value in foreign.items() if key not in ours}
        await applier.apply(objects_of(theirs), options(OTHER))
        untouched = await contents(client)
        before = (await applier.apply(objects_of(first), options(OWNER, thorough))).inventory
        changes = await applier.apply(objects_of(second), options(OWNER, thorough))
        await prune(client, (before | Inventory.of_objects(objects_of(theirs))) - changes.inventory, MINE)
        once = await contents(client)
        assert {key for key in once if key not in untouched} == {identity_of(obj) for obj in objects_of(second)}
        assert {key: once[key] for key in untouched} == untouched
        for identity, value in once.items():
            if identity.kind == "ConfigMap" and identity not in untouched:
                assert value[0] == second[identity.kind, identity.name]
        again = await applier.apply(objects_of(second), options(OWNER, thorough))
        assert {change.action for change in again} <= {Action.UNCHANGED}
        assert await contents(client) == once
        await prune(client, changes.inventory, MINE)
        assert await contents(client) == untouched
        await prune(client, Inventory.of_objects(objects_of(theirs)), PruneOptions(owner=OTHER))
        assert await contents(client) == empty

    with asyncio.Runner() as runner:
        runner.run(run())


MINE = PruneOptions(owner=OWNER)


@pytest.mark.parametrize(
    ("identity", "text"),
    [
        (Identity("apps", "web", "apps", "Deployment"), "apps_web_apps_Deployment"),
        (Identity("", "infra", "", "Namespace"), "_infra__Namespace"),
        (Identity("a", "x:y", "rbac.authorization.k8s.io", "Role"), "a_x__y_rbac.authorization.k8s.io_Role"),
        (Identity("", "w.example.com", "apiextensions.k8s.io", "CustomResourceDefinition"), None),
    ],
)
def test_ids(identity: Identity, text: str | None) -> None:
    assert parse_id(identity.id) == identity
    assert text is None or identity.id == text


@pytest.mark.parametrize("text", ["", "a", "a_b", "a_b_c", "a___Kind", "a_b_c_"])
def test_ids_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse"):
        parse_id(text)
    with pytest.raises(InventoryError, match="inventory entry"):
        Inventory.of_status({"entries": [{"id": text, "v": "v1"}]})


def test_the_order_of_kinds() -> None:
    kinds = [
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apps", "Deployment"),
        ("example.com", "Widget"),
        ("", "Secret"),
        ("", "Namespace"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("", "ConfigMap"),
    ]
    ordered = sorted((Identity("", "x", group, kind) for group, kind in kinds), key=lambda found: found.order)
    assert [found.kind for found in ordered] == [
        "CustomResourceDefinition",
        "Namespace",
        "ConfigMap",
        "Secret",
        "Deployment",
        "Widget",
        "ValidatingWebhookConfiguration",
    ]


def test_inventories() -> None:
    status = {"entries": [{"id": "n_a__ConfigMap", "v": "v1"}, {"id": "n_b_apps_Deployment", "v": "v1"}]}
    both = Inventory.of_status(status)
    assert both.to_status() == status
    a = Inventory.of_status({"entries": status["entries"][:1]})
    assert (both - a).to_status() == {"entries": status["entries"][1:]}
    assert a | both == both
    assert both & [Identity("n", "a", "", "ConfigMap")] == a
    assert len(Inventory.of_status(None)) == 0


def test_fields_of_two_managers_as_one() -> None:
    one: Object = {"f:data": {"f:k": {}}, "f:metadata": {"f:labels": {}}}
    other = {"f:data": {"f:l": {}}, "f:metadata": {"f:labels": {"f:app": {}}}}
    assert union(one, other) == {
        "f:data": {"f:k": {}, "f:l": {}},
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
    }
    assert union({}, one) == one
    assert union(one, one) == one


def entry(manager: str, operation: str, fields: Any, subresource: str = "") -> Object:
    found = {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields}
    return {**found, "subresource": subresource} if subresource else found


def test_only_what_other_tools_left_is_cleaned_up() -> None:
    mine = entry("kustomize-controller", "Apply", {"f:data": {"f:k": {}}})
    foreign = entry("helm", "Update", {"f:data": {"f:h": {}}})
    live: Object = {"metadata": {"name": "a", "resourceVersion": "7", "managedFields": [mine, foreign]}}
    cleanup = flux_cleanup("kustomize-controller")
    assert cleanup_patch(live, "kustomize-controller", cleanup) == []
    edited = entry("kubectl-edit", "Update", {"f:data": {"f:e": {}}})
    scaled = entry("kubectl", "Update", {"f:status": {}}, "status")
    live["metadata"]["managedFields"] += [edited, scaled]
    live["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    test, annotation, owners = cleanup_patch(live, "kustomize-controller", cleanup)
    assert test == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    assert annotation["path"] == "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"
    assert owners["value"] == [foreign, scaled, {**mine, "fieldsV1": {"f:data": {"f:k": {}, "f:e": {}}}}]


def test_drift_and_what_is_left_alone() -> None:
    live: Object = {"spec": {"a": 1, "b": [1, 2]}, "metadata": {"labels": {"x": "y"}}, "status": {"s": 1}}
    same = {**live, "status": {"s": 2}, "metadata": {"labels": {"x": "y"}, "generation": 3}}
    assert not has_drifted(live, same)
    assert has_drifted(live, {**same, "metadata": {"labels": {}}})
    other = {**same, "spec": {"a": 2, "b": [1, 3]}}
    assert has_drifted(live, other)
    assert has_drifted(live, other, ["/spec/a"])
    assert not has_drifted(live, other, ["/spec/a", "/spec/b/1"])
    desired = {"spec": {"a": 2, "b": [1, 3]}}
    assert payload(desired, live, other, ["/spec/a"], "me") == {"spec": {"a": 1, "b": [1, 3]}}
    assert payload(desired, live, same, ["/spec/a"], "me") is desired
    absent: Object = {"spec": {"b": [1, 3]}, "metadata": {}}
    assert payload(desired, absent, other, ["/spec/a"], "me") == {"spec": {"b": [1, 3]}}
    live["metadata"]["managedFields"] = [entry("hpa", "Apply", {"f:spec": {"f:a": {}}})]
    assert payload(desired, live, other, ["/spec/a"], "me") == {"spec": {"b": [1, 3]}}


def test_a_list_item_of_another_manager_is_left_to_it() -> None:
    key = 'k:{"name":"app"}'
    fields: Object = {"f:spec": {"f:containers": {key: {"f:image": {}}}}}
    live: Object = {
        "spec": {"containers": [{"name": "app", "image": "2"}]},
        "metadata": {"managedFields": [entry("updater", "Apply", fields)]},
    }
    desired = {"spec": {"containers": [{"name": "app", "image": "1"}]}}
    left = payload(desired, live, desired, ["/spec/containers/0/image"], "me")
    assert left == {"spec": {"containers": [{"name": "app"}]}}


def test_what_counts_as_the_same_live_object() -> None:
    live: Object = {"data": {"k": "v"}, "metadata": {"name": "a", "uid": "1", "resourceVersion": "1"}}
    owned = entry("me", "Apply", {"f:data": {}})
    live["metadata"]["managedFields"] = [{**owned, "time": "1"}]
    later: Object = {**live, "status": {"ready": True}}
    later["metadata"] = {**live["metadata"], "resourceVersion": "2", "managedFields": [{**owned, "time": "2"}]}
    assert live_digest(live) == live_digest(later)
    later["metadata"]["managedFields"].append(entry("kubectl-edit", "Update", {"f:data": {}}))
    assert live_digest(live) != live_digest(later)
    assert live_digest(live) != live_digest({**live, "data": {"k": "w"}})


def test_a_memory_is_believed_for_a_while() -> None:
    ticks = itertools.count(0.0, 10.0)
    memory = Memory(25.0, lambda: next(ticks))
    obj: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
    memory.remember(obj, obj)
    assert memory.knows(obj)
    assert memory.knows(obj)
    assert not memory.knows(obj)
    memory.remember(obj, obj)
    assert not memory.matches({**obj, "data": {}}, obj)
    memory.forget([identity_of(obj)])
    assert not memory.knows(obj)
    assert len(memory) == 0


def test_normalized() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {}, "stringData": {"a": "x"}, "data": {"b": None}}
    assert normalized(secret) == {"apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": {"b": "", "a": "eA=="}}
    custom = {
        "apiVersion": "e.com/v1",
        "kind": "T",
        "metadata": {"creationTimestamp": None},
        "spec": None,
        "status": {},
    }
    assert normalized(custom) == {"apiVersion": "e.com/v1", "kind": "T", "metadata": {}, "spec": None}
    role: Object = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {}, "rules": None}
    assert normalized(role) == role
    cron = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"annotations": None},
        "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"ports": [{"containerPort": 1}]}]}}}}},
    }
    ports = normalized(cron)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert ports == [{"containerPort": 1, "protocol": "TCP"}]


def test_undeclared_fields() -> None:
    obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP", "odd": 1}], "x": 2}]},
    }
    refusal = (
        "failed to create typed patch object (d/p; /v1, Kind=Pod): errors:\n"
        '  .spec.containers[name="a"].ports[containerPort=80,protocol="TCP"].odd: field not declared in schema\n'
        '  .spec.containers[name="a"].x: field not declared in schema'
    )
    done, dropped = drop_undeclared(obj, refusal)
    assert len(dropped) == 2
    assert done["spec"]["containers"] == [{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]
    assert drop_undeclared({**obj, "apiVersion": "example.com/v1"}, refusal)[1] == []
    assert drop_undeclared(obj, ".spec.absent: field not declared in schema")[1] == []
    assert drop_undeclared(obj, "something else") == (obj, [])


def test_messages_about_secrets_hold_no_values() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "data": {"k": "aHVudGVyMg=="}, "stringData": {"l": "pass"}}
    message = 'expected string, got "aHVudGVyMg==" (hunter2), pass, cGFzcw=='
    assert masked_message(secret, message) == 'expected string, got "***" (***), ***, ***'
    assert masked_message({**secret, "kind": "ConfigMap"}, message) == message
