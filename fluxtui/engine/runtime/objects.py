"""Objects as plain JSON dicts, and the few facts the runtime reads from them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

from fluxtui.api.meta import REQUESTED_AT

Object: TypeAlias = dict[str, Any]


class Key(NamedTuple):
    """Which object of one kind: the unit of a controller's queue."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: Object) -> Key:
    """The namespace and name of an object; a cluster-scoped object has an empty namespace."""
    meta = obj.get("metadata") or {}
    return Key(meta.get("namespace", ""), meta.get("name", ""))


def generation_of(obj: Object) -> int:
    """`metadata.generation`, 0 when the server keeps none."""
    return int((obj.get("metadata") or {}).get("generation", 0))


def annotation_of(obj: Object, name: str) -> str:
    """An annotation, or an empty text."""
    return str(((obj.get("metadata") or {}).get("annotations") or {}).get(name, ""))


def requested_at(obj: Object) -> str:
    """The last request to reconcile the object, any text; empty when there is none."""
    return annotation_of(obj, REQUESTED_AT)


def is_deleting(obj: Object) -> bool:
    """Whether the object waits for its finalizers."""
    return bool((obj.get("metadata") or {}).get("deletionTimestamp"))


def now() -> datetime:
    """The wall clock, UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime | None = None) -> str:
    """RFC 3339 with whole seconds, as metav1.Time: `2026-11-21T05:14:04Z`."""
    return (moment or now()).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(moment: datetime | None = None) -> str:
    """RFC 3339 with microseconds, as metav1.MicroTime: `2026-11-21T05:15:12.177085Z`."""
    return (moment or now()).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
