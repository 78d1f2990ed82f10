"""Server-side apply: merging what a manager applies, conflicts with other managers, and what it no longer applies.

Source: the documentation of server-side apply, and structured-merge-diff for what it leaves open.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import msgspec

from fluxtui.sandbox.managedfields import (
    Manager,
    Object,
    Path,
    Paths,
    compare,
    element,
    fields_of,
    owners,
    read_managers,
    write_managers,
)
from fluxtui.sandbox.schema import Node

BEFORE_FIRST_APPLY = "before-first-apply"


class ApplyError(Exception):
    """What is applied can't be merged; the text says which part."""


class Conflict(msgspec.Struct, frozen=True):
    """A field that another manager owns with another value."""

    manager: str
    operation: str
    subresource: str
    api_version: str
    time: str
    path: Path

    @property
    def field(self) -> str:
        """The path as messages write it: `.spec.containers[name="a"].image`."""
        return path_text(self.path)

    @property
    def who(self) -> str:
        """The manager as messages write it."""
        using = (
            f" using {self.api_version}{f' at {self.time}' if self.time else ''}" if self.operation == "Update" else ""
        )
        part = f' with subresource "{self.subresource}"' if self.subresource else ""
        return f'"{self.manager}"{part}{using}'


def server_side_apply(
    live: Object | None,
    applied: Object,
    *,
    manager: str,
    force: bool,
    schema: Node,
    now: str,
    subresource: str = "",
    custom: bool = False,
) -> tuple[Object, list[Conflict]]:
    """The object after the apply, with its managedFields; and the conflicts, in which case nothing may be stored.

    Raises ApplyError for lists with items that are the same twice.
    """
    applied = copy.deepcopy(applied)
    applied.setdefault("metadata", {}).pop("managedFields", None)
    _check(applied, schema, ())
    api_version = applied["apiVersion"]
    before = live if live is not None else {"apiVersion": api_version, "kind": applied["kind"], "metadata": {}}
    managers = read_managers(before)
    if live is not None and not managers:
        managers = [_first(live, schema, custom)]
    mine = next((item for item in managers if item.key == (manager, "Apply", "", subresource)), None)
    others = [item for item in managers if item is not mine]
    wanted = fields_of(applied, schema)
    merged: Object = _merge(before, applied, schema)
    change = compare(before, merged, schema, custom=custom)
    conflicts = _conflicts(others, change.changed & wanted)
    if conflicts and not force:
        return before, conflicts
    if mine is not None:
        _prune(merged, mine.paths - wanted, wanted, others, schema)
        change = compare(before, merged, schema, custom=custom)
    kept = [_without(item, change.changed, change.removed, now) for item in others]
    time = mine.time if mine is not None and mine.paths == wanted and mine.api_version == api_version else now
    kept.append(Manager(manager, "Apply", api_version, subresource, time, wanted))
    write_managers(merged, kept)
    return merged, []


def path_text(path: Path) -> str:
    """A path as messages write it."""
    text = ""
    for part in path:
        if part.startswith("f:"):
            text += f".{part[2:]}"
        elif part.startswith("k:"):
            keys = msgspec.json.decode(part[2:])
            pairs = ",".join(f"{key}={msgspec.json.encode(value).decode()}" for key, value in keys.items())
            text += f"[{pairs}]"
        else:
            text += f"[={part[2:]}]"
    return text


def _first(live: Object, schema: Node, custom: bool) -> Manager:
    """The owner of everything that was there before anybody applied."""
    change = compare({"metadata": {}}, live, schema, custom=custom)
    created = live["metadata"].get("creationTimestamp", "")
    return Manager(BEFORE_FIRST_APPLY, "Update", live["apiVersion"], "", created, change.added)


def _conflicts(others: Sequence[Manager], changed: Paths) -> list[Conflict]:
    return [
        Conflict(item.name, item.operation, item.subresource, item.api_version, item.time, path)
        for item in others
        for path in sorted(item.paths & changed)
    ]


def _without(item: Manager, changed: Paths, removed: Paths, now: str) -> Manager:
    paths = item.paths - changed - removed
    return item if paths == item.paths else msgspec.structs.replace(item, paths=paths, time=now)


def _check(value: Any, node: Node, path: Path) -> None:
    if isinstance(value, dict):
        for name, child in value.items():
            _check(child, node.field(name), (*path, f"f:{name}"))
    elif isinstance(value, list) and node.list_type != "atomic":
        seen = set()
        for item in value:
            if node.list_type == "map":
                if not isinstance(item, dict):
                    raise ApplyError(f"{path_text(path)}: expected a map, got {item!r}")
                missing = [key for key in node.keys if key not in item and key not in node.key_defaults]
                if missing and len(missing) == len(node.keys):
                    raise ApplyError(
                        f"{path_text(path)}: element 0: associative list with keys has an element that "
                        f"omits key field {missing[0]!r} (and doesn't have default value)"
                    )
            key = element(item, node)
            if key in seen:
                raise ApplyError(f"{path_text(path)}: duplicate entries for key [{key[2:]}]")
            seen.add(key)
            _check(item, node.item(), (*path, key))


def _merge(live: Any, applied: Any, node: Node) -> Any:
    if isinstance(applied, dict) and isinstance(live, dict) and not node.atomic_map:
        merged = {name: copy.deepcopy(value) for name, value in live.items()}
        for name, value in applied.items():
            if name in live:
                merged[name] = _merge(live[name], value, node.field(name))
            elif value is not None:
                merged[name] = value
        return merged
    if isinstance(applied, list) and isinstance(live, list) and node.list_type != "atomic":
        return _merge_list(live, applied, node)
    return applied


def _merge_list(live: list[Any], applied: list[Any], node: Node) -> list[Any]:
    """Both lists in one; the applied order wins where the two differ."""
    old = {element(item, node): item for item in live}
    new = {element(item, node): item for item in applied}
    merged: list[Any] = []
    left, right = list(old), list(new)
    done: set[str] = set()
    while left or right:
        if left and (left[0] in done):
            left.pop(0)
        elif left and left[0] not in new:
            merged.append(copy.deepcopy(old[left.pop(0)]))
        elif right:
            key = right.pop(0)
            merged.append(_merge(old[key], new[key], node.item()) if key in old else new[key])
            done.add(key)
        else:
            left.pop(0)
    return merged


def _prune(merged: Object, dropped: Paths, wanted: Paths, others: Sequence[Manager], schema: Node) -> None:
    """Remove what the manager applied before and no longer does, unless somebody else owns it."""
    for path in sorted(dropped, key=len, reverse=True):
        below = any(other[: len(path)] == path for other in wanted)
        if not below and not owners(others, path):
            _remove(merged, path, schema)


def _remove(value: Any, path: Path, node: Node) -> None:
    """Remove one field or item, and the maps and lists that become empty by it."""
    part, rest = path[0], path[1:]
    if isinstance(value, dict) and part.startswith("f:"):
        name = part[2:]
        if name not in value:
            return
        if rest:
            _remove(value[name], rest, node.field(name))
            if value[name] not in ({}, []):
                return
        del value[name]
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if element(item, node) == part:
                if rest:
                    _remove(item, rest, node.item())
                else:
                    del value[index]
                return
