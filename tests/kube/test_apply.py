"""Applying, pruning and waiting: on the sandbox, and on a real kube-apiserver with the same results."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fluxtui.kube.apply import Applier, ApplyError
from fluxtui.kube.changes import Action
from fluxtui.kube.client import Client, PatchType
from fluxtui.kube.errors import Forbidden, NotFound
from fluxtui.kube.health import HealthError, wait_until_gone, wait_until_ready
from fluxtui.kube.identity import Identity, identity_of
from fluxtui.kube.inventory import Inventory
from fluxtui.kube.kubeconfig import Context
from fluxtui.kube.memory import Memory
from fluxtui.kube.plan import ApplyOptions, Marks
from fluxtui.kube.prune import PruneError, PruneOptions, prune
from fluxtui.sandbox.cluster import SandboxCluster

Object = dict[str, Any]
OWNER = {"example.com/name": "apps", "example.com/namespace": "flux-system"}
MARKS = Marks(
    exclude=(("example.com/reconcile", "disabled"),),
    if_not_present=(("example.com/ssa", "IfNotPresent"),),
    force=(("example.com/force", "enabled"),),
    merge=(("example.com/ssa", "Merge"),),
)
OPTIONS = ApplyOptions(manager="kustomize-controller", owner=OWNER, marks=MARKS)
_NUMBERS = itertools.count(1)


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.peers)])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """An administrator's client."""
    if request.param == "real":
        async with Client(request.getfixturevalue("real_server")) as client:
            yield client
        return
    async with SandboxCluster("apply", simulate=False) as cluster:
        server = {"server": cluster.url}
        context = Context("sandbox", "sandbox", "/config", cluster.url, cluster=server, user={"token": cluster.token})
        async with Client(context) as client:
            yield client


@pytest.fixture
async def namespace(client: Client) -> str:
    name = f"apply-{next(_NUMBERS)}"
    obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await client.create(await client.resource_for(obj), obj)
    return name


def config_map(name: str, namespace: str, data: Any = None, **annotations: str) -> Object:
    metadata: Object = {"name": name, "namespace": namespace}
    if annotations:
        metadata["annotations"] = {f"example.com/{key}": value for key, value in annotations.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {"k": "v"}}


def deployment(name: str, namespace: str) -> Object:
    container: Object = {"name": "app", "image": "example.com/app:1", "ports": [{"containerPort": 80}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": None},
        "spec": {
            "replicas": 1,
            "strategy": None,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }


async def get(client: Client, obj: Object) -> Object | None:
    identity = identity_of(obj)
    try:
        return await client.get(await client.resource_for(obj), identity.name, identity.namespace)
    except NotFound:
        return None


async def patch(client: Client, obj: Object, change: Any, manager: str = "kubectl-edit") -> None:
    identity = identity_of(obj)
    resource = await client.resource_for(obj)
    await client.patch(resource, identity.name, identity.namespace, change, type=PatchType.MERGE, field_manager=manager)


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
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer"}}}}}
    definition: Object = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Cluster",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {
                    "conversionReviewVersions": ["v1"],
                    "clientConfig": {"url": "https://example.com/convert", "caBundle": "Cg=="},
                },
            },
        },
    }
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
    assert not caught.value.attempted
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


async def test_prune_takes_its_own_and_nothing_else(client: Client, namespace: str) -> None:
    applier = Applier(client)
    objects = [config_map(name, namespace) for name in ("own", "kept", "lost", "living")]
    changes = await applier.apply(objects, OPTIONS)
    await patch(client, objects[1], {"metadata": {"annotations": {"example.com/prune": "disabled"}}})
    await patch(client, objects[2], {"metadata": {"labels": {"example.com/name": "other"}}})
    living = await get(client, objects[3])
    assert living is not None
    stale = changes.inventory | Inventory.of_objects([config_map("absent", namespace)])
    options = PruneOptions(
        owner=OWNER, keep=(("example.com/prune", "disabled"),), never=frozenset({living["metadata"]["uid"]})
    )
    done = await prune(client, stale, options)
    assert {change.identity.name: change.action for change in done} == {
        "own": Action.DELETED,
        "kept": Action.SKIPPED,
        "lost": Action.SKIPPED,
        "living": Action.SKIPPED,
        "absent": Action.DELETED,
    }
    assert [await get(client, obj) is not None for obj in objects] == [False, True, True, True]


async def test_prune_leaves_what_another_owner_takes_at_the_same_moment(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    obj = config_map("a", namespace)
    changes = await Applier(client).apply([obj], OPTIONS)
    delete = client.delete

    async def overtaken(resource: Any, name: str, *args: Any, **options: Any) -> Any:
        await patch(client, obj, {"metadata": {"labels": {"example.com/name": "other"}}})
        return await delete(resource, name, *args, **options)

    monkeypatch.setattr(client, "delete", overtaken)
    (change,) = await prune(client, changes.inventory, PruneOptions(owner=OWNER))
    assert change.action is Action.SKIPPED
    assert await get(client, obj) is not None


async def test_prune_goes_on_after_a_failure(client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [config_map("a", namespace), config_map("b", namespace)]
    changes = await Applier(client).apply(objects, OPTIONS)
    delete = client.delete

    async def refusing(resource: Any, name: str, *args: Any, **options: Any) -> Any:
        if name == "a":
            raise Forbidden(403, "Forbidden", "not today")
        return await delete(resource, name, *args, **options)

    monkeypatch.setattr(client, "delete", refusing)
    with pytest.raises(PruneError) as caught:
        await prune(client, changes.inventory, PruneOptions(owner=OWNER))
    assert str(caught.value) == f"delete failed, errors: ConfigMap/{namespace}/a delete failed: not today;"
    assert [change.identity.name for change in caught.value.changes] == ["b"]
    assert await get(client, objects[1]) is None


async def test_waiting_ends_when_objects_are_ready_or_time_is_up(client: Client, namespace: str) -> None:
    obj = deployment("web", namespace)
    await Applier(client).apply([obj, config_map("a", namespace)], OPTIONS)
    wanted = {identity_of(config_map("a", namespace)): "v1"}
    await wait_until_ready(client, wanted, 5)
    wanted = {identity_of(obj): "v1", **wanted, Identity(namespace, "x", "example.com", "Nothing"): "v1"}
    with pytest.raises(HealthError) as caught:
        await wait_until_ready(client, wanted, 0.4)
    assert str(caught.value) == (
        f"timeout waiting for: [Deployment/{namespace}/web status: 'InProgress', "
        f"Nothing/{namespace}/x status: 'Unknown': the cluster serves no kind Nothing in example.com/v1]"
    )
    resource = await client.resource_for(obj)
    status = {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}
    await client.patch(resource, "web", namespace, {"status": status}, type=PatchType.MERGE, subresource="status")
    with pytest.raises(HealthError, match=r"failed early due to stalled resources: .*web status: 'Failed'"):
        await wait_until_ready(client, {identity_of(obj): "v1"}, 5)
    with pytest.raises(HealthError, match="termination timeout"):
        await wait_until_gone(client, {identity_of(obj): "v1"}, 0.2)


async def test_a_job_that_deletes_itself_counts_as_done(client: Client, namespace: str) -> None:
    job = Identity(namespace, "j", "batch", "Job")
    await wait_until_ready(client, {job: "v1"}, 5, may_vanish={job})
    with pytest.raises(HealthError, match="status: 'NotFound'"):
        await wait_until_ready(client, {job: "v1"}, 0.2)


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
