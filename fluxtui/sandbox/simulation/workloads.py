"""Controllers of workloads, level-triggered: each brings children and status in line with what is wanted.

Deployments roll ReplicaSets over; ReplicaSets, StatefulSets, DaemonSets and Jobs keep Pods.
"""

from __future__ import annotations

import copy
import hashlib
import json
from datetime import datetime
from typing import Any

from fluxtui.sandbox.simulation.behavior import PREFIX
from fluxtui.sandbox.simulation.writing import Writer, condition
from fluxtui.sandbox.store import Object

NODES = ("node-1", "node-2")
REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"


def is_ready(pod: Object) -> bool:
    """Whether a pod is ready and not on its way out."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


class Deployments:
    """Deployments → ReplicaSets."""

    store = ("apps", "deployments")

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._kind = writer.kind("apps", "deployments")
        self._sets = writer.kind("apps", "replicasets")

    def sync(self, obj: Object) -> float | None:
        """Bring a Deployment in line; seconds until it must be looked at again, None when a change will tell."""
        spec = obj["spec"]
        wanted = spec.get("replicas", 1)
        name_hash = template_hash(spec["template"])
        sets = self._writer.owned(self._sets, obj)
        current = next((item for item in sets if item["metadata"]["labels"].get(_HASH) == name_hash), None)
        if current is None:
            current = self._create(obj, name_hash, len(sets) + 1)
            if current is None:
                return None
            sets = [*sets, current]
        revision = (current["metadata"].get("annotations") or {}).get(REVISION, "1")
        if (obj["metadata"].get("annotations") or {}).get(REVISION) != revision:
            # Through the status, as annotations of a Deployment count as a new generation.
            change = {"metadata": {"annotations": {REVISION: revision}}}
            self._writer.update(self._kind, obj, change, status=True)
        self._scale(obj, current, wanted)
        ready_now = (current.get("status") or {}).get("readyReplicas", 0)
        for old in sets:
            if old is not current and old["spec"].get("replicas", 0):
                # The old pods stay until as many new ones are ready.
                self._scale(obj, old, max(0, wanted - ready_now) if wanted else 0)
        return self._status(obj, sets, current)

    def _create(self, obj: Object, name_hash: str, revision: int) -> Object | None:
        template = copy.deepcopy(obj["spec"]["template"])
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels[_HASH] = name_hash
        selector = copy.deepcopy(obj["spec"]["selector"])
        selector.setdefault("matchLabels", {})[_HASH] = name_hash
        _inherit(obj, template)
        created = self._writer.create(
            self._sets,
            {
                "metadata": {
                    "name": f"{obj['metadata']['name']}-{name_hash}",
                    "namespace": obj["metadata"]["namespace"],
                    "labels": labels,
                    "annotations": {REVISION: str(revision)},
                },
                "spec": {"replicas": obj["spec"].get("replicas", 1), "selector": selector, "template": template},
            },
            obj,
        )
        if created is not None:
            self._say(obj, created, f"from 0 to {obj['spec'].get('replicas', 1)}", "up")
        return created

    def _scale(self, obj: Object, replica_set: Object, replicas: int) -> None:
        before = replica_set["spec"].get("replicas", 0)
        if before == replicas:
            return
        self._writer.update(self._sets, replica_set, {"spec": {"replicas": replicas}})
        self._say(obj, replica_set, f"from {before} to {replicas}", "up" if replicas > before else "down")

    def _say(self, obj: Object, replica_set: Object, change: str, way: str) -> None:
        message = f"Scaled {way} replica set {replica_set['metadata']['name']} {change}"
        self._writer.event(obj, "Normal", "ScalingReplicaSet", message, "deployment-controller")

    def _status(self, obj: Object, sets: list[Object], current: Object) -> float | None:
        wanted = obj["spec"].get("replicas", 1)

        def total(field: str, items: list[Object]) -> int:
            return sum((item.get("status") or {}).get(field, 0) for item in items)

        ready, updated = total("readyReplicas", sets), total("replicas", [current])
        old = (obj.get("status") or {}).get("conditions") or []
        now, name = self._writer.now(), current["metadata"]["name"]
        done = total("readyReplicas", [current]) >= wanted and total("replicas", sets) == updated == wanted
        deadline = obj["spec"].get("progressDeadlineSeconds", 600)
        waited = _seconds_since(current["metadata"]["creationTimestamp"], now)
        late = not done and waited >= deadline
        progressing = (
            condition(old, "Progressing", True, "NewReplicaSetAvailable",
                      f'ReplicaSet "{name}" has successfully progressed.', now, updated=True)
            if done
            else condition(old, "Progressing", False, "ProgressDeadlineExceeded",
                           f'ReplicaSet "{name}" has timed out progressing.', now, updated=True)
            if late
            else condition(old, "Progressing", True, "ReplicaSetUpdated",
                           f'ReplicaSet "{name}" is progressing.', now, updated=True)
        )  # fmt: skip
        available = ready >= wanted - max(0, int(wanted * 0.25))
        reason = "MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable"
        message = f"Deployment {'has' if available else 'does not have'} minimum availability."
        status: Object = {
            "observedGeneration": obj["metadata"].get("generation", 1),
            "replicas": total("replicas", sets),
            "updatedReplicas": updated,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, wanted - ready),
            "conditions": [
                condition(old, "Available", available, reason, message, now, updated=True),
                progressing,
            ],
        }  # fmt: skip
        _set_status(self._writer, self._kind, obj, status)
        return None if done or late else max(0.2, deadline - waited)


class PodSets:
    """ReplicaSets, StatefulSets and DaemonSets → Pods."""

    def __init__(self, writer: Writer, plural: str, controller: str) -> None:
        self.store = ("apps", plural)
        self._writer = writer
        self._kind = writer.kind("apps", plural)
        self._pods = writer.kind("", "pods")
        self._controller = controller

    def sync(self, obj: Object) -> float | None:
        """Bring a set of pods in line."""
        pods = [pod for pod in self._writer.owned(self._pods, obj) if not pod["metadata"].get("deletionTimestamp")]
        names = self._names(obj)
        if self._kind.plural == "replicasets":
            surplus = len(pods) - obj["spec"].get("replicas", 1)
            for pod in sorted(pods, key=is_ready)[: max(0, surplus)]:
                self._drop(obj, pod)
            for number in range(max(0, -surplus)):
                version = obj["metadata"]["resourceVersion"]
                self._add(obj, f"{obj['metadata']['name']}-{_letters(obj['metadata']['uid'], version, number)}", {})
        else:
            self._keep_named(obj, pods, names)
        self._status(obj)
        return None

    def _names(self, obj: Object) -> dict[str, Object]:
        """Pod name → fields of its spec, for sets whose pods have fixed names."""
        name = obj["metadata"]["name"]
        if self._kind.plural == "daemonsets":
            return {f"{name}-{_letters(obj['metadata']['uid'], node)}": {"nodeName": node} for node in NODES}
        return {f"{name}-{index}": {} for index in range(obj["spec"].get("replicas", 1))}

    def _keep_named(self, obj: Object, pods: list[Object], names: dict[str, Object]) -> None:
        wanted_hash = template_hash(obj["spec"]["template"])
        found = {pod["metadata"]["name"]: pod for pod in pods}
        for name, pod in found.items():
            if name not in names or pod["metadata"]["labels"].get("controller-revision-hash") != wanted_hash:
                self._drop(obj, pod)
                return
        ordered = self._kind.plural == "statefulsets" and obj["spec"].get("podManagementPolicy") != "Parallel"
        for name, spec in names.items():
            if name not in found:
                self._add(obj, name, spec)
                if ordered:
                    return
            elif ordered and not is_ready(found[name]):
                return

    def _add(self, obj: Object, name: str, spec: Object) -> None:
        template = copy.deepcopy(obj["spec"]["template"])
        _inherit(obj, template)
        metadata = template.get("metadata") or {}
        labels = dict(metadata.get("labels") or {})
        if self._kind.plural != "replicasets":
            labels["controller-revision-hash"] = template_hash(obj["spec"]["template"])
        pod = {
            "metadata": {
                "name": name,
                "namespace": obj["metadata"]["namespace"],
                "labels": labels,
                "annotations": metadata.get("annotations") or {},
            },
            "spec": {**template["spec"], **spec},
        }
        created = self._writer.create(self._pods, pod, obj)
        if created is not None:
            self._writer.event(obj, "Normal", "SuccessfulCreate", f"Created pod: {name}", self._controller)

    def _drop(self, obj: Object, pod: Object) -> None:
        self._writer.delete(self._pods, pod)
        name = pod["metadata"]["name"]
        self._writer.event(obj, "Normal", "SuccessfulDelete", f"Deleted pod: {name}", self._controller)

    def _status(self, obj: Object) -> None:
        pods = [pod for pod in self._writer.owned(self._pods, obj) if not pod["metadata"].get("deletionTimestamp")]
        ready = sum(map(is_ready, pods))
        generation = obj["metadata"].get("generation", 1)
        if self._kind.plural == "daemonsets":
            status: Object = {
                "currentNumberScheduled": len(pods),
                "desiredNumberScheduled": len(NODES),
                "numberAvailable": ready,
                "numberMisscheduled": 0,
                "numberReady": ready,
                "numberUnavailable": len(NODES) - ready,
                "updatedNumberScheduled": len(pods),
                "observedGeneration": generation,
            }
        else:
            status = {
                "replicas": len(pods),
                "readyReplicas": ready,
                "availableReplicas": ready,
                "observedGeneration": generation,
            }
        if self._kind.plural == "replicasets":
            status["fullyLabeledReplicas"] = len(pods)
        if self._kind.plural == "statefulsets":
            revision = f"{obj['metadata']['name']}-{template_hash(obj['spec']['template'])}"
            status |= {"currentReplicas": len(pods), "updatedReplicas": len(pods), "collisionCount": 0}
            status |= {"currentRevision": revision, "updateRevision": revision}
        _set_status(self._writer, self._kind, obj, status)


class Jobs:
    """Jobs → Pods, until enough have completed or too many have failed."""

    store = ("batch", "jobs")

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._kind = writer.kind("batch", "jobs")
        self._pods = writer.kind("", "pods")

    def sync(self, obj: Object) -> float | None:
        """Bring a Job in line."""
        old = (obj.get("status") or {}).get("conditions") or []
        if any(item["type"] in ("Complete", "Failed") and item["status"] == "True" for item in old):
            return None
        pods = self._writer.owned(self._pods, obj)
        phases = [(pod.get("status") or {}).get("phase") for pod in pods]
        succeeded, failed = phases.count("Succeeded"), phases.count("Failed")
        active = len(pods) - succeeded - failed
        spec, now = obj["spec"], self._writer.now()
        status: Object = {"startTime": (obj.get("status") or {}).get("startTime", now), "uncountedTerminatedPods": {}}
        status |= {name: count for name, count in (("succeeded", succeeded), ("failed", failed)) if count}
        wanted, limit = spec.get("completions", 1), spec.get("backoffLimit", 6)
        if succeeded >= wanted:
            message = "Reached expected number of succeeded pods"
            status["conditions"] = [
                condition(old, name, True, "CompletionsReached", message, now)
                for name in ("SuccessCriteriaMet", "Complete")
            ]
            status["completionTime"] = now
            self._writer.event(obj, "Normal", "Completed", "Job completed", "job-controller")
        elif failed > limit:
            message = "Job has reached the specified backoff limit"
            status["conditions"] = [
                condition(old, name, True, "BackoffLimitExceeded", message, now) for name in ("FailureTarget", "Failed")
            ]
            self._writer.event(obj, "Warning", "BackoffLimitExceeded", message, "job-controller")
        else:
            for index in range(active, min(spec.get("parallelism", 1), wanted - succeeded)):
                self._add(obj, len(pods) + index)
                active += 1
            status["active"] = active
            status["ready"] = sum(map(is_ready, pods))
        _set_status(self._writer, self._kind, obj, status)
        return None

    def _add(self, obj: Object, index: int) -> None:
        template = copy.deepcopy(obj["spec"]["template"])
        _inherit(obj, template)
        metadata = template.get("metadata") or {}
        name = f"{obj['metadata']['name']}-{_letters(obj['metadata']['uid'], index)}"
        pod = {
            "metadata": {
                "name": name,
                "namespace": obj["metadata"]["namespace"],
                "labels": metadata.get("labels") or {},
                "annotations": metadata.get("annotations") or {},
            },
            "spec": template["spec"],
        }
        if self._writer.create(self._pods, pod, obj) is not None:
            self._writer.event(obj, "Normal", "SuccessfulCreate", f"Created pod: {name}", "job-controller")


def template_hash(template: Object) -> str:
    """A short name for a pod template."""
    text = json.dumps(template, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return digest.translate(str.maketrans("013ae", "bcdfg"))


def _letters(*seeds: object) -> str:
    """Five letters, always the same for the same seeds."""
    text = "/".join(map(str, seeds))
    return hashlib.sha256(text.encode()).hexdigest()[:5].translate(str.maketrans("013ae", "bcdfg"))


def _inherit(obj: Object, template: Object) -> None:
    """Let the workload's own annotations for the simulation reach its pods."""
    own = {name: value for name, value in (obj["metadata"].get("annotations") or {}).items() if name.startswith(PREFIX)}
    if own:
        metadata = template.setdefault("metadata", {})
        metadata["annotations"] = {**own, **(metadata.get("annotations") or {})}


def _set_status(writer: Writer, kind: Any, obj: Object, status: Object) -> None:
    if (obj.get("status") or {}) != status:
        writer.update(kind, obj, {"status": status})


def _seconds_since(moment: str, now: str) -> float:
    return (_time(now) - _time(moment)).total_seconds()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
