"""Applying what was built, and deleting what is no longer part of it.

Whatever may come of it, the inventory has all that may be in the cluster.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from fluxtui.api import durations
from fluxtui.api.meta import READY
from fluxtui.engine.controllers.kustomize import policy
from fluxtui.engine.controllers.kustomize.ignore import IgnoreError, ignored
from fluxtui.engine.controllers.kustomize.placement import placed
from fluxtui.engine.controllers.kustomize.work import PROGRESSING, RECONCILIATION_FAILED, Run, Work, failed, phase
from fluxtui.kube.apply import Applier, ApplyError
from fluxtui.kube.changes import Action, Change, ChangeSet
from fluxtui.kube.identity import Identity
from fluxtui.kube.inventory import Inventory, InventoryError
from fluxtui.kube.ownership import flux_cleanup
from fluxtui.kube.plan import ApplyOptions
from fluxtui.kube.prune import PruneError, prune

PRUNE_FAILED = "PruneFailed"


async def apply_objects(run: Run, watched: Callable[[Identity], str] | None = None) -> None:
    """Apply the objects; `watched` as in ApplyOptions. Raises Failed."""
    work = run.shared(Work)
    message = phase(run, "Detecting drift")
    try:
        options = apply_options(run)
        if not run.object.spec.wait:
            # Whoever waits for health has to read the objects.
            options = msgspec.structs.replace(options, watched=watched)
        work.before = Inventory.of_status(run.status.get("inventory"))
    except (IgnoreError, InventoryError) as error:
        raise failed(run, RECONCILIATION_FAILED, str(error)) from error
    wanted = await placed(work.target, work.objects)
    if wanted - work.before:
        run.status["inventory"] = (work.before | wanted).to_status()
        await run.progress(message)
    try:
        async with asyncio.timeout(policy.timeout_of(run.object.spec)):
            work.changes = await Applier(work.target, work.memory).apply(work.objects, options)
    except ApplyError as error:
        known = work.before | error.touched
        run.status["inventory"] = known.to_status()
        if not len(known):
            del run.status["inventory"]
        raise failed(run, RECONCILIATION_FAILED, f"{error}\n{error.changes.changed}") from error
    except TimeoutError:
        limit = durations.text(policy.timeout_of(run.object.spec))
        raise failed(run, RECONCILIATION_FAILED, f"apply timed out after {limit}") from None
    run.status["inventory"] = work.changes.inventory.to_status()
    _tell(run, work.changes)


async def collect_garbage(run: Run) -> None:
    """Delete what was applied before and is no longer wanted. Raises Failed."""
    work = run.shared(Work)
    stale = work.before - work.changes.inventory
    if not run.object.spec.prune or not len(stale):
        return
    living = frozenset(uid for change in work.changes if (uid := _uid(work, change)))
    try:
        options = policy.prune_options(run.key, run.cluster.settings.concurrent_ssa, living)
        deleted = await prune(work.target, stale, options, work.memory)
    except PruneError as error:
        settled = error.changes.of(Action.DELETED, Action.SKIPPED).inventory
        run.status["inventory"] = (work.changes.inventory | (stale - settled)).to_status()
        raise failed(run, PRUNE_FAILED, str(error)) from error
    run.event("Normal", PROGRESSING, str(deleted))


def apply_options(run: Run) -> ApplyOptions:
    """How the objects of a run are applied. Raises IgnoreError."""
    spec, settings = run.object.spec, run.cluster.settings
    return ApplyOptions(
        manager=policy.MANAGER,
        owner=policy.owner_labels(run.key),
        marks=policy.MARKS,
        force=spec.force,
        cleanup=flux_cleanup(policy.MANAGER, settings.override_managers),
        early=settings.early_kinds,
        concurrency=settings.concurrent_ssa,
        ignored=ignored(spec.ignore),
        # What is known to be as it was applied is only looked at, unless the last attempt failed.
        thorough=not run.before.is_true(READY),
    )


def _uid(work: Work, change: Change) -> str:
    """The UID of an object that was applied, or is known to be as it was."""
    if change.live is not None:
        return str(change.live["metadata"]["uid"])
    known = work.memory.sighting(change.identity) if change.action is Action.UNCHANGED else None
    return known.uid if known is not None else ""


def _tell(run: Run, changes: ChangeSet) -> None:
    """Record what was changed, and which fields the schema does not have."""
    if len(changes.changed):
        run.event("Normal", PROGRESSING, str(changes.changed))
    for change in changes:
        if change.dropped and change.action.is_change:
            fields = ", ".join(change.dropped)
            run.log(logging.WARNING, f"{change.identity}: fields not in the schema were left out: {fields}")
