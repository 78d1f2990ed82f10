"""Paths to fields, as replacements and vars write them: `spec.containers.[name=web].ports.0`."""

from __future__ import annotations

import decimal
import json
import re
from collections.abc import Iterator
from typing import Any

from fluxtui.kustomize import documents
from fluxtui.kustomize.errors import BuildError, KustomizeError
from fluxtui.kustomize.patterns import Pattern, compiled
from fluxtui.kustomize.scalars import Quoted, Tree, Untagged, is_null, is_scalar, text_of

Place = tuple[Any, Any]
"""A container, and the key or index of a value in it."""
MISSING: Any = object()
CREATED: Any = object()
"""A scalar that has just been made and has no value yet."""

_INDEX = re.compile(r"\d+\Z", re.ASCII)
_SLICE = re.compile(r"(.*)\[(\d+)\]\Z")


def split(path: str, delimiter: str) -> list[str]:
    """The parts of a path; a backslash before a delimiter makes it part of a name."""
    pieces = path.split(delimiter)
    if len(pieces) > 1 and not pieces[0]:
        pieces = pieces[1:]
    parts = pieces[:1]
    for piece in pieces[1:]:
        if parts[-1].endswith("\\"):
            parts[-1] = parts[-1][:-1] + delimiter + piece
        else:
            parts.append(piece)
    return parts


def parsed(path: str) -> list[str]:
    """The parts of a path with dots; what is in brackets stays together: `[name=a.b]`; `[a.b]` is the name `a.b`."""
    parts: list[str] = []
    pieces = iter(split(path, "."))
    for piece in pieces:
        if not piece.startswith("[") or piece.endswith("]"):
            parts.append(piece)
            continue
        bracketed = [piece]
        for more in pieces:
            bracketed.append(more)
            if more.endswith("]"):
                break
        whole = ".".join(bracketed)
        parts.append(whole if "=" in whole else whole.strip("[]"))
    return parts


def with_indexes(parts: list[str]) -> list[str]:
    """Parts where `ports[0]` is two: `ports`, `0`."""
    result: list[str] = []
    for part in parts:
        found = _SLICE.match(part)
        result += [piece for piece in found.groups() if piece] if found else [part]
    return result


def lookup(tree: Tree, parts: list[str]) -> Tree:
    """The value at a path, MISSING without one. Raises BuildError for wildcards and what can't be followed."""
    found = lookup_place([tree], 0, parts)
    return MISSING if found is None else found[0][found[1]]


def lookup_place(container: Any, key: Any, parts: list[str]) -> Place | None:
    """The place of the value at a path from another place, None without one. Raises BuildError."""
    for part in (part.strip() for part in parts):
        if part:
            step = _step(container[key], part)
            if step is None:
                return None
            container, key = step
    return container, key


def _step(node: Tree, part: str) -> Place | None:
    if part == "*":
        raise BuildError("wildcard is not supported here")
    if part == "-" or _INDEX.match(part):
        if is_null(node):
            return None
        if not isinstance(node, list):
            raise BuildError(f"index {part} into something that is no list")
        index = len(node) - 1 if part == "-" else int(part)
        return (node, index) if 0 <= index < len(node) else None
    if is_bracket(part):
        name, value = name_and_value(part)
        if not isinstance(node, list):
            if is_null(node):
                return None
            raise BuildError(f"{part} into something that is no list")
        return next(((node, index) for index, item in enumerate(node) if _is(item, name, value)), None)
    if is_null(node):
        return None
    if not isinstance(node, dict):
        raise BuildError(f"field {part} of something that is no map")
    return (node, part) if part in node else None


def _is(item: Tree, name: str, value: str) -> bool:
    if name:
        return isinstance(item, dict) and name in item and text_of(item[name]) == value
    return text_of(item) == value


def is_bracket(part: str) -> bool:
    """Whether a part selects items of a list by a value: `[name=x]`, `[=x]`."""
    return part.startswith("[") and part.endswith("]")


def name_and_value(part: str) -> tuple[str, str]:
    """What a bracketed part selects by. Raises BuildError."""
    name, equals, value = part.removesuffix("]").removeprefix("[").partition("=")
    if not equals:
        raise BuildError("list path element must contain fieldName=fieldValue for element to match")
    return name, value


def matches(container: Any, key: Any, parts: list[str], create: Tree) -> Iterator[Place]:
    """All places that a path with wildcards and patterns leads to.

    `create` is MISSING, or an empty value of the kind that is made where a field is absent. Raises BuildError.
    """
    if not parts:
        yield container, key
        return
    node, part, rest = container[key], parts[0], parts[1:]
    if _INDEX.match(part):
        yield from _by_index(node, int(part), rest, create)
    elif is_bracket(part):
        yield from _by_value(node, part, rest, create)
    elif part == "*":
        for index in range(len(_items(node))):
            yield from matches(node, index, rest, create)
    else:
        yield from _by_name(node, part, rest, create)


def _items(node: Tree) -> list[Tree]:
    if is_null(node):
        return []
    if not isinstance(node, list):
        raise BuildError("wrong node kind: expected a list")
    return node


def _by_name(node: Tree, part: str, rest: list[str], create: Tree) -> Iterator[Place]:
    if is_null(node):
        return
    if not isinstance(node, dict):
        raise BuildError(f"wrong node kind: expected a map with field {part}")
    if not part:
        raise BuildError("wrong node kind: expected a scalar but got a map")
    if part not in node:
        if create is MISSING:
            return
        node[part] = _made(rest, create)
    if rest and is_scalar(node[part]):
        inner = [of_text(text_of(node[part]))]
        yield from matches(inner, 0, rest, create)
        return
    yield from matches(node, part, rest, create)


def _by_index(node: Tree, index: int, rest: list[str], create: Tree) -> Iterator[Place]:
    items = _items(node)
    if index == len(items) and create is not MISSING and isinstance(node, list):
        items.append(_made(rest, create))
    if index >= len(items):
        raise BuildError(f"index {index} specified but only {len(items)} elements found")
    yield from matches(items, index, rest, create)


def _by_value(node: Tree, part: str, rest: list[str], create: Tree) -> Iterator[Place]:
    name, pattern = name_and_value(part)
    items = _items(node)
    regex = compiled(pattern)
    chosen = [index for index, item in enumerate(items) if _fits(item, name, regex)]
    places = [place for index in chosen for place in matches(items, index, rest if name else [], create)]
    if not places and create is not MISSING and isinstance(node, list):
        items.append({name: Untagged(pattern)} if name else Untagged(pattern))
        places = list(matches(items, len(items) - 1, rest if name else [], create))
    yield from places


def _fits(item: Tree, name: str, regex: Pattern) -> bool:
    if not name:
        return regex.occurs_in(_written(item))
    return isinstance(item, dict) and name in item and regex.occurs_in(_written(item[name]))


def _written(tree: Tree) -> str:
    return f'"{tree}"' if type(tree) is Quoted else text_of(tree)


def _made(rest: list[str], create: Tree) -> Tree:
    if not rest:
        return {} if isinstance(create, dict) else [] if isinstance(create, list) else CREATED
    return [] if is_bracket(rest[0]) or _INDEX.match(rest[0]) else {}


def of_text(text: str) -> Tree:
    """The tree of a text that holds YAML or JSON. Raises BuildError."""
    try:
        trees = documents.read_trees(text, "structured data")
    except KustomizeError as error:
        raise BuildError(str(error)) from error
    return trees[0] if trees else None


def to_json(value: Any, like: str) -> str:
    """Plain data as JSON, in lines if the text that it takes the place of was."""
    return _json(value, "\n" if "\n" in like and "  " in like else "")


def _json(value: Any, line: str) -> str:
    """JSON as Go writes it; `line` begins the next line, if there are any."""
    if isinstance(value, dict | list) and value:
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        inner = f"{line}  " if line else ""
        colon = ": " if line else ":"
        if isinstance(value, dict):
            items = [f"{_json(key, '')}{colon}{_json(value[key], inner)}" for key in sorted(value)]
        else:
            items = [_json(item, inner) for item in value]
        return f"{opening}{inner}{f',{inner}'.join(items)}{line}{closing}"
    if isinstance(value, float):
        return _number(value)
    text = json.dumps(value, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _number(value: float) -> str:
    """The shortest digits, with an exponent below 1e-6 and from 1e21."""
    text = repr(value)
    digits, _, exponent = text.partition("e")
    if exponent and not 1e-6 <= abs(value) < 1e21:
        return f"{digits.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0')}"
    return format(decimal.Decimal(text), "f").removesuffix(".0")
