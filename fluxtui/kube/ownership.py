"""Who owns the fields of an object, and how fields that kubectl has written are taken over.

Source: the field management of Kubernetes' server-side apply; fluxcd/pkg `ssa` and kustomize-controller for the
managers and annotations that are removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from fluxtui.kube.identity import Object, annotations_of, labels_of

APPLY = "Apply"
UPDATE = "Update"

Fields = dict[str, Any]


class Manager(msgspec.Struct, frozen=True):
    """Field managers whose name starts with a text, for one operation."""

    prefix: str
    operation: str

    def matches(self, entry: Fields) -> bool:
        """Whether an entry of managedFields is theirs; those of subresources never are."""
        return (
            entry.get("operation") == self.operation
            and not entry.get("subresource")
            and str(entry.get("manager", "")).startswith(self.prefix)
        )


class Cleanup(msgspec.Struct, frozen=True):
    """What other tools left on an object and is taken away before it is applied."""

    managers: tuple[Manager, ...] = ()
    annotations: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def flux_cleanup(manager: str, others: Iterable[str] = ()) -> Cleanup:
    """What Flux takes away: the ownership of kubectl and of `others` (prefixes of field managers), whichever way they
    applied, and annotations of old tools.
    """
    return Cleanup(
        managers=(
            Manager("kubectl", APPLY),
            Manager("kubectl", UPDATE),
            Manager("before-first-apply", UPDATE),
            Manager(manager, UPDATE),
            *(Manager(other, operation) for other in others for operation in (APPLY, UPDATE)),
        ),
        annotations=(
            "kubectl.kubernetes.io/last-applied-configuration",
            "kustomize.toolkit.fluxcd.io/checksum",
            "fluxcd.io/sync-checksum",
        ),
        labels=("fluxcd.io/sync-gc-mark",),
    )


def cleanup_patch(live: Object, manager: str, cleanup: Cleanup) -> list[dict[str, Any]]:
    """The JSON patch that takes it away from a live object and gives the fields to `manager`; empty when none is left.

    The patch holds only for the very version of the object it was made for.
    """
    patch: list[dict[str, Any]] = [
        {"op": "remove", "path": f"/metadata/{part}/{name.replace('~', '~0').replace('/', '~1')}"}
        for part, names, present in (
            ("annotations", cleanup.annotations, annotations_of(live)),
            ("labels", cleanup.labels, labels_of(live)),
        )
        for name in names
        if name in present
    ]
    entries = _taken_over(managed_fields(live), manager, cleanup.managers)
    if entries is not None:
        patch.append({"op": "replace", "path": "/metadata/managedFields", "value": entries})
    if patch:
        version = live["metadata"].get("resourceVersion", "")
        patch.insert(0, {"op": "test", "path": "/metadata/resourceVersion", "value": version})
    return patch


def migration_patch(live: Object, api_version: str) -> list[dict[str, Any]]:
    """The JSON patch by which every manager owns its fields in another API version; empty when all do.

    The patch holds only for the very version of the object it was made for.
    """
    entries = managed_fields(live)
    if all(entry.get("apiVersion") == api_version for entry in entries):
        return []
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"].get("resourceVersion", "")},
        {
            "op": "replace",
            "path": "/metadata/managedFields",
            "value": [{**entry, "apiVersion": api_version} for entry in entries],
        },
    ]


def managed_fields(obj: Object) -> list[Fields]:
    """The entries of `metadata.managedFields`."""
    return list((obj.get("metadata") or {}).get("managedFields") or [])


def _taken_over(entries: list[Fields], manager: str, managers: Iterable[Manager]) -> list[Fields] | None:
    own = next((e for e in entries if e.get("manager") == manager and e.get("operation") == APPLY), None)
    managers = tuple(managers)
    kept, taken = [], False
    for entry in entries:
        if entry is own:
            continue
        if not any(candidate.matches(entry) for candidate in managers):
            kept.append(entry)
            continue
        taken = True
        if own is None:
            own = {**entry, "manager": manager, "operation": APPLY}
        else:
            own = {**own, "fieldsV1": union(own.get("fieldsV1") or {}, entry.get("fieldsV1") or {})}
    return [*kept, own] if taken and own is not None else None


def union(one: Fields, other: Fields) -> Fields:
    """Both sets of fields (fieldsV1) as one."""
    return _union(one, other, root=True)


def _union(one: Fields, other: Fields, *, root: bool = False) -> Fields:
    if not root and (not one or not other) and (one or other):
        # An empty set says that the field itself is owned, which beside children is written as a dot.
        return {".": {}, **one, **other}
    done = dict(one)
    for key, fields in other.items():
        done[key] = _union(done[key], fields) if key in done else fields
    return done


def is_applied_by_other(obj: Object, pointer: list[str], manager: str) -> bool:
    """Whether another manager owns the field at a JSON pointer (its parts) by server-side apply."""
    sets = [
        (entry.get("manager"), entry.get("fieldsV1") or {})
        for entry in managed_fields(obj)
        if entry.get("operation") == APPLY and not entry.get("subresource")
    ]
    return any(owner != manager and _owns(fields, obj, pointer) for owner, fields in sets)


def _owns(fields: Fields, value: Any, pointer: list[str]) -> bool:
    if not pointer:
        return True
    head, *rest = pointer
    if isinstance(value, list):
        if not head.isdecimal() or int(head) >= len(value):
            return False
        item = value[int(head)]
        return any(_owns(inner, item, rest) for inner in _of_item(fields, item))
    inner = fields.get(f"f:{head}")
    child = value.get(head) if isinstance(value, dict) else None
    return inner is not None and _owns(inner, child, rest)


def _of_item(fields: Fields, item: Any) -> Iterator[Fields]:
    """The sets of fields whose merge key `k:{…}` is that of a list item."""
    for name, inner in fields.items():
        if name.startswith("k:") and isinstance(item, dict):
            key = json.loads(name[2:])
            if all(item.get(field) == wanted for field, wanted in key.items()):
                yield inner
