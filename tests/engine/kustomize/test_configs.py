"""A change of a labelled ConfigMap or Secret reconciles at once the Kustomizations that refer to it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from fluxtui.engine.controllers.kustomize.references import configs_of
from fluxtui.engine.runtime.objects import Key
from fluxtui.kube.client import PatchType
from tests.engine.kustomize.test_cel import WIDGETS, checks, widget
from tests.engine.kustomize.world import NAMESPACE, World, config_map
from tests.engine.polling import eventually

WATCH = {"reconcile.fluxcd.io/watch": "Enabled"}


async def put(world: World, kind: str, name: str, value: str, labels: dict[str, str]) -> None:
    """Create or change a ConfigMap or Secret of flux-system with the key `v`."""
    text = base64.b64encode(value.encode()).decode() if kind == "Secret" else value
    obj: dict[str, Any] = {"metadata": {"name": name, "namespace": NAMESPACE, "labels": labels}, "data": {"v": text}}
    resource = await world.resource(kind)
    if await world.get(kind, name, NAMESPACE) is None:
        await world.client.create(resource, {"apiVersion": "v1", "kind": kind, **obj})
    else:
        await world.client.patch(resource, name, NAMESPACE, obj, type=PatchType.MERGE)


async def applied(world: World, name: str, value: str) -> None:
    """Wait until the ConfigMap `name` of the default namespace holds a value."""

    async def check() -> bool:
        return ((await world.get("ConfigMap", name) or {}).get("data") or {}).get("k") == value

    await eventually(check)


async def referring(world: World, name: str, *references: dict[str, Any]) -> None:
    """A Kustomization that applies a ConfigMap of its own name with the variable `v`, `none` without one."""
    await world.publish({"a.yaml": config_map(name, k="${v:=none}")}, name)
    source = {"kind": "GitRepository", "name": name}
    post_build = {"substituteFrom": list(references), "substituteStrategy": "Always"}
    await world.kustomization(name, sourceRef=source, postBuild=post_build)


async def follows_labelled(world: World) -> None:
    """The whole life of what is referred to: changed with and without the label, labelled later, gone."""
    await put(world, "ConfigMap", "labelled", "one", WATCH)
    await put(world, "Secret", "sealed", "one", WATCH)
    await put(world, "ConfigMap", "plain", "one", {})
    await referring(world, "labelled", {"kind": "ConfigMap", "name": "labelled", "optional": True})
    await referring(world, "sealed", {"kind": "Secret", "name": "sealed"})
    await referring(world, "plain", {"kind": "ConfigMap", "name": "plain"})
    async with world.running(strict=False):
        for name in ("labelled", "sealed", "plain"):
            await applied(world, name, "one")
        await put(world, "ConfigMap", "plain", "two", {})
        await put(world, "Secret", "sealed", "two", WATCH)
        await applied(world, "sealed", "two")
        await put(world, "ConfigMap", "labelled", "two", WATCH)
        await applied(world, "labelled", "two")
        await applied(world, "plain", "one")
        await put(world, "ConfigMap", "plain", "two", WATCH)
        await applied(world, "plain", "two")
        await world.delete("ConfigMap", "labelled")
        await applied(world, "labelled", "none")
        for name in ("labelled", "sealed", "plain"):
            await world.delete("Kustomization", name)
            await world.gone("Kustomization", name, NAMESPACE)


async def test_what_is_labelled_is_followed(world: World) -> None:
    await follows_labelled(world)


async def test_another_selector(world: World) -> None:
    await put(world, "ConfigMap", "vars", "one", {})
    await put(world, "ConfigMap", "helms", "one", {"owner": "helm"})
    await referring(world, "vars", {"kind": "ConfigMap", "name": "vars"})
    await referring(world, "helms", {"kind": "ConfigMap", "name": "helms"})
    async with world.running(configs_label_selector="owner!=helm"):
        await applied(world, "vars", "one")
        await applied(world, "helms", "one")
        await put(world, "ConfigMap", "helms", "two", {"owner": "helm"})
        await put(world, "ConfigMap", "vars", "two", {})
        await applied(world, "vars", "two")
        await applied(world, "helms", "one")


async def test_nothing_is_watched_that_nothing_refers_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    send, opened = world.client.stream, list[str]()

    def stream(path: str, **options: Any) -> Any:
        opened.append(path)
        return send(path, **options)

    monkeypatch.setattr(world.client, "stream", stream)
    await put(world, "Secret", "sealed", "one", WATCH)
    await world.publish({"crd.yaml": WIDGETS})
    await world.kustomization("apps")
    async with world.running(drift_detection=False):
        await world.ready("apps")
        assert not [path for path in opened if path.endswith(("/configmaps", "/secrets"))]
        await referring(world, "sealed", {"kind": "Secret", "name": "sealed"})

        async def watched() -> bool:
            return "/api/v1/secrets" in opened

        await eventually(watched)
        assert "/api/v1/configmaps" not in opened


async def test_a_change_ends_a_health_check(world: World) -> None:
    await put(world, "ConfigMap", "vars", "slow", WATCH)
    await world.publish({"crd.yaml": WIDGETS, "w.yaml": widget("slow").replace("slow", "'${v}'")})
    references = {"substituteFrom": [{"kind": "ConfigMap", "name": "vars"}]}
    expressions = checks(current="spec.phase == 'done'")
    await world.kustomization("apps", wait=True, timeout="5m", healthCheckExprs=expressions, postBuild=references)
    async with world.running():

        async def checking() -> bool:
            return (await world.condition("apps", "Healthy")).get("status") == "Unknown"

        await eventually(checking)
        await put(world, "ConfigMap", "vars", "done", WATCH)
        await world.ready("apps")
    canceled = "Health checks canceled due to new reconciliation triggered by ConfigMap/flux-system/vars"
    assert ("Normal", "HealthCheckCanceled", canceled) in await world.events("apps")


def test_everything_a_kustomization_may_refer_to() -> None:
    spec = {
        "kubeConfig": {"secretRef": {"name": "cluster"}, "configMapRef": {"name": "cloud"}},
        "decryption": {"provider": "sops", "secretRef": {"name": "keys"}},
        "postBuild": {"substituteFrom": [{"kind": "Secret", "name": "a"}, {"kind": "ConfigMap", "name": "b"}]},
    }
    found = configs_of({"metadata": {"name": "x", "namespace": "apps"}, "spec": spec})
    secrets = {("Secret", Key("apps", name)) for name in ("cluster", "keys", "a")}
    assert set(found) == secrets | {("ConfigMap", Key("apps", name)) for name in ("cloud", "b")}
    assert not configs_of({"metadata": {"name": "x", "namespace": "apps"}, "spec": {"decryption": {}}})
