"""Applying: on the sandbox, and on a real kube-apiserver with the same results."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import msgspec
import pytest

from fluxtui.kube.apply import Applier, ApplyError
from fluxtui.kube.changes import Action
from fluxtui.kube.client import Client
from fluxtui.kube.health import wait_until_gone
from fluxtui.kube.identity import Identity, identity_of
from fluxtui.kube.memory import Memory
from fluxtui.kube.ownership import flux_cleanup
from fluxtui.kube.plan import ApplyOptions
from fluxtui.kube.prune import PruneOptions, prune
from tests.kube.applying import MARKS, OPTIONS, OWNER, Object, config_map, definition_of, deployment, get, patch


def counted(client: Client, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods of the client's requests from now on."""
    made: list[str] = []
    send = client.request

    def request(method: str, path: str, **options: Any) -> Any:
        made.append(method)
        return send(method, path, **options)

    monkeypatch.setattr(client, "request", request)
    return made


async def test_applying_twice_is_applying_once(client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [
        deployment("web", namespace),
        config_map("a", namespace),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s", "namespace": namespace},
            "stringData": {"k": "hidden"},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"ports": [{"port": 80}]},
        },
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{namespace}-more"}},
    ]
    given = json.dumps(objects)
    applier = Applier(client)
    first = await applier.apply(objects, OPTIONS)
    assert [str(change) for change in first] == [
        f"Namespace/{namespace}-more created",
        f"ConfigMap/{namespace}/a created",
        f"Secret/{namespace}/s created",
        f"Service/{namespace}/web created",
        f"Deployment/{namespace}/web created",
    ]
    assert json.dumps(objects) == given
    secret = await get(client, objects[2])
    assert secret is not None
    assert secret["data"] == {"k": base64.b64encode(b"hidden").decode()}
    assert secret["metadata"]["labels"] == OWNER
    before = [await get(client, obj) for obj in objects]
    again = await applier.apply(objects, OPTIONS)
    assert {change.action for change in again} == {Action.UNCHANGED}
    assert [await get(client, obj) for obj in objects] == before
    made = counted(client, monkeypatch)
    quick = await applier.apply(objects, ApplyOptions(manager="kustomize-controller", owner=OWNER, thorough=False))
    assert {change.action for change in quick} == {Action.UNCHANGED}
    assert set(made) == {"GET"}


async def test_what_is_known_does_not_hide_drift(client: Client, namespace: str) -> None:
    objects = [config_map(name, namespace) for name in "abcd"]
    applier = Applier(client, Memory())
    quick = ApplyOptions(manager="kustomize-controller", owner=OWNER, thorough=False)
    await applier.apply(objects, quick)
    await patch(client, objects[0], {"data": {"k": "drifted"}}, "someone")
    await patch(client, objects[1], {"metadata": {"labels": {"example.com/name": None}}}, "someone")
    await client.delete(await client.resource_for(objects[2]), "c", namespace)
    changes = await applier.apply(objects, quick)
    assert [change.action for change in changes] == ["configured", "configured", "created", "unchanged"]
    assert (await get(client, objects[0]) or {})["data"] == {"k": "v"}


async def test_fields_leave_with_the_desired_ones_and_others_stay(client: Client, namespace: str) -> None:
    applier = Applier(client)
    await applier.apply([config_map("a", namespace, {"k": "v", "old": "x"})], OPTIONS)
    await patch(client, config_map("a", namespace), {"data": {"other": "y"}}, "someone")
    await applier.apply([config_map("a", namespace, {"k": "v"})], OPTIONS)
    assert (await get(client, config_map("a", namespace)) or {})["data"] == {"k": "v", "other": "y"}


async def test_definitions_are_there_before_their_objects(client: Client, namespace: str) -> None:
    kind = f"Widget{namespace.replace('-', '')}"
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer"}}}}}
    converter = {"url": "https://example.com/convert", "caBundle": "Cg=="}
    webhook = {"conversionReviewVersions": ["v1"], "clientConfig": converter}
    definition = definition_of(kind, "Cluster", schema, conversion={"strategy": "Webhook", "webhook": webhook})
    # Namespaces that tools put on cluster-scoped objects are of no account.
    widget = {
        "apiVersion": "example.com/v1",
        "kind": kind,
        "metadata": {"name": "w", "namespace": namespace},
        "spec": {"n": 3},
    }
    applier = Applier(client)
    preview = await applier.preview([widget, definition], OPTIONS)
    assert [(plan.desired["kind"], plan.action) for plan in preview] == [
        ("CustomResourceDefinition", "created"),
        (kind, "created"),
    ]
    changes = await applier.apply([widget, definition], OPTIONS)
    assert [change.identity for change in changes] == [
        identity_of(definition),
        Identity("", "w", "example.com", kind),
    ]
    deleted = await prune(client, changes.inventory, PruneOptions(owner=OWNER))
    assert [change.identity.kind for change in deleted] == [kind, "CustomResourceDefinition"]
    await wait_until_gone(client, {identity_of(definition): "v1"}, 10)
    gone = await prune(client, changes.inventory, PruneOptions(owner=OWNER))
    assert {change.action for change in gone} == {Action.DELETED}


async def test_every_refused_object_is_named(client: Client, namespace: str) -> None:
    objects = [
        config_map("a", namespace),
        config_map("b", f"{namespace}-absent"),
        config_map("c", ""),
        {"apiVersion": "example.com/v1", "kind": "Nothing", "metadata": {"name": "n"}},
        {**deployment("UPPER", namespace)},
    ]
    with pytest.raises(ApplyError) as caught:
        await Applier(client).apply(objects, OPTIONS)
    lines = str(caught.value).split("\n")
    assert lines[0] == "ConfigMap/c namespace not specified: a ConfigMap belongs to a namespace"
    assert lines[1] == f'ConfigMap/{namespace}-absent/b not found: namespaces "{namespace}-absent" not found'
    assert lines[2].startswith(f"Deployment/{namespace}/UPPER dry-run failed (Invalid): ")
    assert lines[3] == 'Nothing/n dry-run failed: no matches for kind "Nothing" in version "example.com/v1"'
    assert not caught.value.touched
    assert await get(client, objects[0]) is None


async def test_secrets_do_not_show_in_refusals(client: Client, namespace: str) -> None:
    secret: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace}}
    with pytest.raises(ApplyError) as caught:
        await Applier(client).apply([{**secret, "type": "x" * 300, "data": {"key!": "aHVudGVyMg=="}}], OPTIONS)
    assert f"Secret/{namespace}/s dry-run failed" in str(caught.value)
    assert "aHVudGVyMg" not in str(caught.value)


async def test_secrets_do_not_show_in_previews(client: Client, namespace: str) -> None:
    secret: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace}}
    applier = Applier(client)
    await applier.apply([{**secret, "stringData": {"same": "hidden", "k": "hidden-one"}}], OPTIONS)
    (plan,) = await applier.preview([{**secret, "stringData": {"same": "hidden", "k": "hidden-two"}}], OPTIONS)
    before, after = plan.difference()
    assert (before or {})["data"] == {"same": "***", "k": "*** (before)"}
    assert (after or {})["data"] == {"same": "***", "k": "*** (after)"}


async def test_fields_the_schema_does_not_have_are_left_out(client: Client, namespace: str) -> None:
    obj = deployment("web", namespace)
    obj["spec"]["typo"] = 1
    obj["spec"]["template"]["spec"]["containers"][0]["bogus"] = {"deep": True}
    applier = Applier(client)
    (change,) = await applier.apply([obj], OPTIONS)
    assert set(change.dropped) == {".spec.typo", '.spec.template.spec.containers[name="app"].bogus'}
    live = await get(client, obj)
    assert live is not None
    assert "typo" not in live["spec"]
    assert [change.action for change in await applier.apply([obj], OPTIONS)] == ["unchanged"]


async def test_what_kubectl_wrote_is_taken_over(client: Client, namespace: str) -> None:
    obj = config_map("a", namespace, {"k": "v", "extra": "x"})
    annotated = config_map("a", namespace, {"k": "v", "extra": "x"})
    annotated["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "own": "1"}
    resource = await client.resource_for(obj)
    await client.create(resource, annotated, field_manager="kubectl-client-side-apply")
    (change,) = await Applier(client).apply([config_map("a", namespace)], OPTIONS)
    assert change.action is Action.CONFIGURED
    live = await get(client, obj)
    assert live is not None
    assert live["data"] == {"k": "v"}
    assert "kubectl.kubernetes.io/last-applied-configuration" not in live["metadata"].get("annotations", {})
    assert {entry["manager"] for entry in live["metadata"]["managedFields"]} == {"kustomize-controller"}


async def test_what_other_managers_wrote_is_taken_over_on_demand(client: Client, namespace: str) -> None:
    obj = config_map("a", namespace, {"k": "v", "extra": "x"})
    await client.create(await client.resource_for(obj), obj, field_manager="autopilot-controller")
    applier = Applier(client)
    await applier.apply([config_map("a", namespace)], OPTIONS)
    assert (await get(client, obj) or {})["data"] == {"k": "v", "extra": "x"}
    cleanup = flux_cleanup(OPTIONS.manager, ["autopilot"])
    (change,) = await applier.apply([config_map("a", namespace)], msgspec.structs.replace(OPTIONS, cleanup=cleanup))
    assert change.action is Action.CONFIGURED
    live = await get(client, obj)
    assert live is not None
    assert live["data"] == {"k": "v"}
    assert {entry["manager"] for entry in live["metadata"]["managedFields"]} == {"kustomize-controller"}


async def test_kinds_can_be_applied_before_all_others(client: Client, namespace: str) -> None:
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"ports": [{"port": 80}]},
    }
    objects = [config_map("a", namespace), service, deployment("UPPER", namespace)]
    options = msgspec.structs.replace(OPTIONS, early=frozenset({("", "Service")}))
    with pytest.raises(ApplyError, match="UPPER") as caught:
        await Applier(client).apply(objects, options)
    # The others are not even begun with: a stage is dry-run as a whole.
    assert [str(change) for change in caught.value.changes] == [f"Service/{namespace}/web created"]
    assert [identity.name for identity in caught.value.touched] == ["web"]


async def test_what_kubectl_wrote_stays_if_it_is_to_be_merged(client: Client, namespace: str) -> None:
    obj = config_map("a", namespace, {"k": "v", "extra": "x"})
    await client.create(await client.resource_for(obj), obj, field_manager="kubectl-client-side-apply")
    await Applier(client).apply([config_map("a", namespace, ssa="Merge")], OPTIONS)
    assert (await get(client, obj) or {})["data"] == {"k": "v", "extra": "x"}


@pytest.mark.parametrize(("annotations", "forced"), [({}, True), ({"force": "Enabled"}, False)])
async def test_immutable_objects_are_recreated_on_demand(
    client: Client, namespace: str, annotations: dict[str, str], forced: bool
) -> None:
    applier = Applier(client)
    old = {**config_map("a", namespace, {"k": "old"}, **annotations), "immutable": True}
    new = {**config_map("a", namespace, {"k": "new"}, **annotations), "immutable": True}
    await applier.apply([old], OPTIONS)
    before = await get(client, old)
    if not annotations:
        with pytest.raises(ApplyError, match="dry-run failed \\(Invalid\\)"):
            await applier.apply([new], OPTIONS)
    options = ApplyOptions(manager="kustomize-controller", owner=OWNER, marks=MARKS, force=forced)
    (change,) = await applier.apply([new], options)
    assert change.action is Action.CREATED
    after = await get(client, new)
    assert before is not None
    assert after is not None
    assert after["data"] == {"k": "new"}
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_marks(client: Client, namespace: str) -> None:
    applier = Applier(client)
    once, never = (
        config_map("once", namespace, ssa="IfNotPresent"),
        config_map("never", namespace, reconcile="Disabled"),
    )
    assert [change.action for change in await applier.apply([once, never], OPTIONS)] == ["skipped", "created"]
    once["data"] = {"k": "new"}
    assert [change.action for change in await applier.apply([once], OPTIONS)] == ["skipped"]
    live = config_map("live", namespace)
    await applier.apply([live], OPTIONS)
    await patch(client, live, {"metadata": {"annotations": {"example.com/reconcile": "disabled"}}})
    live["data"] = {"k": "new"}
    (change,) = await applier.apply([live], OPTIONS)
    assert change.action is Action.SKIPPED
    assert (await get(client, live) or {})["data"] == {"k": "v"}


async def test_ignored_fields_keep_their_live_value(client: Client, namespace: str) -> None:
    options = ApplyOptions(manager="kustomize-controller", owner=OWNER, ignored=lambda _: ["/spec/replicas"])
    applier = Applier(client)
    obj = deployment("web", namespace)
    await applier.apply([obj], options)
    await patch(client, obj, {"spec": {"replicas": 5}}, "autoscaler")
    assert [change.action for change in await applier.apply([obj], options)] == ["unchanged"]
    obj["spec"]["template"]["spec"]["containers"][0]["image"] = "example.com/app:2"
    await applier.apply([obj], options)
    live = await get(client, obj)
    assert live is not None
    assert live["spec"]["replicas"] == 5
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/app:2"


async def test_a_cancelled_apply_can_be_repeated(client: Client, namespace: str) -> None:
    objects = [config_map(f"m{number}", namespace) for number in range(20)]
    applier = Applier(client)
    for pause in (0.005, 0.01, 0.02, 0.05):
        try:
            async with asyncio.timeout(pause):
                await applier.apply(objects, OPTIONS)
        except TimeoutError:
            continue
    changes = await applier.apply(objects, OPTIONS)
    assert len(changes) == 20
    assert {change.action for change in await applier.apply(objects, OPTIONS)} == {Action.UNCHANGED}
