"""CEL: the language, `healthCheckExprs` and `dependsOn[].readyExpr`."""

from __future__ import annotations

from typing import Any

import pytest

from fluxtui.api.fields import CustomHealthCheck
from fluxtui.engine.adapters import cel
from fluxtui.engine.adapters.cel import Expression, ExpressionError
from fluxtui.engine.controllers.kustomize import policy
from fluxtui.engine.controllers.kustomize.health import judge_of
from tests.engine.kustomize.world import World, condition_of, config_map
from tests.engine.polling import eventually

SEALED = {
    "apiVersion": "bitnami.com/v1alpha1",
    "kind": "SealedSecret",
    "metadata": {"name": "s", "generation": 2, "labels": {"app/version": "v1"}, "annotations": {"a": "1,2"}},
    "spec": {"replicas": 3, "ratio": 0.5, "nothing": None},
    "status": {"conditions": [{"type": "Synced", "status": "True"}, {"type": "Other", "status": "False"}], "items": []},
}


@pytest.mark.parametrize(
    "text",
    [
        "status.conditions.filter(e, e.type == 'Synced').all(e, e.status == 'True')",
        "has(status.conditions) && !has(status.phase)",
        "status.conditions.exists_one(c, c.type == 'Synced') && status.items.size() == 0",
        "metadata.labels['app/version'].startsWith('v') && 'app/version' in metadata.labels",
        "spec.replicas > 2.5 && spec.replicas == 3.0 && spec.ratio < 1 && spec.nothing == null",
        "metadata.annotations.a.split(',').map(x, int(x)) == [1, 2]",
        "sets.contains(['a', 'b'], ['a']) && sets.equivalent([1, 2], [2, 1]) && !sets.intersects([1], [2])",
        "status.?phase.orValue('none') == 'none'",
        "base64.encode(b'hi') == 'aGk='",
        "status.phase == 'x' || true",
        "timestamp('2026-01-01T00:00:00Z') < timestamp('2027-01-01T00:00:00Z') && duration('1h') > duration('5m')",
    ],
)
def test_true(text: str) -> None:
    assert Expression(text).is_true(SEALED)
    assert not Expression(f"!({text})").is_true(SEALED)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("status.phase == 'x'", 'Key not found in map : "phase"'),
        ("absent.phase == 'x'", "absent"),
        ("metadata.name", "failed to evaluate CEL expression as boolean"),
        ("status.conditions[7].type == 'x'", "index=7"),
    ],
)
def test_no_boolean(text: str, reason: str) -> None:
    with pytest.raises(ExpressionError, match="CEL expression") as caught:
        Expression(text).is_true(SEALED)
    assert reason in str(caught.value)


@pytest.mark.parametrize("text", ["status.", "a b", "has(status)", "x" * 20000])
def test_unreadable(text: str) -> None:
    with pytest.raises(ExpressionError):
        Expression(text)


@pytest.mark.parametrize("text", ["other.x == 1", "dep.metadata.name"])
def test_what_declared_variables_rule_out(text: str) -> None:
    with pytest.raises(ExpressionError, match="failed to parse the CEL expression"):
        Expression(text, ("dep", "self"))


def check(**fields: str) -> CustomHealthCheck:
    return CustomHealthCheck(**{"api_version": "bitnami.com/v1", "current": "false", **fields})


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"current": "true"}, "Current"),
        ({"current": "true", "failed": "true"}, "Failed"),
        ({"current": "true", "failed": "true", "in_progress": "true"}, "InProgress"),
        ({"current": "false"}, "InProgress"),
        ({"current": "status.phase == 'x'"}, "Unknown"),
    ],
)
def test_the_first_expression_that_is_true_decides(fields: dict[str, str], status: str) -> None:
    judge = judge_of([check(**fields)])
    assert judge is not None
    verdict = judge(SEALED)
    assert verdict is not None
    assert verdict.status == status


def test_a_kind_comes_before_its_group_and_other_groups_are_not_judged() -> None:
    judge = judge_of([check(current="false", failed="true"), check(kind="SealedSecret", current="true")])
    assert judge is not None
    sealed, other = judge(SEALED), judge({**SEALED, "kind": "Other"})
    assert sealed is not None
    assert other is not None
    assert (sealed.status, other.status) == ("Current", "Failed")
    assert judge({**SEALED, "apiVersion": "v1"}) is None


def test_a_generation_that_is_not_observed_is_in_progress() -> None:
    judge = judge_of([check(current="true")])
    assert judge is not None
    verdict = judge({**SEALED, "status": {"observedGeneration": 1}})
    assert verdict is not None
    assert verdict.status == "InProgress"


WIDGETS = (
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
    "metadata: {name: widgets.example.com}\n"
    "spec:\n  group: example.com\n  scope: Namespaced\n"
    "  names: {kind: Widget, plural: widgets, singular: widget}\n"
    "  versions: [{name: v1, served: true, storage: true,\n"
    "    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]\n"
)


def widget(phase: str) -> str:
    metadata = "metadata: {name: w, namespace: default}"
    return f"apiVersion: example.com/v1\nkind: Widget\n{metadata}\nspec: {{phase: {phase}}}\n"


def checks(**expressions: str) -> list[dict[str, Any]]:
    return [{"apiVersion": "example.com/v1", "kind": "Widget", **expressions}]


async def test_custom_health(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "_LEAST_TIMEOUT", 1.0)
    await world.publish({"crd.yaml": WIDGETS, "w.yaml": widget("slow")})
    exprs = checks(current="spec.phase == 'done'", failed="spec.phase == 'broken'")
    await world.kustomization("apps", wait=True, timeout="2s", retryInterval="1s", healthCheckExprs=exprs)
    async with world.running():
        await world.settled("apps", "HealthCheckFailed", "[Widget/default/w status: 'InProgress']")
        await world.publish({"crd.yaml": WIDGETS, "w.yaml": widget("broken")})
        await world.settled("apps", "HealthCheckFailed", "[Widget/default/w status: 'Failed']")
        await world.ready("apps", await world.publish({"crd.yaml": WIDGETS, "w.yaml": widget("done")}))
        await world.change("apps", {"spec": {"healthCheckExprs": checks(current="spec.absent == 'done'")}})
        await world.settled("apps", "HealthCheckFailed", "Key not found in map")


@pytest.mark.parametrize(
    ("expressions", "reason"),
    [
        (checks(current="spec."), "healthchecks[0]: failed to parse the expression Current"),
        (checks(current="true", failed="("), "healthchecks[0]: failed to parse the expression Failed"),
        (checks(current="true") * 2, "duplicate custom health check for GroupKind Widget.example.com"),
    ],
)
async def test_expressions_that_cannot_be_read_stall(
    world: World, expressions: list[dict[str, Any]], reason: str
) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps", healthCheckExprs=expressions)
    async with world.running():
        status = await world.settled("apps", "InvalidCELExpression", reason)
        assert condition_of(status, "Stalled")["status"] == "True"
    assert await world.get("ConfigMap", "a") is None


@pytest.mark.parametrize(
    "spec",
    [{"healthCheckExprs": checks(current="true")}, {"dependsOn": [{"name": "base", "readyExpr": "true"}]}],
)
async def test_without_the_extra_expressions_stall_with_its_name(
    world: World, monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]
) -> None:
    monkeypatch.setattr(cel, "available", lambda: False)
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps", **spec)
    async with world.running():
        status = await world.settled("apps", "CELMissing", "pip install 'fluxtui[cel]'")
        assert condition_of(status, "Stalled")["status"] == "True"


async def test_ready_expressions_take_the_place_of_readiness(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("base", suspend=True)
    expression = "dep.metadata.labels['version'] == self.metadata.labels['version']"
    await world.kustomization("apps", dependsOn=[{"name": "base", "readyExpr": expression}])
    await world.kustomization("wrong", dependsOn=[{"name": "base", "readyExpr": "dep.metadata.name"}])
    async with world.running(dependency_requeue=0.2):
        await world.settled("wrong", "InvalidCELExpression", "expected bool")
        await world.settled("apps", "DependencyNotReady", "failed to evaluate the CEL expression")
        await world.change("base", {"metadata": {"labels": {"version": "1"}}})
        await world.change("apps", {"metadata": {"labels": {"version": "2"}}})
        await world.settled("apps", "DependencyNotReady", "is not ready according to readyExpr eval")
        await world.change("base", {"metadata": {"labels": {"version": "2"}}})
        await world.ready("apps")


async def test_ready_expressions_can_add_to_readiness(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("base", suspend=True)
    await world.kustomization("apps", dependsOn=[{"name": "base", "readyExpr": "dep.metadata.name == 'base'"}])
    async with world.running(dependency_requeue=0.2, additive_ready_expressions=True):
        await world.settled("apps", "DependencyNotReady", "dependency 'flux-system/base' is not ready")
        await world.change("base", {"spec": {"suspend": False}})
        await world.ready("apps")


async def test_a_newer_revision_ends_a_health_check(world: World) -> None:
    files = {"crd.yaml": WIDGETS, "w.yaml": widget("slow")}
    await world.publish(files)
    await world.kustomization("apps", wait=True, timeout="5m", healthCheckExprs=checks(current="spec.phase == 'done'"))
    async with world.running():

        async def checking() -> bool:
            return (await world.condition("apps", "Healthy")).get("status") == "Unknown"

        await eventually(checking)
        await world.ready("apps", await world.publish({**files, "w.yaml": widget("done")}))
    canceled = "Health checks canceled due to new reconciliation triggered by GitRepository/flux-system/fleet"
    assert ("Normal", "HealthCheckCanceled", canceled) in await world.events("apps")


async def test_a_change_of_the_object_ends_a_health_check(world: World) -> None:
    await world.publish({"crd.yaml": WIDGETS, "w.yaml": widget("slow")})
    await world.kustomization("apps", wait=True, timeout="5m", healthCheckExprs=checks(current="spec.phase == 'done'"))
    async with world.running():

        async def checking() -> bool:
            return (await world.condition("apps", "Healthy")).get("status") == "Unknown"

        await eventually(checking)
        await world.change("apps", {"spec": {"healthCheckExprs": checks(current="spec.phase == 'slow'")}})
        await world.ready("apps")
