"""Replacements: a value of one resource, copied into fields of others.

Source: the reference of `replacements` in kustomize's documentation.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import msgspec

from fluxtui.kustomize.errors import BuildError, FieldError
from fluxtui.kustomize.resources import Resource, Resources, Selector, fits

DEFAULT_PATH = "metadata.name"
_PART = re.compile(r"\[[^\]]*\]|(?:\\.|[^.\[])+")


class Options(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """How a part of a text is taken or set, and whether missing fields are made."""

    delimiter: str = ""
    index: int = 0
    create: bool = False
    encoding: str = ""


class Source(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Where the value comes from."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    field_path: str = ""
    options: Options | None = None


class Target(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Where the value goes."""

    select: Selector | None = None
    reject: list[Selector] = msgspec.field(default_factory=list)
    field_paths: list[str] = msgspec.field(default_factory=list)
    options: Options | None = None


class Replacement(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A source and its targets."""

    source: Source | None = None
    source_value: Any = None
    targets: list[Target] = msgspec.field(default_factory=list)


def parse(item: Any, where: str) -> Replacement:
    """A replacement of plain data. Raises FieldError."""
    try:
        return msgspec.convert(item, Replacement)
    except msgspec.ValidationError as error:
        raise FieldError(f"{where}: {error}") from error


def replace(resources: Resources, replacement: Replacement, where: str) -> None:
    """Carry out one replacement. Raises FieldError or BuildError."""
    if not replacement.targets or (replacement.source is None and replacement.source_value is None):
        raise FieldError(f"{where}: a replacement must specify a source and at least one target")
    source = replacement.source
    value = _value(resources, source, where) if source is not None else replacement.source_value
    for target in replacement.targets:
        if target.select is None:
            raise FieldError(f"{where}: a replacement target must specify resources to select")
        for resource in list(resources):
            if _exactly(target.select, resource) and not any(_exactly(item, resource) for item in target.reject):
                _set(resource, target, value, where)


def _value(resources: Resources, source: Source, where: str) -> Any:
    selector = Selector(source.group, source.version, source.kind, source.name, source.namespace)
    found = [resource for resource in resources if _exactly(selector, resource)]
    if len(found) != 1:
        count = "nothing" if not found else "multiple matches"
        raise BuildError(f"{where}: {count} selected by source {source.kind or '*'}/{source.name or '*'}")
    path = source.field_path or DEFAULT_PATH
    places = _places(found[0].object, _split(path), create=False)
    if len(places) != 1:
        raise BuildError(f"{where}: fieldPath `{path}` is missing for replacement source {found[0].id}")
    parent, key = places[0]
    value = parent[key]
    if source.options and source.options.delimiter:
        if not isinstance(value, str):
            raise BuildError(f"{where}: delimiter option can only be used with scalar nodes")
        pieces = value.split(source.options.delimiter)
        if not 0 <= source.options.index < len(pieces):
            raise BuildError(f"{where}: options.index {source.options.index} is out of bounds for value {value}")
        return pieces[source.options.index]
    return value


def _exactly(selector: Selector, resource: Resource) -> bool:
    """Whether a resource fits; names of a replacement's selectors are compared with all identities it has had."""
    plain = Selector(label_selector=selector.label_selector, annotation_selector=selector.annotation_selector)
    if not plain.matches(resource):
        return False
    group, version, kind = resource.gvk
    pairs = ((selector.group, group), (selector.version, version), (selector.kind, kind))
    if not all(fits(wanted, have) for wanted, have in pairs):
        return False
    return any(
        fits(selector.name, item.name) and fits(selector.namespace, item.effective_namespace) for item in resource.ids
    )


def _set(resource: Resource, target: Target, value: Any, where: str) -> None:
    options = target.options or Options()
    for path in target.field_paths or [DEFAULT_PATH]:
        parts = _split(path)
        if path in ("metadata.name", "metadata.namespace", "kind", "apiVersion"):
            resource.remember()
        places = _places(resource.object, parts, create=options.create)
        if not places:
            raise BuildError(f"{where}: unable to find field {path!r} in replacement target {resource.id}")
        for parent, key in places:
            parent[key] = _new(parent, key, value, options, where)


def _new(parent: Any, key: Any, value: Any, options: Options, where: str) -> Any:
    old = parent[key] if isinstance(parent, list) else parent.get(key)
    if not options.delimiter:
        return copy.deepcopy(value)
    if isinstance(old, dict | list) or isinstance(value, dict | list):
        raise BuildError(f"{where}: delimiter option can only be used with scalar nodes")
    pieces = str(old if old is not None else "").split(options.delimiter)
    if options.index < 0:
        pieces.insert(0, str(value))
    elif options.index >= len(pieces):
        pieces.append(str(value))
    else:
        pieces[options.index] = str(value)
    return options.delimiter.join(pieces)


def _split(path: str) -> list[str]:
    """The parts of a dotted path; `\\.` is a dot in a name, `[…]` an item of a list or a name as it is."""
    return [part.replace("\\.", ".") for part in _PART.findall(path)]


def _places(node: Any, parts: list[str], *, create: bool) -> list[tuple[Any, Any]]:
    """(map or list, key or index) of every place that a path means."""
    if not parts:
        return []
    part, rest = parts[0], parts[1:]
    if isinstance(node, list):
        return _in_list(node, part, rest, create)
    if not isinstance(node, dict):
        return []
    name = part[1:-1] if part.startswith("[") else part
    if part == "*" and part not in node:
        return [place for key in list(node) for place in _below(node, key, rest, create)]
    if name not in node or node[name] is None:
        if not create:
            return []
        node[name] = "" if not rest else [] if _means_list(rest[0]) else {}
    return _below(node, name, rest, create)


def _below(node: Any, key: Any, rest: list[str], create: bool) -> list[tuple[Any, Any]]:
    return [(node, key)] if not rest else _places(node[key], rest, create=create)


def _means_list(part: str) -> bool:
    return part.startswith("[") or part.isdigit() or part in ("-", "*")


def _in_list(items: list[Any], part: str, rest: list[str], create: bool) -> list[tuple[Any, Any]]:
    inner = part[1:-1] if part.startswith("[") else part
    if inner == "*":
        indexes = list(range(len(items)))
    elif inner == "-":
        items.append("" if not rest else {})
        indexes = [len(items) - 1]
    elif inner.isdigit():
        indexes = [int(inner)] if int(inner) < len(items) else []
    else:
        key, equals, wanted = inner.partition("=")
        if not equals:
            return []
        indexes = [
            index
            for index, item in enumerate(items)
            if (item == wanted if not key else isinstance(item, dict) and str(item.get(key)) == wanted)
        ]
        if not indexes and create:
            items.append({key: wanted} if key else wanted)
            indexes = [len(items) - 1]
    return [place for index in indexes for place in _below(items, index, rest, create)]
