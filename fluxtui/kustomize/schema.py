"""What the builder knows of built-in kinds: their scope, and how their lists are merged.

Facts of Kubernetes' published OpenAPI as kustomize 5.8 embeds it (v1.21), kept in `data/schema.json`.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping
from typing import Any

import msgspec


class Node(msgspec.Struct, frozen=True):
    """The type at one place of a resource."""

    definition: Mapping[str, Any] = {}
    use: Mapping[str, Any] = {}
    name: str = ""

    @property
    def strategies(self) -> frozenset[str]:
        """Patch strategies: merge, retainKeys, replace."""
        return frozenset(filter(None, str(self.use.get("patch", "")).split(",")))

    @property
    def merge_keys(self) -> tuple[str, ...]:
        """Fields by which items of a list are the same; empty when the list is replaced or holds scalars."""
        if "merge" not in self.strategies:
            return ()
        keys = tuple(self.use.get("keys") or ())
        return keys or ((str(self.use["mergeKey"]),) if self.use.get("mergeKey") else ())

    @property
    def merges_scalars(self) -> bool:
        """Whether a list of scalars is merged and not replaced."""
        return "merge" in self.strategies and not self.merge_keys

    @property
    def key_defaults(self) -> Mapping[str, Any]:
        """The values that missing key fields take."""
        found: Mapping[str, Any] = facts()["keyDefaults"].get(str(self.use.get("items", "")), {})
        return found

    def field(self, name: str) -> Node:
        """The type of a field."""
        if "values" in self.use:
            return _use(self.use["values"])
        return _use((self.definition.get("fields") or {}).get(name, {}))

    def item(self) -> Node:
        """The type of a list's items."""
        return _use(self.use.get("items", {}))


UNKNOWN = Node()


def type_of(api_version: str, kind: str) -> Node:
    """The type of a kind; UNKNOWN when it is not built in."""
    found = facts()["gvks"].get(f"{api_version}/{kind}")
    if not found or not found.get("def"):
        return UNKNOWN
    return _use(found["def"])


def is_cluster_scoped(api_version: str, kind: str) -> bool:
    """Whether a kind is known to have no namespace; an unknown kind has one."""
    found = facts()["gvks"].get(f"{api_version}/{kind}")
    return found is not None and found.get("namespaced") is False


@functools.cache
def facts() -> dict[str, Any]:
    """The data file; never changed."""
    text = (importlib.resources.files("fluxtui.kustomize") / "data" / "schema.json").read_bytes()
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@functools.cache
def field_specs() -> dict[str, Any]:
    """The default field specs; never changed."""
    text = (importlib.resources.files("fluxtui.kustomize") / "data" / "fieldspecs.json").read_bytes()
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _use(use: Any) -> Node:
    if isinstance(use, str):
        return Node(facts()["definitions"].get(use, {}), {}, use)
    if not use:
        return UNKNOWN
    name = str(use.get("ref", ""))
    return Node(facts()["definitions"].get(name, {}), use, name)
