"""What the server sets in a built-in object before it is stored, whoever sends it: addresses, selectors, states."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

Object = dict[str, Any]

FIRST_NODE_PORT = 30000
NODE_PORTS = 2768


def _service(obj: Object, old: Object | None) -> None:
    spec, before = obj["spec"], (old or {}).get("spec") or {}
    _new(obj, old)
    if spec.get("type") == "ExternalName":
        return
    if not spec.get("clusterIP"):
        spec["clusterIP"] = before.get("clusterIP") or _address(obj)
    spec["clusterIPs"] = [spec["clusterIP"]]
    spec.setdefault("ipFamilies", before.get("ipFamilies") or ["IPv4"])
    spec.setdefault("ipFamilyPolicy", before.get("ipFamilyPolicy") or "SingleStack")
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        known = {port.get("port"): port.get("nodePort") for port in before.get("ports") or []}
        for port in spec.get("ports") or []:
            if not port.get("nodePort"):
                port["nodePort"] = (
                    known.get(port.get("port")) or FIRST_NODE_PORT + _number(obj, port["port"]) % NODE_PORTS
                )


def _address(obj: Object) -> str:
    number = _number(obj, "address")
    return f"10.96.{number >> 8 & 255}.{1 + (number & 255) % 254}"


def _number(obj: Object, what: object) -> int:
    """A number that is always the same for an object."""
    metadata = obj["metadata"]
    text = f"{metadata.get('namespace')}/{metadata.get('name')}/{what}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _job(obj: Object, old: Object | None) -> None:
    spec, name = obj["spec"], obj["metadata"]["name"]
    _new(obj, old)
    if spec.get("manualSelector"):
        return
    if old is not None:
        spec.setdefault("selector", copy.deepcopy(old["spec"].get("selector")))
        kept = (old["spec"]["template"].get("metadata") or {}).get("labels")
        labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
        spec["template"]["metadata"]["labels"] = {**(kept or {}), **labels}
        return
    uid = obj["metadata"]["uid"]
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    for prefix in ("", "batch.kubernetes.io/"):
        labels[f"{prefix}controller-uid"] = uid
        labels[f"{prefix}job-name"] = name
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def _namespace(obj: Object, old: Object | None) -> None:
    if old is None:
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}


def _pod(obj: Object, old: Object | None) -> None:
    spec = obj["spec"]
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    if not spec.get("tolerations"):
        spec["tolerations"] = [
            {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            for key in ("not-ready", "unreachable")
        ]
    if old is None:
        obj["status"] = {"phase": "Pending", "qosClass": _quality(spec)}


def _quality(spec: Object) -> str:
    """The quality of service of a pod, from what its containers ask for."""
    asked = [container.get("resources") or {} for container in spec.get("containers") or []]
    if not any(item.get("requests") or item.get("limits") for item in asked):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= (item.get("limits") or {}).keys() and item.get("requests") == item["limits"]
        for item in asked
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _claim(obj: Object, old: Object | None) -> None:
    if old is None:
        obj["status"] = {"phase": "Pending"}


def _volume(obj: Object, old: Object | None) -> None:
    if old is None:
        obj["status"] = {"phase": "Pending"}


def _definition(obj: Object, old: Object | None) -> None:
    if old is None:
        names = {"plural": "", "kind": ""}
        stored = [version["name"] for version in obj["spec"].get("versions") or [] if version.get("storage")]
        obj["status"] = {"conditions": [], "acceptedNames": names, "storedVersions": stored}


def _new(obj: Object, old: Object | None) -> None:
    """A new object begins with an empty status."""
    if old is None:
        obj.pop("status", None)


PREPARATIONS: Mapping[str, Callable[[Object, Object | None], None]] = {
    **dict.fromkeys(
        ["cronjobs", "daemonsets", "deployments", "horizontalpodautoscalers", "poddisruptionbudgets", "replicasets",
         "resourcequotas", "statefulsets"],
        _new,
    ),
    "customresourcedefinitions": _definition,
    "jobs": _job,
    "namespaces": _namespace,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
    "pods": _pod,
    "services": _service,
}  # fmt: skip
"""Resource → sets what the server decides, in place; the object as it was is None for a new one."""
