"""Objects as the server's own types hold them.

A built-in kind is a fixed set of fields: what else is sent is dropped, what has the wrong type is refused, a null, an
empty list and an empty map are as good as absent, and parts that are no pointers are always shown (`resources: {}`).
Of a custom resource only the metadata is of such a type.
"""

from __future__ import annotations

from typing import Any

from fluxtui.sandbox.schema import Node

Object = dict[str, Any]

_GO_TYPES = {"string": "string", "integer": "int", "boolean": "bool", "number": "float64"}


class DecodeError(Exception):
    """A value does not fit its field; the text names both."""


def decode(obj: Object, node: Node) -> tuple[Object, list[str]]:
    """A new object in the form of its type, and the paths of the fields that the type does not have.

    Raises DecodeError for a value of the wrong type.
    """
    unknown: list[str] = []
    if node.typed:
        return _struct(obj, node, "", unknown), unknown
    decoded = dict(obj)
    decoded["metadata"] = _struct(obj.get("metadata") or {}, node.field("metadata"), "metadata", unknown)
    return decoded, unknown


def _struct(value: Object, node: Node, path: str, unknown: list[str]) -> Object:
    found: Object = {}
    for name, child in value.items():
        here = f"{path}.{name}" if path else name
        if not node.declares(name):
            unknown.append(here)
        elif child is not None:
            _place(found, name, _value(child, node.field(name), here, unknown), node.field(name))
    fill(found, node)
    return found


def fill(obj: Object, node: Node) -> None:
    """Add the fields that a struct always shows, in place."""
    for name, inner in node.always_fields:
        if name not in obj:
            obj[name] = _zero(inner)


def _place(found: Object, name: str, value: Any, node: Node) -> None:
    """Keep a field, unless it is an empty list, map or scalar that would not be shown."""
    if value or not (node.shape in ("list", "map") or node.hides_zero) or node.always:
        found[name] = value


def _zero(node: Node) -> Any:
    if node.shape == "struct":
        return {name: _zero(inner) for name, inner in node.always_fields}
    return None if node.shape == "list" else node.default


def _value(value: Any, node: Node, path: str, unknown: list[str]) -> Any:
    match node.shape:
        case "struct":
            if not isinstance(value, dict):
                raise _mismatch(value, "object", path)
            return _struct(value, node, path, unknown)
        case "map":
            if not isinstance(value, dict):
                raise _mismatch(value, "map", path)
            return {name: _zero_or(child, node.item(), f"{path}[{name}]", unknown) for name, child in value.items()}
        case "list":
            if not isinstance(value, list):
                raise _mismatch(value, "array", path)
            return [_zero_or(child, node.item(), f"{path}[{index}]", unknown) for index, child in enumerate(value)]
        case "scalar":
            return _scalar(value, node, path)
    return value


def _zero_or(value: Any, node: Node, path: str, unknown: list[str]) -> Any:
    """An item: a null becomes the empty value of its type."""
    if value is not None:
        return _value(value, node, path, unknown)
    if node.shape == "struct":
        return _zero(node)
    return {"string": "", "integer": 0, "boolean": False, "number": 0}.get(node.scalar)


def _scalar(value: Any, node: Node, path: str) -> Any:
    right = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
    }[node.scalar]
    if node.scalar == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if not right:
        raise _mismatch(value, _GO_TYPES[node.scalar], path)
    return value


def _mismatch(value: Any, wanted: str, path: str) -> DecodeError:
    name = {dict: "object", list: "array", str: "string", bool: "bool"}.get(type(value), "number")
    return DecodeError(f"json: cannot unmarshal {name} into Go struct field {path} of type {wanted}")
