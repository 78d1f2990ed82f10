"""What an object sets, and what differs between two states of it, as sets of fields.

Source: structured-merge-diff: `ToFieldSet`, `Compare`. A list or map that is atomic, or empty on both sides, is one
field; a struct's field is listed beside what is in it only when the whole field is new or gone.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import msgspec

from fluxtui.sandbox.fieldsets import Path, Paths, element
from fluxtui.sandbox.schema import Node


class Missing(enum.Enum):
    """The type of MISSING."""

    MISSING = enum.auto()


MISSING: Final = Missing.MISSING
"""No value at all, unlike null."""


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


def fields_of(value: Any, node: Node) -> Paths:
    """The fields that an object sets. Raises ElementError for list items without keys."""
    found: set[Path] = set()
    _collect(value, node, (), found)
    found.discard(())
    return frozenset(found)


def compare(before: Any, after: Any, node: Node) -> Comparison:
    """What differs between two objects of a type. Raises ElementError."""
    walk = _Walk()
    walk.compare(before, after, node, ())
    for found in (walk.added, walk.modified, walk.removed):
        found.discard(())
    return Comparison(frozenset(walk.added), frozenset(walk.modified), frozenset(walk.removed))


def shape_of(node: Node, value: Any) -> str:
    """How a value of a type is handled: `map`, `list` or `scalar`."""
    if node.shape in ("struct", "map"):
        return "map"
    if node.shape != "any":
        return node.shape
    if isinstance(value, list):
        return "list"
    return "scalar" if isinstance(value, str | int | float) else "map"


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON: true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


class _Walk:
    def __init__(self) -> None:
        self.added: set[Path] = set()
        self.modified: set[Path] = set()
        self.removed: set[Path] = set()

    def compare(self, old: Any, new: Any, node: Node, path: Path) -> None:
        before, after = shape_of(node, old), shape_of(node, new)
        if new is MISSING or (before != after and old is not MISSING):
            leaf = self._handle(before, old, new, node, path)
        if new is not MISSING:
            leaf = self._handle(after, old, new, node, path)
        if not leaf and old is MISSING:
            self.added.add(path)
        elif not leaf and new is MISSING:
            self.removed.add(path)

    def _handle(self, shape: str, old: Any, new: Any, node: Node, path: Path) -> bool:
        """Compare what is inside; whether the value is one field as a whole."""
        if shape == "map":
            lhs, rhs = _only(old, dict), _only(new, dict)
            if node.atomic_map or not (lhs or rhs):
                return self._leaf(old, new, path)
            for name in [*lhs, *(name for name in rhs if name not in lhs)]:
                here = (*path, f"f:{name}")
                self.compare(lhs.get(name, MISSING), rhs.get(name, MISSING), node.field(name), here)
            return False
        if shape == "list":
            first, second = _only(old, list), _only(new, list)
            if node.list_type != "atomic" and (first or second):
                self._items(first, second, node, path)
                return False
        return self._leaf(old, new, path)

    def _leaf(self, old: Any, new: Any, path: Path) -> bool:
        if old is MISSING:
            self.added.add(path)
        elif new is MISSING:
            self.removed.add(path)
        elif not same(old, new):
            self.modified.add(path)
        return True

    def _items(self, old: list[Any], new: list[Any], node: Node, path: Path) -> None:
        before, after = grouped(old, node), grouped(new, node)
        for part in [*before, *(part for part in after if part not in before)]:
            here = (*path, part)
            first, second = before.get(part, []), after.get(part, [])
            if len(first) < 2 and len(second) < 2:
                self.compare(first[0] if first else MISSING, second[0] if second else MISSING, node.item(), here)
            elif len(first) > 1 and len(second) > 1:
                if not same(first, second):
                    self.modified.add(here)
            elif len(first) > 1:
                if second:
                    self.compare(MISSING, second[0], node.item(), here)
                self.removed.add(here)
            else:
                if first:
                    self.compare(first[0], MISSING, node.item(), here)
                self.added.add(here)


def grouped(items: list[Any], node: Node) -> dict[str, list[Any]]:
    """The items of a keyed list or a set by path element; an object that was updated may have some twice."""
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(element(item, node), []).append(item)
    return found


def _only(value: Any, kind: type) -> Any:
    return value if isinstance(value, kind) else kind()


def _collect(value: Any, node: Node, path: Path, found: set[Path]) -> None:
    shape = shape_of(node, value)
    if shape == "map" and not node.atomic_map:
        for name, child in _only(value, dict).items():
            here = (*path, f"f:{name}")
            _collect(child, node.field(name), here, found)
            if child is None or child == {} or not node.declares(name):
                found.add(here)
    elif shape == "list" and node.list_type != "atomic":
        for part, items in grouped(_only(value, list), node).items():
            here = (*path, part)
            if len(items) == 1:
                _collect(items[0], node.item(), here, found)
            found.add(here)
    else:
        found.add(path)
