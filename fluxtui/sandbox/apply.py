"""Server-side apply: merging what a manager applies, conflicts with other managers, and what it no longer applies.

Source: the documentation of server-side apply, and structured-merge-diff's `Updater` for what it leaves open.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from fluxtui.sandbox.comparing import Comparison, compare, fields_of, same
from fluxtui.sandbox.decoding import decode
from fluxtui.sandbox.fieldsets import NOTHING, Path, Paths, ordered, path_text, without_below
from fluxtui.sandbox.managedfields import (
    Manager,
    Object,
    bare,
    new_object,
    owned,
    read_managers,
    take,
    write_managers,
)
from fluxtui.sandbox.merging import check_applied, merge, prune
from fluxtui.sandbox.schema import Node
from fluxtui.sandbox.statuses import StatusError, apply_conflict

BEFORE_FIRST_APPLY = "before-first-apply"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Conflict(msgspec.Struct, frozen=True):
    """A field that another manager owns with another value."""

    manager: Manager
    path: Path

    @property
    def field(self) -> str:
        """The path as messages write it: `.spec.containers[name="a"].image`."""
        return path_text(self.path)

    @property
    def who(self) -> str:
        """The manager as messages write it."""
        return self.manager.text


def server_side_apply(
    live: Object | None,
    applied: Object,
    *,
    manager: str,
    force: bool,
    schema: Node,
    now: str,
    subresource: str = "",
    ignored: Paths = NOTHING,
) -> tuple[Object, list[Conflict]]:
    """The object after the apply, with its managedFields; and the conflicts, in which case nothing may be stored.

    `live` is as stored, in the form of its type (`decoding.decode`); None for an object that does not exist.
    Raises ApplyError for what does not fit the type.
    """
    config = bare(applied)
    check_applied(config, schema)
    before = bare(live) if live is not None else new_object(schema)
    managers = _managers(live)
    if not managers and live is not None:
        managers = take(
            [], new_object(schema), before, BEFORE_FIRST_APPLY, applied["apiVersion"], subresource, schema, now, ignored
        )
    mine = Manager(manager, "Apply", applied["apiVersion"], subresource, "", NOTHING)
    previous = next((item for item in managers if item.key == mine.key), None)
    others = [item for item in managers if item is not previous]
    wanted = without_below(fields_of(config, schema), ignored)
    merged: Any = merge(before, config, schema)
    if previous is not None and previous.paths:
        union = frozenset().union(wanted, *(item.paths for item in others))
        merged = prune(merged, previous.paths, union, schema)
    change = compare(before, merged, schema)
    change = Comparison(*(without_below(paths, ignored) for paths in (change.added, change.modified, change.removed)))
    conflicts = [Conflict(item, path) for item in others for path in ordered(item.paths & change.changed)]
    if conflicts and not force:
        conflicts = _surprising(conflicts, manager, before, schema)
        if conflicts:
            return live if live is not None else before, sorted(conflicts, key=lambda item: _sorting(item.manager))
    kept = [item.without(change.changed | change.removed) for item in others]
    mine.paths = owned(wanted)
    unchanged = live is not None and same(before, merged)
    mine.time = (previous.time if previous is not None else "") if unchanged else now
    after = decode(merged, schema)[0]
    write_managers(after, [*kept, mine])
    return after, []


def refusal(conflicts: Sequence[Conflict]) -> StatusError:
    """409 that names every field and who owns it."""
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {item.who}", "field": item.field}
        for item in conflicts
    ]
    if len(conflicts) == 1:
        text = f"1 conflict: conflict with {conflicts[0].who}: {conflicts[0].field}"
    else:
        owners: dict[str, list[str]] = {}
        for item in conflicts:
            owners.setdefault(item.who, []).append(item.field)
        lines = [
            line for who, paths in owners.items() for line in (f"conflicts with {who}:", *(f"- {p}" for p in paths))
        ]
        text = f"{len(conflicts)} conflicts: " + "\n".join(lines)
    return apply_conflict(f"Apply failed with {text}", causes)


def _managers(live: Object | None) -> list[Manager]:
    try:
        return read_managers(live) if live is not None else []
    except ValueError:
        return []


def _surprising(conflicts: Sequence[Conflict], manager: str, live: Object, schema: Node) -> list[Conflict]:
    """The conflicts that are left when kubectl goes on with what it applied on the client's side before."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if manager != "kubectl" or not text:
        return list(conflicts)
    try:
        last = json.loads(text)
    except ValueError:
        return list(conflicts)
    if not isinstance(last, dict) or last.get("apiVersion") != live.get("apiVersion"):
        return list(conflicts)
    change = compare(last, live, schema)
    allowed = fields_of(last, schema) - change.changed - change.removed
    return [conflict for conflict in conflicts if conflict.path not in allowed]


def _sorting(manager: Manager) -> tuple[str, str, str, str]:
    return manager.name, manager.operation, manager.api_version, manager.subresource
