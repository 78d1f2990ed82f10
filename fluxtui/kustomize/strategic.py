"""Strategic merge as kustomize does it: a patch merged into a resource by what is known of the kind's lists.

It differs from the API server's: items of a patch come before those of the resource, of the directives only `$patch`
has a meaning, and nulls without a spelling vanish from every map that is walked through. Source of the rules:
kustomize 5.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fluxtui.kustomize.errors import BuildError
from fluxtui.kustomize.scalars import Quoted, Tree, Untagged, in_place_of, is_empty, is_null, resolved, text_of
from fluxtui.kustomize.schema import Kinds, Node

GONE: Any = object()
"""What is not there, unlike a null."""

_DIRECTIVE = "$patch"
_STRATEGIES = ("delete", "replace", "merge")


def merge(target: dict[str, Tree], patch: dict[str, Tree], kinds: Kinds) -> dict[str, Tree] | None:
    """The target after a patch, None when it is deleted. Both are changed. Raises BuildError.

    A patch that asks to replace the whole leaves it as it is: kustomize has no place for what takes its place.
    """
    if text_of(patch.get(_DIRECTIVE)) == "replace":
        return target
    result = _Merge(kinds).walk(target, patch, None)
    return None if result is GONE or is_null(result) else result


class _Merge:
    """Walks through a target and a patch at once."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds

    def walk(self, target: Tree, patch: Tree, node: Node | None) -> Tree:
        """The value that comes of two, GONE for none."""
        known = target if _is_there(target) else patch
        if isinstance(known, list):
            _demand_same(target, patch, list)
            if node is not None and node.merges:
                return self._list(target, patch, node)
            return target if patch is GONE else patch
        if isinstance(known, dict):
            _demand_same(target, patch, dict)
            return self._map(target, patch, node or self._type_of(target, patch))
        if not _is_there(known):
            return self._map(target, patch, node)
        if isinstance(patch, dict | list):
            raise BuildError(f"wrong node kind: expected a scalar but got a {_kind(patch)}")
        return target if patch is GONE else patch

    def _type_of(self, *sources: Tree) -> Node | None:
        for source in sources:
            if isinstance(source, dict) and source.get("kind") and source.get("apiVersion"):
                found = self._kinds.type_of(text_of(source["apiVersion"]), text_of(source["kind"]))
                if found is not None:
                    return found
        return None

    def _map(self, target: Tree, patch: Tree, node: Node | None) -> Tree:
        result = _chosen_map(target, patch)
        if not isinstance(result, dict):
            return result
        other = patch if isinstance(patch, dict) else {}
        for key in sorted(result.keys() | other.keys()):
            old, new = result.get(key, GONE), other.get(key, GONE)
            value = self.walk(old, new, node.field(key) if node is not None else None)
            if value is GONE or (is_null(value) and not (new is GONE and text_of(value))):
                result.pop(key, None)
            elif type(value) is Untagged and value and type(resolved(value)) is not str:
                result[key] = Quoted(value)
            elif value is not old:
                result[key] = value if old is GONE else in_place_of(old, value)
        return result

    def _list(self, target: Tree, patch: Tree, node: Node) -> Tree:
        result = target if _is_there(target) else patch
        if _is_there(target) and patch is not GONE:
            if is_null(patch):
                return GONE
            strategy = _strategy_of_list(patch)
            if strategy == "delete":
                return GONE
            result = patch if strategy == "replace" else target
        sources = [result, [] if patch is GONE or is_null(patch) else patch]
        if node.keys:
            return self._items(_key_values(sources, node.keys), node.keys, sources, node)
        return self._items(_primitive_values(sources), ("",), sources, node)

    def _items(
        self, values: list[tuple[str, ...]], keys: tuple[str, ...], sources: list[list[Tree]], node: Node
    ) -> list[Tree]:
        target = sources[0]
        added: list[Tree] = []
        if len(keys) > 1:
            _fill(values)
        used_keys: list[str] = []
        for wanted in values:
            used_keys, used = _in_use(values, wanted, keys)
            own_keys, own = _in_use([wanted_used := tuple(used)], wanted_used, used_keys)
            pair = [_element(source, own_keys, own) for source in sources]
            value = self.walk(pair[0], pair[1], node.item())
            if value is GONE or value == {} or is_null(value):
                _set_element(target, GONE, used_keys, used)
                continue
            if isinstance(value, dict):
                for key, text in zip(used_keys, used, strict=True):
                    if text and key not in value:
                        value[key] = text if isinstance(resolved(text), str) else Quoted(text)
            _set_element(added, value, used_keys, used)
        return _joined(added, target, used_keys) if values else target


def _is_there(tree: Tree) -> bool:
    return tree is not GONE and not is_null(tree)


def _kind(tree: Tree) -> str:
    return "map" if isinstance(tree, dict) else "list" if isinstance(tree, list) else "scalar"


def _demand_same(target: Tree, patch: Tree, kind: type) -> None:
    for tree in (target, patch):
        if _is_there(tree) and not isinstance(tree, kind):
            expected = "map" if kind is dict else "list"
            raise BuildError(f"wrong node kind: expected a {expected} but got a {_kind(tree)}")


def _chosen_map(target: Tree, patch: Tree) -> Tree:
    """The map to go on with: the target's, or the patch's when that is new or replaces it; GONE for none."""
    if not _is_there(target):
        if isinstance(patch, dict) and _strategy_of_map(patch) == "delete":
            return GONE
        return target if patch is GONE and target is not GONE and text_of(target) else patch
    if patch is GONE:
        return target
    if is_null(patch):
        return GONE
    strategy = _strategy_of_map(patch)
    return GONE if strategy == "delete" else patch if strategy == "replace" else target


def _strategy_of_map(patch: dict[str, Tree]) -> str:
    if _DIRECTIVE not in patch:
        return "merge"
    strategy = text_of(patch[_DIRECTIVE])
    if strategy not in _STRATEGIES:
        raise BuildError(f"unknown patch strategy '{strategy}'")
    del patch[_DIRECTIVE]
    return strategy


def _strategy_of_list(patch: list[Tree]) -> str:
    first = next((item for item in patch if isinstance(item, dict) and _DIRECTIVE in item), None)
    if first is None or len(first) > 1:
        return "merge"
    strategy = text_of(first[_DIRECTIVE])
    if strategy not in _STRATEGIES:
        raise BuildError(f"unknown patch strategy '{strategy}'")
    _set_element(patch, GONE, [_DIRECTIVE], [strategy])
    return strategy


def _key_values(sources: Sequence[list[Tree]], keys: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The key fields of the items of a patch, then of the target, each combination once."""
    found: dict[tuple[str, ...], None] = {}
    for source in reversed(sources):
        for item in source:
            fields = item if isinstance(item, dict) else {}
            found[tuple("" if is_empty(fields.get(key)) else text_of(fields.get(key)) for key in keys)] = None
    return list(found)


def _primitive_values(sources: Sequence[list[Tree]]) -> list[tuple[str, ...]]:
    return list(dict.fromkeys((text_of(item),) for source in reversed(sources) for item in source))


def _fill(values: list[tuple[str, ...]]) -> None:
    """Let combinations that differ only by what one of them lacks be the same."""
    for i in range(len(values)):
        first = values[i]
        for j in range(len(values)):
            both = _united(first, values[j])
            if both is not None:
                values[i] = values[j] = both


def _united(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...] | None:
    pairs = list(zip(first, second, strict=True))
    if any(a != b and a and b for a, b in pairs) or not any(a == b for a, b in pairs):
        return None
    return tuple(a or b for a, b in pairs)


def _in_use(values: Sequence[Sequence[str]], wanted: Sequence[str], keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """The keys that any combination has, and the wanted values of those."""
    used = {key for combination in values for key, text in zip(keys, combination, strict=False) if text}
    if not used:
        return list(keys), list(wanted)
    return [key for key in keys if key in used], [text for key, text in zip(keys, wanted, strict=False) if key in used]


def _element(source: list[Tree], keys: Sequence[str], values: Sequence[str]) -> Tree:
    """The first item whose key fields have those values, GONE without one."""
    if not keys[0]:
        return next((item for item in source if text_of(item) == values[0]), GONE)
    for item in source:
        if isinstance(item, dict) and all(
            key in item and text_of(item[key]) == text for key, text in zip(keys, values, strict=True)
        ):
            return item
    return GONE


def _set_element(items: list[Tree], element: Tree, keys: Sequence[str], values: Sequence[str]) -> None:
    """Replace, add or (GONE) remove the item with those values of its key fields; empty items go."""
    wants_map = bool(keys[0]) and bool(values) and bool(values[0])
    kept: list[Tree] = []
    found = False
    for item in items:
        if is_null(item) or item == {}:
            continue
        if not isinstance(item, dict) and wants_map:
            kept.append(item)
        elif not _has(item, keys, values):
            if values:
                kept.append(item)
        else:
            found = True
            if element is not GONE:
                kept.append(element)
    if not found and element is not GONE and not is_null(element):
        kept.append(element)
    items[:] = kept


def _has(item: Tree, keys: Sequence[str], values: Sequence[str]) -> bool:
    if not values:
        return False
    for key, text in zip(keys, values, strict=False):
        if not key:
            if isinstance(item, dict | list):
                raise BuildError(f"wrong node kind: expected a scalar but got a {_kind(item)}")
            if text_of(item) != text:
                return False
        elif not isinstance(item, dict):
            raise BuildError(f"wrong node kind: expected a map but got a {_kind(item)}")
        elif key not in item or (text and text_of(item[key]) != text):
            return False
    return True


def _joined(added: list[Tree], target: list[Tree], keys: Sequence[str]) -> list[Tree]:
    """The merged items with the target's in their places behind those that are new."""
    for item in list(target):
        if not keys[0]:
            _set_element(added, item, keys, [text_of(item)])
            continue
        values = []
        for key in keys:
            if not isinstance(item, dict) and not is_null(item):
                raise BuildError(f"wrong node kind: expected a map but got a {_kind(item)}")
            if isinstance(item, dict) and key in item:
                values.append(text_of(item[key]))
            else:
                added.append(item)
        if len(keys) > 1:
            _set_element(added, GONE, keys, values)
        _set_element(added, item, keys, values)
    return added
