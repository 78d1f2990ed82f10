"""What the builder knows of kinds: whether they have a namespace, and how their lists are merged.

Facts of Kubernetes' published OpenAPI as kustomize 5.8 embeds it (v1.21), kept in `data/schema.json`; or of a file that
`openapi.path` names, which takes the place of the built-in definitions.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping
from typing import Any

from fluxtui.kustomize import documents
from fluxtui.kustomize.errors import FieldError

BUILTIN_VERSION = "v1.21.2"

_GVK = "x-kubernetes-group-version-kind"
_Use = Mapping[str, Any]


class Node:
    """The type at one place of a resource."""

    __slots__ = ("_fields", "_item", "_schema", "_use", "keys", "merges")

    def __init__(self, schema: Schema, use: _Use) -> None:
        self._schema = schema
        self._use = use
        self._fields: dict[str, Node | None] = {}
        self._item: Node | None = None
        strategy = str(use.get("patch", ""))
        self.merges = "merge" in strategy.split(",")
        """Whether lists here are merged; they are replaced otherwise."""
        keys = use.get("keys") or ([use["mergeKey"]] if use.get("mergeKey") else [])
        self.keys: tuple[str, ...] = tuple(keys) if strategy else ()
        """Fields by which items of a list are the same; empty for lists of scalars."""

    def field(self, name: str) -> Node | None:
        """The type of a field, None when nothing is known of it."""
        if name not in self._fields:
            fields = self._use.get("fields") or {}
            self._fields[name] = self._schema.node(fields.get(name, self._use.get("values")))
        return self._fields[name]

    def item(self) -> Node | None:
        """The type of a list's items, None when nothing is known of them."""
        if self._item is None:
            self._item = self._schema.node(self._use.get("items"))
        return self._item


class Schema:
    """Types by `apiVersion/Kind`."""

    def __init__(self, kinds: Mapping[str, _Use], definitions: Mapping[str, _Use]) -> None:
        self._kinds = kinds
        self._definitions = definitions
        self._nodes: dict[str, Node | None] = {}

    def type_of(self, api_version: str, kind: str) -> Node | None:
        """The type of a kind; None when it is not known."""
        found = self._kinds.get(f"{api_version}/{kind}")
        return self.node(found["def"]) if found and found.get("def") else None

    def scope_of(self, api_version: str, kind: str) -> bool | None:
        """Whether a kind has a namespace; None when that is not known."""
        found = self._kinds.get(f"{api_version}/{kind}")
        return None if found is None else found.get("namespaced")

    def with_added(self, other: Schema) -> Schema:
        """Both together; of what both have, the other's."""
        return Schema({**self._kinds, **other._kinds}, {**self._definitions, **other._definitions})

    def node(self, use: _Use | str | None) -> Node | None:
        """The type that a field's facts tell of, or that a name does."""
        if not use:
            return None
        if not isinstance(use, str) and use.get("ref") is None:
            return Node(self, use)
        name: str = use if isinstance(use, str) else use["ref"]
        if name not in self._nodes:
            definition = self._definitions.get(name)
            self._nodes[name] = self.node(definition) if definition is not None else None
        return self._nodes[name]


class Kinds:
    """What one build knows of kinds; a kustomization may bring a schema of its own while the build goes on.

    As in kustomize, that takes the place of the built-in one only if nothing has been asked of it before.
    """

    __slots__ = ("_asked_for_scope", "_asked_for_type", "_schema", "is_set")

    def __init__(self) -> None:
        self._schema = builtin()
        self.is_set = False
        """Whether a kustomization has said which schema to use."""
        self._asked_for_scope = False
        self._asked_for_type = False

    def set(self, schema: Schema) -> None:
        """Use another schema from now on."""
        if self._asked_for_type:
            schema = builtin().with_added(schema)
        elif self._asked_for_scope:
            schema = schema.with_added(builtin())
        self._schema = schema
        self.is_set = True

    def type_of(self, api_version: str, kind: str) -> Node | None:
        """The type of a kind; None when it is not known."""
        self._asked_for_type = True
        return self._schema.type_of(api_version, kind)

    def is_cluster_scoped(self, api_version: str, kind: str) -> bool:
        """Whether a kind is known to have no namespace."""
        scoped = builtin().scope_of(api_version, kind)
        if scoped is None:
            self._asked_for_scope = True
            scoped = self._schema.scope_of(api_version, kind)
        return scoped is False


@functools.cache
def builtin() -> Schema:
    """The schema of the built-in kinds."""
    facts = _data("schema.json")
    return Schema(facts["gvks"], facts["definitions"])


@functools.cache
def field_specs() -> dict[str, Any]:
    """The default field specs, by the names that a `configurations:` file has for them; never changed."""
    return _data("fieldspecs.json")


def _data(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((importlib.resources.files("fluxtui.kustomize") / "data" / name).read_bytes())
    return loaded


def of_openapi(data: bytes, source: str) -> Schema:
    """The schema of an OpenAPI v2 document, JSON or YAML. Raises LoadError, FieldError."""
    document = documents.read_settings(data, source)
    if not isinstance(document, dict):
        raise FieldError(f"{source}: an OpenAPI document is a map")
    definitions = document.get("definitions") or {}
    kinds: dict[str, dict[str, Any]] = {}
    for name, definition in definitions.items():
        for gvk in definition.get(_GVK) or ():
            kinds[_kind_name(gvk)] = {"def": name}
    for path, item in (document.get("paths") or {}).items():
        gvk = ((item or {}).get("get") or {}).get(_GVK)
        if isinstance(gvk, dict):
            kind = kinds.setdefault(_kind_name(gvk), {})
            kind["namespaced"] = "namespaces/{namespace}" in path or kind.get("namespaced", False)
    return Schema(kinds, {name: _use(definition) for name, definition in definitions.items()})


def _kind_name(gvk: Mapping[str, Any]) -> str:
    group, version = str(gvk.get("group") or ""), str(gvk.get("version") or "")
    return f"{group + '/' if group else ''}{version}/{gvk.get('kind')}"


def _use(definition: Any) -> _Use:
    if not isinstance(definition, dict):
        return {}
    if "$ref" in definition:
        return {"ref": str(definition["$ref"]).rpartition("/")[2].replace("~1", "/").replace("~0", "~")}
    use: dict[str, Any] = {"known": True}
    for fact, name in (
        ("x-kubernetes-patch-strategy", "patch"),
        ("x-kubernetes-patch-merge-key", "mergeKey"),
        ("x-kubernetes-list-map-keys", "keys"),
    ):
        if fact in definition:
            use[name] = definition[fact]
    if definition.get("properties"):
        use["fields"] = {name: _use(field) for name, field in definition["properties"].items()}
    if isinstance(definition.get("additionalProperties"), dict):
        use["values"] = _use(definition["additionalProperties"])
    if definition.get("type") == "array" and "items" in definition:
        use["items"] = _use(definition["items"])
    return use
