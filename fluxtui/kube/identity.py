"""Which object: group, kind, namespace and name, how Flux writes it, and the order in which sets are applied.

Source: `object.ObjMetadata` of fluxcd/cli-utils; the reconcile order of fluxcd/pkg `ssa`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Object = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"
_RBAC_KINDS = frozenset({"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"})
_FIRST = (
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
)
_LAST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_RANKS: dict[str, int] = {
    **{kind: rank - len(_FIRST) for rank, kind in enumerate(_FIRST)},
    **{kind: rank for rank, kind in enumerate(_LAST, 1)},
}


class Identity(NamedTuple):
    """An object whatever its version; a cluster-scoped one has an empty namespace."""

    namespace: str
    name: str
    group: str
    kind: str

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)

    @property
    def rank(self) -> tuple[int, str, str]:
        """Objects of a lower rank are applied before, and deleted after, those of a higher one."""
        return _RANKS.get(self.kind, 0), self.group, self.kind

    @property
    def order(self) -> tuple[int, str, str, str, str]:
        """The total order of a set."""
        return (*self.rank, self.namespace, self.name)

    @property
    def id(self) -> str:
        """As an inventory writes it: `<namespace>_<name>_<group>_<kind>`."""
        rbac = self.group == _RBAC and self.kind in _RBAC_KINDS
        name = self.name.replace(":", "__") if rbac else self.name
        return f"{self.namespace}_{name}_{self.group}_{self.kind}"


def identity_of(obj: Mapping[str, Any]) -> Identity:
    """The identity of an object; missing parts are empty."""
    metadata = obj.get("metadata") or {}
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    return Identity(metadata.get("namespace") or "", metadata.get("name") or "", group, obj.get("kind", ""))


def version_of(obj: Mapping[str, Any]) -> str:
    """The API version of an object without its group."""
    return str(obj.get("apiVersion", "")).rpartition("/")[2]


def parse_id(text: str) -> Identity:
    """The identity an inventory wrote.

    Raises ValueError that names the text when it is none.
    """
    namespace, first, rest = text.partition("_")
    rest, second, kind = rest.rpartition("_")
    name, third, group = rest.rpartition("_")
    if not (first and second and third and name and kind):
        raise ValueError(f"unable to parse stored object metadata: {text}")
    return Identity(namespace, name.replace("__", ":"), group, kind)


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """The labels of an object."""
    return (obj.get("metadata") or {}).get("labels") or {}


def annotations_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """The annotations of an object."""
    return (obj.get("metadata") or {}).get("annotations") or {}


def is_marked(obj: Mapping[str, Any] | None, marks: Iterable[tuple[str, str]]) -> bool:
    """Whether a label or annotation has one of these values, upper and lower case alike."""
    if obj is None:
        return False
    labels, annotations = labels_of(obj), annotations_of(obj)
    return any(value.lower() in (labels.get(key, "").lower(), annotations.get(key, "").lower()) for key, value in marks)
