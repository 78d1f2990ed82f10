"""JSON patches (RFC 6902) on plain data.

As kustomize applies them: replacing an entry that a map does not have adds it, negative indexes count from the end.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from typing import Any

from fluxtui.kustomize import documents
from fluxtui.kustomize.errors import BuildError, KustomizeError

MAX_COPIED = 10_000_000
"""Characters of JSON that all `copy` operations of a patch may add together."""

_NUMBER = re.compile(r"[-+]?\d+\Z", re.ASCII)
Operations = list[dict[str, Any]]


def read(text: str, source: str) -> Operations | None:
    """The operations of a patch written as JSON or YAML; None for an empty one. Raises BuildError when it is none."""
    try:
        value = json.loads(text) if text.startswith("[") else documents.read_settings(text, source)
    except RecursionError as error:
        raise BuildError(f"{source}: no JSON patch: nested too deep") from error
    except (ValueError, KustomizeError) as error:
        raise BuildError(f"{source}: no JSON patch: {error}") from error
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(operation, dict) for operation in value):
        raise BuildError(f"{source}: no JSON patch: a list of operations is expected")
    return value


def apply(document: dict[str, Any], operations: Operations) -> dict[str, Any]:
    """The document after a patch; it is changed. Raises BuildError that names the operation and its path."""
    holder = _Holder(document)
    for operation in operations:
        holder.apply(operation)
    if not isinstance(holder.document, dict):
        raise BuildError("a JSON patch has left something that is no map")
    return holder.document


class _Holder:
    """A document that operations change."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self._copied = 0

    def apply(self, operation: dict[str, Any]) -> None:
        """Carry out one operation."""
        kind = operation.get("op")
        act = getattr(self, f"_{kind}", None) if kind in _KINDS else None
        if act is None:
            raise BuildError(f"unexpected kind of JSON patch operation: {kind}")
        path = operation.get("path")
        if not isinstance(path, str):
            raise BuildError(f"{kind} operation has no path")
        try:
            act(path, operation)
        except _NotThere as error:
            raise BuildError(f"{kind} operation does not apply: {error}: '{path}'") from error

    def _add(self, path: str, operation: dict[str, Any]) -> None:
        container, key = self._find(path)
        _insert(container, key, operation.get("value"))

    def _remove(self, path: str, operation: dict[str, Any]) -> None:
        container, key = self._find(path)
        if isinstance(container, dict):
            if key not in container:
                raise _NotThere("unable to remove nonexistent key")
            del container[key]
        else:
            del container[_index(container, key)]

    def _replace(self, path: str, operation: dict[str, Any]) -> None:
        value = operation.get("value")
        if not path:
            if not isinstance(value, dict | list):
                raise _NotThere("replace operation value must be object or array")
            self.document = value
            return
        container, key = self._find(path)
        container[key if isinstance(container, dict) else _index(container, key)] = value

    def _move(self, path: str, operation: dict[str, Any]) -> None:
        value = self._get(_from(operation))
        self._remove(_from(operation), operation)
        container, key = self._find(path)
        _insert(container, key, value)

    def _copy(self, path: str, operation: dict[str, Any]) -> None:
        value = self._get(_from(operation))
        container, key = self._find(path)
        self._copied += len(json.dumps(value))
        if self._copied > MAX_COPIED:
            raise _NotThere(f"more than {MAX_COPIED} characters copied")
        _insert(container, key, copy.deepcopy(value))

    def _test(self, path: str, operation: dict[str, Any]) -> None:
        found = self._get(path) if path else self.document
        if not _same(found, operation.get("value")):
            raise _NotThere("testing value failed")

    def _get(self, path: str) -> Any:
        container, key = self._find(path)
        if isinstance(container, dict):
            return container.get(key)
        return container[_index(container, key)]

    def _find(self, path: str) -> tuple[Any, str]:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
        if not parts:
            raise _NotThere("doc is missing path")
        node = self.document
        for part in parts[:-1]:
            if isinstance(node, dict):
                node = node.get(part)
            elif isinstance(node, list):
                node = node[_index(node, part)]
            if not isinstance(node, dict | list):
                raise _NotThere("doc is missing path")
        return node, parts[-1]


_KINDS = ("add", "remove", "replace", "move", "copy", "test")


class _NotThere(Exception):
    """An operation does not fit the document."""


def _from(operation: dict[str, Any]) -> str:
    found = operation.get("from")
    if not isinstance(found, str):
        raise _NotThere("from is missing")
    return found


def _index(items: Sequence[Any], key: str, *, end: int = 0) -> int:
    if not _NUMBER.match(key):
        raise _NotThere("value was not a proper array index")
    length = len(items) + end
    index = int(key)
    if not -length <= index < length:
        raise _NotThere("unable to access invalid index")
    return index + length if index < 0 else index


def _insert(container: Any, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        container.insert(_index(container, key, end=1), value)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(value, b[key]) for key, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)
