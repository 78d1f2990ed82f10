"""What may be done to objects: create, update, patch, apply, delete; the same for HTTP and for the simulation."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from fluxtui.sandbox import statuses
from fluxtui.sandbox.admission import check, complete, prepare
from fluxtui.sandbox.apply import Conflict, server_side_apply
from fluxtui.sandbox.fieldsets import ElementError
from fluxtui.sandbox.jsonpatch import JsonPatchError, apply_json_patch
from fluxtui.sandbox.kinds import Kind, Kinds
from fluxtui.sandbox.managedfields import reset_fields, update_managed_fields
from fluxtui.sandbox.mergepatch import merge_patch
from fluxtui.sandbox.merging import ApplyError
from fluxtui.sandbox.store import Key, Object, Store
from fluxtui.sandbox.strategic import StrategicMergeError, strategic_merge

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCHES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
NAMESPACE = "kubernetes"
_SERVER_FIELDS = ("uid", "creationTimestamp", "resourceVersion", "generation", "deletionTimestamp", "selfLink")
_WITHOUT_GENERATION = frozenset({"configmaps", "secrets", "events", "namespaces", "serviceaccounts", "leases", "nodes"})


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """How a write is made."""

    manager: str = "unknown"
    dry_run: bool = False
    force: bool = False
    validation: str = "Warn"
    """fieldValidation: Strict, Warn or Ignore."""


class Operations:
    """Writes of one server."""

    def __init__(self, store: Store, kinds: Kinds, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.store = store
        self.kinds = kinds
        self.clock = clock
        self.warnings: list[str] = []
        """About the last write; the HTTP layer takes them."""

    def now(self) -> str:
        """The time as objects have it."""
        return self.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def get(self, kind: Kind, key: Key) -> Object:
        """An object as stored. Raises StatusError 404."""
        found = self.store.get(kind.store, key)
        if found is None:
            raise statuses.not_found(key[1], kind.group, kind.plural)
        return found

    def create(self, kind: Kind, namespace: str, obj: Object, write: Write) -> Object:
        """Create an object. Raises StatusError."""
        obj = copy.deepcopy(obj)
        metadata = self._meta(kind, obj, namespace)
        if metadata.get("resourceVersion"):
            raise statuses.bad_request("resourceVersion should not be set on objects to be created")
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                cause = {"reason": "FieldValueRequired", "field": "metadata.name",
                         "message": "Required value: name or generateName is required"}  # fmt: skip
                raise statuses.invalid("", kind.group, kind.kind, [cause])
            metadata["name"] = f"{metadata['generateName']}{uuid.uuid4().hex[:5]}"
        for field in _SERVER_FIELDS:
            metadata.pop(field, None)
        key = (namespace if kind.namespaced else "", metadata["name"])
        if self.store.get(kind.store, key) is not None:
            raise statuses.already_exists(key[1], kind.group, kind.plural)
        return self._insert(kind, obj, write)

    def _insert(self, kind: Kind, obj: Object, write: Write, *, applied: bool = False) -> Object:
        metadata = obj["metadata"]
        self._namespace_is_open(kind, metadata)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = self.now()
        if kind.plural not in _WITHOUT_GENERATION:
            metadata["generation"] = 1
        obj = self._read(kind, obj, write)
        if not applied:
            self._own(kind, None, obj, write.manager, "")
        prepare(kind, obj, None)
        check(kind, obj, None)
        metadata = obj["metadata"]
        if write.dry_run:
            metadata.pop("resourceVersion", None)
            return obj
        return self.store.put(kind.store, obj)

    def update(self, kind: Kind, key: Key, obj: Object, write: Write, subresource: str = "") -> Object:
        """Replace an object, or its status. Raises StatusError."""
        live = self.get(kind, key)
        obj = copy.deepcopy(obj)
        metadata = self._meta(kind, obj, key[0])
        if metadata.get("name") != key[1]:
            raise statuses.bad_request(
                f"the name of the object ({metadata.get('name')}) does not match the name on the URL ({key[1]})"
            )
        version = metadata.get("resourceVersion")
        if version and version != live["metadata"]["resourceVersion"]:
            raise self._lost_race(kind, key)
        if metadata.get("uid") and metadata["uid"] != live["metadata"]["uid"]:
            message = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: "
            raise statuses.conflict(key[1], kind.group, kind.plural, message + live["metadata"]["uid"])
        return self._store(kind, live, obj, write, subresource)

    def patch(
        self, kind: Kind, key: Key, content_type: str, patch: Any, write: Write, subresource: str = ""
    ) -> tuple[Object, bool]:
        """Patch an object, or its status; the object and whether it was created. Raises StatusError."""
        live = self.store.get(kind.store, key)
        if content_type == APPLY_PATCH:
            return self._apply(kind, key, live, patch, write, subresource)
        if live is None:
            raise statuses.not_found(key[1], kind.group, kind.plural)
        base = self._as_version(kind, live)
        try:
            if content_type == JSON_PATCH:
                changed = apply_json_patch(base, patch)
            elif content_type == MERGE_PATCH:
                changed = merge_patch(base, patch)
            elif kind.custom:
                raise statuses.unsupported_media_type(content_type, (JSON_PATCH, MERGE_PATCH, APPLY_PATCH))
            else:
                changed = strategic_merge(base, patch, kind.schema)
        except JsonPatchError as error:
            message = f"the server rejected our request due to an error in our request: {error}"
            raise statuses.StatusError(422, "Invalid", message, {}) from error
        except StrategicMergeError as error:
            raise statuses.bad_request(str(error)) from error
        if not isinstance(changed, dict) or not isinstance(changed.get("metadata"), dict):
            raise statuses.bad_request("the patch leaves no object")
        version = changed["metadata"].get("resourceVersion")
        if version != live["metadata"]["resourceVersion"] and version:
            raise self._lost_race(kind, key)
        return self._store(kind, live, changed, write, subresource), False

    def _apply(
        self, kind: Kind, key: Key, live: Object | None, patch: Any, write: Write, subresource: str
    ) -> tuple[Object, bool]:
        if not isinstance(patch, dict) or not patch.get("apiVersion") or not patch.get("kind"):
            raise statuses.bad_request("Object 'Kind' is missing in the patch, or apiVersion")
        if patch.get("metadata", {}).get("managedFields"):
            raise statuses.bad_request("metadata.managedFields must be nil")
        applied = copy.deepcopy(patch)
        metadata = self._meta(kind, applied, key[0])
        metadata.setdefault("name", key[1])
        if subresource and live is None:
            raise statuses.not_found(key[1], kind.group, kind.plural)
        if metadata.get("uid") and (live is None or metadata["uid"] != live["metadata"]["uid"]):
            raise statuses.conflict(key[1], kind.group, kind.plural, "uid mismatch")
        version = metadata.pop("resourceVersion", None)
        if version and (live is None or version != live["metadata"]["resourceVersion"]):
            raise self._lost_race(kind, key)
        try:
            merged, conflicts = server_side_apply(
                self._as_version(kind, live) if live is not None else None,
                applied,
                manager=write.manager,
                force=write.force,
                schema=kind.schema,
                now=self.now(),
                subresource=subresource,
                ignored=reset_fields(custom=kind.custom, has_status=kind.has_status, subresource=subresource),
            )
        except ApplyError as error:
            what = f"({key[0]}/{key[1]}; {kind.api_version}, Kind={kind.kind})"
            raise statuses.internal_error(f"failed to create typed patch object {what}: {error}") from error
        if conflicts:
            raise _conflict(conflicts)
        if live is None:
            return self._insert(kind, merged, write, applied=True), True
        return self._store(kind, live, merged, write, subresource, applied=True), False

    def _store(
        self, kind: Kind, live: Object, obj: Object, write: Write, subresource: str, *, applied: bool = False
    ) -> Object:
        """Check and store a changed object; one that is the same is not written."""
        before, after = live["metadata"], obj["metadata"]
        for field in ("uid", "creationTimestamp", "deletionTimestamp", "generation", "deletionGracePeriodSeconds"):
            if field in before:
                after[field] = before[field]
            else:
                after.pop(field, None)
        after["resourceVersion"] = before["resourceVersion"]
        after["name"] = before["name"]
        obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind
        obj = self._read(kind, obj, write)
        if not applied:
            self._own(kind, live, obj, write.manager, subresource)
        obj = self._reset(kind, obj, live, subresource)
        prepare(kind, obj, live)
        check(kind, obj, live)
        if kind.plural not in _WITHOUT_GENERATION and not subresource and _content(obj) != _content(live):
            obj["metadata"]["generation"] = int(before.get("generation", 0)) + 1
        if obj == live or _same(obj, live):
            return live
        if write.dry_run:
            return obj
        held = bool(obj["metadata"].get("finalizers"))
        held = held or (kind.plural == "namespaces" and bool((obj.get("spec") or {}).get("finalizers")))
        if obj["metadata"].get("deletionTimestamp") and not held:
            self.store.put(kind.store, obj)
            return self.store.remove(kind.store, _key(obj))
        return self.store.put(kind.store, obj)

    def _reset(self, kind: Kind, obj: Object, live: Object, subresource: str) -> Object:
        """The object with what the request can't change as it was."""
        if subresource == "status":
            metadata = {**(live["metadata"] if kind.custom else obj["metadata"])}
            metadata.pop("managedFields", None)
            if "managedFields" in obj["metadata"]:
                metadata["managedFields"] = obj["metadata"]["managedFields"]
            if "labels" in live["metadata"]:
                metadata["labels"] = live["metadata"]["labels"]
            return {**copy.deepcopy(live), "metadata": copy.deepcopy(metadata), "status": obj.get("status", {})}
        if kind.has_status:
            obj.pop("status", None)
            if "status" in live:
                obj["status"] = copy.deepcopy(live["status"])
        return obj

    def delete(
        self,
        kind: Kind,
        key: Key,
        *,
        propagation: str = "Background",
        preconditions: Object | None = None,
        dry_run: bool = False,
    ) -> tuple[Object, bool]:
        """Delete an object; the object and whether it is gone already. Raises StatusError."""
        live = self.get(kind, key)
        for field in ("uid", "resourceVersion"):
            wanted = (preconditions or {}).get(field)
            if wanted and wanted != live["metadata"].get(field):
                label = "UID" if field == "uid" else "ResourceVersion"
                message = f"Precondition failed: {label} in precondition: {wanted}, {label} in object meta: "
                raise statuses.conflict(key[1], kind.group, kind.plural, message + str(live["metadata"].get(field)))
        if dry_run:
            return live, True
        finalizers = list(live["metadata"].get("finalizers") or [])
        extra = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(propagation)
        obj = copy.deepcopy(live)
        if extra and extra not in finalizers:
            finalizers.append(extra)
            obj["metadata"]["finalizers"] = finalizers
        holds = bool(finalizers) or (kind.plural == "namespaces" and bool((obj.get("spec") or {}).get("finalizers")))
        if not holds:
            return self.store.remove(kind.store, key), True
        if not obj["metadata"].get("deletionTimestamp"):
            obj["metadata"]["deletionTimestamp"] = self.now()
            obj["metadata"]["deletionGracePeriodSeconds"] = 0
            if "generation" in obj["metadata"]:
                obj["metadata"]["generation"] += 1
            if kind.plural == "namespaces":
                obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
        if obj != live:
            obj = self.store.put(kind.store, obj)
        return obj, False

    def finish(self, kind: Kind, key: Key, finalizer: str) -> None:
        """Take one finalizer off an object; it goes when it was the last of a deleted one."""
        live = self.store.get(kind.store, key)
        if live is None or finalizer not in (live["metadata"].get("finalizers") or []):
            return
        obj = copy.deepcopy(live)
        obj["metadata"]["finalizers"].remove(finalizer)
        if not obj["metadata"]["finalizers"]:
            del obj["metadata"]["finalizers"]
        self._store(kind, live, obj, Write(manager="kube-controller-manager"), "")

    def _meta(self, kind: Kind, obj: Object, namespace: str) -> Object:
        """Check that an object belongs to where it is sent; its metadata."""
        if not isinstance(obj, dict):
            raise statuses.bad_request("the body is not an object")
        said = obj.get("apiVersion"), obj.get("kind")
        obj.setdefault("apiVersion", kind.api_version)
        obj.setdefault("kind", kind.kind)
        if said[1] not in (None, kind.kind) or said[0] not in (None, kind.api_version):
            message = f"{said[1]} in version {said[0]!r} cannot be handled as a {kind.kind}"
            raise statuses.bad_request(message)
        if not isinstance(obj.get("metadata"), dict):
            obj["metadata"] = {}
        metadata: Object = obj["metadata"]
        if kind.namespaced:
            if metadata.get("namespace", namespace) != namespace:
                raise statuses.bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            metadata["namespace"] = namespace
        elif metadata.get("namespace"):
            metadata.pop("namespace")
        return metadata

    def _namespace_is_open(self, kind: Kind, metadata: Object) -> None:
        if not kind.namespaced:
            return
        found = self.store.get(("", "namespaces"), ("", metadata["namespace"]))
        if found is None:
            raise statuses.not_found(metadata["namespace"], "", "namespaces")
        if found["metadata"].get("deletionTimestamp"):
            message = (
                f"unable to create new content in namespace {metadata['namespace']} because it is being terminated"
            )
            raise statuses.forbidden(metadata.get("name", ""), kind.group, kind.plural, message)

    def _read(self, kind: Kind, obj: Object, write: Write) -> Object:
        """An object as its type has it, with defaults. Raises StatusError 400, also for unknown fields if so asked."""
        obj, unknown = complete(kind, obj)
        warnings = [f'unknown field "{path}"' for path in unknown]
        if warnings and write.validation == "Strict":
            raise statuses.bad_request(
                f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: strict decoding error: '
                + ", ".join(warnings)
            )
        self.warnings = warnings if write.validation == "Warn" else []
        return obj

    def _own(self, kind: Kind, before: Object | None, after: Object, manager: str, subresource: str) -> None:
        """Keep managedFields; a list that can't be tracked leaves them as they were."""
        try:
            update_managed_fields(
                self._as_version(kind, before) if before is not None else None,
                after,
                manager=manager,
                api_version=kind.api_version,
                subresource=subresource,
                schema=kind.schema,
                now=self.now(),
                ignored=reset_fields(custom=kind.custom, has_status=kind.has_status, subresource=subresource),
            )
        except ElementError:
            after["metadata"].pop("managedFields", None)
            if before is not None and "managedFields" in before["metadata"]:
                after["metadata"]["managedFields"] = before["metadata"]["managedFields"]

    def _as_version(self, kind: Kind, obj: Object) -> Object:
        return {**copy.deepcopy(obj), "apiVersion": kind.api_version, "kind": kind.kind}

    def _lost_race(self, kind: Kind, key: Key) -> statuses.StatusError:
        message = "the object has been modified; please apply your changes to the latest version and try again"
        return statuses.conflict(key[1], kind.group, kind.plural, message)


def _conflict(conflicts: list[Conflict]) -> statuses.StatusError:
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {item.who}", "field": item.field}
        for item in conflicts
    ]
    if len(conflicts) == 1:
        text = f"1 conflict: conflict with {conflicts[0].who}: {conflicts[0].field}"
    else:
        owners: dict[str, list[str]] = {}
        for item in conflicts:
            owners.setdefault(item.who, []).append(item.field)
        lines = [
            line for who, paths in owners.items() for line in (f"conflicts with {who}:", *(f"- {p}" for p in paths))
        ]
        text = f"{len(conflicts)} conflicts: " + "\n".join(lines)
    return statuses.apply_conflict(f"Apply failed with {text}", causes)


def _content(obj: Object) -> Object:
    return {name: value for name, value in obj.items() if name not in ("metadata", "status", "apiVersion", "kind")}


def _same(new: Object, old: Object) -> bool:
    """Whether two states differ in nothing but the times of managedFields."""

    def plain(obj: Object) -> Object:
        metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
        fields = [
            {k: v for k, v in entry.items() if k != "time"} for entry in obj["metadata"].get("managedFields") or []
        ]
        return {**obj, "apiVersion": "", "kind": "", "metadata": {**metadata, "managedFields": fields}}

    return plain(new) == plain(old)


def _key(obj: Object) -> Key:
    return obj["metadata"].get("namespace") or "", obj["metadata"]["name"]
