from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fluxtui.api.kstatus import Result, Status, status_of

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def obj(api_version: str, kind: str, spec: Any = None, status: Any = None, **metadata: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", **metadata}}
    if spec is not None:
        made["spec"] = spec
    if status is not None:
        made["status"] = status
    return made


def cond(type_: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": type_, "status": status, "reason": reason, "message": message}


UP = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
ROLLED = [cond("Progressing", "True", "NewReplicaSetAvailable"), cond("Available", "True")]


def deployment(status: Any, **spec: Any) -> dict[str, Any]:
    return obj("apps/v1", "Deployment", {"replicas": 2, "progressDeadlineSeconds": 600, **spec}, status)


def stateful(status: Any, **spec: Any) -> dict[str, Any]:
    return obj("apps/v1", "StatefulSet", {"replicas": 2, **spec}, status)


def daemon(**numbers: int) -> dict[str, Any]:
    return obj("apps/v1", "DaemonSet", {}, {"observedGeneration": 1, **numbers}, generation=1)


def pod(phase: str, created: str = "2026-11-21T11:59:50Z", **status: Any) -> dict[str, Any]:
    return obj("v1", "Pod", {}, {"phase": phase, **status}, creationTimestamp=created)


def crd(*conditions: dict[str, str]) -> dict[str, Any]:
    return obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", {}, {"conditions": list(conditions)})


ALL_DAEMONS = {
    "desiredNumberScheduled": 2,
    "currentNumberScheduled": 2,
    "updatedNumberScheduled": 2,
    "numberAvailable": 2,
    "numberReady": 2,
}
UNSCHEDULABLE = [cond("PodScheduled", "False", "Unschedulable")]
LOOPING = [{"name": "web", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}, {"name": "ok", "state": {}}]

CURRENT, BUSY, FAILED = Status.CURRENT, Status.IN_PROGRESS, Status.FAILED

CASES: list[tuple[str, dict[str, Any] | None, Status, str]] = [
    ("absent", None, Status.NOT_FOUND, "Resource not found"),
    (
        "deleting wins over all",
        obj("v1", "ConfigMap", deletionTimestamp="2026-11-21T11:00:00Z"),
        Status.TERMINATING,
        "Resource scheduled for deletion",
    ),
    (
        "generation not observed",
        obj("example.com/v1", "Thing", {}, {"observedGeneration": 1}, generation=2),
        BUSY,
        "Thing generation is 2, but latest observed generation is 1",
    ),
    ("observedGeneration absent", obj("example.com/v1", "Thing", {}, {}, generation=2), CURRENT, "Resource is current"),
    (
        "Reconciling",
        obj("e.com/v1", "T", {}, {"conditions": [cond("Reconciling", "True", "P", "working"), cond("Ready", "True")]}),
        BUSY,
        "working",
    ),
    (
        "Stalled",
        obj("e.com/v1", "T", {}, {"conditions": [cond("Ready", "False"), cond("Stalled", "True", "R", "no way")]}),
        FAILED,
        "no way",
    ),
    ("Stalled=False says nothing", obj("e.com/v1", "T", {}, {"conditions": [cond("Stalled", "False")]}), CURRENT, ""),
    ("Ready", obj("e.com/v1", "T", {}, {"conditions": [cond("Ready", "True")]}), CURRENT, "Resource is Ready"),
    (
        "Ready=False",
        obj("e.com/v1", "T", {}, {"conditions": [cond("Ready", "False", "R", "not yet")]}),
        BUSY,
        "not yet",
    ),
    ("Ready=Unknown", obj("e.com/v1", "T", {}, {"conditions": [cond("Ready", "Unknown", "R", "hm")]}), BUSY, "hm"),
    ("Ready=odd", obj("e.com/v1", "T", {}, {"conditions": [cond("Ready", "Perhaps")]}), CURRENT, "Resource is current"),
    ("status of a strange shape", obj("e.com/v1", "T", {}, {"conditions": ["text", 3]}), CURRENT, ""),
    ("status that is no mapping", {"apiVersion": "v1", "kind": "T", "metadata": None, "status": 3}, CURRENT, ""),
    ("ConfigMap", obj("v1", "ConfigMap"), CURRENT, "Resource is always ready"),
    ("Secret", obj("v1", "Secret"), CURRENT, "Resource is always ready"),
    ("CronJob", obj("batch/v1", "CronJob"), CURRENT, "Resource is always ready"),
    ("Service", obj("v1", "Service", {"type": "ClusterIP"}), CURRENT, "Service is ready"),
    ("LoadBalancer without address", obj("v1", "Service", {"type": "LoadBalancer"}), BUSY, "ClusterIP not set"),
    ("LoadBalancer", obj("v1", "Service", {"type": "LoadBalancer", "clusterIP": "10.0.0.1"}), CURRENT, "ready"),
    ("PVC pending", obj("v1", "PersistentVolumeClaim", {}, {"phase": "Pending"}), BUSY, "not Bound. phase: Pending"),
    ("PVC new", obj("v1", "PersistentVolumeClaim", {}), BUSY, "phase: unknown"),
    ("PVC bound", obj("v1", "PersistentVolumeClaim", {}, {"phase": "Bound"}), CURRENT, "PVC is Bound"),
    ("PDB", obj("policy/v1", "PodDisruptionBudget", {}, {}), CURRENT, "AllowedDisruptions"),
    ("Deployment new", deployment({}), BUSY, "Replicas: 0/2"),
    ("Deployment default of one", obj("apps/v1", "Deployment", {}, {}), BUSY, "Replicas: 0/1"),
    ("Deployment not updated", deployment({**UP, "updatedReplicas": 1}), BUSY, "Updated: 1/2"),
    ("Deployment surplus", deployment({**UP, "replicas": 3}), BUSY, "Pending termination: 1"),
    ("Deployment unavailable", deployment({**UP, "availableReplicas": 1}), BUSY, "Available: 1/2"),
    ("Deployment unready", deployment({**UP, "readyReplicas": 0}), BUSY, "Ready: 0/2"),
    ("Deployment unrolled", deployment(UP), BUSY, "ReplicaSet not Available"),
    ("Deployment not Available", deployment({**UP, "conditions": ROLLED[:1]}), BUSY, "Deployment not Available"),
    ("Deployment up", deployment({**UP, "conditions": ROLLED}), CURRENT, "Deployment is available. Replicas: 2"),
    (
        "Deployment without deadline",
        obj("apps/v1", "Deployment", {"replicas": 2}, {**UP, "conditions": ROLLED[1:]}),
        CURRENT,
        "available",
    ),
    (
        "Deployment late",
        deployment({**UP, "conditions": [cond("Progressing", "False", "ProgressDeadlineExceeded")]}),
        FAILED,
        "Progress deadline exceeded",
    ),
    (
        "ReplicaSet failure",
        obj("apps/v1", "ReplicaSet", {}, {"conditions": [cond("ReplicaFailure", "True")]}),
        BUSY,
        "Replica Failure",
    ),
    ("ReplicaSet unlabelled", obj("apps/v1", "ReplicaSet", {"replicas": 1}, {}), BUSY, "Labelled: 0/1"),
    (
        "ReplicaSet unavailable",
        obj("apps/v1", "ReplicaSet", {"replicas": 1}, {"fullyLabeledReplicas": 1}),
        BUSY,
        "Available: 0/1",
    ),
    (
        "ReplicaSet unready",
        obj("apps/v1", "ReplicaSet", {"replicas": 1}, {"fullyLabeledReplicas": 1, "availableReplicas": 1}),
        BUSY,
        "Ready: 0/1",
    ),
    (
        "ReplicaSet surplus",
        obj(
            "apps/v1",
            "ReplicaSet",
            {"replicas": 1},
            {"fullyLabeledReplicas": 2, "availableReplicas": 2, "readyReplicas": 2, "replicas": 2},
        ),
        BUSY,
        "Pending termination: 1",
    ),
    ("ReplicaSet of none", obj("apps/v1", "ReplicaSet", {"replicas": 0}, {}), CURRENT, "ReplicaSet is available"),
    ("StatefulSet on delete", stateful({}, updateStrategy={"type": "OnDelete"}), CURRENT, "ondelete"),
    ("StatefulSet new", stateful({}), BUSY, "Replicas: 0/2"),
    ("StatefulSet unready", stateful({"replicas": 2, "readyReplicas": 1}), BUSY, "Ready: 1/2"),
    ("StatefulSet surplus", stateful({"replicas": 3, "readyReplicas": 3}), BUSY, "Pending termination: 1"),
    (
        "StatefulSet partition",
        stateful({"replicas": 2, "readyReplicas": 2}, updateStrategy={"rollingUpdate": {"partition": 1}}),
        BUSY,
        "updated: 0/1",
    ),
    (
        "StatefulSet partition done",
        stateful(
            {"replicas": 2, "readyReplicas": 2, "updatedReplicas": 1},
            updateStrategy={"rollingUpdate": {"partition": 1}},
        ),
        CURRENT,
        "Partition rollout complete. updated: 1",
    ),
    ("StatefulSet rolling", stateful({"replicas": 2, "readyReplicas": 2, "currentReplicas": 1}), BUSY, "current: 1/2"),
    (
        "StatefulSet revision",
        stateful(
            {"replicas": 2, "readyReplicas": 2, "currentReplicas": 2, "currentRevision": "a", "updateRevision": "b"}
        ),
        BUSY,
        "revision",
    ),
    ("StatefulSet up", stateful({"replicas": 2, "readyReplicas": 2, "currentReplicas": 2}), CURRENT, "Replicas: 2"),
    ("DaemonSet new", obj("apps/v1", "DaemonSet", {}, {}, generation=1), BUSY, "status.observedGeneration not found"),
    ("DaemonSet bare", obj("apps/v1", "DaemonSet", {}, {}), BUSY, "metadata.generation not found"),
    ("DaemonSet uncounted", daemon(), BUSY, "Missing .status.desiredNumberScheduled"),
    ("DaemonSet unscheduled", daemon(**{**ALL_DAEMONS, "currentNumberScheduled": 1}), BUSY, "Current: 1/2"),
    ("DaemonSet old", daemon(**{**ALL_DAEMONS, "updatedNumberScheduled": 1}), BUSY, "Updated: 1/2"),
    ("DaemonSet unavailable", daemon(**{**ALL_DAEMONS, "numberAvailable": 1}), BUSY, "Available: 1/2"),
    ("DaemonSet unready", daemon(**{**ALL_DAEMONS, "numberReady": 1}), BUSY, "Ready: 1/2"),
    ("DaemonSet up", daemon(**ALL_DAEMONS), CURRENT, "Replicas: 2"),
    ("DaemonSet without nodes", daemon(desiredNumberScheduled=0), CURRENT, "Replicas: 0"),
    ("Job new", obj("batch/v1", "Job", {"parallelism": 3}, {}), BUSY, "Job not started. active: 0/3"),
    ("Job suspended", obj("batch/v1", "Job", {"suspend": True}, {}), CURRENT, "Job is suspended"),
    (
        "Job running",
        obj("batch/v1", "Job", {}, {"startTime": "2026-11-21T11:00:00Z", "active": 1}),
        BUSY,
        "Job in progress. success:0, active: 1, failed: 0",
    ),
    (
        "Job complete",
        obj("batch/v1", "Job", {"completions": 2}, {"succeeded": 2, "conditions": [cond("Complete", "True")]}),
        CURRENT,
        "Job Completed. succeeded: 2/2",
    ),
    (
        "Job failed",
        obj("batch/v1", "Job", {}, {"failed": 1, "conditions": [cond("Failed", "True")]}),
        FAILED,
        "Job Failed. failed: 1/1",
    ),
    ("Pod unseen", obj("v1", "Pod", {}, {}), BUSY, "Pod phase not available"),
    ("Pod pending", pod("Pending"), BUSY, "Pod is in the Pending phase"),
    ("Pod waits for a node", pod("Pending", conditions=UNSCHEDULABLE), BUSY, "Pod has not been scheduled"),
    (
        "Pod without a node",
        pod("Pending", "2026-11-21T11:59:40Z", conditions=UNSCHEDULABLE),
        FAILED,
        "Pod could not be scheduled",
    ),
    ("Pod running", pod("Running", conditions=[cond("Ready", "False")]), BUSY, "Pod is running but is not Ready"),
    ("Pod ready", pod("Running", conditions=[cond("Ready", "True")]), CURRENT, "Pod is Ready"),
    ("Pod crashing", pod("Running", containerStatuses=LOOPING), FAILED, "Containers in CrashLoop state: web"),
    ("Pod done", pod("Succeeded"), CURRENT, "Pod has completed successfully"),
    ("Pod failed", pod("Failed"), CURRENT, "Pod has completed, but not successfully"),
    ("Pod odd", pod("Dreaming"), Status.UNKNOWN, "unknown phase Dreaming"),
    ("CRD new", crd(), BUSY, "Install in progress"),
    ("CRD installing", crd(cond("Established", "False", "Installing")), BUSY, "Install in progress"),
    ("CRD names taken", crd(cond("NamesAccepted", "False", "Conflict", "names taken")), FAILED, "names taken"),
    ("CRD refused", crd(cond("Established", "False", "NotAccepted", "refused")), FAILED, "refused"),
    ("CRD established", crd(cond("Established", "True")), CURRENT, "CRD is established"),
]


@pytest.mark.parametrize(("given", "status", "message"), [pytest.param(*row[1:], id=row[0]) for row in CASES])
def test_status(given: dict[str, Any] | None, status: Status, message: str) -> None:
    result = status_of(given, now=NOW)
    assert isinstance(result, Result)
    assert result.status is status
    assert message in result.message
