"""What becomes of an object of a built-in kind when a Go program reads it into its type and writes it again.

Optional fields that are empty go; fields that are structs by value, or that Go does not hold for optional, are there
afterwards though nobody wrote them. Which these are is listed in gotypes.json: for each type the fields that go when
they are empty, those that come with their zero value, and the types of fields that hold types (`[]T` a list, `{}T` a
map of them). Source: the json tags of k8s.io/api.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from fluxtui.kube.identity import Object


class Type(msgspec.Struct, forbid_unknown_fields=True):
    """A Go type."""

    omit: tuple[str, ...] = ()
    """Fields that go when they are empty."""
    zero: dict[str, Any] = {}
    """Field → what it holds when nobody wrote it."""
    fields: dict[str, str] = msgspec.field(name="in", default_factory=dict)
    """Field → type of what it holds."""


class Table(msgspec.Struct, forbid_unknown_fields=True):
    """All that is listed."""

    kinds: dict[str, str]
    """`apiVersion kind` → name of its type."""
    types: dict[str, Type]
    """By name."""


@cache
def table() -> Table:
    """The content of gotypes.json."""
    content = files(__package__).joinpath("gotypes.json").read_bytes()
    return msgspec.json.decode(content, type=Table)


def rewrite(obj: Object) -> None:
    """Leave out and fill in, in place, what the Go type of the object's kind does; a kind not listed stays as it is."""
    listed = table()
    name = listed.kinds.get(f"{obj.get('apiVersion')} {obj.get('kind')}")
    if name is not None:
        _rewrite(obj, name, listed.types)


def _rewrite(value: Any, name: str, types: dict[str, Type]) -> None:
    if not isinstance(value, dict):
        return
    known = types[name]
    for field in known.omit:
        if field in value and not value[field]:
            del value[field]
    for field, zero in known.zero.items():
        value.setdefault(field, deepcopy(zero))
    for field, held in known.fields.items():
        found = value.get(field)
        if held.startswith("[]"):
            for item in found if isinstance(found, list) else ():
                _rewrite(item, held[2:], types)
        elif held.startswith("{}"):
            for item in found.values() if isinstance(found, dict) else ():
                _rewrite(item, held[2:], types)
        else:
            _rewrite(found, held, types)
