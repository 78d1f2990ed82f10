"""`namespace`: moving resources to a namespace, with the references that follow."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from fluxtui.kustomize.errors import BuildError
from fluxtui.kustomize.fieldspecs import FieldSpec, Specs, set_scalar, visit
from fluxtui.kustomize.identities import Gvk
from fluxtui.kustomize.resources import Resource, Resources
from fluxtui.kustomize.scalars import is_empty, is_null, text_of

Subjects = Literal["", "defaultOnly", "allServiceAccounts", "none"]
"""Which subjects of role bindings are moved; empty: those named `default`."""

_BINDINGS = frozenset({"RoleBinding", "ClusterRoleBinding"})
_NAMESPACE = FieldSpec(path="metadata/namespace", create=True)
HELM_GENERATED = "internal.config.kubernetes.io/helm-generated"
"""An annotation of what Helm has put into a namespace."""


def set_namespace(
    resources: Resources, namespace: str, specs: Specs, *, unset_only: bool = False, subjects: Subjects = ""
) -> None:
    """Set the namespace of all resources that have one. Raises BuildError when two become one."""
    if not namespace:
        return
    mover = Mover(namespace, specs, unset_only, subjects)
    keys = Counter(resource.id.key for resource in resources if resource.object)
    for resource in resources:
        if not resource.object or resource.texts("annotations").get(HELM_GENERATED) == "true":
            continue
        before = resource.id.key
        resource.remember()
        mover.move(resource)
        now = resource.id
        keys[before] -= 1
        keys[now.key] += 1
        if keys[now.key] != 1:
            raise BuildError(f"namespace transformation produces ID conflict: {now}")
    resources.changed()


class Mover:
    """Sets the namespace of single resources."""

    def __init__(self, namespace: str, specs: Specs = (), unset_only: bool = False, subjects: Subjects = "") -> None:
        self._namespace = namespace
        self._specs = specs
        self._unset_only = unset_only
        self._subjects = subjects or "defaultOnly"

    def move(self, resource: Resource) -> None:
        """Set a resource's namespace and those that it refers to. Raises BuildError."""
        if not resource.is_cluster_scoped:
            visit(resource.object, _NAMESPACE, self._set, "scalar")
        gvk = resource.gvk
        if gvk.kind in _BINDINGS:
            self._move_subjects(resource)
        for spec in self._specs:
            if spec.fits(gvk) and not self._is_special(spec, gvk):
                visit(resource.object, spec, self._set, "scalar")

    def _is_special(self, spec: FieldSpec, gvk: Gvk) -> bool:
        if spec.path == "metadata/namespace":
            return True
        if spec.path == "metadata/name":
            return gvk.api_version != "v1"
        return spec.kind in _BINDINGS and spec.path == "subjects/namespace"

    def _set(self, container: Any, key: Any) -> None:
        if self._unset_only and not is_empty(container[key]) and text_of(container[key]):
            return
        set_scalar(container, key, self._namespace)

    def _move_subjects(self, resource: Resource) -> None:
        subjects = resource.object.get("subjects")
        if self._subjects == "none" or is_null(subjects):
            return
        if not isinstance(subjects, list):
            raise BuildError(f"{resource.id}: subjects of a role binding must be a list")
        field, wanted = ("name", "default") if self._subjects == "defaultOnly" else ("kind", "ServiceAccount")
        for subject in subjects:
            if not isinstance(subject, dict):
                raise BuildError(f"{resource.id}: a subject of a role binding must be a map")
            if text_of(subject.get(field)) == wanted:
                subject.setdefault("namespace", None)
                self._set(subject, "namespace")
