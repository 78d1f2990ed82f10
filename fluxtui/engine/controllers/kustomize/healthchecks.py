"""`spec.wait` and `spec.healthChecks`: waiting for the health of objects, unless something newer is to be applied.

Source: docs/spec/v1/kustomizations.md "Health checks". Something newer ends the wait, which upstream does behind the
feature gate CancelHealthCheckOnNewRevision; so does the end of the engine.
"""

from __future__ import annotations

import asyncio
import time

from fluxtui.api.kinds import KUSTOMIZATION, KUSTOMIZE_GROUP
from fluxtui.api.meta import HEALTHY
from fluxtui.engine.controllers.kustomize import policy
from fluxtui.engine.controllers.kustomize.sources import artifact_of
from fluxtui.engine.controllers.kustomize.work import PROGRESSING, Run, Work, elapsed, failed, phase, record
from fluxtui.engine.runtime import configs
from fluxtui.engine.runtime.objects import generation_of, is_deleting, requested_at
from fluxtui.engine.runtime.outcomes import Waiting
from fluxtui.kube.changes import Action
from fluxtui.kube.health import HealthError, wait_until_ready
from fluxtui.kube.identity import Identity

FAILED = "HealthCheckFailed"
CANCELED = "HealthCheckCanceled"
_LOOK = 0.25
"""Seconds between two looks at what is cached."""


async def check_health(run: Run) -> None:
    """Wait for the health of what was applied, or of what `healthChecks` names.

    Raises Failed when it does not come, Waiting when something newer is to be applied.
    """
    work = run.shared(Work)
    wanted = _checked(run)
    if not wanted:
        run.conditions.delete(HEALTHY)
        return
    message = phase(run, "Running health checks")
    if work.fresh:
        run.conditions.set(HEALTHY, "Unknown", PROGRESSING, message)
        await run.progress(message)
    started = time.monotonic()
    try:
        trigger = await _wait(run, wanted)
    except HealthError as error:
        run.conditions.set(HEALTHY, "False", FAILED, str(error))
        raise failed(run, FAILED, f"health check failed after {elapsed(started)}: {error}") from error
    if trigger:
        record(run, CANCELED)
        run.event("Normal", CANCELED, f"Health checks canceled due to new reconciliation triggered by {trigger}")
        raise Waiting(CANCELED, f"New reconciliation triggered by {trigger}", 0.0, event=None)
    message = f"Health check passed in {elapsed(started)}"
    new_revision = (run.raw.get("status") or {}).get("lastAppliedRevision") != work.source.revision
    was_healthy = run.before.is_true(HEALTHY)
    if not was_healthy or (new_revision and len(work.changes.changed)):
        run.event("Normal", PROGRESSING, message)
    if work.fresh or not was_healthy:
        run.conditions.set(HEALTHY, "True", "Succeeded", message)


def _checked(run: Run) -> dict[Identity, str]:
    """What has to be healthy, the Kustomization itself left out."""
    work, spec = run.shared(Work), run.object.spec
    wanted = policy.checked_objects(spec)
    if spec.wait:
        applied = (change for change in work.changes if change.action is not Action.SKIPPED)
        wanted = {change.identity: change.version for change in applied}
    wanted.pop(Identity(run.key.namespace, run.key.name, KUSTOMIZE_GROUP, KUSTOMIZATION.kind), None)
    return wanted


async def _wait(run: Run, wanted: dict[Identity, str]) -> str:
    """Wait for health; what made the wait needless, empty when all are healthy. Raises HealthError."""
    work, spec = run.shared(Work), run.object.spec

    async def wait() -> HealthError | None:
        try:
            await wait_until_ready(
                work.target,
                wanted,
                policy.timeout_of(spec),
                known={change.identity: change.live for change in work.changes if change.live is not None},
                fail_fast=run.cluster.settings.fail_fast,
                may_vanish=policy.vanishing_jobs(work.objects),
                judge=work.judge,
            )
        except HealthError as error:
            return error
        return None

    async with asyncio.TaskGroup() as group:
        health, needless = group.create_task(wait()), group.create_task(_needless(run))
        await asyncio.wait((health, needless), return_when=asyncio.FIRST_COMPLETED)
        health.cancel()
        needless.cancel()
    if health.cancelled():
        return needless.result()
    error = health.result()
    if error is not None:
        raise error
    return ""


async def _needless(run: Run) -> str:
    """What there is newer than what is checked, `Kind/namespace/name`; returns only when there is something.

    Raises CancelledError when the engine stops: the next one checks again.
    """
    cache, source = run.cluster.cache, run.shared(Work).source
    generation, request = run.generation, requested_at(run.raw)
    before = run.shared(Work).configs
    while True:
        if run.cluster.stopping:
            raise asyncio.CancelledError
        if not run.cluster.settings.cancel_health_checks:
            await asyncio.sleep(_LOOK)
            continue
        current = cache.get(KUSTOMIZATION, run.key)
        if current is not None and (
            generation_of(current) != generation or requested_at(current) != request or is_deleting(current)
        ):
            return f"{KUSTOMIZATION.kind}/{run.key}"
        artifact = artifact_of(cache.get(source.kind, source.key))
        if artifact is not None and artifact.revision != source.revision:
            return f"{source.kind.kind}/{source.key}"
        for (kind, key), version in configs.versions(cache, before).items():
            if version != before[kind, key]:
                return f"{kind}/{key}"
        await asyncio.sleep(_LOOK)
