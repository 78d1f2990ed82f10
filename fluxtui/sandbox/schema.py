"""The types of objects: their fields, which lists are keyed, sets or atomic, which maps are atomic, what always shows.

Built-in types: facts of Kubernetes' published OpenAPI (v1.35: properties, defaults, `x-kubernetes-list-type` and its
kin), kept in `data/schema.json`. Custom resources: read from the structural schema of their CRD. What no schema
describes is a granular map, an atomic list or a scalar.

`data/schema.json`: `gvks`: `group/version/Kind` (core: `version/Kind`) → {def, namespaced, resource};
`definitions`: type name → {fields, map}. A field is a code, or {type | items | values: code} with `list`, `keys`,
`map`, `patch`, `mergeKey`, `default`, `required` as in the OpenAPI. A code is `s`, `i`, `b`, `n` (string, integer,
boolean, number), `*` (anything) or a type name; `S`, `I`, `B`, `N` for those that the server leaves out when they are
empty, zero or false, `T` for times that it shows as null when there is none (k8s.io/api: `omitempty`, `metav1.Time`).
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Shape = Literal["struct", "map", "list", "scalar", "any"]

_SCALARS = {"s": "string", "i": "integer", "b": "boolean", "n": "number"}
_SCALARS |= {code.upper(): name for code, name in _SCALARS.items()} | {"T": "string"}
_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_PRESERVE = "x-kubernetes-preserve-unknown-fields"


class Node:
    """The type at one place of an object; the types of its parts are made as they are asked for."""

    def __init__(
        self,
        shape: Shape,
        *,
        typed: bool = False,
        scalar: str = "",
        code: str = "",
        use: Mapping[str, Any] | None = None,
        fields: Mapping[str, Any] | None = None,
        inner: Any = None,
    ) -> None:
        use = use or {}
        self.shape: Shape = shape
        self.typed = typed
        """Whether the server keeps such values in a type of its own, which has no place for anything else."""
        self.scalar = scalar
        """string, integer, boolean, number; empty for any."""
        self.hides_zero = code in ("S", "I", "B", "N")
        """Whether an empty text, 0 and false are as good as absent."""
        self.shows_null = code == "T"
        """Whether nothing is shown as null."""
        self.fields: Mapping[str, Any] = fields or {}
        """The fields of a struct by name; `field` tells their types."""
        self.list_type: str = use.get("list", "atomic")
        """`atomic`, `set` or `map`."""
        self.keys: tuple[str, ...] = tuple(use.get("keys", ()))
        """Key fields of a list of type map."""
        self.atomic_map = use.get("map") == "atomic"
        """Whether a map is replaced as a whole."""
        self.strategies = frozenset(filter(None, str(use.get("patch", "")).split(",")))
        """Patch strategies of strategic merge: merge, retainKeys, replace."""
        self.merge_key = str(use.get("mergeKey", ""))
        """Key of strategic merge; empty for lists of scalars."""
        self.default: Any = use.get("default")
        self.required = bool(use.get("required"))
        self._inner = inner
        self._known: dict[str, Node] = {}

    @property
    def always(self) -> bool:
        """Whether a struct of the server's own types shows this field even when it is empty."""
        if self.shape == "list":
            return self.required
        if self.hides_zero or self.shows_null:
            return self.shows_null
        return self.default is not None and not self.default

    @functools.cached_property
    def always_fields(self) -> tuple[tuple[str, Node], ...]:
        """The fields of a struct that it always shows."""
        return tuple((name, node) for name in self.fields if (node := self.field(name)).always)

    @functools.cached_property
    def key_defaults(self) -> Mapping[str, Any]:
        """The values that missing key fields of a list's items take."""
        found = {key: self.item().field(key).default for key in self.keys}
        return {key: value for key, value in found.items() if value is not None}

    @property
    def is_open(self) -> bool:
        """Whether names that no field has are allowed."""
        return self.shape in ("map", "any") or self._inner is not None

    def declares(self, field: str) -> bool:
        """Whether a field of a map is one of a struct, and not an entry of a free map."""
        return field in self.fields

    def field(self, name: str) -> Node:
        """The type of a field, or of a value of a free map; UNKNOWN for what is not described."""
        if name not in self.fields:
            return self.item()
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._make(self.fields[name])
        return found

    def item(self) -> Node:
        """The type of a list's items, or of a free map's values."""
        if self._inner is None:
            return UNKNOWN
        found = self._known.get("")
        if found is None:
            found = self._known[""] = self._make(self._inner)
        return found

    def _make(self, description: Any) -> Node:
        if isinstance(description, Node):
            return description
        return _builtin(description) if self.typed else _custom(description)


UNKNOWN = Node("any")
"""A type of which nothing is known."""


def builtin(group: str, version: str, kind: str) -> Node:
    """The type of a built-in kind; UNKNOWN for any other."""
    found = _facts()["gvks"].get("/".join(filter(None, (group, version, kind))))
    return _definition(found["def"]) if found else UNKNOWN


def custom(schema: Mapping[str, Any]) -> Node:
    """The type of a custom resource, from the structural schema of its version."""
    fields = {**(schema.get("properties") or {}), **_root_fields()}
    return Node(
        "struct", fields=fields, inner=UNKNOWN if schema.get(_PRESERVE) or not schema.get("properties") else None
    )


def kinds() -> Mapping[str, Mapping[str, Any]]:
    """`group/version/Kind` (core: `version/Kind`) → {namespaced, resource} of the built-in kinds."""
    found: Mapping[str, Mapping[str, Any]] = _facts()["gvks"]
    return found


@functools.cache
def _facts() -> dict[str, Any]:
    text = (importlib.resources.files("fluxtui.sandbox") / "data" / "schema.json").read_bytes()
    facts: dict[str, Any] = msgspec.json.decode(text)
    return facts


@functools.cache
def _definition(name: str) -> Node:
    facts = _facts()["definitions"][name]
    return Node("struct", typed=True, use=facts, fields=facts["fields"])


def _builtin(description: Any) -> Node:
    if isinstance(description, str):
        if description == "*":
            return UNKNOWN
        scalar = _SCALARS.get(description)
        return Node("scalar", typed=True, scalar=scalar, code=description) if scalar else _definition(description)
    if "items" in description:
        return Node("list", typed=True, use=description, inner=description["items"])
    if "values" in description:
        return Node("map", typed=True, use=description, inner=description["values"])
    name = description["type"]
    if name == "*":
        return Node("any", use=description)
    if name in _SCALARS:
        return Node("scalar", typed=True, scalar=_SCALARS[name], code=name, use=description)
    facts = _facts()["definitions"][name]
    return Node("struct", typed=True, use={**facts, **description}, fields=facts["fields"])


def _custom(schema: Mapping[str, Any]) -> Node:
    use = {
        "list": schema.get("x-kubernetes-list-type", "atomic"),
        "keys": schema.get("x-kubernetes-list-map-keys") or (),
        "map": schema.get("x-kubernetes-map-type"),
        "default": schema.get("default"),
    }
    kind, preserve = schema.get("type"), schema.get(_PRESERVE)
    if schema.get("x-kubernetes-int-or-string"):
        return Node("scalar", use=use)
    if kind == "object":
        fields = schema.get("properties") or {}
        if schema.get("x-kubernetes-embedded-resource"):
            fields = {**fields, **_root_fields()}
        if fields:
            return Node("struct", use=use, fields=fields, inner=UNKNOWN if preserve else None)
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping):
            return Node("map", use=use, inner=more)
        return Node("any" if preserve or more else "struct", use=use)
    if kind == "array":
        return Node("list", use=use, inner=schema.get("items") or {})
    return Node("scalar", scalar=str(kind), use=use) if kind else Node("any", use=use)


@functools.cache
def _root_fields() -> Mapping[str, Node]:
    text = Node("scalar", scalar="string")
    return {"apiVersion": text, "kind": text, "metadata": _definition(_OBJECT_META)}
