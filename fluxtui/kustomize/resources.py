"""Resources of a build: an object, the names it has had, and sets of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from fluxtui.kustomize import documents, schema
from fluxtui.kustomize.errors import BuildError, FieldError

Object = dict[str, Any]

INTERNAL = "internal.config.kubernetes.io/"
STRIPPED = (
    "config.kubernetes.io/local-config",
    "kustomize.config.k8s.io/needs-hash",
    "kustomize.config.k8s.io/behavior",
)
_TERM = re.compile(r"(?P<key>[A-Za-z0-9./_-]+)\s*(?:(?P<op>=|==|!=)\s*(?P<value>[A-Za-z0-9._-]*))?")
_SET = re.compile(r"(?P<key>[A-Za-z0-9./_-]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)")


class Id(NamedTuple):
    """What makes a resource one: kind with group and version, namespace, name."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        gvk = ".".join(filter(None, (self.kind, self.version, self.group)))
        return f"{gvk}/{self.name}.{self.namespace or '[noNs]'}"

    @property
    def effective_namespace(self) -> str:
        """`default` for a namespaced resource that names none."""
        api = f"{self.group}/{self.version}" if self.group else self.version
        if schema.is_cluster_scoped(api, self.kind):
            return ""
        return self.namespace or "default"

    def same(self, other: Id) -> bool:
        """Whether both mean the same resource."""
        return (self.group, self.version, self.kind, self.name) == (
            other.group,
            other.version,
            other.kind,
            other.name,
        ) and self.effective_namespace == other.effective_namespace


class Resource:
    """One object of a build; changed in place by transformers."""

    def __init__(self, obj: Object, origin: str = "") -> None:
        self.object = obj
        self.origin = origin
        """The file it was read from."""
        self.previous: list[Id] = []
        """Identities it has had, oldest first."""
        self.prefixes: list[str] = []
        self.suffixes: list[str] = []
        self.needs_hash = False
        self.behavior = ""
        """Of a generated resource: create, merge or replace."""

    def __repr__(self) -> str:
        return f"Resource({self.id})"

    @property
    def metadata(self) -> Object:
        """`metadata`, made if it is missing."""
        found: Object = self.object.setdefault("metadata", {})
        return found

    @property
    def kind(self) -> str:
        """The kind."""
        return str(self.object.get("kind", ""))

    @property
    def api_version(self) -> str:
        """Group and version."""
        return str(self.object.get("apiVersion", ""))

    @property
    def name(self) -> str:
        """The name it has now."""
        return str(self.metadata.get("name") or "")

    @property
    def gvk(self) -> tuple[str, str, str]:
        """Group, version, kind."""
        group, _, version = self.api_version.rpartition("/")
        return group, version, self.kind

    @property
    def id(self) -> Id:
        """The identity it has now."""
        return Id(*self.gvk, str(self.metadata.get("namespace") or ""), self.name)

    @property
    def original(self) -> Id:
        """The identity it was loaded with."""
        return self.previous[0] if self.previous else self.id

    @property
    def ids(self) -> list[Id]:
        """All identities, the current one last."""
        return [*self.previous, self.id]

    def remember(self) -> None:
        """Keep the current identity before it changes."""
        if not self.previous or self.previous[-1] != self.id:
            self.previous.append(self.id)

    def to_yaml(self) -> str:
        """The object as YAML, without what only the build needs."""
        return documents.write(self.object)


class Selector(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Which resources: anchored regular expressions, and label selectors."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    label_selector: str = ""
    annotation_selector: str = ""

    def matches(self, resource: Resource) -> bool:
        """Whether a resource fits, by its first or its current name and namespace. Raises FieldError."""
        group, version, kind = resource.gvk
        if not (fits(self.group, group) and fits(self.version, version) and fits(self.kind, kind)):
            return False
        first, current = resource.original, resource.id
        if not any(fits(self.namespace, item.effective_namespace) for item in (first, current)):
            return False
        if not any(fits(self.name, item.name) for item in (first, current)):
            return False
        labels = resource.metadata.get("labels") or {}
        annotations = resource.metadata.get("annotations") or {}
        return selects(self.label_selector, labels) and selects(self.annotation_selector, annotations)


class Resources:
    """Resources in order, each identity once."""

    def __init__(self, items: Iterable[Resource] = ()) -> None:
        self._items: list[Resource] = []
        for item in items:
            self.append(item)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Resource:
        return self._items[index]

    def append(self, resource: Resource) -> None:
        """Add a resource. Raises BuildError when its identity is there already."""
        if any(other.id.same(resource.id) for other in self._items if other.name == resource.name):
            raise BuildError(f"may not add resource with an already registered id: {resource.id}")
        self._items.append(resource)

    def extend(self, resources: Iterable[Resource]) -> None:
        """Add resources. Raises BuildError."""
        for resource in resources:
            self.append(resource)

    def remove(self, resource: Resource) -> None:
        """Take a resource out."""
        self._items.remove(resource)

    def select(self, selector: Selector) -> list[Resource]:
        """The resources that a selector fits."""
        return [resource for resource in self._items if selector.matches(resource)]

    def by_any_id(self, wanted: Id) -> list[Resource]:
        """The resources that have or had an identity."""
        return [resource for resource in self._items if any(item.same(wanted) for item in resource.ids)]

    def sort(self, key: Any) -> None:
        """Put the resources in another order."""
        self._items.sort(key=key)

    def check_unique(self) -> None:
        """Raise BuildError when two resources have come to have the same identity."""
        seen: dict[tuple[str, ...], Resource] = {}
        for resource in self._items:
            key = (*resource.gvk, resource.id.effective_namespace, resource.name)
            if key in seen:
                raise BuildError(f"namespace transformation produces ID conflict: {resource.id}")
            seen[key] = resource

    def to_yaml(self) -> str:
        """All objects as one YAML stream."""
        return "---\n".join(resource.to_yaml() for resource in self._items)


def selects(expression: str, labels: Mapping[str, Any]) -> bool:
    """Whether a Kubernetes label selector fits a set of labels. Raises FieldError when it can't be read."""
    return all(_term(term.strip(), labels) for term in _terms(expression))


def _terms(expression: str) -> list[str]:
    return [term for term in re.split(r",(?![^(]*\))", expression) if term.strip()]


def _term(term: str, labels: Mapping[str, Any]) -> bool:
    found = _SET.fullmatch(term)
    if found:
        values = {value.strip() for value in found["values"].split(",")}
        inside = found["key"] in labels and labels[found["key"]] in values
        return inside if found["op"] == "in" else not inside
    absent = term.startswith("!")
    found = _TERM.fullmatch(term[1:].strip() if absent else term)
    if not found:
        raise FieldError(f"selector {term!r} can't be read")
    if found["op"] is None:
        return (found["key"] in labels) is not absent
    equal = labels.get(found["key"]) == found["value"]
    return not equal if found["op"] == "!=" else equal


def fits(pattern: str, text: str) -> bool:
    """Whether an anchored regular expression fits; an empty one fits all. Raises FieldError."""
    if not pattern:
        return True
    try:
        return (
            re.fullmatch(pattern.removeprefix("^").removesuffix("$") if "|" not in pattern else pattern, text)
            is not None
        )
    except re.error as error:
        raise FieldError(f"pattern {pattern!r} is no regular expression: {error}") from error
