"""Objects as other clients want them: `Table` for kubectl get, `PartialObjectMetadata` for those who only look."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from fluxtui.sandbox.columns import AGE, COLUMNS, age
from fluxtui.sandbox.kinds import Kind
from fluxtui.sandbox.statuses import bad_request, not_acceptable

Object = dict[str, Any]

_NAME = {"name": "Name", "type": "string", "format": "name", "priority": 0, "description": ""}
_MEDIA = frozenset({"", "*/*", "application/*", "application/json"})
_STEP = re.compile(r"\.([\w-]+)|\[\?\(@\.(\w+)==\\?[\"']([^\"'\\]+)\\?[\"']\)\]|\[(\d+)\]|\['([^']+)'\]")


def form(accept: str) -> str:
    """The form that a client wants, from its Accept header: `Table`, `PartialObjectMetadata` or empty for the object.

    Raises StatusError 406 when it is none that there is.
    """
    for choice in accept.split(",") if accept else ("",):
        media, *said = [part.strip() for part in choice.split(";")]
        parameters = dict(part.partition("=")[::2] for part in said)
        wanted = parameters.get("as", "").removesuffix("List")
        if media not in _MEDIA or wanted not in ("", "Table", "PartialObjectMetadata"):
            continue
        if not wanted or (parameters.get("g") == "meta.k8s.io" and parameters.get("v") in ("v1", "v1beta1")):
            return wanted
    raise not_acceptable("application/json, application/yaml, application/vnd.kubernetes.protobuf")


def partial(obj: Object) -> Object:
    """The metadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def table(kind: Kind, objects: Sequence[Object], version: str, now: datetime, *, include: str = "Metadata") -> Object:
    """A Table with the columns of a kind. Raises StatusError 400 for an unknown `include`."""
    if include not in ("", "Metadata", "Object", "None"):
        raise bad_request(
            f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}": '
            "must be 'Metadata', 'Object', 'None', or empty"
        )
    columns, cells = _columns(kind, now)
    rows = []
    for obj in objects:
        row: Object = {"cells": cells(obj)}
        row["object"] = obj if include == "Object" else None if include == "None" else partial(obj)
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
    found = COLUMNS.get(kind.plural, (AGE,)) if not kind.custom else (AGE,)
    named = kind.plural != "events"
    columns = [_NAME] if named else []
    columns += [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": "",
            "priority": int(column.wide),
        }
        for column in found
    ]

    def builtin(obj: Object) -> list[Any]:
        cells = [column.cell(obj, now) for column in found]
        return [obj["metadata"]["name"], *cells] if named else cells

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
