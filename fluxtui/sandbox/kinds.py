"""Which resources a server has: built-in ones from one table, custom ones from CRDs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from fluxtui.sandbox import schema
from fluxtui.sandbox.schema import Node

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_SHORT: Mapping[str, tuple[str, ...]] = {
    "configmaps": ("cm",),
    "namespaces": ("ns",),
    "nodes": ("no",),
    "pods": ("po",),
    "services": ("svc",),
    "serviceaccounts": ("sa",),
    "events": ("ev",),
    "persistentvolumeclaims": ("pvc",),
    "persistentvolumes": ("pv",),
    "endpoints": ("ep",),
    "limitranges": ("limits",),
    "resourcequotas": ("quota",),
    "replicationcontrollers": ("rc",),
    "deployments": ("deploy",),
    "replicasets": ("rs",),
    "statefulsets": ("sts",),
    "daemonsets": ("ds",),
    "cronjobs": ("cj",),
    "ingresses": ("ing",),
    "networkpolicies": ("netpol",),
    "horizontalpodautoscalers": ("hpa",),
    "poddisruptionbudgets": ("pdb",),
    "storageclasses": ("sc",),
    "priorityclasses": ("pc",),
    "customresourcedefinitions": ("crd", "crds"),
}
_ALL_CATEGORY = frozenset(
    ["pods", "services", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs",
     "replicationcontrollers", "horizontalpodautoscalers"]
)  # fmt: skip
_STATUS = frozenset(
    ["namespaces", "nodes", "pods", "services", "persistentvolumeclaims", "persistentvolumes", "resourcequotas",
     "replicationcontrollers", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs",
     "ingresses", "horizontalpodautoscalers", "poddisruptionbudgets", "customresourcedefinitions", "apiservices",
     "certificatesigningrequests", "flowschemas", "prioritylevelconfigurations", "validatingadmissionpolicies",
     "networkpolicies", "volumeattachments"]
)  # fmt: skip
_GENERATION = frozenset(
    ["cronjobs", "customresourcedefinitions", "daemonsets", "deployments", "endpointslices", "ingresses", "jobs",
     "mutatingwebhookconfigurations", "networkpolicies", "poddisruptionbudgets", "pods", "priorityclasses",
     "replicasets", "replicationcontrollers", "statefulsets", "validatingadmissionpolicies",
     "validatingadmissionpolicybindings", "validatingwebhookconfigurations"]
)  # fmt: skip
_SCALE = frozenset(["deployments", "replicasets", "statefulsets", "replicationcontrollers"])
_SERVED = frozenset(
    ["v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", "rbac.authorization.k8s.io/v1", "autoscaling/v2", "policy/v1",
     "storage.k8s.io/v1", "scheduling.k8s.io/v1", "coordination.k8s.io/v1", "discovery.k8s.io/v1", "events.k8s.io/v1",
     "apiextensions.k8s.io/v1", "admissionregistration.k8s.io/v1", "apiregistration.k8s.io/v1", "node.k8s.io/v1"]
)  # fmt: skip
_SUBJECTS = frozenset(
    {"Binding", "ComponentStatus", "Scale", "Eviction", "TokenRequest", "DeleteOptions", "WatchEvent", "Status"}
)


class Kind(msgspec.Struct, frozen=True, eq=False):
    """A resource in one version."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    schema: Node
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = False
    has_scale: bool = False
    openapi: Mapping[str, Any] | None = None
    """Structural schema of a custom resource."""
    columns: tuple[Mapping[str, Any], ...] = ()
    """additionalPrinterColumns of a custom resource."""
    storage: bool = True

    @property
    def api_version(self) -> str:
        """`apps/v1`, `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def custom(self) -> bool:
        """Whether a CRD defines it."""
        return self.openapi is not None

    @property
    def has_generation(self) -> bool:
        """Whether the metadata of its objects counts generations."""
        return self.custom or self.plural in _GENERATION

    @property
    def store(self) -> tuple[str, str]:
        """Where its objects are kept: all versions together."""
        # Events are one resource served by two groups.
        return ("", "events") if self.plural == "events" else (self.group, self.plural)

    @property
    def list_kind(self) -> str:
        """Kind of lists."""
        return f"{self.kind}List"


class Kinds:
    """The resources of one server; changes as CRDs come and go."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str], Kind] = {}
        self._custom: dict[tuple[str, str], list[Kind]] = {}
        self.revision = 0
        """Grows with every change, so that discovery can be cached."""
        for kind in _builtin():
            self._kinds[kind.group, kind.version, kind.plural] = kind

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        """A resource by where it is served."""
        return self._kinds.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        """A resource by what its objects say."""
        group, _, version = api_version.rpartition("/")
        return next((item for item in self if (item.group, item.version, item.kind) == (group, version, kind)), None)

    def define(self, name: tuple[str, str], kinds: list[Kind]) -> None:
        """Set the versions of a custom resource (group, plural); an empty list takes it away."""
        for old in self._custom.pop(name, ()):
            self._kinds.pop((old.group, old.version, old.plural), None)
        for kind in kinds:
            self._kinds[kind.group, kind.version, kind.plural] = kind
        if kinds:
            self._custom[name] = kinds
        self.revision += 1


def _builtin() -> Iterator[Kind]:
    for name, facts in schema.kinds().items():
        api_version, _, kind = name.rpartition("/")
        plural = facts.get("resource", "")
        if api_version not in _SERVED or not plural or "/" in plural or kind in _SUBJECTS or kind.endswith("Review"):
            continue
        group, _, version = api_version.rpartition("/")
        yield Kind(
            group,
            version,
            kind,
            plural,
            bool(facts.get("namespaced")),
            schema.builtin(group, version, kind),
            kind.lower(),
            _SHORT.get(plural, ()),
            ("all",) if plural in _ALL_CATEGORY else (),
            plural in _STATUS,
            plural in _SCALE,
        )
