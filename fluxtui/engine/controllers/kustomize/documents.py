"""YAML as Flux reads it again after substitution: scalars of YAML 1.1, values of JSON, numbers of double precision.

Source: observed with sigs.k8s.io/yaml, through which kustomize-controller passes every substituted object.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from decimal import Decimal
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_MAX_EXACT = 2**53
_MAX_NODES = 1_000_000
"""Aliases are copied; this bounds what a few of them can unfold into."""
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[+-]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][+-]?[0-9]+)?")
_INFINITE = re.compile(r"[+-]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class DocumentError(ValueError):
    """Text that is no YAML mapping of JSON values; `str()` says what and where."""


def parse(text: str) -> dict[str, Any]:
    """The first document of a text, which has to be a mapping.

    Raises DocumentError that names the line of the mistake.
    """
    try:
        parser = _Parser(text)
        node = parser.get_node() if parser.check_node() else None
        value = _Values().value(node) if node else None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise DocumentError(f"YAML {line}{error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise DocumentError(f"YAML cannot be parsed: {error}") from error
    if not isinstance(value, dict):
        raise DocumentError("YAML is no mapping")
    return value


def rounded(value: Any) -> Any:
    """A value with its numbers in double precision, which is all that survives the way through JSON."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, bool):
        return value
    return _number(value) if isinstance(value, int | float) else value


def _number(value: int | float) -> int | float:
    if isinstance(value, int) and abs(value) <= _MAX_EXACT:
        return value
    double = float(value)
    # Decimal keeps the shortest digits that name the double, as Go prints it, not its exact value.
    return int(Decimal(repr(double))) if double.is_integer() and abs(double) < 1e21 else double


_PREFIX = "tag:yaml.org,2002:"
_PLAIN = "!plain"


class _Parser(yaml.CSafeLoader):
    """Gives plain scalars a tag of their own, which tells them from quoted and from tagged ones."""

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        if kind is ScalarNode:
            return _PLAIN if implicit[0] else f"{_PREFIX}str"
        return f"{_PREFIX}map" if kind is MappingNode else f"{_PREFIX}seq"


class _Values:
    def __init__(self) -> None:
        self._left = _MAX_NODES

    def value(self, node: Node) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _mistake(node, f"more than {_MAX_NODES} values")
        if isinstance(node, MappingNode):
            return self._mapping(node)
        if isinstance(node, SequenceNode):
            return [self.value(item) for item in node.value]
        if node.tag == _PLAIN or node.tag in _TYPED:
            return _scalar(node)
        return _binary(node) if node.tag == f"{_PREFIX}binary" else node.value

    def _mapping(self, node: MappingNode) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                sources = value_node.value if isinstance(value_node, SequenceNode) else [value_node]
                for source in sources:
                    if not isinstance(source, MappingNode):
                        raise _mistake(source, "only mappings can be merged with <<")
                    merged = {**self._mapping(source), **merged}
            else:
                own[_key(self.value(key_node), key_node)] = self.value(value_node)
        return {**merged, **own}


_TYPED = frozenset(_PREFIX + name for name in ("null", "bool", "int", "float", "timestamp"))


def _mistake(node: Node, problem: str) -> ConstructorError:
    return ConstructorError(None, None, problem, node.start_mark)


def _key(key: Any, node: Node) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, str | int | float):
        return str(key)
    raise _mistake(node, "a mapping key has to be text")


def _binary(node: Node) -> str:
    try:
        return base64.b64decode(str(node.value), validate=False).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _mistake(node, "!!binary is no base64 of text") from error


def _scalar(node: Node) -> Any:
    text = str(node.value)
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INFINITE.fullmatch(text):
        raise _mistake(node, f"{text} is no JSON number")
    plain = text.replace("_", "")
    number: int | float
    if match := _INTEGER.fullmatch(plain):
        sign, hexadecimal, binary, octal, decimal = match.groups()
        digits, base = next(
            (found, base) for found, base in ((hexadecimal, 16), (binary, 2), (octal, 8), (decimal, 10)) if found
        )
        number = int(digits, base) * (-1 if sign == "-" else 1)
        return _number(number)
    if _FLOAT.fullmatch(plain):
        number = float(plain)
        return text if math.isinf(number) else _number(number)
    return text
