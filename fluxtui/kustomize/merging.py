"""Patching a resource: strategic merge with the schema of built-in kinds, and JSON patch (RFC 6902).

Strategic merge as kustomize does it: null removes, keyed lists merge by their keys with new items in front, other lists
are replaced; the directives `$patch: delete|replace|merge`, `$retainKeys`, `$setElementOrder`,
`$deleteFromPrimitiveList`.
"""

from __future__ import annotations

import copy
from typing import Any

from fluxtui.kustomize.errors import BuildError
from fluxtui.kustomize.schema import Node

Object = dict[str, Any]

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"


def merge(obj: Object, patch: Object, schema: Node) -> Object | None:
    """The object after a strategic merge, None when the patch deletes it. Raises BuildError."""
    directive = patch.get(_PATCH)
    if directive == "delete":
        return None
    if directive == "replace":
        return dict(_clean({name: value for name, value in patch.items() if name != _PATCH}))
    if directive not in (None, "merge"):
        raise BuildError(f"unknown patch strategy {directive!r}")
    merged = dict(obj)
    if _RETAIN in patch:
        merged = {name: value for name, value in merged.items() if name in patch[_RETAIN]}
    for name, value in patch.items():
        if name in (_PATCH, _RETAIN) or name.startswith(_ORDER):
            continue
        if name.startswith(_DELETE):
            field = name.removeprefix(_DELETE)
            merged[field] = [item for item in merged.get(field) or [] if item not in value]
        elif value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            old = merged.get(name)
            result = merge(old if isinstance(old, dict) else {}, value, schema.field(name))
            if result is None:
                merged.pop(name, None)
            else:
                merged[name] = result
        elif isinstance(value, list):
            old = merged.get(name)
            result_list = _merge_list(old if isinstance(old, list) else [], value, schema.field(name))
            if result_list is None:
                merged.pop(name, None)
            else:
                merged[name] = result_list
        else:
            merged[name] = value
    return merged


def _merge_list(old: list[Any], patch: list[Any], schema: Node) -> list[Any] | None:
    directives = [item.get(_PATCH) for item in patch if isinstance(item, dict) and set(item) == {_PATCH}]
    if "delete" in directives:
        return None
    keys = schema.merge_keys
    if not keys:
        if schema.merges_scalars and not any(isinstance(item, dict | list) for item in (*old, *patch)):
            return [*(item for item in patch if item not in old), *old]
        return [_clean(item) for item in patch if not _is_directive(item)]
    if "replace" in directives:
        return [_clean(item) for item in patch if not _is_directive(item)]
    # Several keys: those that any item really has decide, as kustomize does for ports without a protocol.
    present = [key for key in keys if any(isinstance(item, dict) and key in item for item in (*old, *patch))]
    used = present or [keys[0]]
    merged, new = list(old), []
    for item in patch:
        if not isinstance(item, dict):
            raise BuildError(f"a list merged by {', '.join(keys)} has the item {item!r}")
        if _is_directive(item):
            continue
        at = _find(merged, item, used, schema)
        result = merge(merged[at] if at is not None else {}, item, schema.item())
        if at is None:
            if result is not None:
                new.append(result)
        elif result is None:
            del merged[at]
        else:
            merged[at] = result
    return [*new, *merged]


def _is_directive(item: Any) -> bool:
    return isinstance(item, dict) and set(item) == {_PATCH}


def _find(items: list[Any], wanted: Object, keys: list[str], schema: Node) -> int | None:
    defaults = schema.key_defaults
    identity = [wanted.get(key, defaults.get(key)) for key in keys]
    for index, item in enumerate(items):
        if isinstance(item, dict) and [item.get(key, defaults.get(key)) for key in keys] == identity:
            return index
    return None


def _clean(value: Any) -> Any:
    """A value without nulls and directives, for a place where there is nothing to merge with."""
    if isinstance(value, dict):
        return {
            name: _clean(child)
            for name, child in value.items()
            if child is not None and not name.startswith(("$patch", "$retainKeys", _ORDER, _DELETE))
        }
    if isinstance(value, list):
        return [_clean(item) for item in value if not (isinstance(item, dict) and item.get(_PATCH) == "delete")]
    return value


def json_patch(obj: Any, operations: list[Any]) -> Any:
    """The document after the operations; `obj` is left alone. Raises BuildError that names the operation."""
    document = copy.deepcopy(obj)
    for operation in operations:
        if not isinstance(operation, dict) or "op" not in operation or "path" not in operation:
            raise BuildError(f"json patch: {operation!r} is no operation")
        try:
            document = _step(document, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            what = f"{operation['op']} operation does not apply: doc is missing path"
            raise BuildError(f'{what}: "{operation["path"]}": {error}') from error
    return document


def _step(document: Any, operation: Object) -> Any:
    path = _parts(operation["path"])
    match operation["op"]:
        case "add":
            return _add(document, path, copy.deepcopy(operation.get("value")))
        case "remove":
            return _remove(document, path)
        case "replace":
            _get(document, path)
            if not path:
                return copy.deepcopy(operation.get("value"))
            parent = _get(document, path[:-1])
            last = _index(parent, path[-1]) if isinstance(parent, list) else path[-1]
            parent[last] = copy.deepcopy(operation.get("value"))
            return document
        case "move":
            source = _parts(operation["from"])
            value = _get(document, source)
            return _add(_remove(document, source), path, value)
        case "copy":
            return _add(document, path, copy.deepcopy(_get(document, _parts(operation["from"]))))
        case "test":
            if _get(document, path) != operation.get("value"):
                raise ValueError("testing value failed")
            return document
    raise BuildError(f"json patch: unexpected kind: {operation['op']!r}")


def _parts(pointer: str) -> list[str]:
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise ValueError("a path begins with a slash")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _index(items: list[Any], part: str, *, end: bool = False) -> int:
    if part == "-" and end:
        return len(items)
    index = int(part)
    index += len(items) if index < 0 else 0
    if not 0 <= index < len(items) + end:
        raise IndexError(f"index {part} is out of bounds")
    return index


def _get(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document[_index(document, part)] if isinstance(document, list) else document[part]
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        parent.insert(_index(parent, path[-1], end=True), value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise TypeError("the parent is neither a map nor a list")
    return document


def _remove(document: Any, path: list[str]) -> Any:
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        del parent[_index(parent, path[-1])]
    else:
        del parent[path[-1]]
    return document
