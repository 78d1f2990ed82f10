"""Scalars of YAML: what a plain one means, and what remains of its spelling while a resource is worked on.

A tree of a resource is made of dict, list, str, int, float, bool and None, and of types of this module that keep what
a value alone would lose: `Quoted`, text that was written in quotes, `Untagged`, text that a transformer has written and
that may turn out to be a number, and `Plain`, a number, null or date whose spelling is not the usual one; a key may be
an `OddKey`. `finished` turns a tree into plain data. Source of the rules: YAML 1.2's core schema with the octal numbers
and dates of 1.1, as Kubernetes' YAML library reads it.
"""

from __future__ import annotations

import calendar
import decimal
import math
import re
from typing import Any

from fluxtui.kustomize.errors import BuildError

Tree = Any
"""dict | list | str | int | float | bool | None | Quoted | Plain"""

_MAX_UINT = (1 << 64) - 1
_MIN_INT = -(1 << 63)
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_DOT_FLOAT = re.compile(r"\.[0-9]+(?:[eE][-+]?[0-9]+)?\Z")
_TIME = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:(?P<t>[Tt ])(?P<hour>\d{1,2}):(?P<minute>\d{1,2}):(?P<second>\d{1,2})(?P<fraction>[.,]\d+)?"
    r"(?P<zone>Z|[-+]\d\d:\d\d)?)?\Z",
    re.ASCII,
)
_PLAIN_FIRST = frozenset("0123456789+-.~nNtTfF<")


class Quoted(str):
    """Text that was written in quotes or as a block: a value that takes its place is text as well."""

    __slots__ = ()


class Untagged(str):
    """Text without a tag: text while a resource is worked on, and in the end what a plain scalar of it means."""

    __slots__ = ()


class Shared(str):
    """Text that is one node in several fields, as labels are in kustomize: with one of them all change."""

    __slots__ = ("latest",)

    latest: Tree
    """What has taken its place in one of the fields, None if nothing has."""


def shared(text: str) -> Shared:
    """Text to be put into several fields."""
    result = Shared(text)
    result.latest = None
    return result


class OddKey(str):
    """A key that is a number or another thing than text, as it was written; equal to the text."""

    __slots__ = ()


class Plain:
    """A plain scalar whose spelling is kept: `0755`, `1.0`, `~`, `2022-01-01`."""

    __slots__ = ("text", "value")

    def __init__(self, text: str, value: Any) -> None:
        self.text = text
        self.value = value
        """What it is in the end: int, float, bool, None, or the text of a date (RFC 3339)."""

    def __repr__(self) -> str:
        return f"Plain({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


class NotJson(BuildError):
    """What YAML has and JSON has not: an infinite number, a key that is no text."""


def resolved(text: str) -> Tree:
    """The meaning of a plain scalar: text, a Python value, or a Plain."""
    if not text:
        return None
    first = text[0]
    if first not in _PLAIN_FIRST:
        return text
    if first in "tTfFnN~":
        return _word(text)
    if first == "<":
        return Plain("<<", "<<") if text == "<<" else text
    if first == ".":
        if text in (".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF"):
            return Plain(text, math.inf)
        return _float(text, text) if _DOT_FLOAT.match(text) else text
    return _number(text)


def _word(text: str) -> Tree:
    if text in ("true", "false"):
        return text == "true"
    if text in ("True", "TRUE", "False", "FALSE"):
        return Plain(text, text[0] == "T")
    if text in ("~", "null", "Null", "NULL"):
        return Plain(text, None)
    return text


def _number(text: str) -> Tree:
    if text.isdigit() and text.isascii() and (text[0] != "0" or len(text) == 1) and len(text) < 19:
        return int(text)
    if text[4:5] == "-":
        date = _timestamp(text)
        if date is not None:
            return Plain(text, date)
    if text in ("+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"):
        return Plain(text, math.inf)
    digits = text.replace("_", "")
    if _INTEGER.match(digits):
        value = _integer(digits)
        if _MIN_INT <= value <= _MAX_UINT:
            return value if str(value) == text else Plain(text, value)
    if _FLOAT.match(digits):
        return _float(text, digits)
    return text


def _integer(digits: str) -> int:
    sign, rest = (-1, digits[1:]) if digits[0] == "-" else (1, digits.lstrip("+"))
    if len(rest) > 1 and rest[0] == "0":
        if rest[1] in "xX":
            return sign * int(rest[2:], 16)
        if rest[1] in "bB":
            return sign * int(rest[2:], 2)
        return sign * int(rest[1:].lstrip("oO") or "0", 8)
    return sign * int(rest)


def _float(text: str, digits: str) -> Tree:
    value = float(digits)
    return text if math.isinf(value) else Plain(text, value)


def _timestamp(text: str) -> str | None:
    found = _TIME.match(text)
    if not found:
        return None
    year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
    if not 1 <= month <= 12 or not 1 <= day <= calendar.monthrange(max(year, 1), month)[1]:
        return None
    if found["t"] is None:
        return f"{year:04}-{month:02}-{day:02}T00:00:00Z"
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    zone = found["zone"]
    if hour > 23 or minute > 59 or second > 59 or (found["t"] == " ") is not (zone is None):
        return None
    fraction = (found["fraction"] or "")[1:10].rstrip("0")
    zone = "Z" if zone is None or zone[1:] == "00:00" else zone
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{'.' + fraction if fraction else ''}{zone}"


def new_key(text: str) -> str:
    """A key that is added to a map without quotes, whatever it looks like; JSON has no keys but text."""
    return str(text) if isinstance(resolved(text), str) else OddKey(text)


def is_null(tree: Tree) -> bool:
    """Whether a tree is a null, however it was written."""
    return tree is None or (type(tree) is Plain and tree.value is None)


def is_empty(tree: Tree) -> bool:
    """Whether a tree is null, or a map or list without entries."""
    return tree is None or tree == {} or tree == [] or (type(tree) is Plain and tree.value is None)


def is_scalar(tree: Tree) -> bool:
    """Whether a tree is neither null nor a map nor a list."""
    return not isinstance(tree, dict | list) and not is_null(tree)


def text_of(tree: Tree) -> str:
    """A scalar as it was written; empty for maps and lists."""
    if isinstance(tree, str):
        return str(tree)
    if tree is None or isinstance(tree, dict | list):
        return ""
    if type(tree) is Plain:
        return tree.text
    if isinstance(tree, bool):
        return "true" if tree else "false"
    return str(tree)


def in_place_of(old: Tree, new: Tree) -> Tree:
    """A scalar that takes the place of another: in quotes if that was, shared with other fields if that was."""
    if type(new) is Shared:
        new = str(new)
    if type(old) is Shared:
        old.latest = shared(str(new)) if isinstance(new, str) else new
        return old.latest
    if type(old) is not Quoted or isinstance(new, dict | list):
        return str(new) if type(new) is Quoted and is_scalar(old) else new
    return new if is_null(new) else Quoted(text_of(new))


class Mistyped:
    """The value of a scalar whose text is none of its type: a mistake unless something else takes its place."""

    __slots__ = ("like", "problem")

    def __init__(self, like: Tree, problem: str) -> None:
        self.like = like
        """A scalar of the type."""
        self.problem = problem


def retyped(old: Tree, text: str, *, exact: bool = False) -> Tree:
    """Text written into the place of a scalar whose type stays; `Mistyped` when it is none of that type.

    A float may be written as an integer unless the type is to be exact.
    """
    if isinstance(old, str):
        return in_place_of(old, text) if type(old) is Shared else type(old)(text)
    if type(old) is Plain and isinstance(old.value, Mistyped):
        old = old.value.like
    new = resolved(text)
    if _type(new) is _type(old) or (not exact and _type(old) is float and _type(new) is int):
        return new
    return Plain(text, Mistyped(old, f"cannot decode {_tag(new)} `{text}` as a {_tag(old)}"))


def _type(tree: Tree) -> type:
    """The type of a value; that of a date is none of Python's."""
    if type(tree) is Plain:
        return Plain if isinstance(tree.value, str) else type(tree.value)
    return str if isinstance(tree, str) else type(tree)


def _tag(tree: Tree) -> str:
    if type(tree) is Plain and isinstance(tree.value, str):
        return "!!timestamp"
    return {str: "!!str", int: "!!int", float: "!!float", bool: "!!bool"}.get(_type(tree), "!!null")


def tag_of_mistyped(tree: Tree) -> str | None:
    """The tag of a scalar whose text is none of its type, None for any other."""
    if type(tree) is Plain and isinstance(tree.value, Mistyped):
        return f"tag:yaml.org,2002:{_tag(tree.value.like)[2:]}"
    return None


def copied(tree: Tree) -> Tree:
    """An independent copy of a tree."""
    if type(tree) is dict:
        return {key: copied(value) if type(value) in _NESTED else value for key, value in tree.items()}
    if type(tree) is list:
        return [copied(value) if type(value) in _NESTED else value for value in tree]
    return tree


_NESTED = (dict, list)


def finished(tree: Tree) -> Any:
    """Plain data of a tree, as JSON would have it. Raises NotJson."""
    kind = type(tree)
    if kind is str or kind is int or kind is bool or tree is None:
        return tree
    if kind is dict:
        for key in tree:
            if type(key) is OddKey:
                raise NotJson(f"the key `{key}` is no text")
        return {key: finished(value) for key, value in tree.items()}
    if kind is list:
        return [finished(value) for value in tree]
    if kind is Quoted or kind is Shared:
        return str(tree)
    if kind is Untagged:
        return finished(resolved(str(tree)))
    if kind is Plain:
        if isinstance(tree.value, Mistyped):
            raise NotJson(tree.value.problem)
        if isinstance(tree.value, float) and not math.isfinite(tree.value):
            raise NotJson(f"{tree.text} is no number that JSON has")
    return _number_of_json(tree.value if kind is Plain else tree)


def _number_of_json(value: Any) -> Any:
    """A number as it is after it was written as JSON and read again: a float without a fraction is an integer if it
    can be one of 64 bits.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotJson(f"{value} is no number that JSON has")
        if value.is_integer() and abs(value) < 1e21:
            whole = int(decimal.Decimal(repr(value)))
            return whole if _MIN_INT <= whole <= _MAX_UINT else value
    return value


def of_json(value: Any) -> Tree:
    """A tree of plain data that went through JSON: odd text has quotes, numbers are floats and spelt as Go spells them,
    from a million with an exponent.
    """
    if isinstance(value, dict):
        return {key: of_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [of_json(item) for item in value]
    if isinstance(value, str):
        return value if "\n" not in value and type(resolved(value)) is str else Quoted(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and not -1e6 < value < 1e6:
        return Plain(float_text(float(value)), float(value))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None:
        return Plain("null", None)
    return value


def float_text(number: float) -> str:
    """A float in the shortest form that is read back the same, with an exponent below 1e-4 and from 1e6."""
    exponent = math.floor(math.log10(abs(number))) if number else 0
    shortest = repr(number)
    digits, _, power = shortest.partition("e")
    if power:
        return f"{digits.removesuffix('.0')}e{int(power):+03d}"
    if -4 <= exponent < 6:
        return shortest.removesuffix(".0")
    sign = "-" if digits.startswith("-") else ""
    whole, _, fraction = digits.lstrip("-").partition(".")
    significant = (whole + fraction).lstrip("0").rstrip("0")
    mantissa = significant[0] + ("." + significant[1:] if len(significant) > 1 else "")
    return f"{sign}{mantissa}e{exponent:+03d}"
