"""Writing the status of one object: only what changed, and only to the object that was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fluxtui.api.kinds import Kind
from fluxtui.engine.runtime.objects import Object, key_of
from fluxtui.kube.errors import Conflict, NotFound

if TYPE_CHECKING:
    from fluxtui.engine.runtime.cluster import Cluster

_CONFLICTS = 5


class StatusWriter:
    """Merge-patches the status of an object, with its resourceVersion as a lock.

    A conflict means that somebody else wrote: the object is read again and, if it still is the same one, patched with
    what differs now.
    """

    def __init__(self, cluster: Cluster, kind: Kind, manager: str, raw: Object) -> None:
        self.raw = raw
        """The object as last read or written."""
        self._cluster = cluster
        self._kind = kind
        self._manager = manager

    async def write(self, desired: Mapping[str, Any]) -> bool:
        """Bring status on the server in line; False when the object is gone. Nothing is sent when it already is.

        Raises the errors of kube.
        """
        try:
            for _ in range(_CONFLICTS):
                change = difference(self.raw.get("status") or {}, desired)
                if not change or await self._patch(change):
                    return True
                await self._refresh()
            raise Conflict(409, "Conflict", "the object keeps changing; its status was not written")
        except NotFound:
            return False

    async def _patch(self, change: dict[str, Any]) -> bool:
        """Send a change; False when somebody else wrote meanwhile."""
        patch = {"metadata": {"resourceVersion": self.raw["metadata"]["resourceVersion"]}, "status": change}
        try:
            written = await self._cluster.patch_status(self._kind, key_of(self.raw), patch, self._manager)
        except Conflict:
            return False
        self.raw = {**written, "kind": self.raw["kind"], "apiVersion": self.raw["apiVersion"]}
        return True

    async def _refresh(self) -> None:
        """Read the object again. Raises NotFound when it is another one of the same name by now."""
        fresh = await self._cluster.read(self._kind, key_of(self.raw), fresh=True)
        if fresh["metadata"].get("uid") != self.raw["metadata"].get("uid"):
            raise NotFound(404, "NotFound", "an object of the same name took its place")
        self.raw = fresh


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON merge patch that turns `old` into `new`; empty when they say the same.

    The order of conditions says nothing.
    """
    patch: dict[str, Any] = dict.fromkeys(old.keys() - new.keys())
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = difference(before, value)
            if inner:
                patch[name] = inner
        elif name == "conditions" and _same_conditions(before, value):
            continue
        elif before != value or name not in old:
            patch[name] = value
    return patch


def _same_conditions(old: Any, new: list[dict[str, Any]]) -> bool:
    if not isinstance(old, list) or len(old) != len(new):
        return False
    return {item["type"]: item for item in old} == {item["type"]: item for item in new}
