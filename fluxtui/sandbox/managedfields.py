"""Field ownership: sets of paths, as managedFields writes them (FieldsV1), and how they follow an object's changes.

A path is a tuple of elements: `f:name` a field, `k:{"name":"x"}` an item of a keyed list, `v:"x"` an item of a set.
Source: structured-merge-diff, and the documentation of server-side apply.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from fluxtui.sandbox.schema import Node

Path = tuple[str, ...]
Paths = frozenset[Path]
Object = dict[str, Any]

_STRUCTS = frozenset({"spec", "status", "metadata", "template", "jobTemplate", "strategy", "updateStrategy"})
_UNOWNED: tuple[Path, ...] = tuple((f"f:{name}",) for name in ("apiVersion", "kind")) + tuple(
    ("f:metadata", f"f:{name}")
    for name in (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
        "generateName",
    )
)


class Comparison(msgspec.Struct, frozen=True):
    """What differs between two states of an object."""

    added: Paths
    modified: Paths
    removed: Paths

    @property
    def changed(self) -> Paths:
        """Everything that is new or different."""
        return self.added | self.modified

    def __bool__(self) -> bool:
        return bool(self.added or self.modified or self.removed)


def fields_of(obj: Object, schema: Node) -> Paths:
    """The fields that applying an object sets."""
    found: set[Path] = set()
    _walk(obj, schema, (), found)
    return owned(found)


def owned(paths: Iterable[Path]) -> Paths:
    """The paths that may be owned: not an object's identity and what the server keeps."""
    return frozenset(path for path in paths if not any(path[: len(other)] == other for other in _UNOWNED))


def compare(before: Object, after: Object, schema: Node, *, custom: bool = False) -> Comparison:
    """What differs; a map or keyed list that is new counts as added beside what is in it."""
    old: dict[Path, Any] = {}
    new: dict[Path, Any] = {}
    _leaves(before, schema, (), old, custom)
    _leaves(after, schema, (), new, custom)
    modified = {path for path in old.keys() & new.keys() if old[path] != new[path]}
    return Comparison(owned(new.keys() - old.keys()), owned(modified), owned(old.keys() - new.keys()))


def element(item: Any, node: Node) -> str:
    """The path element of an item of a keyed list or a set."""
    if node.list_type == "set" or not isinstance(item, dict):
        return "v:" + _json(item)
    defaults = node.key_defaults
    return "k:" + _json({key: item.get(key, defaults.get(key)) for key in node.keys if key in item or key in defaults})


def to_fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """The paths as FieldsV1."""
    root: dict[str, Any] = {}
    members = set(paths)
    for path in sorted(members):
        node = root
        for part in path:
            node = node.setdefault(part, {})
    for path in members:
        node = root
        for part in path:
            node = node[part]
        if node:
            node["."] = {}
    return _sorted(root)


def from_fields_v1(fields: Mapping[str, Any]) -> Paths:
    """The paths of FieldsV1."""
    found: set[Path] = set()

    def walk(node: Mapping[str, Any], path: Path) -> None:
        for part, child in node.items():
            if part == ".":
                found.add(path)
            elif child:
                walk(child, (*path, part))
            else:
                found.add((*path, part))

    walk(fields, ())
    return frozenset(found)


class Manager(msgspec.Struct):
    """One entry of managedFields."""

    name: str
    operation: str
    """Apply or Update."""
    api_version: str
    subresource: str
    time: str
    paths: Paths

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes two entries the same."""
        version = self.api_version if self.operation == "Update" else ""
        return self.name, self.operation, version, self.subresource

    def to_object(self) -> Object:
        """As an entry of metadata.managedFields."""
        entry: Object = {
            "apiVersion": self.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": to_fields_v1(self.paths),
            "manager": self.name,
            "operation": self.operation,
        }
        if self.subresource:
            entry["subresource"] = self.subresource
        if self.time:
            entry["time"] = self.time
        return entry


def read_managers(obj: Object) -> list[Manager]:
    """The entries of an object's managedFields."""
    return [
        Manager(
            entry.get("manager", ""),
            entry.get("operation", ""),
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
            entry.get("time", ""),
            from_fields_v1(entry.get("fieldsV1") or {}),
        )
        for entry in obj["metadata"].get("managedFields") or []
    ]


def write_managers(obj: Object, managers: Iterable[Manager]) -> None:
    """Set an object's managedFields: Apply before Update, oldest first; entries without fields are left out."""
    entries = [manager for manager in managers if manager.paths]
    entries.sort(key=lambda item: (item.operation != "Apply", item.time, item.name, item.api_version, item.subresource))
    if entries:
        obj["metadata"]["managedFields"] = [entry.to_object() for entry in entries]
    else:
        obj["metadata"].pop("managedFields", None)


def update_managed_fields(
    before: Object | None,
    after: Object,
    *,
    manager: str,
    operation: str = "Update",
    api_version: str,
    subresource: str = "",
    schema: Node,
    now: str,
    custom: bool = False,
) -> None:
    """Give the fields that an update changed to its manager, and take them from all others; changes `after`.

    An update that sends managedFields starts from those; one that sends `managedFields: []` clears all ownership.
    """
    sent = after["metadata"].get("managedFields")
    if before is not None and sent is not None and (not sent or sent == [{}]):
        after["metadata"].pop("managedFields", None)
        return
    managers = read_managers(after if sent else before) if before is not None else []
    change = compare(before or _empty(after), after, schema, custom=custom)
    mine = Manager(manager, operation, api_version, subresource, now, frozenset())
    kept: list[Manager] = []
    for entry in managers:
        if entry.key == mine.key:
            mine = msgspec.structs.replace(entry)
            continue
        remaining = entry.paths - change.changed - change.removed
        kept.append(_touched(entry, remaining, entry.time))
    paths = (mine.paths | change.changed) - change.removed
    kept.append(_touched(mine, paths, now))
    write_managers(after, kept)


def owners(managers: Sequence[Manager], path: Path) -> list[Manager]:
    """The managers that own a path, or something below it."""
    return [entry for entry in managers if any(other[: len(path)] == path for other in entry.paths)]


def _touched(entry: Manager, paths: Paths, now: str) -> Manager:
    time = entry.time if paths == entry.paths and entry.time else now
    return msgspec.structs.replace(entry, paths=paths, time=time)


def _empty(obj: Object) -> Object:
    return {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind"), "metadata": {}}


def _walk(value: Any, node: Node, path: Path, found: set[Path]) -> None:
    if isinstance(value, dict) and not node.atomic_map:
        for name, child in value.items():
            here = (*path, f"f:{name}")
            inner = node.field(name)
            _walk(child, inner, here, found)
            if child is None or child == {} or not node.declares(name):
                found.add(here)
    elif isinstance(value, list) and node.list_type != "atomic":
        for item in value:
            here = (*path, element(item, node))
            _walk(item, node.item(), here, found)
            found.add(here)
    else:
        found.add(path)


def _leaves(value: Any, node: Node, path: Path, found: dict[Path, Any], custom: bool) -> None:
    """Path → value of everything that is compared as a whole, and of every map and keyed list (value None)."""
    if isinstance(value, dict) and value and not node.atomic_map:
        if path and not _is_struct(path, custom):
            found.setdefault(path, None)
        for name, child in value.items():
            _leaves(child, node.field(name), (*path, f"f:{name}"), found, custom)
    elif isinstance(value, list) and value and node.list_type != "atomic":
        if not _is_struct(path, custom):
            found.setdefault(path, None)
        for item in value:
            here = (*path, element(item, node))
            found[here] = None
            _leaves(item, node.item(), here, found, custom)
    elif path:
        found[path] = value


def _is_struct(path: Path, custom: bool) -> bool:
    """Whether a map always exists in the server's own type, so that it can't be added."""
    name = path[-1].removeprefix("f:")
    if custom:
        return path == ("f:metadata",)
    return name in _STRUCTS or name == "containers"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _sorted(node: dict[str, Any]) -> dict[str, Any]:
    return {part: _sorted(node[part]) for part in sorted(node)}
