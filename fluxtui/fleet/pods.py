"""The pods of a workload, found as its controller finds them: by label selector, then by owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fluxtui.fleet.refs import Ref
from fluxtui.kube.resources import Resource

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

Object = Mapping[str, Any]

PODS = Resource("", "v1", "Pod", "pods", "pod")
JOBS = Resource("batch", "v1", "Job", "jobs", "job")
_WORKLOADS = {
    ("apps", "Deployment"): Resource("apps", "v1", "Deployment", "deployments"),
    ("apps", "StatefulSet"): Resource("apps", "v1", "StatefulSet", "statefulsets"),
    ("apps", "DaemonSet"): Resource("apps", "v1", "DaemonSet", "daemonsets"),
    ("apps", "ReplicaSet"): Resource("apps", "v1", "ReplicaSet", "replicasets"),
    ("batch", "Job"): JOBS,
    ("batch", "CronJob"): Resource("batch", "v1", "CronJob", "cronjobs"),
}


async def pods_of(client: Client, ref: Ref) -> list[Object]:
    """The pods below a workload, or the pod itself; empty for other kinds. Raises KubeError."""
    if (ref.group, ref.kind) == ("", "Pod"):
        return [await client.get(PODS, ref.name, ref.namespace)]
    if ref.kind == "CronJob":
        jobs = (await client.list(JOBS, ref.namespace)).items
        names = [str(job["metadata"]["name"]) for job in jobs if owner_name(job, "CronJob") == ref.name]
        pods = (await client.list(PODS, ref.namespace, label_selector="job-name")).items
        return [pod for pod in pods if owner_name(pod, "Job") in names]
    selector = await pod_selector(client, ref)
    if not selector:
        return []
    pods = (await client.list(PODS, ref.namespace, label_selector=selector)).items
    return [pod for pod in pods if belongs(pod, ref)]


async def pod_selector(client: Client, ref: Ref) -> str:
    """The label selector of a workload as a query; empty for kinds without one. Raises KubeError."""
    resource = _WORKLOADS.get((ref.group, ref.kind))
    if resource is None or ref.kind == "CronJob":
        return ""
    workload = await client.get(resource, ref.name, ref.namespace)
    return selector_text((workload.get("spec") or {}).get("selector") or {})


def selector_text(selector: Object) -> str:
    """A LabelSelector in the query form of the API: `app=web,tier in (a,b),!old`."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for term in selector.get("matchExpressions") or ():
        key, values = term.get("key", ""), ",".join(term.get("values") or ())
        forms = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        parts.append(forms.get(term.get("operator", ""), key))
    return ",".join(parts)


def owner_name(obj: Object, kind: str) -> str:
    """Name of the controlling owner of a kind; "" without one."""
    owners = (obj.get("metadata") or {}).get("ownerReferences") or ()
    return next((str(owner.get("name")) for owner in owners if owner.get("kind") == kind), "")


def belongs(pod: Object, ref: Ref) -> bool:
    """Whether a pod is a workload's own, and not another's with the same labels."""
    if ref.kind == "Deployment":
        return owner_name(pod, "ReplicaSet").rpartition("-")[0] == ref.name
    return owner_name(pod, ref.kind) == ref.name
