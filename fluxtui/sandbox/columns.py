"""The columns of built-in kinds in Tables, and what stands in them.

Source: what a server answers for each kind; kinds without columns of their own have their name and their creation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

Object = dict[str, Any]
Cell = Callable[[Object, datetime], Any]

_NONE = "<none>"
_UNKNOWN = "<unknown>"


class Column(msgspec.Struct, frozen=True):
    """One column."""

    name: str
    cell: Cell
    type: str = "string"
    wide: bool = False
    """Whether it is only shown with -o wide."""
    format: str = ""


def age(moment: Any, now: datetime) -> str:
    """How long ago, as kubectl prints it: `41s`, `5m3s`, `3h`, `2d4h`."""
    if not moment:
        return _UNKNOWN
    then = datetime.fromisoformat(str(moment).replace("Z", "+00:00"))
    return duration(int((now.astimezone(UTC) - then).total_seconds()))


def duration(seconds: int) -> str:
    """A time in seconds, with two units only where the first is a small number."""
    seconds = max(0, seconds)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    return f"{days // 365}y{days % 365}d" if days < 2920 and days % 365 else f"{days // 365}y"


def at(obj: Any, *path: str) -> Any:
    """A value inside an object; None when it is not there."""
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def _text(*path: str, empty: str = "") -> Cell:
    return lambda obj, _: str(at(obj, *path) or empty)


def _number(*path: str) -> Cell:
    return lambda obj, _: at(obj, *path) or 0


def _count(*path: str) -> Cell:
    return lambda obj, _: len(at(obj, *path) or ())


def _pairs(*path: str) -> Cell:
    return lambda obj, _: _joined(at(obj, *path))


def _joined(labels: Mapping[str, str] | None) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted((labels or {}).items())) or _NONE


def _created(obj: Object, now: datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _desired(obj: Object) -> int:
    found: int | None = at(obj, "spec", "replicas")
    return 1 if found is None else found


def _containers(field: str, *path: str) -> Cell:
    return lambda obj, _: ",".join(str(item.get(field, "")) for item in at(obj, *path, "containers") or ())


def _workload(*path: str) -> tuple[Column, Column]:
    return (
        Column("Containers", _containers("name", *path), wide=True),
        Column("Images", _containers("image", *path), wide=True),
    )


def _selector(obj: Object, _: datetime) -> str:
    return _joined(at(obj, "spec", "selector", "matchLabels"))


def _pod_ready(obj: Object, _: datetime) -> str:
    ready = sum(1 for item in at(obj, "status", "containerStatuses") or () if item.get("ready"))
    return f"{ready}/{len(at(obj, 'spec', 'containers') or ())}"


def _pod_status(obj: Object, _: datetime) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for item in at(obj, "status", "containerStatuses") or ():
        for state in ("waiting", "terminated"):
            reason = at(item, "state", state, "reason")
            if reason:
                return str(reason)
    return str(at(obj, "status", "reason") or at(obj, "status", "phase") or "Pending")


def _restarts(obj: Object, _: datetime) -> str:
    return str(sum(item.get("restartCount", 0) for item in at(obj, "status", "containerStatuses") or ()))


def _job_status(obj: Object, _: datetime) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for condition in at(obj, "status", "conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed", "Suspended"):
            return str(condition["type"])
    return "Running"


def _completions(obj: Object, _: datetime) -> str:
    wanted, done = at(obj, "spec", "completions"), at(obj, "status", "succeeded") or 0
    if wanted is not None:
        return f"{done}/{wanted}"
    parallel = at(obj, "spec", "parallelism") or 0
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _job_duration(obj: Object, now: datetime) -> str:
    started, ended = at(obj, "status", "startTime"), at(obj, "status", "completionTime")
    if not started:
        return ""
    return age(started, datetime.fromisoformat(ended.replace("Z", "+00:00")) if ended else now)


def _external(obj: Object, _: datetime) -> str:
    spec = obj.get("spec") or {}
    given = list(spec.get("externalIPs") or ())
    balancers = at(obj, "status", "loadBalancer", "ingress") or ()
    given = [item.get("ip") or item.get("hostname") for item in balancers] + given
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    return ",".join(given) or ("<pending>" if spec.get("type") == "LoadBalancer" else _NONE)


def _ports(obj: Object, _: datetime) -> str:
    found = []
    for port in at(obj, "spec", "ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        found.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(found) or _NONE


def _about(obj: Object, _: datetime) -> str:
    involved = obj.get("involvedObject") or obj.get("regarding") or {}
    kind = str(involved.get("kind", "")).lower()
    return f"{kind}/{involved['name']}" if involved.get("name") else kind


def _seen(*fields: str) -> Cell:
    def cell(obj: Object, now: datetime) -> str:
        found = next((obj[field] for field in fields if obj.get(field)), None)
        return age(found, now)

    return cell


def _hosts(obj: Object, _: datetime) -> str:
    hosts = [rule["host"] for rule in at(obj, "spec", "rules") or () if rule.get("host")]
    return ",".join(hosts[:3]) + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "") if hosts else "*"


def _addresses(obj: Object, _: datetime) -> str:
    found = at(obj, "status", "loadBalancer", "ingress") or ()
    return ",".join(str(item.get("ip") or item.get("hostname")) for item in found)


def _role(obj: Object, _: datetime) -> str:
    return f"{at(obj, 'roleRef', 'kind')}/{at(obj, 'roleRef', 'name')}"


def _subjects(kind: str) -> Cell:
    def cell(obj: Object, _: datetime) -> str:
        found = [item for item in obj.get("subjects") or () if item.get("kind") == kind]
        names = (f"{item['namespace']}/{item['name']}" if item.get("namespace") else item["name"] for item in found)
        return ", ".join(names)

    return cell


def _entries(obj: Object, _: datetime) -> str:
    return str(len(obj.get("data") or ()) + len(obj.get("binaryData") or ()))


def _controller(obj: Object, _: datetime) -> str:
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((f"{item['kind'].lower()}.apps/{item['name']}" for item in owners if item.get("controller")), _NONE)


AGE = Column("Age", _created)
CREATED = Column("Created At", lambda obj, _: obj["metadata"].get("creationTimestamp"), type="date")
_BINDING = (
    Column("Role", _role),
    AGE,
    Column("Users", _subjects("User"), wide=True),
    Column("Groups", _subjects("Group"), wide=True),
    Column("ServiceAccounts", _subjects("ServiceAccount"), wide=True),
)
_TEMPLATE = _workload("spec", "template", "spec")
_WIDE_SELECTOR = Column("Selector", _selector, wide=True)
_EVENTS = (
    Column("Last Seen", _seen("lastTimestamp", "deprecatedLastTimestamp", "eventTime")),
    Column("Type", _text("type")),
    Column("Reason", _text("reason")),
    Column("Object", _about),
    Column("Subobject", _text("involvedObject", "fieldPath"), wide=True),
    Column("Source", _text("source", "component"), wide=True),
    Column("Message", lambda obj, _: str(obj.get("message") or obj.get("note") or "").strip()),
    Column("First Seen", _seen("firstTimestamp", "deprecatedFirstTimestamp", "eventTime"), wide=True),
    Column("Count", lambda obj, _: obj.get("count") or obj.get("deprecatedCount") or 1, wide=True),
    Column("Name", _text("metadata", "name"), wide=True, format="name"),
)
COLUMNS: Mapping[str, Sequence[Column]] = {
    "clusterrolebindings": _BINDING,
    "configmaps": (Column("Data", _entries), AGE),
    "controllerrevisions": (
        Column("Controller", _controller),
        Column("Revision", lambda obj, _: str(obj.get("revision", 0))),
        AGE,
    ),
    "cronjobs": (
        Column("Schedule", _text("spec", "schedule")),
        Column("Timezone", _text("spec", "timeZone", empty=_NONE)),
        Column("Suspend", lambda obj, _: bool(at(obj, "spec", "suspend")), type="boolean"),
        Column("Active", _count("status", "active"), type="integer"),
        Column("Last Schedule", lambda obj, now: age(at(obj, "status", "lastScheduleTime"), now)
               if at(obj, "status", "lastScheduleTime") else _NONE),
        AGE,
        *_workload("spec", "jobTemplate", "spec", "template", "spec"),
        Column("Selector", lambda obj, _: _joined(at(obj, "spec", "jobTemplate", "spec", "selector", "matchLabels")),
               wide=True),
    ),
    "daemonsets": (
        Column("Desired", _number("status", "desiredNumberScheduled"), type="integer"),
        Column("Current", _number("status", "currentNumberScheduled"), type="integer"),
        Column("Ready", _number("status", "numberReady"), type="integer"),
        Column("Up-to-date", _number("status", "updatedNumberScheduled"), type="integer"),
        Column("Available", _number("status", "numberAvailable"), type="integer"),
        Column("Node Selector", _pairs("spec", "template", "spec", "nodeSelector")),
        AGE,
        *_TEMPLATE,
        _WIDE_SELECTOR,
    ),
    "deployments": (
        Column("Ready", lambda obj, _: f"{at(obj, 'status', 'readyReplicas') or 0}/{_desired(obj)}"),
        Column("Up-to-date", _number("status", "updatedReplicas")),
        Column("Available", _number("status", "availableReplicas")),
        AGE,
        *_TEMPLATE,
        _WIDE_SELECTOR,
    ),
    "events": _EVENTS,
    "ingresses": (
        Column("Class", _text("spec", "ingressClassName", empty=_NONE)),
        Column("Hosts", _hosts),
        Column("Address", _addresses),
        Column("Ports", lambda obj, _: "80, 443" if at(obj, "spec", "tls") else "80"),
        AGE,
    ),
    "jobs": (
        Column("Status", _job_status),
        Column("Completions", _completions),
        Column("Duration", _job_duration),
        AGE,
        *_TEMPLATE,
        _WIDE_SELECTOR,
    ),
    "leases": (Column("Holder", _text("spec", "holderIdentity")), AGE),
    "namespaces": (Column("Status", _text("status", "phase")), AGE),
    "networkpolicies": (Column("Pod-Selector", _pairs("spec", "podSelector", "matchLabels")), AGE),
    "pods": (
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _restarts),
        AGE,
        Column("IP", _text("status", "podIP", empty=_NONE), wide=True),
        Column("Node", _text("spec", "nodeName", empty=_NONE), wide=True),
        Column("Nominated Node", _text("status", "nominatedNodeName", empty=_NONE), wide=True),
        Column("Readiness Gates", lambda obj, _: _NONE, wide=True),
    ),
    "replicasets": (
        Column("Desired", lambda obj, _: _desired(obj), type="integer"),
        Column("Current", _number("status", "replicas"), type="integer"),
        Column("Ready", _number("status", "readyReplicas"), type="integer"),
        AGE,
        *_TEMPLATE,
        _WIDE_SELECTOR,
    ),
    "rolebindings": _BINDING,
    "secrets": (Column("Type", _text("type")), Column("Data", _count("data")), AGE),
    "serviceaccounts": (Column("Secrets", _count("secrets"), type="integer"), AGE),
    "services": (
        Column("Type", _text("spec", "type")),
        Column("Cluster-IP", _text("spec", "clusterIP", empty=_NONE)),
        Column("External-IP", _external),
        Column("Port(s)", _ports),
        AGE,
        Column("Selector", _pairs("spec", "selector"), wide=True),
    ),
    "statefulsets": (
        Column("Ready", lambda obj, _: f"{at(obj, 'status', 'readyReplicas') or 0}/{_desired(obj)}"),
        AGE,
        *_TEMPLATE,
    ),
    **dict.fromkeys(
        ("clusterroles", "csistoragecapacities", "customresourcedefinitions", "limitranges", "roles"), (CREATED,)
    ),
}  # fmt: skip
"""Plural → the columns beside the name; Events do without it. Other kinds have their age alone."""
