"""What follows when an action on a release failed: it is counted, undone before the next try, or given up.

Source: docs/spec/v2/helmreleases.md of fluxcd/helm-controller, "Configuring failure handling".
"""

from __future__ import annotations

from fluxtui.api.helm import HelmRelease, InstallRemediation
from fluxtui.engine.adapters.helm_storage import Release
from fluxtui.engine.controllers.helm.actions import ActionFailed, Actions
from fluxtui.engine.controllers.helm.releases import chart_name, full_name, snapshot
from fluxtui.engine.runtime.outcomes import Failed, Stalled
from fluxtui.engine.runtime.reconciliation import Reconciliation

RELEASED = "Released"
REMEDIATED = "Remediated"
Run = Reconciliation[HelmRelease]


def note(run: Run, action: str, error: ActionFailed, message: str) -> None:
    """Write down and report that an action failed.

    Only what left a release in storage counts as a try: else there is nothing to undo.
    """
    reason = f"{action.capitalize()}Failed"
    run.conditions.set(RELEASED, "False", reason, message)
    run.event("Warning", reason, message)
    for counter in ("failures", *([f"{action}Failures"] if error.release is not None else ())):
        run.status[counter] = int(run.status.get(counter) or 0) + 1
    if error.release is not None:
        remember(run, error.release, action, [])


def outcome(run: Run, action: str, error: ActionFailed, message: str) -> Failed | Stalled:
    """Whether a failure is tried again, or at least undone."""
    if error.release is not None and _retries_left(run, action) == 0 and not _undoes_last(run, action):
        return _exhausted(run, action, RELEASED)
    return Failed(f"{action.capitalize()}Failed", message, event=None)


def refuse(run: Run, action: str) -> None:
    """Raises Stalled when no try is left for an action: it failed with this chart, these values, and this generation,
    and what it did has been undone."""
    if run.status.get(f"{action}Failures") and _retries_left(run, action) == 0:
        raise _exhausted(run, action, REMEDIATED)


async def remediate(run: Run, actions: Actions, history: list[Release]) -> None:
    """Before another try after a failure: uninstall a failed install, roll a failed upgrade back (or uninstall it, if
    its strategy says so).

    Raises Stalled when no try is left for this chart, these values, and this generation; Failed when undoing fails.
    """
    action = str(run.status.get("lastAttemptedReleaseAction") or "install")
    if not run.status.get(f"{action}Failures") or _only_retries(run, action):
        return
    exhausted = _retries_left(run, action) == 0
    if exhausted and not _undoes_last(run, action):
        raise _exhausted(run, action, RELEASED)
    deployed = [release for release in history if release["info"]["status"] in ("deployed", "superseded")]
    if action == "install" or _strategy(run) == "uninstall":
        await _uninstall(run, actions, history)
    elif deployed:
        await _roll_back(run, actions, history, deployed[-1])
    if exhausted:
        raise _exhausted(run, action, REMEDIATED)


def remember(run: Run, release: Release, action: str, history: list[Release]) -> None:
    """Put a revision on top of `status.history`; the one it follows stays below, without its action."""
    known = [entry for entry in run.status.get("history") or [] if entry["version"] != release["version"]]
    previous = {item["version"]: item for item in history}
    older = [snapshot(previous[entry["version"]]) if entry["version"] in previous else entry for entry in known]
    if release["info"]["status"] == "deployed":
        older = [entry for entry in older if entry["status"] != "failed"][:1]
    run.status["history"] = [snapshot(release, action), *older]


def _exhausted(run: Run, action: str, type: str) -> Stalled:
    """No try is left. Ready goes on saying what a condition says of the last one, as upstream's does."""
    said = run.conditions.get(type)
    message = f"Failed to {action} after {run.status[f'{action}Failures']} attempt(s)"
    ready = (said.reason, said.message) if said is not None else None
    return Stalled("RetriesExceeded", message, ready=ready, event=None)


def _retries_left(run: Run, action: str) -> int | None:
    """Tries left after the failures so far; None for no limit."""
    if _only_retries(run, action):
        return None
    options = _remediation(run, action)
    retries = int(options.retries) if options else 0
    return None if retries < 0 else max(0, retries + 1 - int(run.status.get(f"{action}Failures") or 0))


def _only_retries(run: Run, action: str) -> bool:
    """Whether a failure is tried again without undoing anything."""
    options = getattr(run.object.spec, action, None)
    return bool(options and options.strategy and options.strategy.name == "RetryOnFailure")


def _undoes_last(run: Run, action: str) -> bool:
    """Whether the last failure is undone, too, by default that of an upgrade with retries."""
    options = _remediation(run, action)
    if options is None or options.remediate_last_failure is None:
        return options is not None and action == "upgrade" and options.retries > 0
    return bool(options.remediate_last_failure)


def _remediation(run: Run, action: str) -> InstallRemediation | None:
    options = getattr(run.object.spec, action, None)
    return options.remediation if options else None


def _strategy(run: Run) -> str:
    """How a failed upgrade is undone."""
    upgrade = run.object.spec.upgrade
    return str((upgrade.remediation.strategy if upgrade and upgrade.remediation else None) or "rollback")


async def _uninstall(run: Run, actions: Actions, history: list[Release]) -> None:
    what = f"release {full_name(history[-1])} with chart {chart_name(history[-1])}"
    try:
        await actions.uninstall(history)
    except ActionFailed as error:
        raise _not_remediated(
            run, "UninstallFailed", f"Helm uninstall remediation for {what} failed: {error}"
        ) from error
    _remediated(run, "UninstallSucceeded", f"Helm uninstall remediation for {what} succeeded")


async def _roll_back(run: Run, actions: Actions, history: list[Release], target: Release) -> None:
    what = f"Helm rollback to previous release {full_name(target)} with chart {chart_name(target)}"
    try:
        release = await actions.rollback(history, target)
    except ActionFailed as error:
        raise _not_remediated(run, "RollbackFailed", f"{what} failed: {error}") from error
    _remediated(run, "RollbackSucceeded", f"{what} succeeded")
    remember(run, release, "rollback", [*history, release])
    run.status["inventory"] = (await actions.inventory(release)).to_status()


def _remediated(run: Run, reason: str, message: str) -> None:
    run.conditions.set(REMEDIATED, "True", reason, message)
    run.event("Normal", reason, message)


def _not_remediated(run: Run, reason: str, message: str) -> Failed:
    run.conditions.set(REMEDIATED, "False", reason, message)
    return Failed(reason, message)
