"""Objects as other clients want them: `Table` for kubectl get, `PartialObjectMetadata` for those who only look."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from fluxtui.sandbox.kinds import Kind

Object = dict[str, Any]

_NAME = {"name": "Name", "type": "string", "format": "name", "priority": 0, "description": ""}
_STEP = re.compile(r"\.([\w-]+)|\[\?\(@\.(\w+)==\\?[\"']([^\"'\\]+)\\?[\"']\)\]|\[(\d+)\]|\['([^']+)'\]")


def partial(obj: Object) -> Object:
    """The metadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def table(kind: Kind, objects: Sequence[Object], version: str, now: datetime, *, include: str = "Metadata") -> Object:
    """A Table with the columns of a kind."""
    columns, cells = _columns(kind, now)
    rows = []
    for obj in objects:
        row: Object = {"cells": cells(obj)}
        if include == "Object":
            row["object"] = obj
        elif include != "None":
            row["object"] = partial(obj)
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": columns,
        "rows": rows,
    }


def _columns(kind: Kind, now: datetime) -> tuple[list[Object], Callable[[Object], list[Any]]]:
    if kind.custom and kind.columns:
        columns = [_NAME] + [
            {
                "name": column["name"],
                "type": column["type"],
                "format": column.get("format", ""),
                "description": column.get("description", ""),
                "priority": column.get("priority", 0),
            }
            for column in kind.columns
        ]

        def custom(obj: Object) -> list[Any]:
            found = [(column, read(obj, column["jsonPath"])) for column in kind.columns]
            return [obj["metadata"]["name"]] + [
                age(value, now) if column["type"] == "date" else value for column, value in found
            ]

        return columns, custom
    extra = _BUILTIN.get(kind.plural, ())
    names = [name for name, _ in extra]
    columns = [_NAME] + [
        {"name": name, "type": "string", "format": "", "description": "", "priority": 0} for name in names
    ]
    columns.append({"name": "Age", "type": "string", "format": "", "description": "", "priority": 0})

    def builtin(obj: Object) -> list[Any]:
        created = age(obj["metadata"].get("creationTimestamp"), now)
        return [obj["metadata"]["name"], *(cell(obj) for _, cell in extra), created]

    return columns, builtin


def read(obj: Any, path: str) -> Any:
    """The value at a JSON path of printer columns; None when it is not there."""
    for name, key, wanted, index, quoted in _STEP.findall(path):
        if obj is None:
            return None
        if name or quoted:
            obj = obj.get(name or quoted) if isinstance(obj, dict) else None
        elif index:
            obj = obj[int(index)] if isinstance(obj, list) and int(index) < len(obj) else None
        else:
            items = obj if isinstance(obj, list) else []
            obj = next((item for item in items if str(item.get(key)) == wanted), None)
    return obj


def age(moment: Any, now: datetime) -> str:
    """How long ago, as kubectl prints it: `41s`, `5m`, `3h`, `2d`."""
    if not moment:
        return "<unknown>"
    then = datetime.fromisoformat(str(moment).replace("Z", "+00:00"))
    seconds = max(0, int((now.astimezone(UTC) - then).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _status(obj: Object, *path: str) -> Any:
    found: Any = obj.get("status") or {}
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _ready(obj: Object) -> str:
    return f"{_status(obj, 'readyReplicas') or 0}/{(obj.get('spec') or {}).get('replicas', 1)}"


def _pod_ready(obj: Object) -> str:
    statuses = _status(obj, "containerStatuses") or []
    return f"{sum(1 for item in statuses if item.get('ready'))}/{len((obj.get('spec') or {}).get('containers') or [])}"


def _pod_status(obj: Object) -> str:
    for item in _status(obj, "containerStatuses") or []:
        waiting = (item.get("state") or {}).get("waiting")
        if waiting:
            return str(waiting.get("reason", ""))
    return str(_status(obj, "phase") or "Pending")


def _restarts(obj: Object) -> str:
    return str(sum(item.get("restartCount", 0) for item in _status(obj, "containerStatuses") or []))


def _count(field: str) -> Callable[[Object], str]:
    return lambda obj: str(len(obj.get(field) or {}))


def _number(field: str) -> Callable[[Object], str]:
    return lambda obj: str(_status(obj, field) or 0)


_Cell = tuple[str, Callable[[Object], str]]
_BUILTIN: dict[str, tuple[_Cell, ...]] = {
    "pods": (("Ready", _pod_ready), ("Status", _pod_status), ("Restarts", _restarts)),
    "deployments": (
        ("Ready", _ready),
        ("Up-to-date", _number("updatedReplicas")),
        ("Available", _number("availableReplicas")),
    ),
    "statefulsets": (("Ready", _ready),),
    "replicasets": (
        ("Desired", lambda obj: str((obj.get("spec") or {}).get("replicas", 1))),
        ("Current", _number("replicas")),
        ("Ready", _number("readyReplicas")),
    ),
    "daemonsets": (("Desired", _number("desiredNumberScheduled")), ("Ready", _number("numberReady"))),
    "jobs": (
        (
            "Completions",
            lambda obj: f"{_status(obj, 'succeeded') or 0}/{(obj.get('spec') or {}).get('completions', 1)}",
        ),
    ),
    "namespaces": (("Status", lambda obj: str(_status(obj, "phase") or "")),),
    "configmaps": (("Data", _count("data")),),
    "secrets": (("Type", lambda obj: str(obj.get("type", ""))), ("Data", _count("data"))),
    "services": (
        ("Type", lambda obj: str((obj.get("spec") or {}).get("type", ""))),
        ("Cluster-IP", lambda obj: str((obj.get("spec") or {}).get("clusterIP", "<none>"))),
    ),
    "events": (
        ("Type", lambda obj: str(obj.get("type", ""))),
        ("Reason", lambda obj: str(obj.get("reason", ""))),
        ("Message", lambda obj: str(obj.get("message", obj.get("note", "")))),
    ),
}
