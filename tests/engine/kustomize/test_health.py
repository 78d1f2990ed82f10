"""`spec.wait` and `spec.healthChecks`."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from fluxtui.engine.controllers.kustomize import policy
from tests.engine.kustomize.world import World, condition_of, config_map, deployment
from tests.engine.polling import eventually


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timeouts of one second instead of at least thirty."""
    monkeypatch.setattr(policy, "_LEAST_TIMEOUT", 1.0)


async def test_waits_for_what_it_applied(world: World) -> None:
    await world.publish({"web.yaml": deployment("web"), "a.yaml": config_map("a")})
    await world.kustomization("apps", wait=True)
    async with world.running():
        status = await world.ready("apps")
    web = await world.get("Deployment", "web")
    assert web is not None
    assert web["status"]["readyReplicas"] == 1
    healthy = next(item for item in status["conditions"] if item["type"] == "Healthy")
    assert (healthy["status"], healthy["reason"]) == ("True", "Succeeded")
    assert healthy["message"].startswith("Health check passed in ")
    assert any(message.startswith("Health check passed in") for _, _, message in await world.events("apps"))


async def test_a_check_that_times_out_says_what_it_waited_for(world: World, impatient: None) -> None:
    await world.publish({"web.yaml": deployment("web", "never-ready")})
    await world.kustomization("apps", wait=True, timeout="1s", retryInterval="1s")
    async with world.running():
        status = await world.settled("apps", "HealthCheckFailed")
        # It is tried again at once: what is looked at is one moment.
        said = {item["type"]: item["message"] for item in status["conditions"]}
        waited = "timeout waiting for: [Deployment/default/web status: 'InProgress']"
        after = re.fullmatch(r"health check failed after ([\d.]+)s: (.*)", said["Ready"])
        assert after is not None
        assert float(after[1]) >= 1
        assert after[2] == said["Healthy"] == waited
        assert said["Reconciling"].startswith("Running health checks for revision main@sha1:")
        assert [entry["id"] for entry in status["inventory"]["entries"]] == ["default_web_apps_Deployment"]
        assert "lastAppliedRevision" not in status
        assert status["history"][0]["lastReconciledStatus"] == "HealthCheckFailed"
        mended = deployment("web").replace("app:1", "app:2")
        status = await world.ready("apps", await world.publish({"web.yaml": mended}))
        assert condition_of(status, "Healthy")["status"] == "True"
    assert ("Warning", "HealthCheckFailed", said["Ready"]) in await world.events("apps")


async def test_a_crash_ends_the_wait(world: World) -> None:
    await world.publish({"web.yaml": deployment("web", "crash")})
    await world.kustomization("apps", wait=True)
    async with world.running():
        failed = "failed early due to stalled resources: [Deployment/default/web status: 'Failed']"
        await world.settled("apps", "HealthCheckFailed", failed)


JOB = (
    "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: j\n  namespace: default\n"
    "  annotations: {sandbox.fluxtui.dev/behavior: fail}\n"
    "spec:\n  backoffLimit: 0\n  template:\n    spec:\n      restartPolicy: Never\n"
    "      containers: [{name: j, image: example.com/j}]\n"
)


async def test_a_failed_job_ends_the_wait(world: World) -> None:
    await world.publish({"j.yaml": JOB})
    await world.kustomization("apps", wait=True)
    async with world.running():
        await world.settled("apps", "HealthCheckFailed", "Job/default/j status: 'Failed'")


async def test_a_failure_does_not_end_the_wait_if_it_is_not_to(world: World, impatient: None) -> None:
    await world.publish({"j.yaml": JOB, "slow.yaml": deployment("slow", "never-ready")})
    await world.kustomization("apps", wait=True, timeout="3s", retryInterval="1s")
    waited = "Deployment/default/slow status: 'InProgress', Job/default/j status: 'Failed'"
    async with world.running(fail_fast=False):
        await world.settled("apps", "HealthCheckFailed", f"timeout waiting for: [{waited}]")


async def test_named_checks(world: World, impatient: None) -> None:
    await world.publish({"web.yaml": deployment("web"), "bad.yaml": deployment("bad", "never-ready")})
    check: dict[str, Any] = {"kind": "Deployment", "name": "web", "namespace": "default"}
    await world.kustomization("apps", healthChecks=[check])
    absent = {**check, "name": "absent", "apiVersion": "apps/v1"}
    # On a busy machine a second may not be enough to apply it.
    await world.kustomization("other", healthChecks=[absent], timeout="3s", retryInterval="1s")
    async with world.running():
        await world.ready("apps")
        await world.settled("other", "HealthCheckFailed", "[Deployment/default/absent status: 'NotFound']")


async def test_one_that_waits_for_itself_does_not(world: World) -> None:
    itself = (
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
        "metadata: {name: apps, namespace: flux-system}\n"
        "spec:\n  interval: 10m\n  prune: true\n  wait: true\n  sourceRef: {kind: GitRepository, name: fleet}\n"
    )
    await world.publish({"apps.yaml": itself})
    await world.kustomization("apps", wait=True)
    async with world.running():
        await world.ready("apps")


async def test_without_checks_the_condition_goes(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps", wait=True)
    async with world.running():
        status = await world.ready("apps")
        assert condition_of(status, "Healthy")["status"] == "True"
        await world.change("apps", {"spec": {"wait": False}})
        await world.ready("apps")

        async def gone() -> bool:
            return not await world.condition("apps", "Healthy")

        await eventually(gone)


@pytest.mark.parametrize("cancel", [True, False])
async def test_a_stop_does_not_wait_for_health_but_the_next_engine_does(world: World, cancel: bool) -> None:
    await world.publish({"web.yaml": deployment("web", "never-ready")})
    await world.kustomization("apps", wait=True, timeout="5m")

    async def checking() -> bool:
        return (await world.condition("apps", "Healthy")).get("status") == "Unknown"

    async with asyncio.timeout(60), world.running(cancel_health_checks=cancel):
        await eventually(checking)
    assert await checking()
    assert (await world.condition("apps"))["status"] == "Unknown"
    assert (await world.condition("apps", "Reconciling"))["status"] == "True"
    mended = deployment("web").replace("app:1", "app:2")
    await world.publish({"web.yaml": mended})
    async with world.running():
        status = await world.ready("apps")
    assert condition_of(status, "Healthy")["status"] == "True"
