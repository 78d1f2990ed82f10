"""Field ownership: the entries of managedFields, and how they follow what is done to an object.

Source: the documentation of server-side apply, and structured-merge-diff and the API server's field manager for what
it leaves open.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from fluxtui.sandbox.comparing import Comparison, compare
from fluxtui.sandbox.decoding import decode
from fluxtui.sandbox.fieldsets import NOTHING, Paths, from_fields_v1, to_fields_v1, without_below
from fluxtui.sandbox.schema import Node

Object = dict[str, Any]

MAX_UPDATERS = 10
"""Entries of updates an object may have; older ones are merged into one."""
ANCIENT = "ancient-changes"
_UNOWNED: Paths = frozenset(
    [("f:apiVersion",), ("f:kind",), ("f:metadata",)]
    + [
        ("f:metadata", f"f:{name}")
        for name in (
            "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
            "resourceVersion",
        )
    ]
)  # fmt: skip
"""An object's identity and what the server keeps: nobody owns that."""


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

    @property
    def text(self) -> str:
        """The manager as messages write it."""
        part = f' with subresource "{self.subresource}"' if self.subresource else ""
        using = f" using {self.api_version}" if self.operation == "Update" else ""
        return f'"{self.name}"{part}{using}'

    def without(self, paths: Paths) -> Manager:
        """The entry without some fields."""
        return msgspec.structs.replace(self, paths=self.paths - paths)

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


def reset_fields(*, custom: bool, has_status: bool, subresource: str) -> Paths:
    """The fields that a request to an object, or to its status, can't set: what is sent of them is ignored."""
    if subresource == "status":
        metadata = ("f:metadata",) if custom else ("f:metadata", "f:labels")
        return frozenset([("f:spec",), metadata])
    return frozenset([("f:status",)]) if has_status else NOTHING


def read_managers(obj: Object) -> list[Manager]:
    """The entries of an object's managedFields. Raises ValueError when they are malformed."""
    found = []
    for entry in obj["metadata"].get("managedFields") or []:
        if entry.get("operation") not in ("Apply", "Update") or not entry.get("apiVersion"):
            raise ValueError("an entry of managedFields needs operation and apiVersion")
        if entry.get("fieldsType") != "FieldsV1":
            raise ValueError(f"invalid fieldsType {entry.get('fieldsType')!r}")
        found.append(
            Manager(
                entry.get("manager", ""),
                entry["operation"],
                entry["apiVersion"],
                entry.get("subresource", ""),
                entry.get("time", ""),
                from_fields_v1(entry.get("fieldsV1") or {}),
            )
        )
    return found


def write_managers(obj: Object, managers: Iterable[Manager]) -> None:
    """Set an object's managedFields: Apply before Update, oldest first; entries without fields are left out."""
    entries = [manager for manager in managers if manager.paths]
    entries.sort(key=lambda item: (item.operation, item.time, item.name, item.api_version, item.subresource))
    if entries:
        obj["metadata"]["managedFields"] = [entry.to_object() for entry in entries]
    else:
        obj["metadata"].pop("managedFields", None)


def owned(paths: Paths) -> Paths:
    """The paths that may be owned."""
    return paths - _UNOWNED


def bare(obj: Object) -> Object:
    """An object without its managedFields."""
    metadata = {name: value for name, value in (obj.get("metadata") or {}).items() if name != "managedFields"}
    return {**obj, "metadata": metadata}


def update_managed_fields(
    before: Object | None,
    after: Object,
    *,
    manager: str,
    api_version: str,
    subresource: str = "",
    schema: Node,
    now: str,
    ignored: Paths = NOTHING,
) -> None:
    """Give the fields that an update changed to its manager, and take them from all others; changes `after`.

    `before` is None for a new object. `ignored` is what the request can't change (see `reset_fields`). An update that
    sends `managedFields: []` clears all ownership; one that sends other entries begins from those.
    """
    managers = _decode(before, after, subresource)
    if before is not None and not managers:
        after["metadata"].pop("managedFields", None)
        return
    old = bare(before) if before is not None else new_object(schema)
    kept = take(managers, old, bare(after), manager, api_version, subresource, schema, now, ignored)
    write_managers(after, kept)


def take(
    managers: list[Manager],
    before: Object,
    after: Object,
    manager: str,
    api_version: str,
    subresource: str,
    schema: Node,
    now: str,
    ignored: Paths,
) -> list[Manager]:
    """The entries after a change that is no apply."""
    change = compare(before, after, schema)
    change = Comparison(*(without_below(paths, ignored) for paths in (change.added, change.modified, change.removed)))
    kept = [entry.without(change.changed | change.removed) for entry in managers]
    mine = Manager(manager, "Update", api_version, subresource, now, owned(change.changed))
    if mine.paths:
        previous = next((entry for entry in kept if entry.key == mine.key), None)
        if previous is not None:
            kept.remove(previous)
            mine.paths |= previous.paths
        kept.append(mine)
    return _capped([entry for entry in kept if entry.paths])


def _decode(before: Object | None, after: Object, subresource: str) -> list[Manager]:
    """The entries from which an update begins: those it sends, if any, else those that are."""
    sent = after["metadata"].get("managedFields")
    if not subresource and sent is not None:
        if not sent or sent == [{}]:
            return []
        try:
            return read_managers(after)
        except ValueError:
            pass
    try:
        return read_managers(before) if before is not None else []
    except ValueError:
        return []


def _capped(managers: list[Manager]) -> list[Manager]:
    """The entries, with the oldest of updates merged into one when there are too many."""
    updaters = [entry for entry in managers if entry.operation == "Update"]
    updaters.sort(key=lambda entry: (entry.time, entry.name, entry.api_version, entry.subresource))
    buckets: dict[str, Manager] = {}
    left = len(updaters)
    for entry in updaters:
        if left <= MAX_UPDATERS:
            break
        bucket = buckets.get(entry.api_version)
        if bucket is None:
            buckets[entry.api_version] = entry
            continue
        if bucket.name != ANCIENT:
            managers.remove(bucket)
            bucket = msgspec.structs.replace(bucket, name=ANCIENT, subresource="")
            managers.append(bucket)
            buckets[entry.api_version] = bucket
        bucket.paths |= entry.paths
        bucket.time = entry.time
        managers.remove(entry)
        left -= 1
    return managers


def new_object(schema: Node) -> Object:
    """A new object of a type, before anything is set."""
    return decode({}, schema)[0]
