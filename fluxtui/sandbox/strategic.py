"""Strategic merge patch, as the API server applies it to built-in kinds.

Source: sig-api-machinery's strategic-merge-patch document: merge keys, `$patch`, `$retainKeys`, `$setElementOrder`,
`$deleteFromPrimitiveList`.
"""

from __future__ import annotations

import copy
from typing import Any

from fluxtui.sandbox.schema import Node

DIRECTIVE = "$patch"
RETAIN = "$retainKeys"
ORDER = "$setElementOrder/"
DELETE = "$deleteFromPrimitiveList/"


class StrategicMergeError(Exception):
    """The patch can't be applied; the text says which part."""


def strategic_merge(obj: dict[str, Any], patch: dict[str, Any], schema: Node) -> dict[str, Any]:
    """The object after the patch; `obj` is left alone. Raises StrategicMergeError."""
    merged = _map(obj, patch, schema)
    return merged if merged is not None else {}


def _map(old: dict[str, Any], patch: dict[str, Any], schema: Node) -> dict[str, Any] | None:
    directive = patch.get(DIRECTIVE)
    if directive == "delete":
        return None
    if directive == "replace":
        replaced: dict[str, Any] = _plain({name: value for name, value in patch.items() if name != DIRECTIVE})
        return replaced
    if directive not in (None, "merge"):
        raise StrategicMergeError(f"unknown patch directive {directive!r}")
    merged = copy.deepcopy(old)
    if RETAIN in patch:
        merged = {name: value for name, value in merged.items() if name in patch[RETAIN]}
    for name, value in patch.items():
        if name in (DIRECTIVE, RETAIN) or name.startswith(ORDER):
            continue
        if name.startswith(DELETE):
            field = name.removeprefix(DELETE)
            merged[field] = [item for item in merged.get(field) or [] if item not in value]
            continue
        _field(merged, name, value, schema.field(name))
    for name, order in patch.items():
        if name.startswith(ORDER) and merged.get(name.removeprefix(ORDER)):
            field = name.removeprefix(ORDER)
            merged[field] = _ordered(merged[field], order, old.get(field) or [], schema.field(field).merge_key)
    return merged


def _field(merged: dict[str, Any], name: str, value: Any, schema: Node) -> None:
    if value is None:
        merged.pop(name, None)
    elif isinstance(value, dict):
        old = merged.get(name)
        if "replace" in schema.strategies or not isinstance(old, dict):
            old = {}
        result = _map(old, value, schema)
        if result is None:
            merged.pop(name, None)
        else:
            merged[name] = result
    elif isinstance(value, list):
        old = merged.get(name)
        merged[name] = _list(old, value, schema) if isinstance(old, list) else _plain(value)
    else:
        merged[name] = value


def _list(old: list[Any], patch: list[Any], schema: Node) -> list[Any]:
    replace = any(isinstance(item, dict) and item.get(DIRECTIVE) == "replace" and len(item) == 1 for item in patch)
    if replace or "merge" not in schema.strategies:
        return [_plain(item) for item in patch if not (isinstance(item, dict) and item == {DIRECTIVE: "replace"})]
    key = schema.merge_key
    if not key:
        return _ordered([*old, *(item for item in patch if item not in old)], patch, old, "")
    merged = copy.deepcopy(old)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise StrategicMergeError(f"map: {item} does not contain declared merge key: {key}")
        at = next((index for index, other in enumerate(merged) if other.get(key) == item[key]), None)
        result = _map({} if at is None else merged[at], item, schema.item())
        if at is None:
            if result is not None:
                merged.append(result)
        elif result is None:
            del merged[at]
        else:
            merged[at] = result
    return _ordered(merged, [item for item in patch if DIRECTIVE not in item], old, key)


def _ordered(items: list[Any], order: list[Any], old: list[Any], key: str) -> list[Any]:
    """Items in the order that a patch gives them; the others stay before those that they stood before."""

    def name(item: Any) -> Any:
        return item.get(key) if key else item

    wanted, before = [name(item) for item in order], [name(item) for item in old]
    named = sorted((item for item in items if name(item) in wanted), key=lambda item: wanted.index(name(item)))
    others = [item for item in items if name(item) not in wanted]
    placed: list[Any] = []
    while others and named:
        first, second = name(others[0]), name(named[0])
        earlier = first in before and second in before and before.index(first) < before.index(second)
        placed.append(others.pop(0) if earlier else named.pop(0))
    return [*placed, *others, *named]


def _plain(value: Any) -> Any:
    """A value of the patch without directives, for a place where there is nothing to merge with."""
    if isinstance(value, dict):
        return {name: _plain(child) for name, child in value.items() if not name.startswith("$") and child is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value if not (isinstance(item, dict) and DIRECTIVE in item)]
    return value
