"""Merging what is applied into an object, and removing fields from it, by the types of both.

Source: structured-merge-diff: `Merge`, `RemoveItems`. What is left empty becomes null, which the server's types drop.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from fluxtui.sandbox.comparing import MISSING, fields_of, shape_of
from fluxtui.sandbox.fieldsets import ElementError, Paths, element, element_text, with_named
from fluxtui.sandbox.schema import Node

Trie = dict[str, "tuple[bool, Trie]"]


class ApplyError(Exception):
    """What is applied can't be merged; the text says which part."""


def check_applied(value: Any, node: Node, path: str = "") -> None:
    """Raise ApplyError when a value does not fit its type: an unknown field, a wrong type, an item twice."""
    shape = shape_of(node, value)
    if value is None:
        return
    if shape == "map":
        if not isinstance(value, dict):
            raise ApplyError(f"{path}: expected map, got {_shown(value)}")
        for name, child in value.items():
            here = f"{path}.{name}"
            if not node.declares(name) and not node.is_open:
                raise ApplyError(f"{here}: field not declared in schema")
            check_applied(child, node.field(name), here)
    elif shape == "list":
        if not isinstance(value, list):
            raise ApplyError(f"{path}: expected list, got {_shown(value)}")
        _check_items(value, node, path)
    elif not _fits(value, node.scalar):
        wanted = {"string": "string", "boolean": "boolean"}.get(node.scalar, "numeric (int or float)")
        raise ApplyError(f"{path}: expected {wanted}, got {_shown(value)}")


def _check_items(items: list[Any], node: Node, path: str) -> None:
    seen = set()
    for index, item in enumerate(items):
        if node.list_type == "atomic":
            check_applied(item, node.item(), f"{path}[{index}]")
            continue
        try:
            part = element(item, node)
        except ElementError as error:
            raise ApplyError(f"{path}: element {index}: {error}") from error
        if part in seen:
            raise ApplyError(f"{path}: duplicate entries for key {element_text(part)}")
        seen.add(part)
        check_applied(item, node.item(), f"{path}{element_text(part)}")


def merge(live: Any, applied: Any, node: Node) -> Any:
    """Both in one, what is applied winning; MISSING when nothing is left."""
    before, after = shape_of(node, live), shape_of(node, applied)
    shape = before if applied is MISSING else after
    if shape == "map" and not node.atomic_map:
        old, new = _only(live, dict), _only(applied, dict)
        if old or new:
            merged = {}
            for name in [*old, *(name for name in new if name not in old)]:
                value = merge(old.get(name, MISSING), new.get(name, MISSING), node.field(name))
                if value is not MISSING:
                    merged[name] = value
            return merged or MISSING
    if shape == "list" and node.list_type != "atomic":
        first, second = _only(live, list), _only(applied, list)
        if first or second:
            return _merge_items(first, second, node) or MISSING
    return copy.deepcopy(live if applied is MISSING else applied)


def _merge_items(live: list[Any], applied: list[Any], node: Node) -> list[Any]:
    """Both lists in one: items of both in the applied order, the others where they stand."""
    lhs = [element(item, node) for item in live]
    new = {element(item, node): item for item in applied}
    old: dict[str, Any] = {}
    for part, item in zip(lhs, live, strict=True):
        # An item that is there twice is not merged with what is applied.
        old[part] = None if part in old else item
    rhs = list(new)
    shared = iter([part for part in rhs if part in old])
    wanted = next(shared, None)
    merged: list[Any] = []
    done: set[str] = set()
    left = right = 0

    def put(first: Any, second: Any) -> None:
        value = merge(first, second, node.item())
        if value is not MISSING:
            merged.append(value)

    while left < len(lhs) or right < len(rhs):
        if left < len(lhs) and right < len(rhs):
            part = lhs[left]
            if part == rhs[right]:
                done.add(part)
                put(old[part], new[part])
                left, right, wanted = left + 1, right + 1, next(shared, None)
                continue
            if part in new and wanted is not None and wanted != part:
                left += 1
                continue
        if left < len(lhs):
            part = lhs[left]
            if part not in new:
                put(live[left], MISSING)
                left += 1
                continue
            if part in done:
                left += 1
        if right < len(rhs):
            part = rhs[right]
            done.add(part)
            put(old.get(part, MISSING), new[part])
            right += 1
            if wanted == part:
                wanted = next(shared, None)
    return merged


def remove(value: Any, paths: Paths, node: Node) -> Any:
    """A value without some fields."""
    return _remove(value, _trie(paths), node)


def prune(merged: Any, last: Paths, owned: Paths, node: Node) -> Any:
    """Remove from a merged object what its manager applied last time and nobody owns now."""
    named = with_named(last, node)
    pruned = remove(merged, named, node)
    everything = with_named(fields_of(merged, node), node)
    kept = with_named(fields_of(pruned, node), node) | with_named(owned, node)
    pruned = remove(merged, everything - kept, node)
    gone = everything - with_named(fields_of(pruned, node), node)
    return remove(merged, gone & named, node)


def _trie(paths: Paths) -> Trie:
    root: Trie = {}
    for path in paths:
        here = root
        for depth, part in enumerate(path):
            member, below = here.get(part, (False, {}))
            here[part] = (member or depth == len(path) - 1, below)
            here = below
    return root


def _remove(value: Any, trie: Trie, node: Node) -> Any:
    shape = shape_of(node, value)
    if shape == "scalar":
        return value
    if shape == "list":
        if not isinstance(value, list) or node.list_type == "atomic":
            return None
        items = []
        for item in value:
            member, below = trie.get(element(item, node), (False, {}))
            if not member:
                items.append(_remove(item, below, node.item()) if below else item)
        return items or None
    if not isinstance(value, dict) or node.atomic_map:
        return None
    left = {}
    for name, child in value.items():
        member, below = trie.get(f"f:{name}", (False, {}))
        if not member:
            left[name] = _remove(child, below, node.field(name)) if below else child
    return left or None


def _fits(value: Any, scalar: str) -> bool:
    if isinstance(value, dict | list):
        return False
    if scalar == "string":
        return isinstance(value, str)
    if scalar == "boolean":
        return isinstance(value, bool)
    if scalar in ("integer", "number"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return True


def _shown(value: Any) -> str:
    return f"&value.valueUnstructured{{Value:{json.dumps(value)}}}"


def _only(value: Any, kind: type) -> Any:
    return value if isinstance(value, kind) else kind()
