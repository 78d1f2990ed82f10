"""What the server makes of an object before it is stored: defaults, what must not change, what is not valid.

Of the built-in kinds only what clients and health checks depend on; of custom resources what their schema says.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from fluxtui.sandbox.kinds import Kind
from fluxtui.sandbox.statuses import invalid
from fluxtui.sandbox.validation import Cause, default, prune, unknown_fields, validate

Object = dict[str, Any]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
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
_COLON_NAMES = frozenset({"clusterroles", "clusterrolebindings", "roles", "rolebindings"})


def admit(kind: Kind, obj: Object, old: Object | None) -> list[str]:
    """Fill in defaults and check an object in place; returns warnings about unknown fields.

    Raises StatusError 422 with a cause for each field.
    """
    warnings: list[str] = []
    causes: list[Cause] = []
    if kind.openapi is not None:
        warnings = [f'unknown field "{path}"' for path in unknown_fields(obj, kind.openapi)]
        prune(obj, kind.openapi)
        default(obj, kind.openapi)
        causes += validate(obj, kind.openapi)
    else:
        _BUILTIN_DEFAULTS.get(kind.plural, _nothing)(obj, old)
        causes += _required(kind, obj)
    causes += _name(kind, obj)
    if old is not None:
        causes += _unchanged(kind, obj, old)
    if causes:
        raise invalid(obj["metadata"].get("name", ""), kind.group, kind.kind, [dict(cause) for cause in causes])
    return warnings


def _name(kind: Kind, obj: Object) -> list[Cause]:
    name = str(obj["metadata"].get("name", ""))
    if kind.plural in _COLON_NAMES and name:
        return []
    pattern, limit = (_LABEL, 63) if kind.plural in ("namespaces", "services") else (_NAME, 253)
    if pattern.fullmatch(name) and len(name) <= limit:
        return []
    what = "RFC 1123 label" if limit == 63 else "RFC 1123 subdomain"
    message = (
        f'Invalid value: "{name}": a lowercase {what} must consist of lower case alphanumeric characters, '
        "'-' or '.', and must start and end with an alphanumeric character"
    )
    return [{"reason": "FieldValueInvalid", "message": message, "field": "metadata.name"}]


def _unchanged(kind: Kind, obj: Object, old: Object) -> list[Cause]:
    causes: list[Cause] = []
    for path in _IMMUTABLE.get(kind.plural, ()):
        before, after = _at(old, path), _at(obj, path)
        if before is not None and after != before:
            field = ".".join(path)
            message = f"Invalid value: {_short(after)}: field is immutable"
            causes.append({"reason": "FieldValueInvalid", "message": message, "field": field})
    if kind.plural in ("configmaps", "secrets") and old.get("immutable"):
        for field in ("data", "binaryData", "immutable"):
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


def _nothing(obj: Object, old: Object | None) -> None:
    """Nothing to fill in."""


def _pod(pod: Object) -> None:
    pod.setdefault("restartPolicy", "Always")
    pod.setdefault("dnsPolicy", "ClusterFirst")
    pod.setdefault("schedulerName", "default-scheduler")
    pod.setdefault("securityContext", {})
    pod.setdefault("terminationGracePeriodSeconds", 30)
    for container in pod.get("containers") or []:
        image = str(container.get("image", ""))
        tagged = ":" in image.rpartition("/")[2] and not image.endswith(":latest")
        container.setdefault("imagePullPolicy", "IfNotPresent" if tagged else "Always")
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")


def _template(spec: Object, restart: str = "Always") -> None:
    pod = spec.setdefault("template", {}).setdefault("spec", {})
    pod.setdefault("restartPolicy", restart)
    _pod(pod)


def _deployment(obj: Object, old: Object | None) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("progressDeadlineSeconds", 600)
    spec.setdefault("revisionHistoryLimit", 10)
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")
    _template(spec)


def _replica_set(obj: Object, old: Object | None) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _template(spec)


def _stateful_set(obj: Object, old: Object | None) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    _template(spec)


def _daemon_set(obj: Object, old: Object | None) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}})
    _template(spec)


def _job(obj: Object, old: Object | None) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("completions", 1)
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    if "selector" not in spec:
        selector = copy.deepcopy(old["spec"]["selector"]) if old else None
        uid = obj["metadata"].get("uid", "")
        labels = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": obj["metadata"]["name"]}
        spec["selector"] = selector or {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        template = spec.setdefault("template", {}).setdefault("metadata", {})
        kept = ((old or {}).get("spec", {}).get("template", {}).get("metadata") or {}).get("labels")
        template["labels"] = {**(template.get("labels") or {}), **(kept or labels)}
    _template(spec, "Never")


def _service(obj: Object, old: Object | None) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    if spec["type"] != "ExternalName":
        known = ((old or {}).get("spec") or {}).get("clusterIP")
        if not spec.get("clusterIP"):
            spec["clusterIP"] = known or _address(obj)
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")


def _address(obj: Object) -> str:
    metadata = obj["metadata"]
    seed = hashlib.sha256(f"{metadata.get('namespace')}/{metadata.get('name')}".encode()).digest()
    return f"10.96.{seed[0]}.{1 + seed[1] % 254}"


def _secret(obj: Object, old: Object | None) -> None:
    import base64

    obj.setdefault("type", "Opaque")
    text = obj.pop("stringData", None)
    if text:
        data = obj.setdefault("data", {})
        data.update({name: base64.b64encode(str(value).encode()).decode() for name, value in text.items()})


def _namespace(obj: Object, old: Object | None) -> None:
    labels = obj["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
    obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    obj.setdefault("status", {}).setdefault("phase", "Active")


def _bare_pod(obj: Object, old: Object | None) -> None:
    _pod(obj.setdefault("spec", {}))
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def _claim(obj: Object, old: Object | None) -> None:
    obj.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    obj.setdefault("status", {}).setdefault("phase", "Pending")


_BUILTIN_DEFAULTS = {
    "deployments": _deployment,
    "replicasets": _replica_set,
    "statefulsets": _stateful_set,
    "daemonsets": _daemon_set,
    "jobs": _job,
    "services": _service,
    "secrets": _secret,
    "namespaces": _namespace,
    "pods": _bare_pod,
    "persistentvolumeclaims": _claim,
}
