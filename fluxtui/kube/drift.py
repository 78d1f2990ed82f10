"""Whether a live object differs from what applying would make of it, and which fields do not count.

Source: fluxcd/pkg `ssa` (drift detection by a dry-run) and its ignore rules (`spec.ignore` of a Kustomization).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import msgspec

from fluxtui.kube.identity import Object, annotations_of, labels_of
from fluxtui.kube.ownership import is_applied_by_other, managed_fields

_MISSING: Any = object()


def has_drifted(live: Object, applied: Object, ignored: Sequence[str] = ()) -> bool:
    """Whether the result of a dry-run apply differs from the live object in labels, annotations or content.

    Status and other metadata do not count, nor do the fields at the JSON pointers `ignored`.
    """
    if labels_of(without(live, ignored)) != labels_of(without(applied, ignored)):
        return True
    if annotations_of(without(live, ignored)) != annotations_of(without(applied, ignored)):
        return True
    return _content(without(live, ignored)) != _content(without(applied, ignored))


def payload(desired: Object, live: Object, applied: Object, ignored: Sequence[str], manager: str) -> Object:
    """What to apply so that the ignored fields stay as they are live.

    A field that another manager applies is left to it; any other takes the live value.
    """
    done = desired
    for pointer in ignored:
        parts = _parts(pointer)
        value = _get(live, parts)
        if value == _get(applied, parts):
            continue
        if done is desired:
            done = deepcopy(desired)
        if value is _MISSING or is_applied_by_other(live, parts, manager):
            _remove(done, parts)
        elif _get(done, parts) is not _MISSING:
            _replace(done, parts, value)
    return done


def digest(obj: Object) -> bytes:
    """Sixteen bytes that tell one desired object from another."""
    return hashlib.blake2b(msgspec.json.encode(obj, order="deterministic"), digest_size=16).digest()


def content_digest(obj: Object) -> bytes:
    """Sixteen bytes of what `has_drifted` compares: the same for two objects that do not differ."""
    return digest({**_content(obj), "labels": labels_of(obj), "annotations": annotations_of(obj)})


def live_digest(live: Object, content: bytes = b"") -> bytes:
    """Sixteen bytes that change when anything of a live object changes that could be drift.

    Left out: status and its owners, and what counts or times every write. `content` is its content_digest, if known.
    """
    metadata = dict(live.get("metadata") or {})
    for name in ("resourceVersion", "generation", "managedFields", "labels", "annotations"):
        metadata.pop(name, None)
    owners = [
        {key: value for key, value in entry.items() if key != "time"}
        for entry in managed_fields(live)
        if not entry.get("subresource")
    ]
    return digest({"content": content or content_digest(live), "metadata": metadata, "owners": owners})


def _content(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def without(obj: Object, pointers: Sequence[str]) -> Object:
    """A copy without the fields at JSON pointers."""
    if not pointers:
        return obj
    done = deepcopy(obj)
    for pointer in pointers:
        _remove(done, _parts(pointer))
    return done


def _parts(pointer: str) -> list[str]:
    """The parts of a JSON pointer (RFC 6901)."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _get(value: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return _MISSING
    return value


def _remove(obj: Object, parts: Sequence[str]) -> None:
    if not parts or _get(obj, parts) is _MISSING:
        return
    parent = _get(obj, parts[:-1])
    del parent[int(parts[-1]) if isinstance(parent, list) else parts[-1]]


def _replace(obj: Object, parts: Sequence[str], value: Any) -> None:
    if parts:
        parent = _get(obj, parts[:-1])
        parent[int(parts[-1]) if isinstance(parent, list) else parts[-1]] = deepcopy(value)
