"""Writes of the simulation: status, children, Events; nothing is written that is there already."""

from __future__ import annotations

import copy
import uuid
from typing import Any

from fluxtui.sandbox.kinds import Kind
from fluxtui.sandbox.operations import Operations, Write
from fluxtui.sandbox.statuses import StatusError
from fluxtui.sandbox.store import Key, Object, key_of

CONTROLLERS = Write(manager="kube-controller-manager")
KUBELET = Write(manager="kubelet")


class Writer:
    """Writes for controllers that may lose a race: they look again when something changes."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._store = operations.store

    def now(self) -> str:
        """The time as objects have it."""
        return self._operations.now()

    def kind(self, group: str, plural: str) -> Kind:
        """A built-in kind."""
        return next(kind for kind in self._operations.kinds if (kind.group, kind.plural) == (group, plural))

    def get(self, kind: Kind, key: Key) -> Object | None:
        """An object as stored."""
        return self._store.get(kind.store, key)

    def owned(self, kind: Kind, owner: Object) -> list[Object]:
        """The objects of a kind that an object controls."""
        uid, namespace = owner["metadata"]["uid"], owner["metadata"].get("namespace")
        return [
            obj
            for obj in self._store.all(kind.store)
            if obj["metadata"].get("namespace") == namespace
            and any(item.get("uid") == uid for item in obj["metadata"].get("ownerReferences") or ())
        ]

    def create(self, kind: Kind, obj: Object, owner: Object) -> Object | None:
        """Create an object that another controls; None when that was not possible."""
        obj = copy.deepcopy(obj)
        obj["metadata"]["ownerReferences"] = [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
        try:
            return self._operations.create(kind, owner["metadata"]["namespace"], obj, CONTROLLERS)
        except StatusError:
            return None

    def update(
        self, kind: Kind, obj: Object, change: dict[str, Any], write: Write = CONTROLLERS, *, status: bool = False
    ) -> None:
        """Merge fields into an object; changes of `status`, and others if so asked, go to the subresource."""
        live = self.get(kind, key_of(obj))
        if live is None:
            return
        part = "status" if status or "status" in change else ""
        new = {**copy.deepcopy(live), **change} if "status" in change else _merged(live, change)
        new["apiVersion"], new["kind"] = kind.api_version, kind.kind
        try:
            self._operations.update(kind, key_of(obj), new, write, part)
        except StatusError:
            return

    def delete(self, kind: Kind, obj: Object) -> None:
        """Delete an object; no error when it is gone."""
        try:
            self._operations.delete(kind, key_of(obj))
        except StatusError:
            return

    def event(self, about: Object, type_: str, reason: str, message: str, component: str) -> None:
        """Record an Event; the same one again raises its count."""
        kind = self.kind("", "events")
        metadata = about["metadata"]
        namespace = metadata.get("namespace") or "default"
        for found in self._store.all(kind.store):
            involved = found.get("involvedObject") or {}
            if (involved.get("uid"), found.get("reason"), found.get("message")) == (metadata["uid"], reason, message):
                change = {"count": found.get("count", 1) + 1, "lastTimestamp": self.now()}
                self.update(kind, found, change, Write(manager=component))
                return
        event = {
            "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": metadata["name"],
                "namespace": metadata.get("namespace", ""),
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
            "type": type_,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": self.now(),
            "lastTimestamp": self.now(),
            "source": {"component": component},
            "reportingComponent": component,
            "reportingInstance": "",
        }
        try:
            self._operations.create(kind, namespace, event, Write(manager=component))
        except StatusError:
            return


def _merged(live: Object, change: dict[str, Any]) -> Object:
    new = copy.deepcopy(live)
    for name, value in change.items():
        if isinstance(value, dict) and isinstance(new.get(name), dict):
            new[name] = _merged(new[name], value)
        else:
            new[name] = value
    return new


def condition(
    old: list[Object], type_: str, status: bool, reason: str, message: str, now: str, *, updated: bool = False
) -> Object:
    """A condition; its transition time stays while its status does."""
    before = next((item for item in old if item["type"] == type_), None)
    text = "True" if status else "False"
    same = before is not None and before["status"] == text
    found: Object = {
        "type": type_,
        "status": text,
        "reason": reason,
        "message": message,
        "lastTransitionTime": before["lastTransitionTime"] if before is not None and same else now,
    }
    if updated:
        kept = before is not None and same and before["reason"] == reason
        found["lastUpdateTime"] = before["lastUpdateTime"] if before is not None and kept else now
    return {name: value for name, value in found.items() if value != ""}
