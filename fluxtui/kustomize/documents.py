"""YAML as Kubernetes reads and writes it.

Reading: scalars by YAML 1.2 with the octal numbers of 1.1; `yes`, `on` and dates stay text (a bare date becomes an RFC
3339 timestamp); a key given twice, a key that is no text and an infinite number are errors; aliases and merge keys are
expanded, within bounds. Writing: sorted keys, and quotes around every text that another reader could take for more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from fluxtui.kustomize.errors import LoadError

MAX_BYTES = 64 << 20
MAX_NODES = 2_000_000
"""Nodes of one document, aliases expanded."""
MAX_DEPTH = 200

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_OCTAL = re.compile(r"[-+]?0o?[0-7_]+")
_HEX = re.compile(r"[-+]?0x[0-9a-fA-F_]+")
_BINARY = re.compile(r"[-+]?0b[01_]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_STRING = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.CSafeLoader):
    """Composes nodes and resolves nothing: a plain scalar without a tag is text until we look at it."""


_Loader.yaml_implicit_resolvers = {}


def read_all(data: bytes | str, source: str) -> list[Any]:
    """The documents of a YAML stream, without empty ones. Raises LoadError that begins with `source` and the line."""
    if len(data) > MAX_BYTES:
        raise LoadError(f"{source}: larger than {MAX_BYTES} bytes")
    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise LoadError(f"{source}: not UTF-8: {error.reason} at byte {error.start}") from error
    documents = []
    try:
        for node in yaml.compose_all(data, Loader=_Loader):
            if node is not None:
                documents.append(_Builder(source).value(node, 0))
    except yaml.YAMLError as error:
        raise LoadError(f"{source}: {_problem(error)}") from error
    return [document for document in documents if document is not None]


def read(data: bytes | str, source: str) -> Any:
    """The only document of a stream, None when it is empty. Raises LoadError."""
    documents = read_all(data, source)
    if len(documents) > 1:
        raise LoadError(f"{source}: one document is expected, there are {len(documents)}")
    return documents[0] if documents else None


def write(value: Any) -> str:
    """A document: block style, sorted keys, lists not indented."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=True, width=1 << 30
    )
    return text


class _Builder:
    """Makes one document's value of its nodes."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._left = MAX_NODES

    def value(self, node: yaml.Node, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise self._error(node, "document is too large or too deep once its aliases are expanded")
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node, depth))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        raise self._error(node, "neither a map, a list nor a scalar")

    def _items(self, node: yaml.MappingNode, depth: int) -> Iterator[tuple[str, Any]]:
        seen = set()
        merged: dict[str, Any] = {}
        pairs = []
        for key_node, value_node in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.value == "<<" and not key_node.style:
                sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for source in sources:
                    if not isinstance(source, yaml.MappingNode):
                        raise self._error(value_node, "map merge requires map or sequence of maps as the value")
                    merged = {**dict(self._items(source, depth + 1)), **merged}
                continue
            key = self._key(key_node)
            if key in seen:
                raise self._error(key_node, f"mapping key {key!r} already defined")
            seen.add(key)
            pairs.append((key, value_node))
        yield from ((key, value) for key, value in merged.items() if key not in seen)
        for key, value_node in pairs:
            yield key, self.value(value_node, depth + 1)

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "a key must be text")
        value = self._scalar(node)
        if isinstance(value, bool):
            return str(node.value).lower()
        if isinstance(value, int | float):
            return str(node.value)
        if value is None:
            raise self._error(node, "a key must be text")
        return str(value)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = str(node.value)
        if node.style or node.tag != _STRING:
            if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool"):
                return self._plain(node, text)
            return text
        return self._plain(node, text)

    def _plain(self, node: yaml.Node, text: str) -> Any:
        if text in _NULL:
            return None
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        first = text[0]
        if not (first.isdigit() or first in "+-."):
            return text
        if _INT.fullmatch(text):
            return int(text.replace("_", ""))
        if _OCTAL.fullmatch(text):
            return int(text.replace("_", "").replace("o", ""), 8)
        if _HEX.fullmatch(text):
            return int(text.replace("_", ""), 16)
        if _BINARY.fullmatch(text):
            return int(text.replace("_", ""), 2)
        if _SPECIAL.fullmatch(text):
            raise self._error(node, f"{text} is no number that JSON has")
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isinf(number):
                raise self._error(node, f"{text} is no number that JSON has")
            return int(number) if number.is_integer() and abs(number) < 1 << 53 else number
        if _DATE.fullmatch(text):
            return f"{text}T00:00:00Z"
        return text

    def _error(self, node: yaml.Node, problem: str) -> LoadError:
        return LoadError(f"{self._source}: line {node.start_mark.line + 1}: {problem}")


class _Dumper(yaml.CSafeDumper):
    """Quotes what YAML 1.1, YAML 1.2 or JSON readers would not take for text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver(
    "tag:fluxtui,2026:ambiguous",
    re.compile(
        r"^(y|Y|n|N|[-+]?0o[0-7]+|[-+]?[0-9][0-9_]*|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*)$"
    ),
    list("yYnN-+.0123456789"),
)


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text.rstrip("\n") or text.endswith("\n") else None
    # Which quotes it is does not matter to a reader, but to the digest Flux keeps of a build.
    resolvers = _Dumper.yaml_implicit_resolvers
    if style is None and any(pattern.match(text) for _, pattern in resolvers.get(text[:1], ())):
        style = '"'
    return dumper.represent_scalar(_STRING, text, style=style)


def _represent_float(dumper: _Dumper, number: float) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:float", repr(number))


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(float, _represent_float)


def _problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "not valid YAML"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)
