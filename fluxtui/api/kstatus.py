"""How far an object is from its desired state, read from the object alone.

Source: kstatus of cli-utils (`pkg/kstatus/status`); Jobs as Flux reads them: Current only once they completed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

Object = Mapping[str, Any]

SCHEDULE_WINDOW = timedelta(seconds=15)
"""How long a Pod may be unschedulable before it counts as failed."""

_NO_DEADLINE = 2**31 - 1


class Status(enum.StrEnum):
    """The words of kstatus."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    NOT_FOUND = "NotFound"
    UNKNOWN = "Unknown"


class Result(NamedTuple):
    """A status and the sentence that explains it."""

    status: Status
    message: str


def status_of(obj: Object | None, *, now: datetime | None = None) -> Result:
    """Status of an object as the API server returns it (JSON dict); None means that it does not exist.

    `now` (aware) decides only how long a Pod has waited for its node. Never raises: an object whose status has an
    unexpected shape is judged by the parts that can be read.
    """
    if obj is None:
        return Result(Status.NOT_FOUND, "Resource not found")
    general = _general(obj)
    if general is not None:
        return general
    group = _text(obj, "apiVersion").rpartition("/")[0]
    kind = _text(obj, "kind")
    if (group, kind) == ("", "Pod"):
        return _pod(obj, now or datetime.now(UTC))
    rule = _RULES.get((group, kind))
    return rule(obj) if rule else _by_ready(obj)


def conditions(obj: Object) -> list[Mapping[str, Any]]:
    """`status.conditions` without the entries that are no mappings."""
    found = _at(obj, "status", "conditions")
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def condition(obj: Object, type_: str) -> Mapping[str, Any] | None:
    """The first condition of a type."""
    return next((entry for entry in conditions(obj) if entry.get("type") == type_), None)


def _general(obj: Object) -> Result | None:
    if _at(obj, "metadata", "deletionTimestamp"):
        return Result(Status.TERMINATING, "Resource scheduled for deletion")
    generation, observed = _at(obj, "metadata", "generation"), _at(obj, "status", "observedGeneration")
    if isinstance(generation, int) and isinstance(observed, int) and generation != observed:
        kind = _text(obj, "kind")
        return _in_progress(f"{kind} generation is {generation}, but latest observed generation is {observed}")
    for entry in conditions(obj):
        if entry.get("status") != "True":
            continue
        if entry.get("type") == "Reconciling":
            return _in_progress(_text(entry, "message"))
        if entry.get("type") == "Stalled":
            return Result(Status.FAILED, _text(entry, "message"))
    return None


def _by_ready(obj: Object) -> Result:
    ready = condition(obj, "Ready")
    if ready is not None:
        if ready.get("status") == "True":
            return _current("Resource is Ready")
        if ready.get("status") in ("False", "Unknown"):
            return _in_progress(_text(ready, "message"))
    return _current("Resource is current")


def _always_current(_: Object) -> Result:
    return _current("Resource is always ready")


def _deployment(obj: Object) -> Result:
    deadline = _int(obj, "spec", "progressDeadlineSeconds", default=_NO_DEADLINE)
    # Without a deadline the controller never reports progress, so that its absence says nothing.
    progressed = deadline == _NO_DEADLINE
    progressing = condition(obj, "Progressing")
    if progressing is not None:
        if progressing.get("reason") == "ProgressDeadlineExceeded":
            return Result(Status.FAILED, "Progress deadline exceeded")
        if progressing.get("status") == "True" and progressing.get("reason") == "NewReplicaSetAvailable":
            progressed = True
    available = condition(obj, "Available")
    desired = _int(obj, "spec", "replicas", default=1)
    total, updated = _int(obj, "status", "replicas"), _int(obj, "status", "updatedReplicas")
    ready, usable = _int(obj, "status", "readyReplicas"), _int(obj, "status", "availableReplicas")
    behind = (
        _less("Replicas", total, desired)
        or _less("Updated", updated, desired)
        or _surplus(total, desired)
        or _less("Available", usable, updated)
        or _less("Ready", ready, desired)
    )
    if behind:
        return behind
    if not progressed:
        return _in_progress("ReplicaSet not Available")
    if available is None or available.get("status") != "True":
        return _in_progress("Deployment not Available")
    return _current(f"Deployment is available. Replicas: {total}")


def _replica_set(obj: Object) -> Result:
    failure = condition(obj, "ReplicaFailure")
    if failure is not None and failure.get("status") == "True":
        return _in_progress("Replica Failure condition. Check Pods")
    desired = _int(obj, "spec", "replicas", default=1)
    total = _int(obj, "status", "replicas")
    return (
        _less("Labelled", _int(obj, "status", "fullyLabeledReplicas"), desired)
        or _less("Available", _int(obj, "status", "availableReplicas"), desired)
        or _less("Ready", _int(obj, "status", "readyReplicas"), desired)
        or _surplus(total, desired)
        or _current(f"ReplicaSet is available. Replicas: {total}")
    )


def _stateful_set(obj: Object) -> Result:
    if _at(obj, "spec", "updateStrategy", "type") == "OnDelete":
        return _current("StatefulSet is using the ondelete update strategy")
    desired = _int(obj, "spec", "replicas", default=1)
    total, updated = _int(obj, "status", "replicas"), _int(obj, "status", "updatedReplicas")
    behind = (
        _less("Replicas", total, desired)
        or _less("Ready", _int(obj, "status", "readyReplicas"), desired)
        or _surplus(total, desired)
    )
    if behind:
        return behind
    partition = _int(obj, "spec", "updateStrategy", "rollingUpdate", "partition", default=-1)
    if partition != -1:
        return _less("updated", updated, desired - partition) or _current(
            f"Partition rollout complete. updated: {updated}"
        )
    behind = _less("current", _int(obj, "status", "currentReplicas"), desired)
    if behind:
        return behind
    if _text(obj, "status", "currentRevision") != _text(obj, "status", "updateRevision"):
        return _in_progress("Waiting for updated revision to match current")
    return _current(f"All replicas scheduled as expected. Replicas: {total}")


def _daemon_set(obj: Object) -> Result:
    # Its controller always writes these, so their absence means that it has not seen the object.
    for path in (("metadata", "generation"), ("status", "observedGeneration")):
        if not isinstance(_at(obj, *path), int):
            return _in_progress(f"DaemonSet {'.'.join(path)} not found")
    desired = _int(obj, "status", "desiredNumberScheduled", default=-1)
    if desired == -1:
        return _in_progress("Missing .status.desiredNumberScheduled")
    return (
        _less("Current", _int(obj, "status", "currentNumberScheduled"), desired)
        or _less("Updated", _int(obj, "status", "updatedNumberScheduled"), desired)
        or _less("Available", _int(obj, "status", "numberAvailable"), desired)
        or _less("Ready", _int(obj, "status", "numberReady"), desired)
        or _current(f"All replicas scheduled as expected. Replicas: {desired}")
    )


def _job(obj: Object) -> Result:
    if _at(obj, "spec", "suspend") is True:
        return _current("Job is suspended")
    parallelism = _int(obj, "spec", "parallelism", default=1)
    completions = _int(obj, "spec", "completions", default=parallelism)
    succeeded, failed = _int(obj, "status", "succeeded"), _int(obj, "status", "failed")
    for entry in conditions(obj):
        if entry.get("status") != "True":
            continue
        if entry.get("type") == "Complete":
            return _current(f"Job Completed. succeeded: {succeeded}/{completions}")
        if entry.get("type") == "Failed":
            return Result(Status.FAILED, f"Job Failed. failed: {failed}/{completions}")
    if not _text(obj, "status", "startTime"):
        return _in_progress(f"Job not started. active: 0/{parallelism}")
    active = _int(obj, "status", "active")
    return _in_progress(f"Job in progress. success:{succeeded}, active: {active}, failed: {failed}")


def _pod(obj: Object, now: datetime) -> Result:
    phase = _text(obj, "status", "phase")
    if phase == "Succeeded":
        return _current("Pod has completed successfully")
    if phase == "Failed":
        return _current("Pod has completed, but not successfully")
    if phase == "Running":
        ready = condition(obj, "Ready")
        if ready is not None and ready.get("status") == "True":
            return _current("Pod is Ready")
        looping = _crash_looping(obj)
        if looping:
            return Result(Status.FAILED, f"Containers in CrashLoop state: {','.join(looping)}")
        return _in_progress("Pod is running but is not Ready")
    if phase == "Pending":
        if not is_unschedulable(obj):
            return _in_progress("Pod is in the Pending phase")
        created = _time(_text(obj, "metadata", "creationTimestamp"))
        if created is not None and now - created < SCHEDULE_WINDOW:
            return _in_progress("Pod has not been scheduled")
        return Result(Status.FAILED, "Pod could not be scheduled")
    if not phase:
        return _in_progress("Pod phase not available")
    return Result(Status.UNKNOWN, f"unknown phase {phase}")


def is_unschedulable(pod: Object) -> bool:
    """Whether the scheduler found no node for a Pod; a cluster autoscaler may still make one."""
    scheduled = condition(pod, "PodScheduled")
    return scheduled is not None and scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"


def _crash_looping(obj: Object) -> list[str]:
    statuses = _at(obj, "status", "containerStatuses")
    return [
        _text(entry, "name")
        for entry in (statuses if isinstance(statuses, list) else [])
        if isinstance(entry, Mapping) and _at(entry, "state", "waiting", "reason") == "CrashLoopBackOff"
    ]


def _claim(obj: Object) -> Result:
    phase = _text(obj, "status", "phase") or "unknown"
    return _current("PVC is Bound") if phase == "Bound" else _in_progress(f"PVC is not Bound. phase: {phase}")


def _service(obj: Object) -> Result:
    if _at(obj, "spec", "type") == "LoadBalancer" and not _text(obj, "spec", "clusterIP"):
        return _in_progress("ClusterIP not set. Service type: LoadBalancer")
    return _current("Service is ready")


def _disruption_budget(_: Object) -> Result:
    return _current("AllowedDisruptions has been computed.")


def _definition(obj: Object) -> Result:
    for entry in conditions(obj):
        refused = entry.get("status") == "False"
        if entry.get("type") == "NamesAccepted" and refused:
            return Result(Status.FAILED, _text(entry, "message"))
        if entry.get("type") == "Established":
            if refused and entry.get("reason") != "Installing":
                return Result(Status.FAILED, _text(entry, "message"))
            if entry.get("status") == "True":
                return _current("CRD is established")
    return _in_progress("Install in progress")


_RULES: dict[tuple[str, str], Callable[[Object], Result]] = {
    ("", "ConfigMap"): _always_current,
    ("", "Secret"): _always_current,
    ("", "Service"): _service,
    ("", "PersistentVolumeClaim"): _claim,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "CronJob"): _always_current,
    ("batch", "Job"): _job,
    ("policy", "PodDisruptionBudget"): _disruption_budget,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}


def _current(message: str) -> Result:
    return Result(Status.CURRENT, message)


def _in_progress(message: str) -> Result:
    return Result(Status.IN_PROGRESS, message)


def _less(word: str, have: int, want: int) -> Result | None:
    return _in_progress(f"{word}: {have}/{want}") if have < want else None


def _surplus(have: int, want: int) -> Result | None:
    return _in_progress(f"Pending termination: {have - want}") if have > want else None


def _at(obj: Object, *path: str) -> Any:
    value: Any = obj
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _text(obj: Object, *path: str) -> str:
    value = _at(obj, *path)
    return value if isinstance(value, str) else ""


def _int(obj: Object, *path: str, default: int = 0) -> int:
    value = _at(obj, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
