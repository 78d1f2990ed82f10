"""What the server makes of an object before it is stored: defaults, what must not change, what is not valid.

Of the built-in kinds only what clients and health checks depend on; of custom resources what their schema says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fluxtui.sandbox.configuration import EncodingError, check_encoding, check_keys, check_type
from fluxtui.sandbox.decoding import DecodeError, decode, fill
from fluxtui.sandbox.defaults import DEFAULTS
from fluxtui.sandbox.kinds import Kind
from fluxtui.sandbox.metadata import check_metadata
from fluxtui.sandbox.preparation import PREPARATIONS
from fluxtui.sandbox.statuses import bad_request, forbidden, invalid
from fluxtui.sandbox.validation import Cause, default, prune, unknown_fields, validate

Object = dict[str, Any]

_IMMUTABLE: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "deployments": (("spec", "selector"),),
    "replicasets": (("spec", "selector"),),
    "daemonsets": (("spec", "selector"),),
    "statefulsets": (("spec", "selector"), ("spec", "serviceName"), ("spec", "volumeClaimTemplates")),
    "jobs": (("spec", "selector"), ("spec", "template"), ("spec", "completionMode")),
    "services": (("spec", "clusterIP"),),
    "rolebindings": (("roleRef",),),
    "clusterrolebindings": (("roleRef",),),
    "storageclasses": (("provisioner",), ("parameters",), ("reclaimPolicy",)),
    "customresourcedefinitions": (("spec", "scope"), ("spec", "group"), ("spec", "names", "kind")),
    "persistentvolumeclaims": (("spec", "accessModes"), ("spec", "storageClassName"), ("spec", "volumeName")),
}
IMMORTAL_NAMESPACES = frozenset({"default", "kube-system", "kube-public"})
_ENCODED: Mapping[str, tuple[str, ...]] = {"configmaps": ("binaryData",), "secrets": ("data",)}


def complete(kind: Kind, obj: Object) -> tuple[Object, list[str]]:
    """An object as the server reads it: in the form of its type, with defaults; and its unknown fields.

    Who sends it owns these defaults. Raises StatusError 400 for a value of the wrong type.
    """
    try:
        obj, unknown = decode(obj, kind.schema)
        if not kind.custom:
            check_encoding(obj, _ENCODED.get(kind.plural, ()))
    except (DecodeError, EncodingError) as error:
        raise bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {error}'
        ) from error
    if kind.openapi is not None:
        unknown += unknown_fields(obj, kind.openapi)
        prune(obj, kind.openapi)
        default(obj, kind.openapi)
    else:
        DEFAULTS.get(kind.plural, _nothing)(obj)
    return obj, unknown


def prepare(kind: Kind, obj: Object, old: Object | None) -> None:
    """Set what the server alone decides, in place: addresses, selectors of Jobs, first states. Nobody owns that."""
    if kind.openapi is None:
        PREPARATIONS.get(kind.plural, _no_preparation)(obj, old)
        fill(obj, kind.schema)
    elif old is None and kind.has_status:
        obj.pop("status", None)
        # What is read from storage gets its defaults as well: a new Flux object has `status.observedGeneration: -1`.
        default(obj, kind.openapi)


def check(kind: Kind, obj: Object, old: Object | None) -> None:
    """Raise StatusError 422, with a cause for each field that is not valid or must not change."""
    causes: list[Cause] = []
    if kind.openapi is not None:
        causes += validate(obj, kind.openapi)
    else:
        causes += _required(kind, obj)
    causes += check_metadata(kind, obj["metadata"])
    if old is not None:
        causes += _unchanged(kind, obj, old)
    if causes:
        raise invalid(obj["metadata"].get("name", ""), kind.group, kind.kind, [dict(cause) for cause in causes])


def _unchanged(kind: Kind, obj: Object, old: Object) -> list[Cause]:
    causes: list[Cause] = []
    for path in _IMMUTABLE.get(kind.plural, ()):
        before, after = _at(old, path), _at(obj, path)
        if before is not None and after != before:
            field = ".".join(path)
            message = f"Invalid value: {_short(after)}: field is immutable"
            causes.append({"reason": "FieldValueInvalid", "message": message, "field": field})
    if kind.plural in ("configmaps", "secrets") and old.get("immutable"):
        for field in ("immutable", "data", "binaryData"):
            if obj.get(field) != old.get(field):
                message = "Forbidden: field is immutable when `immutable` is set"
                causes.append({"reason": "FieldValueForbidden", "message": message, "field": field})
    if kind.plural == "secrets" and obj.get("type") != old.get("type"):
        message = f"Invalid value: {_short(obj.get('type'))}: field is immutable"
        causes.append({"reason": "FieldValueInvalid", "message": message, "field": "type"})
    return causes


def _required(kind: Kind, obj: Object) -> list[Cause]:
    causes: list[Cause] = []
    spec = obj.get("spec") or {}
    if kind.plural in ("deployments", "statefulsets", "daemonsets", "replicasets"):
        selector = (spec.get("selector") or {}).get("matchLabels") or {}
        labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
        if not spec.get("selector"):
            causes.append({"reason": "FieldValueRequired", "message": "Required value", "field": "spec.selector"})
        elif any(labels.get(name) != value for name, value in selector.items()):
            message = f"Invalid value: {_short(labels)}: `selector` does not match template `labels`"
            causes.append({"reason": "FieldValueInvalid", "message": message, "field": "spec.template.metadata.labels"})
    if kind.plural in ("deployments", "statefulsets", "daemonsets", "replicasets", "jobs"):
        pod = (spec.get("template") or {}).get("spec") or {}
        causes += _containers(pod, "spec.template.spec")
    if kind.plural == "pods":
        causes += _containers(spec, "spec")
    if kind.plural in _ENCODED:
        causes += check_keys(obj)
    if kind.plural == "secrets":
        causes += check_type(obj)
    replicas = spec.get("replicas")
    if replicas is not None and kind.has_scale and (not isinstance(replicas, int) or replicas < 0):
        message = f"Invalid value: {_short(replicas)}: must be greater than or equal to 0"
        causes.append({"reason": "FieldValueInvalid", "message": message, "field": "spec.replicas"})
    return causes


def _containers(pod: Object, path: str) -> list[Cause]:
    containers = pod.get("containers") or []
    if not containers:
        return [{"reason": "FieldValueRequired", "message": "Required value", "field": f"{path}.containers"}]
    return [
        {"reason": "FieldValueRequired", "message": "Required value", "field": f"{path}.containers[{index}].{field}"}
        for index, container in enumerate(containers)
        for field in ("name", "image")
        if not container.get(field)
    ]


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def _short(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _nothing(obj: Object) -> None:
    """No defaults."""


def _no_preparation(obj: Object, old: Object | None) -> None:
    """Nothing to prepare."""


def check_deletion(kind: Kind, name: str) -> None:
    """Keep what may not be deleted. Raises StatusError 403."""
    if kind.store == ("", "namespaces") and name in IMMORTAL_NAMESPACES:
        raise forbidden(name, kind.group, kind.plural, "this namespace may not be deleted")
