"""What a cluster does by itself: owner garbage collection, namespaces that end, CRDs that begin and end.

Listens to the store and works in the loop's next turns, so that a write never waits for its consequences.
"""

from __future__ import annotations

import asyncio
import copy
from typing import Any

from fluxtui.sandbox import schema
from fluxtui.sandbox.kinds import Kind
from fluxtui.sandbox.operations import Operations, Write
from fluxtui.sandbox.statuses import StatusError
from fluxtui.sandbox.store import Change, Object, key_of

CRDS = ("apiextensions.k8s.io", "customresourcedefinitions")
NAMESPACES = ("", "namespaces")
_MANAGER = Write(manager="kube-controller-manager")
_CRD_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


class Lifecycle:
    """Consequences of writes, for one server."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._store = operations.store
        self._changes: asyncio.Queue[Change] = asyncio.Queue()
        self._stop = self._store.subscribe(self._changes.put_nowait)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                self._handle(await self._changes.get())
        finally:
            self._stop()

    def _handle(self, change: Change) -> None:
        try:
            if change.store == CRDS:
                self._definition(change)
            if change.type == "DELETED":
                self._collect(change.object)
            elif change.object["metadata"].get("deletionTimestamp"):
                self._deleting(change)
            elif change.type == "ADDED":
                self._orphan(change)
            if change.type == "ADDED" and change.store == NAMESPACES:
                self._service_account(change.object["metadata"]["name"])
            self._namespace_may_end(change)
        except StatusError:
            # Somebody was faster: the next change brings the state that is.
            return

    def _definition(self, change: Change) -> None:
        """Serve, or stop serving, a custom resource."""
        crd = change.object
        name = (crd["spec"]["group"], crd["spec"]["names"]["plural"])
        if change.type == "DELETED":
            self._operations.kinds.define(name, [])
            return
        if crd["metadata"].get("deletionTimestamp"):
            return
        self._operations.kinds.define(name, kinds_of(crd))
        status = crd.get("status") or {}
        if not any(item["type"] == "Established" for item in status.get("conditions") or ()):
            self._establish(crd)

    def _establish(self, crd: Object) -> None:
        kind = self._kind(CRDS)
        live = self._store.get(CRDS, key_of(crd))
        if kind is None or live is None:
            return
        new = copy.deepcopy(live)
        now = self._operations.now()

        def condition(type_: str, reason: str, message: str) -> Object:
            return {"lastTransitionTime": now, "message": message, "reason": reason, "status": "True", "type": type_}

        new["status"] = {
            "acceptedNames": {**new["spec"]["names"]},
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
            "storedVersions": [item["name"] for item in new["spec"]["versions"] if item.get("storage")],
        }
        self._operations.update(kind, key_of(new), new, Write(manager="kube-apiserver"), "status")
        self._add_finalizer(kind, key_of(new))

    def _add_finalizer(self, kind: Kind, key: tuple[str, str]) -> None:
        live = self._operations.get(kind, key)
        new = copy.deepcopy(live)
        new["metadata"]["finalizers"] = [*(new["metadata"].get("finalizers") or []), _CRD_FINALIZER]
        self._operations.update(kind, key, new, Write(manager="kube-apiserver"))

    def _deleting(self, change: Change) -> None:
        """Work off the finalizers that the cluster itself has put on an object."""
        obj = change.object
        finalizers = obj["metadata"].get("finalizers") or []
        kind = self._kind(change.store)
        if kind is None:
            return
        if "orphan" in finalizers:
            for child_kind, child in self._children(obj):
                self._disown(child_kind, child, obj)
            self._operations.finish(kind, key_of(obj), "orphan")
        elif "foregroundDeletion" in finalizers:
            for child_kind, child in self._children(obj):
                self._delete(child_kind, child)
            if not self._children(obj):
                self._operations.finish(kind, key_of(obj), "foregroundDeletion")
        elif _CRD_FINALIZER in finalizers and change.store == CRDS:
            name = (obj["spec"]["group"], obj["spec"]["names"]["plural"])
            custom = self._kind(name)
            for item in self._store.all(name):
                if custom is not None:
                    self._delete(custom, item)
            if not self._store.all(name):
                self._operations.finish(kind, key_of(obj), _CRD_FINALIZER)

    def _collect(self, owner: Object) -> None:
        """Delete what has no owner left, and look again at owners and definitions that wait for the deleted object."""
        for kind, child in self._children(owner):
            others = [
                reference
                for reference in child["metadata"].get("ownerReferences") or ()
                if reference["uid"] != owner["metadata"]["uid"] and self._exists(reference, child)
            ]
            if not others:
                self._delete(kind, child)
        for reference in owner["metadata"].get("ownerReferences") or ():
            for store, obj in self._store.everything():
                if obj["metadata"]["uid"] == reference["uid"] and obj["metadata"].get("deletionTimestamp"):
                    self._deleting(Change(0, "MODIFIED", store, obj, None))
        group = str(owner.get("apiVersion", "")).rpartition("/")[0]
        for crd in self._store.all(CRDS):
            same = (crd["spec"]["group"], crd["spec"]["names"]["kind"]) == (group, owner.get("kind"))
            if same and crd["metadata"].get("deletionTimestamp"):
                self._deleting(Change(0, "MODIFIED", CRDS, crd, None))

    def _orphan(self, change: Change) -> None:
        """Delete a new object whose owners do not exist."""
        references = change.object["metadata"].get("ownerReferences") or ()
        if references and not any(self._exists(reference, change.object) for reference in references):
            kind = self._kind(change.store)
            if kind is not None:
                self._delete(kind, change.object)

    def _namespace_may_end(self, change: Change) -> None:
        """Empty a namespace that is being deleted, and let it go once it is empty."""
        if change.store == NAMESPACES:
            name, namespace = change.object["metadata"]["name"], change.object
        else:
            name = change.object["metadata"].get("namespace") or ""
            found = self._store.get(NAMESPACES, ("", name)) if name and change.type == "DELETED" else None
            if found is None:
                return
            namespace = found
        if change.store == NAMESPACES and change.type == "DELETED":
            return
        if not namespace["metadata"].get("deletionTimestamp"):
            return
        left = False
        for store, obj in self._store.everything():
            if (obj["metadata"].get("namespace") or "") != name:
                continue
            kind = self._kind(store)
            if kind is not None and not obj["metadata"].get("deletionTimestamp"):
                self._delete(kind, obj)
            left = left or self._store.get(store, key_of(obj)) is not None
        if not left:
            self._end(name)

    def _end(self, name: str) -> None:
        live = self._store.get(NAMESPACES, ("", name))
        kind = self._kind(NAMESPACES)
        if live is None or kind is None:
            return
        new = copy.deepcopy(live)
        new["spec"]["finalizers"] = []
        if new["metadata"].get("finalizers"):
            self._store.put(NAMESPACES, new)
        else:
            self._store.remove(NAMESPACES, ("", name))

    def _service_account(self, namespace: str) -> None:
        kind = self._kind(("", "serviceaccounts"))
        if kind is not None and self._store.get(kind.store, (namespace, "default")) is None:
            self._operations.create(kind, namespace, {"metadata": {"name": "default"}}, _MANAGER)

    def _children(self, owner: Object) -> list[tuple[Kind, Object]]:
        uid = owner["metadata"]["uid"]
        found = []
        for store, obj in self._store.everything():
            if any(item.get("uid") == uid for item in obj["metadata"].get("ownerReferences") or ()):
                kind = self._kind(store)
                if kind is not None:
                    found.append((kind, obj))
        return found

    def _disown(self, kind: Kind, child: Object, owner: Object) -> None:
        new = copy.deepcopy(child)
        uid = owner["metadata"]["uid"]
        new["metadata"]["ownerReferences"] = [item for item in new["metadata"]["ownerReferences"] if item["uid"] != uid]
        self._operations.update(kind, key_of(child), new, _MANAGER)

    def _exists(self, reference: dict[str, Any], child: Object) -> bool:
        kind = self._operations.kinds.by_kind(reference.get("apiVersion", ""), reference.get("kind", ""))
        if kind is None:
            return True
        namespace = child["metadata"].get("namespace") or "" if kind.namespaced else ""
        found = self._store.get(kind.store, (namespace, reference["name"]))
        return found is not None and found["metadata"]["uid"] == reference["uid"]

    def _delete(self, kind: Kind, obj: Object) -> None:
        try:
            self._operations.delete(kind, key_of(obj))
        except StatusError:
            return

    def _kind(self, store: tuple[str, str]) -> Kind | None:
        return next((kind for kind in self._operations.kinds if kind.store == store and kind.storage), None)


def kinds_of(crd: Object) -> list[Kind]:
    """The resources that a CRD defines, a version each."""
    spec, names = crd["spec"], crd["spec"]["names"]
    return [
        Kind(
            group=spec["group"],
            version=version["name"],
            kind=names["kind"],
            plural=names["plural"],
            namespaced=spec.get("scope") == "Namespaced",
            schema=schema.custom(openapi := (version.get("schema") or {}).get("openAPIV3Schema") or {}),
            singular=names.get("singular") or names["kind"].lower(),
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            has_status="status" in (version.get("subresources") or {}),
            has_scale="scale" in (version.get("subresources") or {}),
            openapi=openapi,
            columns=tuple(version.get("additionalPrinterColumns") or ()),
            storage=bool(version.get("storage")),
        )
        for version in spec["versions"]
        if version.get("served", True)
    ]
