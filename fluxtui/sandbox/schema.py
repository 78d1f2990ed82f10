"""What merging has to know of a type: which lists are keyed, sets or atomic, which maps are atomic.

Built-in types: facts of Kubernetes' published OpenAPI (v1.35: `x-kubernetes-list-type` and its kin), kept in
`data/schema.json`. Custom resources: read from the structural schema of their CRD. What a schema does not say is a
granular map, an atomic list or a scalar.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping
from typing import Any

import msgspec


class Node(msgspec.Struct, frozen=True):
    """The type at one place of an object; children are looked up as they are asked for."""

    definition: Mapping[str, Any] = {}
    """For built-in types: {map, fields, values}; for custom ones: an OpenAPI schema."""
    use: Mapping[str, Any] = {}
    """For built-in types: how a field uses its type: {list, keys, items, values, map, patch, mergeKey}."""
    custom: bool = False
    name: str = ""
    """Name of a built-in type, for the defaults of its keys."""

    @property
    def list_type(self) -> str:
        """`atomic`, `set` or `map`."""
        if self.custom:
            return str(self.definition.get("x-kubernetes-list-type", "atomic"))
        return str(self.use.get("list", "atomic"))

    @property
    def keys(self) -> tuple[str, ...]:
        """Key fields of a list of type map."""
        found = self.definition.get("x-kubernetes-list-map-keys") if self.custom else self.use.get("keys")
        return tuple(found or ())

    @property
    def atomic_map(self) -> bool:
        """Whether a map is replaced as a whole."""
        if self.custom:
            return bool(self.definition.get("x-kubernetes-map-type") == "atomic")
        return str(self.use.get("map", self.definition.get("map"))) == "atomic"

    @property
    def strategies(self) -> frozenset[str]:
        """Patch strategies of strategic merge: merge, retainKeys, replace."""
        return frozenset(filter(None, str(self.use.get("patch", "")).split(",")))

    @property
    def merge_key(self) -> str:
        """Key of strategic merge; empty for lists of scalars."""
        return str(self.use.get("mergeKey", ""))

    @property
    def key_defaults(self) -> Mapping[str, Any]:
        """The values that missing key fields of a list's items take."""
        if self.custom:
            properties = (self.definition.get("items") or {}).get("properties") or {}
            return {key: properties[key]["default"] for key in self.keys if "default" in properties.get(key, {})}
        defaults: Mapping[str, Any] = _facts()["keyDefaults"].get(str(self.use.get("items", "")), {})
        if not defaults and "protocol" in self.keys:
            return {"protocol": "TCP"}
        return defaults

    def declares(self, field: str) -> bool:
        """Whether a field of a map is one of a struct, and not an entry of a free map."""
        if self.custom:
            return field in (self.definition.get("properties") or {})
        return "values" not in self.use

    def field(self, name: str) -> Node:
        """The type of a field, or of a value of a free map."""
        if self.custom:
            properties = self.definition.get("properties") or {}
            more = self.definition.get("additionalProperties")
            found = properties.get(name, more if isinstance(more, Mapping) else {})
            return Node(definition=found, custom=True)
        if "values" in self.use:
            return _builtin_use(self.use["values"])
        return _builtin_use((self.definition.get("fields") or {}).get(name, {}))

    def item(self) -> Node:
        """The type of a list's items."""
        if self.custom:
            return Node(definition=self.definition.get("items") or {}, custom=True)
        items = self.use.get("items", {})
        return _builtin_use(items)


UNKNOWN = Node()
"""A type of which nothing is known."""


def builtin(group: str, version: str, kind: str) -> Node:
    """The type of a built-in kind; UNKNOWN for any other."""
    name = "/".join(filter(None, (group, version, kind)))
    found = _facts()["gvks"].get(name)
    definition = found.get("def") if found else None
    return _builtin_type(definition) if definition else _with_metadata({})


def custom(schema: Mapping[str, Any]) -> Node:
    """The type of a custom resource, from the structural schema of its version."""
    properties = {**(schema.get("properties") or {}), "metadata": _METADATA}
    return Node(definition={**schema, "properties": properties}, custom=True)


def kinds() -> Mapping[str, Mapping[str, Any]]:
    """`group/version/Kind` (core: `version/Kind`) → {namespaced, resource} of the built-in kinds."""
    found: Mapping[str, Mapping[str, Any]] = _facts()["gvks"]
    return found


_METADATA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
        "finalizers": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "ownerReferences": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
            "items": {"type": "object", "x-kubernetes-map-type": "atomic"},
        },
    },
}
_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


@functools.cache
def _facts() -> dict[str, Any]:
    text = (importlib.resources.files("fluxtui.sandbox") / "data" / "schema.json").read_bytes()
    facts: dict[str, Any] = json.loads(text)
    return facts


def _with_metadata(fields: Mapping[str, Any]) -> Node:
    return Node(definition={"fields": {"metadata": _OBJECT_META, **fields}})


def _builtin_type(name: str) -> Node:
    definition = _facts()["definitions"].get(name, {})
    fields = definition.get("fields") or {}
    if "metadata" not in fields and name != _OBJECT_META:
        definition = {**definition, "fields": {"metadata": _OBJECT_META, **fields}}
    return Node(definition=definition, name=name)


def _builtin_use(use: Any) -> Node:
    if isinstance(use, str):
        return Node(definition=_facts()["definitions"].get(use, {}), name=use)
    if not use:
        return UNKNOWN
    name = str(use.get("ref", ""))
    definition = _facts()["definitions"].get(name, {})
    if use.get("preserveUnknown"):
        return UNKNOWN
    return Node(definition=definition, use=use, name=name)
