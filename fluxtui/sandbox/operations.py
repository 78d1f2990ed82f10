"""What may be done to objects: create, update, patch, apply, delete; the same for HTTP and for the simulation."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from fluxtui.sandbox import statuses
from fluxtui.sandbox.admission import check, check_deletion, complete, prepare
from fluxtui.sandbox.apply import refusal, server_side_apply
from fluxtui.sandbox.fieldsets import ElementError
from fluxtui.sandbox.kinds import Kind, Kinds
from fluxtui.sandbox.managedfields import reset_fields, update_managed_fields
from fluxtui.sandbox.merging import ApplyError
from fluxtui.sandbox.metadata import check_kept
from fluxtui.sandbox.patches import APPLY_PATCH, patched
from fluxtui.sandbox.store import Key, Object, Store, key_of

NAMESPACE = "kubernetes"
_SERVER_FIELDS = ("uid", "creationTimestamp", "resourceVersion", "generation", "deletionTimestamp", "selfLink")


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """How a write is made."""

    manager: str = "unknown"
    dry_run: bool = False
    force: bool = False
    validation: str = "Warn"
    """fieldValidation: Strict, Warn or Ignore."""
    repeated: tuple[str, ...] = ()
    """Paths of fields that the body had twice."""


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """How an object is deleted."""

    propagation: str = "Background"
    """Background, Foreground or Orphan."""
    preconditions: Object = {}
    """uid and resourceVersion that it must have."""
    dry_run: bool = False


DELETION = Deletion()


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
            raise statuses.plain_error("resourceVersion should not be set on objects to be created")
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                cause = {"reason": "FieldValueRequired", "field": "metadata.name",
                         "message": "Required value: name or generateName is required"}  # fmt: skip
                raise statuses.invalid("", kind.group, kind.kind, [cause])
            metadata["name"] = f"{metadata['generateName']}{uuid.uuid4().hex[:5]}"
        for field in _SERVER_FIELDS:
            metadata.pop(field, None)
        return self._insert(kind, obj, write)

    def _insert(self, kind: Kind, obj: Object, write: Write, *, applied: bool = False) -> Object:
        metadata = obj["metadata"]
        self._namespace_is_open(kind, metadata)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = self.now()
        if kind.has_generation:
            metadata["generation"] = 1
        obj = self._read(kind, obj, write)
        if not applied:
            self._own(kind, None, obj, write.manager, "")
        prepare(kind, obj, None)
        check(kind, obj, None)
        metadata = obj["metadata"]
        if self.store.get(kind.store, key_of(obj)) is not None:
            raise statuses.already_exists(metadata["name"], kind.group, kind.plural)
        if write.dry_run:
            metadata.pop("resourceVersion", None)
            return obj
        return self.store.put(kind.store, obj)

    def update(self, kind: Kind, key: Key, obj: Object, write: Write, subresource: str = "") -> Object:
        """Replace an object, or its status. Raises StatusError."""
        live = self.get(kind, key)
        obj = copy.deepcopy(obj)
        metadata = self._meta(kind, obj, key[0])
        _named(metadata, key)
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
        changed = patched(kind, self._as_version(kind, live), content_type, patch)
        if (changed.get("apiVersion"), changed.get("kind")) != (kind.api_version, kind.kind):
            raise statuses.invalid_patch(f"{changed.get('apiVersion')}, Kind={changed.get('kind')} is not served here")
        if not isinstance(changed.get("metadata"), dict) or not changed["metadata"].get("name"):
            message = f"the name of the object ({key[1]} based on URL) was undeterminable: name must be provided"
            raise statuses.bad_request(message)
        metadata = self._meta(kind, changed, key[0])
        _named(metadata, key)
        version = metadata.get("resourceVersion")
        if version != live["metadata"]["resourceVersion"] and version:
            raise self._lost_race(kind, key)
        try:
            return self._store(kind, live, changed, write, subresource), False
        except statuses.StatusError as error:
            if error.code == 400:
                raise statuses.invalid_patch(str(error)) from error
            raise

    def _apply(
        self, kind: Kind, key: Key, live: Object | None, patch: Any, write: Write, subresource: str
    ) -> tuple[Object, bool]:
        said = (patch.get("apiVersion") or "", patch.get("kind") or "") if isinstance(patch, dict) else ("", "")
        if said != (kind.api_version, kind.kind):
            raise statuses.bad_request(f"invalid object type: {_qualified(said[0])}, Kind={said[1]}")
        if (patch.get("metadata") or {}).get("managedFields"):
            raise statuses.bad_request("metadata.managedFields must be nil")
        applied = copy.deepcopy(patch)
        where = str((patch.get("metadata") or {}).get("namespace") or "")
        metadata = self._meta(kind, applied, key[0])
        metadata.setdefault("name", key[1])
        _named(metadata, key)
        if subresource and live is None:
            raise statuses.not_found(key[1], kind.group, kind.plural)
        if metadata.get("uid") and (live is None or metadata["uid"] != live["metadata"]["uid"]):
            found = f"the existing object has uid {live['metadata']['uid']}" if live else "no existing object was found"
            message = f"uid mismatch: the provided object specified uid {metadata['uid']}, and {found}"
            raise statuses.conflict(key[1], kind.group, kind.plural, message)
        version = metadata.pop("resourceVersion", None)
        if version and live is not None and version != live["metadata"]["resourceVersion"]:
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
            what = f"({where}/{key[1]}; {_qualified(kind.api_version)}, Kind={kind.kind})"
            raise statuses.plain_error(f"failed to create typed patch object {what}: {error}") from error
        if conflicts:
            raise refusal(conflicts)
        if live is None:
            return self._insert(kind, merged, write, applied=True), True
        return self._store(kind, live, merged, write, subresource, applied=True), False

    def _store(
        self, kind: Kind, live: Object, obj: Object, write: Write, subresource: str, *, applied: bool = False
    ) -> Object:
        """Check and store a changed object; one that is the same is not written."""
        before, after = live["metadata"], obj["metadata"]
        causes = check_kept(after, before)
        if causes:
            raise statuses.invalid(before["name"], kind.group, kind.kind, causes)
        for field in ("uid", "creationTimestamp", "deletionTimestamp", "generation", "deletionGracePeriodSeconds"):
            if field in before:
                after[field] = before[field]
            else:
                after.pop(field, None)
        after["resourceVersion"] = before["resourceVersion"]
        after["name"] = before["name"]
        obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind
        cleared = after.get("managedFields") == []
        obj = self._read(kind, obj, write)
        if cleared:
            obj["metadata"]["managedFields"] = []
        if not applied:
            self._own(kind, live, obj, write.manager, subresource)
        obj = self._reset(kind, obj, live, subresource)
        prepare(kind, obj, live)
        check(kind, obj, live)
        if "generation" in before and subresource != "status" and _content(kind, obj) != _content(kind, live):
            obj["metadata"]["generation"] = int(before["generation"]) + 1
        if obj == live or _same(obj, live):
            return live
        if write.dry_run:
            return obj
        held = bool(obj["metadata"].get("finalizers"))
        held = held or (kind.plural == "namespaces" and bool((obj.get("spec") or {}).get("finalizers")))
        if obj["metadata"].get("deletionTimestamp") and not held:
            self.store.put(kind.store, obj)
            return self.store.remove(kind.store, key_of(obj))
        return self.store.put(kind.store, obj)

    def _reset(self, kind: Kind, obj: Object, live: Object, subresource: str) -> Object:
        """The object with what the request can't change as it was."""
        if subresource == "status":
            metadata = {**(live["metadata"] if kind.custom else obj["metadata"])}
            metadata.pop("managedFields", None)
            if "managedFields" in obj["metadata"]:
                metadata["managedFields"] = obj["metadata"]["managedFields"]
            metadata["labels"] = live["metadata"].get("labels") or {}
            if not metadata["labels"]:
                del metadata["labels"]
            return {**copy.deepcopy(live), "metadata": copy.deepcopy(metadata), "status": obj.get("status", {})}
        if kind.has_status:
            obj.pop("status", None)
            if "status" in live:
                obj["status"] = copy.deepcopy(live["status"])
        return obj

    def delete(self, kind: Kind, key: Key, deletion: Deletion = DELETION) -> tuple[Object, bool]:
        """Delete an object; the object and whether it is gone already. Raises StatusError."""
        live = self.get(kind, key)
        check_deletion(kind, key[1])
        for field in ("uid", "resourceVersion"):
            wanted = deletion.preconditions.get(field)
            found = live["metadata"].get(field)
            if wanted and wanted != found:
                label, happened = (
                    ("UID", "deleted and then recreated") if field == "uid" else ("ResourceVersion", "modified")
                )
                message = (
                    f"the {label} in the precondition ({wanted}) does not match the {label} in record ({found}). "
                    f"The object might have been {happened}"
                )
                raise statuses.conflict(key[1], "", kind.kind, message)
        finalizers = list(live["metadata"].get("finalizers") or [])
        extra = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(deletion.propagation)
        obj = copy.deepcopy(live)
        if extra and extra not in finalizers:
            finalizers.append(extra)
            obj["metadata"]["finalizers"] = finalizers
        holds = bool(finalizers) or (kind.plural == "namespaces" and bool((obj.get("spec") or {}).get("finalizers")))
        if not holds:
            return (live if deletion.dry_run else self.store.remove(kind.store, key)), True
        if not obj["metadata"].get("deletionTimestamp"):
            obj["metadata"]["deletionTimestamp"] = self.now()
            obj["metadata"]["deletionGracePeriodSeconds"] = 0
            if "generation" in obj["metadata"]:
                obj["metadata"]["generation"] += 1
            if kind.plural == "namespaces":
                obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
        if obj != live and not deletion.dry_run:
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
        warnings = [f'duplicate field "{path}"' for path in write.repeated]
        warnings += [f'unknown field "{path}"' for path in unknown]
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
                now="" if subresource == "scale" else self.now(),
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


def _named(metadata: Object, key: Key) -> None:
    """Raise StatusError 400 when an object has not the name that it is sent under."""
    if metadata.get("name") != key[1]:
        raise statuses.bad_request(
            f"the name of the object ({metadata.get('name', '')}) does not match the name on the URL ({key[1]})"
        )


def _qualified(api_version: str) -> str:
    """A version with its group, also where that is empty, as messages about types write it."""
    return api_version if "/" in api_version else f"/{api_version}"


def _content(kind: Kind, obj: Object) -> Object:
    """What counts as a new generation when it changes."""
    found = {name: value for name, value in obj.items() if name not in ("metadata", "status", "apiVersion", "kind")}
    if kind.plural == "deployments" and not kind.custom:
        found["metadata"] = obj["metadata"].get("annotations") or {}
    return found


def _same(new: Object, old: Object) -> bool:
    """Whether two states differ in nothing but the times of managedFields."""

    def plain(obj: Object) -> Object:
        metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
        fields = [
            {k: v for k, v in entry.items() if k != "time"} for entry in obj["metadata"].get("managedFields") or []
        ]
        return {**obj, "apiVersion": "", "kind": "", "metadata": {**metadata, "managedFields": fields}}

    return plain(new) == plain(old)
