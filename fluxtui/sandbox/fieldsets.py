"""Sets of fields: paths into an object, as managedFields writes them (FieldsV1).

A path is a tuple of elements: `f:name` a field, `k:{"name":"x"}` an item of a keyed list, `v:"x"` an item of a set.
Source: structured-merge-diff's field paths and their serialisation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fluxtui.sandbox.schema import Node

Path = tuple[str, ...]
Paths = frozenset[Path]

NOTHING: Paths = frozenset()


class ElementError(Exception):
    """An item of a list has no place in a set of fields; the text says why."""


def element(item: Any, node: Node) -> str:
    """The path element of an item of a keyed list or a set. Raises ElementError."""
    if node.list_type == "set" or not node.keys:
        if isinstance(item, dict | list) or item is None:
            raise ElementError(f"associative list without keys has an element that's {_kind(item)}")
        return "v:" + _json(item)
    if not isinstance(item, dict):
        what = "a null element" if item is None else "non-map elements"
        raise ElementError(f"associative list with keys may not have {what}")
    values = {key: item.get(key, node.key_defaults.get(key)) for key in node.keys}
    found = {key: value for key, value in values.items() if value is not None}
    if not found:
        names = " ".join(f'"{key}"' for key in node.keys)
        raise ElementError(
            f"associative list with keys has an element that omits all key fields [{names}] "
            "(and doesn't have default values for any key fields)"
        )
    return "k:" + _json(found)


def path_text(path: Path) -> str:
    """A path as messages write it: `.spec.containers[name="a"].image`."""
    return "".join(map(element_text, path))


def element_text(part: str) -> str:
    """An element as messages write it."""
    if part.startswith("f:"):
        return f".{part[2:]}"
    if part.startswith("k:"):
        pairs = ",".join(f"{key}={_json(value)}" for key, value in msgspec.json.decode(part[2:]).items())
        return f"[{pairs}]"
    return f"[={part[2:]}]"


def ordered(paths: Iterable[Path]) -> list[Path]:
    """The paths in the order in which messages list them: those of one level before those below."""
    return sorted(paths, key=lambda path: [*((1, _rank(part)) for part in path[:-1]), (0, _rank(path[-1]))])


def without_below(paths: Paths, roots: Iterable[Path]) -> Paths:
    """The paths that are neither one of some roots nor below one."""
    cut = tuple(roots)
    return frozenset(path for path in paths if not any(path[: len(root)] == root for root in cut)) if cut else paths


def with_named(paths: Paths, node: Node) -> Paths:
    """The paths, and the fields of structs on the way to them."""
    found = set(paths)
    for path in paths:
        here = node
        for depth, part in enumerate(path[:-1]):
            name = part[2:]
            if part.startswith("f:"):
                if here.declares(name):
                    found.add(path[: depth + 1])
                here = here.field(name)
            else:
                here = here.item()
    return frozenset(found)


def to_fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """The paths as FieldsV1."""
    root: dict[str, Any] = {}
    members = set(paths)
    for path in sorted(members, key=lambda path: [_rank(part) for part in path]):
        node = root
        for depth, part in enumerate(path):
            above = path[:depth]
            if above in members and "." not in node:
                node["."] = {}
            node = node.setdefault(part, {})
    return root


def from_fields_v1(fields: Mapping[str, Any]) -> Paths:
    """The paths of FieldsV1. Raises ValueError for elements that are no such."""
    found: set[Path] = set()

    def walk(node: Mapping[str, Any], path: Path) -> None:
        for part, child in node.items():
            if part == ".":
                found.add(path)
                continue
            here = (*path, _normal(part))
            if child:
                walk(child, here)
            else:
                found.add(here)

    walk(fields, ())
    return frozenset(found)


def _normal(part: str) -> str:
    if part.startswith("k:"):
        return "k:" + _json(msgspec.json.decode(part[2:]))
    if part.startswith("v:"):
        return "v:" + _json(msgspec.json.decode(part[2:]))
    if part.startswith(("f:", "i:")):
        return part
    raise ValueError(f"unknown path element {part!r}")


def _rank(part: str) -> tuple[int, str]:
    return "fkvi".index(part[0]), part[2:]


def _kind(item: Any) -> str:
    return "an explicit null" if item is None else "a map type" if isinstance(item, dict) else "a list type"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
