"""Resources: objects with what they were called before, in the order in which they were read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fluxtui.kustomize import documents, output
from fluxtui.kustomize.errors import BuildError
from fluxtui.kustomize.identities import NO_NAMESPACE, Gvk, Id, Selector, gvk_of
from fluxtui.kustomize.labelselectors import selects
from fluxtui.kustomize.patterns import fits
from fluxtui.kustomize.scalars import NotJson, Shared, Tree, copied, finished, is_null, new_key, text_of
from fluxtui.kustomize.schema import Kinds

Object = dict[str, Any]

_INTERNAL = "internal.config.kubernetes.io/"
STRIPPED = frozenset(
    (
        *(f"{_INTERNAL}previous{what}" for what in ("Kinds", "Names", "Namespaces")),
        *(f"{_INTERNAL}{what}" for what in ("prefixes", "suffixes", "allowNameChange", "allowKindChange", "refBy")),
        *(f"{_INTERNAL}{what}" for what in ("generatorBehavior", "needsHashSuffix", "helm-generated")),
        *(f"{_INTERNAL}{what}" for what in ("path", "index", "seqindent", "id", "annotations-migration-resource-id")),
        *("config.kubernetes.io/path", "config.kubernetes.io/index", "config.k8s.io/id"),
    )
)
"""Annotations that tools leave for each other; they never leave a build."""


class Resource:
    """One object. While a build goes on, `object` is a tree (see `scalars`); in what `build` returns, plain data."""

    __slots__ = ("behavior", "hash_name", "kinds", "object", "prefixes", "previous", "shared", "suffixes", "variables")

    def __init__(self, obj: Object, kinds: Kinds | None = None) -> None:
        self.object = obj
        self.kinds = kinds or Kinds()
        self.previous: list[tuple[str, str, str]] = []
        """(effective namespace, name, kind) that the resource had, oldest first."""
        self.prefixes: list[str] = []
        self.suffixes: list[str] = []
        self.behavior = ""
        """For a generated resource: create, replace or merge."""
        self.hash_name = False
        """Whether a hash of the content becomes part of the name."""
        self.variables: list[str] = []
        """Names of the vars that read from here."""
        self.shared: list[Shared] = []
        """Texts that several fields share."""

    @property
    def kind(self) -> str:
        """`Deployment`."""
        return text_of(self.object.get("kind"))

    @property
    def api_version(self) -> str:
        """`apps/v1`."""
        return text_of(self.object.get("apiVersion"))

    @property
    def gvk(self) -> Gvk:
        """Group, version and kind."""
        return gvk_of(self.api_version, self.kind)

    @property
    def metadata(self) -> Object:
        """The metadata; an empty map that is not part of the object where there is none."""
        found = self.object.get("metadata")
        return found if isinstance(found, dict) else {}

    @property
    def name(self) -> str:
        """The current name."""
        return text_of(self.metadata.get("name"))

    @property
    def namespace(self) -> str:
        """The current namespace as written, empty without one."""
        found = self.metadata.get("namespace")
        return "" if is_null(found) else text_of(found)

    @property
    def is_cluster_scoped(self) -> bool:
        """Whether the kind is known to have no namespace."""
        return self.kinds.is_cluster_scoped(self.api_version, self.kind)

    @property
    def id(self) -> Id:
        """Who the resource is now."""
        return Id(self.gvk, NO_NAMESPACE if self.is_cluster_scoped else self.namespace, self.name)

    @property
    def previous_ids(self) -> list[Id]:
        """Who the resource was, oldest first."""
        group, version, _ = self.gvk
        return [Id(Gvk(group, version, kind), namespace, name) for namespace, name, kind in self.previous]

    @property
    def original(self) -> Id:
        """Who the resource was at first."""
        return self.previous_ids[0] if self.previous else self.id

    def remember(self) -> None:
        """Keep the current identity as a previous one."""
        current = self.id
        self.previous.append((current.effective_namespace, current.name, current.gvk.kind))

    def texts(self, field: str) -> dict[str, str]:
        """The labels or annotations, every value as text."""
        found = self.metadata.get(field)
        return {key: text_of(value) for key, value in found.items()} if isinstance(found, dict) else {}

    def set_texts(self, field: str, texts: dict[str, str]) -> None:
        """Set the labels or annotations; none at all removes the field."""
        metadata = self.object.get("metadata")
        if not isinstance(metadata, dict):
            if not is_null(metadata):
                raise BuildError(f"{self.id}: metadata is no map")
            self.object["metadata"] = metadata = {}
        metadata.pop(field, None)
        if texts:
            metadata[field] = {new_key(key): text for key, text in texts.items()}

    @property
    def _notes(self) -> dict[str, str]:
        """What kustomize would have noted in annotations by now."""
        namespaces, names, kinds = (
            ",".join(column) for column in (zip(*self.previous, strict=True) if self.previous else ((), (), ()))
        )
        notes = {
            "previousNamespaces": namespaces,
            "previousNames": names,
            "previousKinds": kinds,
            "prefixes": ",".join(self.prefixes),
            "suffixes": ",".join(self.suffixes),
            "refBy": ",".join(self.variables),
            "generatorBehavior": self.behavior,
            "needsHashSuffix": "enabled" if self.hash_name else "",
        }
        return {f"{_INTERNAL}{name}": text for name, text in notes.items() if text}

    def mark(self) -> None:
        """Note it in annotations, so that a patch finds them, or removes them."""
        notes = self._notes
        if not notes:
            return
        annotations = self.metadata.get("annotations")
        if isinstance(annotations, dict) and annotations:
            annotations.update(notes)
        else:
            self.set_texts("annotations", notes)

    def unmark(self, *, keep: bool = False) -> None:
        """Remove those annotations. Where a patch has done so, all that is noted is lost unless it is to be kept."""
        notes = self._notes
        if not notes:
            return
        annotations = self.metadata.get("annotations")
        if isinstance(annotations, dict) and annotations.keys() & notes.keys():
            for key in notes:
                annotations.pop(key, None)
            if not annotations:
                del self.metadata["annotations"]
        elif not keep:
            self.previous, self.prefixes, self.suffixes, self.variables = [], [], [], []
            self.behavior, self.hash_name = "", False

    def recall(self) -> None:
        """Remember what the annotations of `mark` say by now, perhaps nothing or what another resource was."""
        self.previous, self.prefixes, self.suffixes, self.behavior, self.hash_name = [], [], [], "", False
        annotations = self.metadata.get("annotations")
        if isinstance(annotations, dict):
            _recall(self, self.texts("annotations"))
            self.metadata["annotations"] = {key: text for key, text in annotations.items() if key not in STRIPPED}

    def annotate(self, key: str, value: str) -> None:
        """Set an annotation."""
        self.set_texts("annotations", {**self.texts("annotations"), key: value})

    def settle(self) -> None:
        """Let fields that share a text have what has taken its place in one of them."""
        changed = {id(text): text.latest for text in self.shared if text.latest is not None}
        if changed:
            _replace(self.object, changed)
            self.shared = [text for text in self.shared if text.latest is None]
            self.shared += [text for text in changed.values() if isinstance(text, Shared)]

    def copy(self) -> Resource:
        """An independent copy."""
        twin = Resource(copied(self.object), self.kinds)
        twin.previous = list(self.previous)
        twin.prefixes, twin.suffixes = list(self.prefixes), list(self.suffixes)
        twin.behavior, twin.hash_name, twin.variables = self.behavior, self.hash_name, list(self.variables)
        return twin

    def finish(self) -> None:
        """Make plain data of the object and drop what only tools need. Raises BuildError."""
        annotations = self.metadata.get("annotations")
        if isinstance(annotations, dict) and (annotations or self._notes):
            kept = {key: value for key, value in self.texts("annotations").items() if key not in STRIPPED}
            self.set_texts("annotations", kept)
        try:
            self.object = finished(self.object)
        except NotJson as error:
            raise BuildError(f"{self.id}: {error}") from error

    def to_yaml(self) -> str:
        """The object as one YAML document without a marker."""
        return output.document(self.object)

    def __repr__(self) -> str:
        return f"Resource({self.id})"


def _replace(tree: Tree, changed: dict[int, Tree]) -> None:
    places = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(places):
        if isinstance(value, dict | list):
            _replace(value, changed)
        elif id(value) in changed:
            tree[key] = changed[id(value)]


class Resources:
    """Resources in order, each identity once."""

    def __init__(self, items: Iterable[Resource] = ()) -> None:
        self._items: list[Resource] = []
        self._keys: set[Any] | None = set()
        self.extend(items)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Resource:
        return self._items[index]

    def append(self, resource: Resource) -> None:
        """Add a resource. Raises BuildError when its identity is there already."""
        if self._keys is None:
            self._keys = {item.id.key for item in self._items}
        key = resource.id.key
        if key in self._keys:
            raise BuildError(f"may not add resource with an already registered id: {resource.id}")
        self._keys.add(key)
        self._items.append(resource)

    def extend(self, resources: Iterable[Resource]) -> None:
        """Add resources. Raises BuildError."""
        for resource in resources:
            self.append(resource)

    def changed(self) -> None:
        """To be called when the identity of a resource may have changed."""
        self._keys = None

    def check(self) -> None:
        """Raise BuildError when two resources have come to have the same identity."""
        items, self._items, self._keys = self._items, [], set()
        self.extend(items)

    def put(self, old: Resource, new: Resource) -> None:
        """Put a resource in the place of another."""
        self._items[self._items.index(old)] = new
        self.changed()

    def keep(self, wanted: Callable[[Resource], bool]) -> None:
        """Drop the resources that are not wanted."""
        self._items = [resource for resource in self._items if wanted(resource)]
        self.changed()

    def drop_empty(self) -> None:
        """Drop resources that a patch has deleted."""
        if not all(resource.object for resource in self._items):
            self.keep(lambda resource: bool(resource.object))

    def select(self, selector: Selector) -> list[Resource]:
        """The resources that a selector fits by their original or current names. Raises FieldError."""
        return [resource for resource in self._items if resource.object and _selected(resource, selector)]

    def by_any_id(self, wanted: Id) -> list[Resource]:
        """The resources that have or had an identity."""
        key = wanted.key
        return [resource for resource in self._items if resource.object and _had(resource, wanted.name, key)]

    def only(self, wanted: Id) -> Resource:
        """The one resource that has or had an identity. Raises BuildError."""
        found = self.by_any_id(wanted)
        if len(found) != 1:
            problem = "multiple matches" if found else "no matches"
            raise BuildError(f"{problem} for Id {wanted}; failed to find unique target for patch {wanted}")
        return found[0]

    def sort(self, key: Callable[[Resource], Any]) -> None:
        """Put the resources in another order."""
        self._items.sort(key=key)

    def to_yaml(self) -> str:
        """All objects as one YAML stream."""
        return "---\n".join(resource.to_yaml() for resource in self._items)


def _had(resource: Resource, name: str, key: object) -> bool:
    if resource.name == name and resource.id.key == key:
        return True
    names = (previous for _, previous, _ in resource.previous)
    return name in names and any(previous.key == key for previous in resource.previous_ids)


def _selected(resource: Resource, selector: Selector) -> bool:
    if not selector.fits_gvk(resource.gvk):
        return False
    if selector.namespace or selector.name:
        original, current = resource.original, resource.id
        namespaces = (original.effective_namespace, current.effective_namespace)
        if not any(fits(selector.namespace, namespace) for namespace in namespaces):
            return False
        if not any(fits(selector.name, name) for name in (original.name, current.name)):
            return False
    return fits_labels(resource, selector)


def fits_labels(resource: Resource, selector: Selector) -> bool:
    """Whether label and annotation selectors fit a resource. Raises FieldError."""
    if selector.label_selector and not selects(selector.label_selector, resource.texts("labels")):
        return False
    return not selector.annotation_selector or selects(selector.annotation_selector, resource.texts("annotations"))


def read(data: bytes | str, source: str, kinds: Kinds) -> list[Resource]:
    """The resources of a YAML stream; lists are taken apart. Raises LoadError, BuildError."""
    trees = documents.read_trees(data, source)
    if len(trees) == 1 and isinstance(trees[0], dict) and trees[0].get("kind") in ("List", "ResourceList"):
        items = trees[0].get("items", None if "functionConfig" not in trees[0] else [])
        if isinstance(items, list):
            trees = items
    waiting = [tree for tree in trees if not _is_nothing(tree)]
    for tree in waiting:
        _check(tree, source)
    found = []
    for tree in waiting:
        if not text_of(tree.get("kind")).endswith("List") or "items" not in tree:
            found.append(_resource(tree, kinds))
            continue
        items = tree["items"]
        if not isinstance(items, list) and not is_null(items):
            raise BuildError(f"{source}: items of a {text_of(tree['kind'])} must be a list")
        inner = [item for item in items or () if not _is_nothing(item)]
        for item in inner:
            _check(item, source)
        waiting.extend(inner)
    return found


def _resource(tree: Object, kinds: Kinds) -> Resource:
    """A resource that remembers what its annotations say that it was."""
    resource = Resource(tree, kinds)
    annotations = resource.metadata.get("annotations")
    if isinstance(annotations, dict) and any(key.startswith(_INTERNAL) for key in annotations):
        texts = resource.texts("annotations")
        _recall(resource, texts)
        resource.set_texts("annotations", {key: text for key, text in texts.items() if key not in STRIPPED})
    return resource


def _recall(resource: Resource, annotations: dict[str, str]) -> None:
    def listed(name: str) -> list[str]:
        text = annotations.get(f"{_INTERNAL}{name}")
        return [] if text is None else text.split(",")

    names, namespaces, kinds = (listed(f"previous{what}") for what in ("Names", "Namespaces", "Kinds"))
    if names:
        if not len(names) == len(namespaces) == len(kinds):
            raise BuildError(f"{resource.id}: number of previous names, namespaces and kinds not equal")
        resource.previous = list(zip(namespaces, names, kinds, strict=True))
    resource.prefixes, resource.suffixes = listed("prefixes"), listed("suffixes")
    resource.behavior = annotations.get(f"{_INTERNAL}generatorBehavior", "")
    resource.hash_name = annotations.get(f"{_INTERNAL}needsHashSuffix") == "enabled"


def _is_nothing(tree: Tree) -> bool:
    return is_null(tree) or tree in ({}, [])


def _check(tree: Tree, source: str) -> None:
    if not isinstance(tree, dict):
        raise BuildError(f"{source}: missing Resource metadata")
    kind, metadata = tree.get("kind"), tree.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if is_null(kind) or not text_of(kind):
        known = not is_null(tree.get("apiVersion")) or isinstance(metadata, dict)
        raise BuildError(f"{source}: missing kind in object" if known else f"{source}: missing Resource metadata")
    if not text_of(kind).endswith("List") and (is_null(name) or not text_of(name)):
        raise BuildError(f"{source}: missing metadata.name in object {text_of(kind)}")
