"""Name references: fields that hold the name of another resource follow when that is renamed."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, NamedTuple

from fluxtui.kustomize.configuration import NameReference
from fluxtui.kustomize.errors import BuildError
from fluxtui.kustomize.fieldspecs import FieldSpec, Paths, add_path, visit, visit_paths
from fluxtui.kustomize.identities import NO_NAMESPACE, Gvk
from fluxtui.kustomize.resources import Resource, Resources
from fluxtui.kustomize.scalars import Tree, Untagged, in_place_of, is_null, text_of


class _Referral(NamedTuple):
    """A resource that had other names, with what is asked of it over and over."""

    resource: Resource
    name: str
    namespace: str
    place: str
    """The effective namespace, NO_NAMESPACE for a kind without one."""
    original_place: str
    kind: str


def fix(resources: Resources, references: Sequence[NameReference]) -> None:
    """Bring all name references up to date. Raises BuildError when it can't be told which resource is meant."""
    kinds = {kind for resource in resources for _, _, kind in resource.previous}
    index = _Index(resources)
    by_gvk: dict[Gvk, _Fields] = {}
    for resource in resources:
        gvk = resource.original.gvk
        fields = by_gvk.get(gvk)
        if fields is None:
            fields = by_gvk[gvk] = _Fields(references, gvk, kinds)
        if fields.paths:
            referrer = _Referrer(resource, index)
            referrer.check(fields)
            for spec, target in fields.used:
                referrer.fix(spec, target)


class _Fields:
    """The fields of a kind that hold names."""

    def __init__(self, references: Sequence[NameReference], gvk: Gvk, renamed: Container[str]) -> None:
        """`renamed` are the kinds of resources that have had another name."""
        self.used: list[tuple[FieldSpec, Gvk]] = []
        """Those that may hold the name of a renamed resource."""
        self.paths: Paths = {}
        """All of them, as a tree of their parts."""
        for reference in references:
            for spec in reference.field_specs:
                if spec.fits(gvk):
                    add_path(self.paths, spec.path)
                    if not reference.kind or reference.kind in renamed:
                        self.used.append((spec, reference.gvk))


class _Index:
    """Resources by the names that they had, and by the namespaces that they were in at first."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.by_name: dict[str, list[_Referral]] = {}
        self.by_place: dict[str, list[_Referral]] = {}
        for resource in resources:
            referral = _referral(resource)
            self.by_place.setdefault(referral.original_place, []).append(referral)
            for name in dict.fromkeys(name for _, name, _ in resource.previous):
                self.by_name.setdefault(name, []).append(referral)


def _referral(resource: Resource) -> _Referral:
    identity = resource.id
    return _Referral(
        resource,
        identity.name,
        resource.namespace,
        identity.effective_namespace,
        resource.original.effective_namespace,
        identity.gvk.kind,
    )


class _Referrer:
    """A resource that may hold names of others."""

    def __init__(self, resource: Resource, index: _Index) -> None:
        self._resource = resource
        self._index = index
        self._place = resource.id.effective_namespace
        self._account_namespaces = _account_namespaces(resource)

    def check(self, fields: _Fields) -> None:
        """Raise BuildError where a field can't hold a name, or its path leads through something that has no fields.

        Nobody need have been renamed for that: kustomize looks at every field that could hold a name.
        """
        try:
            visit_paths([self._resource.object], 0, fields.paths, _check_name)
        except BuildError as error:
            raise BuildError(f"updating name reference in '{self._resource.id}': {error}") from error

    def fix(self, spec: FieldSpec, target: Gvk) -> None:
        """Update the names of a kind in one field. Raises BuildError."""
        role = _role(self._resource) if spec.path.endswith("roleRef/name") else None

        def act(container: Any, key: Any) -> None:
            node = container[key]
            if isinstance(node, dict):
                self._fix_map(node, target, role)
            elif isinstance(node, list):
                for index, item in enumerate(node):
                    if isinstance(item, dict):
                        self._fix_map(item, target, role)
                    else:
                        self._fix_scalar(node, index, target, role)
            else:
                self._fix_scalar(container, key, target, role)

        try:
            visit(self._resource.object, spec, act)
        except BuildError as error:
            raise BuildError(
                f"updating name reference in '{spec.path}' field of '{self._resource.id}': {error}"
            ) from error

    def _fix_scalar(self, container: Any, key: Any, target: Gvk, role: Gvk | None) -> None:
        node = container[key]
        if is_null(node):
            return
        name = text_of(node)
        if name not in self._index.by_name:
            return
        referral = self._select(self._index.by_name[name], target, role, lambda item: item.name)
        if referral is not None and referral.name != name:
            container[key] = in_place_of(node, Untagged(referral.name))

    def _fix_map(self, node: dict[str, Tree], target: Gvk, role: Gvk | None) -> None:
        if "name" not in node:
            raise BuildError("path config error; no 'name' field in node")
        name = text_of(node["name"])
        candidates: Iterable[_Referral] = self._index.by_name.get(name, ())
        if "namespace" in node:
            candidates = self._in_namespace(text_of(node["namespace"]), candidates)
        referral = self._select(candidates, target, role, lambda item: (item.name, item.namespace))
        if referral is None or (referral.name == name and not referral.namespace):
            return
        node["name"] = in_place_of(node["name"], Untagged(referral.name))
        if referral.namespace:
            node["namespace"] = in_place_of(node.get("namespace"), referral.namespace)

    def _in_namespace(self, namespace: str, candidates: Iterable[_Referral]) -> list[_Referral]:
        """Those that were in a namespace at first; where nothing that could be meant was, those that are in it now."""
        if namespace == NO_NAMESPACE:
            return []
        if any(self._can_see(item) for item in self._index.by_place.get(namespace, ())):
            return [item for item in candidates if item.original_place == namespace]
        return [item for item in candidates if item.place == namespace]

    def _can_see(self, item: _Referral) -> bool:
        """Whether a resource is cluster-wide, in the same namespace, or in that of a service account named here."""
        if NO_NAMESPACE in (self._place, item.place) or item.place == self._place:
            return True
        return item.namespace in self._account_namespaces

    def _select(
        self,
        candidates: Iterable[_Referral],
        target: Gvk,
        role: Gvk | None,
        same: Callable[[_Referral], object],
    ) -> _Referral | None:
        found = [item for item in candidates if self._can_see(item) and self._may_be_meant(item, target, role)]
        if len(found) <= 1:
            return found[0] if found else None
        mine = self._resource
        found = [item for item in found if _same_affixes(item.resource, mine, allow_empty=True)]
        if len(found) > 1:
            found = [item for item in found if _same_affixes(item.resource, mine, allow_empty=False)]
        if not found:
            return None
        if len({same(item) for item in found}) > 1:
            ids = ", ".join(str(item.resource.id) for item in found)
            raise BuildError(f"found multiple possible referrals: {ids}")
        return found[0]

    def _may_be_meant(self, item: _Referral, target: Gvk, role: Gvk | None) -> bool:
        gvks = [previous.gvk for previous in item.resource.previous_ids]
        if not any(gvk.fits(*target) for gvk in gvks):
            return False
        if role is not None and not any(gvk.fits(*role) for gvk in gvks):
            return False
        return NO_NAMESPACE in (self._place, item.place) or item.kind == "ServiceAccount" or item.place == self._place


def _check_name(container: Any, key: Any) -> None:
    node = container[key]
    for item in node if isinstance(node, list) else [node]:
        if isinstance(item, list):
            raise BuildError("a list in a list is expected to be either a string or a map of string")
        if isinstance(item, dict) and "name" not in item:
            raise BuildError("path config error; no 'name' field in node")


def _role(resource: Resource) -> Gvk | None:
    role = resource.object.get("roleRef")
    if not isinstance(role, dict) or is_null(role.get("apiGroup")) or is_null(role.get("kind")):
        return None
    return Gvk(text_of(role["apiGroup"]), "", text_of(role["kind"]))


def _account_namespaces(resource: Resource) -> frozenset[str]:
    """Namespaces of the service accounts that a role binding names."""
    subjects = resource.object.get("subjects")
    if resource.kind != "RoleBinding" or not isinstance(subjects, list):
        return frozenset()
    found = set()
    for subject in subjects:
        if not isinstance(subject, dict):
            raise BuildError(f"a subject of {resource.id} must be a map")
        if "namespace" in subject and text_of(subject.get("kind")) == "ServiceAccount":
            if not isinstance(subject["namespace"], str):
                raise BuildError(f'Invalid Input: namespace is blank for resource "{resource.id}"')
            found.add(str(subject["namespace"]))
    return frozenset(found)


def _same_affixes(one: Resource, other: Resource, *, allow_empty: bool) -> bool:
    return _same_end(one.prefixes, other.prefixes, allow_empty) and _same_end(one.suffixes, other.suffixes, allow_empty)


def _same_end(one: list[str], other: list[str], allow_empty: bool) -> bool:
    if not one or not other:
        return allow_empty or one == other
    length = min(len(one), len(other))
    return one[-length:] == other[-length:]
