"""Structural OpenAPI schemas of typed structs, as a CustomResourceDefinition wants them."""

from __future__ import annotations

import copy
import inspect as pyinspect
from typing import Any

from msgspec import inspect

from fluxtui.api.meta import Condition

Schema = dict[str, Any]


def structural(type_: Any) -> Schema:
    """The structural schema of a msgspec struct type (or any type a struct may have as a field).

    Constraints come from `msgspec.Meta`, rules (CEL) from a struct's `RULES`, and the description of a struct from the
    first paragraph of its docstring. Raises TypeError for types a CRD can't express.
    """
    return _schema(inspect.type_info(type_))


def _schema(info: inspect.Type) -> Schema:
    extra: Schema = {}
    if isinstance(info, inspect.Metadata):
        extra = dict(info.extra_json_schema or {})
        info = info.type
    schema = _plain(info)
    schema.update(extra)
    return schema


def _plain(info: inspect.Type) -> Schema:
    match info:
        case inspect.StructType(cls=cls) if cls is Condition:
            return copy.deepcopy(_CONDITION)
        case inspect.StructType():
            return _object(info)
        case inspect.StrType():
            schema: Schema = {"type": "string"}
            if info.pattern is not None:
                schema["pattern"] = info.pattern
            if info.min_length is not None:
                schema["minLength"] = info.min_length
            if info.max_length is not None:
                schema["maxLength"] = info.max_length
            return schema
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return {"type": "integer", "format": "int64"}
        case inspect.LiteralType():
            return {"type": "string", "enum": [value for value in info.values if value != ""]}
        case inspect.ListType():
            return {"type": "array", "items": _schema(info.item_type)}
        case inspect.DictType():
            if isinstance(info.value_type, inspect.AnyType):
                return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            return {"type": "object", "additionalProperties": _schema(info.value_type)}
        case inspect.UnionType():
            members = [member for member in info.types if not isinstance(member, inspect.NoneType)]
            if len(members) == 1:
                return _schema(members[0])
    raise TypeError(f"no structural schema for {info!r}")


def _object(info: inspect.StructType) -> Schema:
    schema: Schema = {"type": "object"}
    doc = pyinspect.getdoc(info.cls)
    if doc:
        schema["description"] = " ".join(doc.split("\n\n")[0].split())
    schema["properties"] = {field.encode_name: _schema(field.type) for field in info.fields}
    required = [field.encode_name for field in info.fields if field.required]
    if required:
        schema["required"] = required
    rules = getattr(info.cls, "RULES", ())
    if rules:
        schema["x-kubernetes-validations"] = [{"rule": rule, "message": message} for rule, message in rules]
    return schema


_CONDITION: Schema = {
    "type": "object",
    "description": "Condition contains details for one aspect of the current state of the object.",
    "required": ["lastTransitionTime", "message", "reason", "status", "type"],
    "properties": {
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "message": {"type": "string", "maxLength": 32768},
        "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
        "reason": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1024,
            "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        },
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "type": {
            "type": "string",
            "maxLength": 316,
            "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
            "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
        },
    },
}
"""metav1.Condition as Kubernetes documents it: stricter than what is worth checking when a condition is read."""
