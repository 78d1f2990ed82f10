"""JSON Patch, RFC 6902."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

MAX_OPERATIONS = 10000
"""The API server refuses longer patches."""


class JsonPatchError(Exception):
    """The patch is malformed or does not apply; the text names the operation."""


def apply_json_patch(obj: Any, patch: Sequence[Any]) -> Any:
    """The document after all operations; `obj` is left alone. Raises JsonPatchError, and then nothing is changed."""
    if not isinstance(patch, Sequence) or isinstance(patch, str):
        raise JsonPatchError("a JSON patch is a list of operations")
    if len(patch) > MAX_OPERATIONS:
        raise JsonPatchError(f"the allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}")
    document = copy.deepcopy(obj)
    for operation in patch:
        try:
            document = _step(document, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            path = operation.get("path", "") if isinstance(operation, dict) else ""
            name = operation.get("op", "") if isinstance(operation, dict) else operation
            raise JsonPatchError(f"{name} operation does not apply: doc is missing path: {path}: {error}") from error
    return document


def _step(document: Any, operation: dict[str, Any]) -> Any:
    name, path = operation["op"], _parts(operation["path"])
    match name:
        case "add":
            return _add(document, path, copy.deepcopy(operation["value"]))
        case "remove":
            return _remove(document, path)
        case "replace":
            _get(document, path)
            return _add(_remove(document, path), path, copy.deepcopy(operation["value"]))
        case "move":
            source = _parts(operation["from"])
            value = _get(document, source)
            return _add(_remove(document, source), path, value)
        case "copy":
            return _add(document, path, copy.deepcopy(_get(document, _parts(operation["from"]))))
        case "test":
            if _get(document, path, missing_is_null=True) != operation.get("value"):
                raise JsonPatchError(f"testing value {operation['path']} failed: test failed")
            return document
    raise JsonPatchError(f"unexpected kind: {name}")


def _parts(pointer: str) -> list[str]:
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise ValueError(f"pointer {pointer!r} does not begin with a slash")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _get(document: Any, path: list[str], *, missing_is_null: bool = False) -> Any:
    for part in path:
        if missing_is_null and isinstance(document, dict) and part not in document:
            return None
        document = document[_index(document, part)] if isinstance(document, list) else document[part]
    return document


def _index(items: list[Any], part: str, *, end: bool = False) -> int:
    if part == "-" and end:
        return len(items)
    index = int(part)
    if part != "0" and part.startswith(("0", "+")):
        raise ValueError(f"index {part!r}")
    index += len(items) if index < 0 else 0
    if not 0 <= index < len(items) + end:
        raise IndexError(f"index {part} is out of bounds")
    return index


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        parent.insert(_index(parent, path[-1], end=True), value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise TypeError("the parent is neither a list nor a map")
    return document


def _remove(document: Any, path: list[str]) -> Any:
    if not path:
        return None
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        del parent[_index(parent, path[-1])]
    else:
        del parent[path[-1]]
    return document
