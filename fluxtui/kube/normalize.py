"""Objects as they are sent to be applied: without what the server owns, and forgiving where Flux is.

Flux passes objects of the built-in kinds through their Go types, which turns `stringData` into `data`, gives ports
their protocol, leaves out nulls and what is empty, fills in empty structs, and drops fields the type does not have.
Custom resources are sent as they are.
Source: fluxcd/pkg `ssa/normalize` and `ssa/utils`; observed with kustomize-controller.
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
from copy import deepcopy
from typing import Any

from fluxtui.kube import gotypes
from fluxtui.kube.identity import Object

_BUILT_IN = frozenset(
    {"", "apps", "autoscaling", "batch", "extensions", "policy"}
    | {
        f"{name}.k8s.io"
        for name in (
            "admissionregistration",
            "authentication",
            "authorization",
            "certificates",
            "coordination",
            "discovery",
            "events",
            "flowcontrol.apiserver",
            "internal.apiserver",
            "networking",
            "node",
            "rbac.authorization",
            "resource",
            "scheduling",
            "storage",
            "storagemigration",
        )
    }
)
_POD_SPECS = {
    "Pod": ("spec",),
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "DaemonSet": ("spec", "template", "spec"),
    "ReplicaSet": ("spec", "template", "spec"),
    "Job": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
_UNDECLARED = re.compile(r"(\.[^\s:]\S*): field not declared in schema")
_STEP = re.compile(r"\.(?P<field>[^.\[\]]+)|\[(?P<index>\d+)\]|\[(?P<key>\w+=(?:\"[^\"]*\"|[^\],]*)(?:,[^\]]*)?)\]")


def group_of(obj: Object) -> str:
    """The API group of an object, empty for the core API."""
    return str(obj.get("apiVersion", "")).rpartition("/")[0]


def is_definition(obj: Object) -> bool:
    """Whether the object is a CustomResourceDefinition."""
    return obj.get("kind") == "CustomResourceDefinition" and group_of(obj) == "apiextensions.k8s.io"


def is_secret(obj: Object) -> bool:
    """Whether the object is a core Secret."""
    return obj.get("kind") == "Secret" and not group_of(obj)


def is_typed(obj: Object) -> bool:
    """Whether Flux passes the kind through its Go type; roles are left out, as there."""
    return group_of(obj) in _BUILT_IN and obj.get("kind") not in ("Role", "ClusterRole")


def normalized(obj: Object) -> Object:
    """A copy that is ready to be applied; the given object stays as it is."""
    done = deepcopy(obj)
    (done.get("metadata") or {}).pop("creationTimestamp", None)
    if is_definition(done):
        _drop_broken_bundle(done)
    else:
        done.pop("status", None)
    if not is_typed(done):
        return done
    if not group_of(done) and done.get("kind") in ("ConfigMap", "Secret"):
        for field in ("data", "stringData"):
            values = done.get(field)
            if isinstance(values, dict):
                done[field] = {key: "" if value is None else value for key, value in values.items()}
    _drop_nulls(done)
    if is_secret(done):
        _encode_text(done)
    path = _POD_SPECS.get(done.get("kind", ""))
    if path:
        for container in _items(_at(done, *path, "containers")):
            _default_protocol(container.get("ports"))
    elif done.get("kind") == "Service":
        _default_protocol(_at(done, "spec", "ports"))
    gotypes.rewrite(done)
    return done


def drop_undeclared(obj: Object, refusal: str) -> tuple[Object, list[str]]:
    """The object without the fields that a refused apply calls undeclared, and the paths of these fields.

    `refusal` is the server's message. Nothing is dropped from custom resources, nor when a path can't be followed.
    """
    paths = list(dict.fromkeys(_UNDECLARED.findall(refusal))) if is_typed(obj) else []
    done = deepcopy(obj)
    dropped = [path for path in paths if _remove(done, path)]
    return done, dropped


def _drop_nulls(value: Any) -> None:
    if isinstance(value, dict):
        for key in [key for key, item in value.items() if item is None]:
            del value[key]
        for item in value.values():
            _drop_nulls(item)
    elif isinstance(value, list):
        for item in value:
            _drop_nulls(item)


def _encode_text(secret: Object) -> None:
    text = secret.get("stringData")
    if isinstance(text, dict) and all(isinstance(value, str) for value in text.values()):
        del secret["stringData"]
        if text:
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in text.items()}
            secret["data"] = {**(secret.get("data") or {}), **encoded}


def _default_protocol(ports: Any) -> None:
    for port in _items(ports):
        if not port.get("protocol"):
            port["protocol"] = "TCP"


def _drop_broken_bundle(definition: Object) -> None:
    """API servers since 1.31 refuse a CRD with a placeholder in the place of its webhook's CA bundle."""
    config = _at(definition, "spec", "conversion", "webhook", "clientConfig")
    bundle = config.get("caBundle") if isinstance(config, dict) else None
    if not bundle:
        return
    try:
        pem = base64.b64decode(bundle, validate=True).decode()
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (TypeError, ValueError, binascii.Error, ssl.SSLError):
        del config["caBundle"]


def _remove(obj: Object, path: str) -> bool:
    steps = list(_STEP.finditer(path))
    if not steps or "".join(step.group() for step in steps) != path or steps[-1]["field"] is None:
        return False
    value: Any = obj
    for step in steps[:-1]:
        value = _follow(value, step)
    field = steps[-1]["field"]
    if not isinstance(value, dict) or field not in value:
        return False
    del value[field]
    return True


def _follow(value: Any, step: re.Match[str]) -> Any:
    if step["field"] is not None:
        return value.get(step["field"]) if isinstance(value, dict) else None
    if not isinstance(value, list):
        return None
    if step["index"] is not None:
        index = int(step["index"])
        return value[index] if index < len(value) else None
    wanted = dict(re.findall(r"(\w+)=\"?([^\",\]]*)\"?", step["key"]))
    return next((item for item in _items(value) if all(str(item.get(k)) == v for k, v in wanted.items())), None)


def _at(obj: Object, *path: str) -> Any:
    value: Any = obj
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _items(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
