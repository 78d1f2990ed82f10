"""Field specs: which field of which kinds, and visiting that field in a resource."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from fluxtui.kustomize.errors import BuildError

Object = dict[str, Any]


class FieldSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field of some kinds; an empty group, version or kind is any."""

    path: str = ""
    """Names between slashes, `[]` behind lists: `spec/containers[]/image`; a slash in a name is written `\\/`."""
    group: str = ""
    version: str = ""
    kind: str = ""
    create: bool = False
    """Add the field where it is absent."""

    def fits(self, group: str, version: str, kind: str) -> bool:
        """Whether the spec is for a kind."""
        return self.group in ("", group) and self.version in ("", version) and self.kind in ("", kind)

    @property
    def parts(self) -> list[str]:
        """The names of the path."""
        return [part.replace("\0", "/") for part in self.path.replace("\\/", "\0").strip("/").split("/")]


def specs(items: Iterable[Mapping[str, Any]]) -> tuple[FieldSpec, ...]:
    """Field specs of plain data."""
    return tuple(msgspec.convert(dict(item), FieldSpec) for item in items)


Set = Callable[[Any], Any]
"""Old value (None when absent) → new value."""


def visit(obj: Object, spec: FieldSpec, change: Set, *, empty: Callable[[], Any] = lambda: None) -> None:
    """Change the values at a field of an object in place; lists on the way are walked through.

    Where the field is absent and the spec says create, `change` gets `empty()`. Raises BuildError when something on the
    way is neither a map nor a list.
    """
    _walk(obj, spec.parts, change, spec, empty)


def _walk(node: Any, parts: list[str], change: Set, spec: FieldSpec, empty: Callable[[], Any]) -> None:
    if isinstance(node, list):
        for item in node:
            _walk(item, parts, change, spec, empty)
        return
    if not isinstance(node, dict):
        if node is None:
            return
        raise BuildError(f"considering field '{spec.path}': expected a map or a list, got {type(node).__name__}")
    name, rest = parts[0].removesuffix("[]"), parts[1:]
    is_list = parts[0].endswith("[]")
    if rest or is_list:
        if node.get(name) is None:
            if not spec.create or is_list:
                return
            node[name] = {}
        if rest:
            _walk(node[name], rest, change, spec, empty)
        else:
            node[name] = [change(item) for item in node[name]]
    elif name in node and node[name] is not None:
        node[name] = change(node[name])
    elif spec.create:
        node[name] = change(empty())
