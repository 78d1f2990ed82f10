"""The hash of a ConfigMap's or Secret's content that becomes part of its name."""

from __future__ import annotations

import hashlib
from typing import Any

from fluxtui.kustomize.errors import Unsupported
from fluxtui.kustomize.fieldpaths import to_json
from fluxtui.kustomize.resources import Resource
from fluxtui.kustomize.scalars import finished, text_of

_LENGTH = 10
_LETTERS = str.maketrans("013ae", "ghkmt")
"""Characters that can't spell words take the place of some that could."""
_FIELDS = {"ConfigMap": ("data", "binaryData"), "Secret": ("data", "stringData")}


def of(resource: Resource) -> str:
    """Ten characters for the content. Raises Unsupported for other kinds than ConfigMap and Secret."""
    kind = resource.kind
    if kind not in _FIELDS:
        raise Unsupported(f"{resource.id}: a name hash for kind {kind} is not supported")
    data, more = _FIELDS[kind]
    content: dict[str, Any] = {"kind": kind, "name": "", data: _value(resource.object.get(data, ""))}
    if kind == "Secret":
        content["type"] = _value(resource.object.get("type", ""))
    if isinstance(resource.object.get(more), dict):
        content[more] = finished(resource.object[more])
    return hashlib.sha256(to_json(content, "").encode()).hexdigest()[:_LENGTH].translate(_LETTERS)


def _value(tree: Any) -> Any:
    return finished(tree) if isinstance(tree, dict | list) else text_of(tree)
