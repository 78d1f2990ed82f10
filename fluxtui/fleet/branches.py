"""What hangs below an opened object: the objects it manages with their health, and the pods of a workload."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fluxtui.api import kstatus
from fluxtui.fleet.facts import moment
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.states import State
from fluxtui.fleet.text import brief, one_line

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"})
"""Kinds that own pods, directly or not; their lines open."""

_STATES = {
    kstatus.Status.CURRENT: State.READY,
    kstatus.Status.IN_PROGRESS: State.PROGRESSING,
    kstatus.Status.FAILED: State.FAILED,
    kstatus.Status.TERMINATING: State.DELETING,
    kstatus.Status.NOT_FOUND: State.FAILED,
    kstatus.Status.UNKNOWN: State.UNKNOWN,
}


class Child(msgspec.Struct, frozen=True, gc=False):
    """An object below another one that has no row of its own."""

    ref: Ref
    version: str = ""
    state: State = State.UNKNOWN
    message: str = ""
    changed: float = 0.0
    """Its last change, or its creation; 0.0 when unknown."""

    @property
    def opens(self) -> bool:
        """Whether pods hang below it."""
        return self.ref.kind in WORKLOADS


class Branch(msgspec.Struct, frozen=True):
    """The children of one opened object."""

    children: tuple[Child, ...] = ()
    loading: bool = False
    error: str = ""
    """Why they could not be read, a sentence for users."""
    note: str = ""
    """What is not shown: `200 of 340 shown`."""


def named(row_children: Iterator[Ref]) -> Branch:
    """A branch of which only the names are known yet."""
    return Branch(tuple(Child(ref) for ref in row_children), loading=True)


def child_of(ref: Ref, obj: kstatus.Object | None) -> Child:
    """A child judged by kstatus; None: it does not exist in the cluster."""
    if obj is None:
        return Child(ref, state=State.FAILED, message="not found in the cluster")
    status, message = kstatus.status_of(obj)
    state = _STATES[status]
    text = "" if state == State.READY else brief(message)
    if ref.kind == "Pod":
        text = pod_words(obj) or text
    version = one_line(str(obj.get("apiVersion") or "")).rpartition("/")[2]
    return Child(ref, version, state, text, changed_of(obj))


def changed_of(obj: kstatus.Object) -> float:
    """The last transition of a condition, or the creation; seconds since the epoch."""
    metadata = obj.get("metadata")
    created = moment(str(metadata.get("creationTimestamp") or "")) if isinstance(metadata, dict) else 0.0
    return max([created, *(moment(str(said.get("lastTransitionTime") or "")) for said in kstatus.conditions(obj))])


def pod_words(pod: kstatus.Object) -> str:
    """Why a pod is not well, by its containers: `CrashLoopBackOff ×6, exit 1: DB_URL is not set`; "" when it is."""
    status = pod.get("status")
    if not isinstance(status, dict):
        return ""
    for field in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(field) or ():
            words = _container_words(container) if isinstance(container, dict) else ""
            if words:
                return words
    return ""


def _container_words(container: kstatus.Object) -> str:
    state, last = container.get("state") or {}, container.get("lastState") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or last.get("terminated") or {}
    parts = []
    reason = str(waiting.get("reason") or "")
    if reason and reason not in ("ContainerCreating", "PodInitializing"):
        restarts = container.get("restartCount") or 0
        parts.append(f"{reason} ×{restarts}" if restarts else reason)
    if ended.get("exitCode") and (parts or state.get("terminated")):
        message = str(ended.get("message") or "").strip().rpartition("\n")[2]
        parts.append(f"exit {ended['exitCode']}" + (f": {message}" if message else ""))
    elif parts and waiting.get("message"):
        parts.append(str(waiting["message"]))
    return brief(", ".join(parts))
