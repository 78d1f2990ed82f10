"""Field specs: which field of which kinds, and visiting that field in a resource."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import msgspec

from fluxtui.kustomize.conversion import prepare
from fluxtui.kustomize.errors import BuildError, FieldError
from fluxtui.kustomize.fieldpaths import split
from fluxtui.kustomize.identities import Gvk
from fluxtui.kustomize.scalars import Tree, in_place_of, is_null, new_key

Container = Any
"""The map or list that holds a value."""
Visit = Callable[[Container, Any], None]
"""Called with a container and the key or index of the value in it."""
Kind = Literal["map", "scalar", "none"]


Paths = dict[str, "Paths"]
"""Several paths as a tree of their parts, with a part of its own where one ends."""
_END = "\0"


class FieldSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field of some kinds; an empty group, version or kind is any."""

    path: str = ""
    """Names between slashes, `[]` behind lists: `spec/containers[]/image`; a slash in a name is written `\\/`."""
    group: str = ""
    version: str = ""
    kind: str = ""
    create: bool = False
    """Add the field where it is absent."""

    def fits(self, gvk: Gvk) -> bool:
        """Whether the spec is for a kind."""
        return gvk.fits(self.group, self.version, self.kind)


Specs = tuple[FieldSpec, ...]


@functools.lru_cache(maxsize=4096)
def _parts(path: str) -> tuple[str, ...]:
    return tuple(split(path, "/"))


def specs(items: Iterable[Mapping[str, Any]]) -> Specs:
    """Field specs of plain data."""
    prepare(FieldSpec)
    return tuple(msgspec.convert(dict(item), FieldSpec) for item in items)


def merged(mine: Specs, theirs: Iterable[FieldSpec]) -> Specs:
    """Field specs with others added that are not there yet. Raises FieldError when they differ in `create`."""
    result = list(mine)
    by_path: dict[str, list[FieldSpec]] = {}
    for spec in mine:
        by_path.setdefault(spec.path, []).append(spec)
    for spec in theirs:
        same = by_path.setdefault(spec.path, [])
        found = next((old for old in same if _covers(spec, old)), None)
        if found is None:
            result.append(spec)
            same.append(spec)
        elif found.create != spec.create:
            raise FieldError(f"conflicting fieldspecs for {spec.path}")
    return tuple(result)


def _covers(new: FieldSpec, old: FieldSpec) -> bool:
    return Gvk(old.group, old.version, old.kind).fits(new.group, new.version, new.kind)


def visit(obj: Tree, spec: FieldSpec, act: Visit, kind: Kind = "none") -> None:
    """Call `act` for the values at a field of an object; lists on the way are walked through.

    Where the field is absent and the spec says create, a map or a null (for a scalar) is put there first, unless `kind`
    is none. Raises BuildError when something on the way is neither a map nor a list.
    """
    try:
        _visit([obj], 0, _parts(spec.path), 0, act, kind if spec.create else "none", kind)
    except BuildError as error:
        raise BuildError(f"considering field '{spec.path}': {error}") from error


def _visit(
    container: Container, key: Any, parts: tuple[str, ...], at: int, act: Visit, create: Kind, kind: Kind
) -> None:
    if at == len(parts):
        act(container, key)
        return
    node = container[key]
    if isinstance(node, dict):
        if _enter(node, parts[at], last=at + 1 == len(parts), create=create):
            _visit(node, parts[at].removesuffix("[]"), parts, at + 1, act, create, kind)
    elif isinstance(node, list):
        for index in range(len(node)):
            _visit(node, index, parts, at, act, create, kind)
    elif not is_null(node):
        raise BuildError("expected sequence or mapping node")


def add_path(paths: Paths, path: str) -> None:
    """Add a path to others. Paths through a field with and without `[]` stay apart."""
    for part in _parts(path):
        paths = paths.setdefault(part, {})
    paths[_END] = {}


def visit_paths(container: Container, key: Any, paths: Paths, act: Visit) -> None:
    """Call `act` for the values at the ends of paths; like `visit` of each, but in one walk, and nothing is created.

    Raises BuildError when something on the way is neither a map nor a list.
    """
    if _END in paths:
        act(container, key)
        if len(paths) == 1:
            return
    node = container[key]
    if isinstance(node, dict):
        for part, rest in paths.items():
            if part != _END and _enter(node, part, last=False, create="none"):
                visit_paths(node, part.removesuffix("[]"), rest, act)
    elif isinstance(node, list):
        inner = {part: rest for part, rest in paths.items() if part != _END}
        for index in range(len(node)):
            visit_paths(node, index, inner, act)
    elif not is_null(node):
        raise BuildError(f"considering a field below '{next(iter(paths))}': expected sequence or mapping node")


def _enter(node: dict[str, Tree], part: str, *, last: bool, create: Kind) -> bool:
    """Whether a field is there, perhaps made just now."""
    name = part.removesuffix("[]")
    if not name:
        raise BuildError("cannot set or create an empty field name")
    is_list = name != part
    if name not in node:
        if create == "none" or is_list:
            return False
        node[name] = None if last and create == "scalar" else {}
    elif is_null(node[name]):
        if is_list:
            node[name] = []
        elif create != "none" and not (last and create == "scalar"):
            node[name] = {}
    return True


def set_scalar(container: Container, key: Any, value: Tree) -> None:
    """Put a scalar in the place of a scalar. Raises BuildError when there is a map or a list."""
    old = container[key]
    if isinstance(old, dict | list):
        raise BuildError(f"wrong node kind: expected a scalar but got a {'map' if isinstance(old, dict) else 'list'}")
    container[key] = in_place_of(old, value)


def set_entry(container: Container, key: Any, name: str, value: Tree) -> None:
    """Set an entry of the map at a place. Raises BuildError when there is no map."""
    node = container[key]
    if not isinstance(node, dict):
        if not is_null(node):
            raise BuildError(f"wrong node kind: expected a map but got {type(node).__name__}")
        return
    if name in node:
        node[name] = in_place_of(node[name], value)
    else:
        node[new_key(name)] = value
