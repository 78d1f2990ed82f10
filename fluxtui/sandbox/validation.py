"""Structural schemas at work: pruning, defaults, validation with the path of each mistake.

Source: the API conventions of CustomResourceDefinitions. Rules in CEL (`x-kubernetes-validations`) are not evaluated.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

Object = dict[str, Any]
Schema = Mapping[str, Any]
Cause = dict[str, str]

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_EMBEDDED = "x-kubernetes-embedded-resource"
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_ALWAYS = frozenset({"apiVersion", "kind", "metadata"})


def prune(obj: Object, schema: Schema) -> None:
    """Remove the fields of an object that its schema does not have, in place."""
    _prune(obj, schema, root=True)


def _prune(value: Any, schema: Schema, *, root: bool = False) -> None:
    if isinstance(value, dict):
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        keep = _ALWAYS if root or schema.get(_EMBEDDED) else frozenset()
        for name in list(value):
            if name in properties and name not in keep - {"metadata"} and not (name == "metadata" and keep):
                _prune(value[name], properties[name])
            elif name in keep:
                continue
            elif isinstance(more, Mapping):
                _prune(value[name], more)
            elif not schema.get(_PRESERVE) and not more:
                del value[name]
    elif isinstance(value, list):
        for item in value:
            _prune(item, schema.get("items") or {_PRESERVE: True})


def unknown_fields(obj: Object, schema: Schema) -> list[str]:
    """Paths of the fields that pruning would remove."""
    return list(_unknown(obj, schema, "", root=True))


def _unknown(value: Any, schema: Schema, path: str, *, root: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, child in value.items():
            here = f"{path}.{name}" if path else name
            if (root or schema.get(_EMBEDDED)) and name in _ALWAYS:
                continue
            if name in properties:
                yield from _unknown(child, properties[name], here)
            elif isinstance(more, Mapping):
                yield from _unknown(child, more, here)
            elif not schema.get(_PRESERVE) and not more:
                yield here
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(item, schema.get("items") or {_PRESERVE: True}, f"{path}[{index}]")


def default(value: Any, schema: Schema) -> None:
    """Fill in the defaults of a schema, in place."""
    if isinstance(value, dict):
        for name, inner in (schema.get("properties") or {}).items():
            missing = name not in value or (value[name] is None and not inner.get("nullable"))
            if missing and "default" in inner:
                value[name] = copy.deepcopy(inner["default"])
            if name in value:
                default(value[name], inner)
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping):
            for name, child in value.items():
                if name not in (schema.get("properties") or {}):
                    default(child, more)
    elif isinstance(value, list):
        for item in value:
            default(item, schema.get("items") or {})


def validate(obj: Any, schema: Schema) -> list[Cause]:
    """What is wrong with an object, a cause for each field."""
    return list(_validate(obj, schema, ""))


def _validate(value: Any, schema: Schema, path: str) -> Iterator[Cause]:
    if value is None:
        if not schema.get("nullable") and path:
            yield _invalid(path, "null", f'must be of type {schema.get("type", "object")}: "null"', "FieldValueInvalid")
        return
    kind = schema.get("type")
    if schema.get(_INT_OR_STRING):
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield _invalid(path, value, "must be of type integer or string", "FieldValueTypeInvalid")
        return
    if kind and not _is_a(value, kind):
        found = _type_name(value)
        message = f'{path or "<root>"} in body must be of type {kind}: "{found}"'
        yield _invalid(path, found, message, "FieldValueTypeInvalid")
        return
    yield from _limits(value, schema, path)
    if isinstance(value, dict):
        for name in schema.get("required") or ():
            if name not in value:
                field = f"{path}.{name}" if path else name
                yield {"reason": "FieldValueRequired", "message": "Required value", "field": field}
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, child in value.items():
            here = f"{path}.{name}" if path else name
            if name in properties:
                yield from _validate(child, properties[name], here)
            elif isinstance(more, Mapping):
                yield from _validate(child, more, here)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _validate(item, schema.get("items") or {}, f"{path}[{index}]")


def _limits(value: Any, schema: Schema, path: str) -> Iterator[Cause]:
    if "enum" in schema and value not in schema["enum"]:
        allowed = ", ".join(f'"{item}"' for item in schema["enum"])
        message = f'Unsupported value: "{value}": supported values: {allowed}'
        yield {"reason": "FieldValueNotSupported", "message": message, "field": path}
    if isinstance(value, str):
        pattern = schema.get("pattern")
        if pattern and not re.search(pattern, value):
            yield _invalid(path, value, f"{path} in body should match '{pattern}'", "FieldValueInvalid")
        if len(value) < schema.get("minLength", 0):
            message = f"{path} in body should be at least {schema['minLength']} chars long"
            yield _invalid(path, value, message, "FieldValueInvalid")
        if "maxLength" in schema and len(value) > schema["maxLength"]:
            message = f"Too long: may not be more than {schema['maxLength']} bytes"
            yield {"reason": "FieldValueTooLong", "message": message, "field": path}
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            message = f"{path} in body should be greater than or equal to {schema['minimum']}"
            yield _invalid(path, value, message, "FieldValueInvalid")
        if "maximum" in schema and value > schema["maximum"]:
            message = f"{path} in body should be less than or equal to {schema['maximum']}"
            yield _invalid(path, value, message, "FieldValueInvalid")
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            message = f"{path} in body should have at least {schema['minItems']} items"
            yield _invalid(path, len(value), message, "FieldValueInvalid")
        if "maxItems" in schema and len(value) > schema["maxItems"]:
            message = f"Too many: {len(value)}: must have at most {schema['maxItems']} items"
            yield {"reason": "FieldValueTooMany", "message": message, "field": path}


def _invalid(path: str, value: Any, message: str, reason: str) -> Cause:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return {"reason": reason, "message": f"Invalid value: {shown}: {message}", "field": path or "<root>"}


def _is_a(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, (object,)))


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return next((name for name, types in _TYPES.items() if isinstance(value, types)), "null")
