"""Label and field selectors, as the API server reads them.

Source: the documentation of labels and selectors, and the messages of the API server's parsers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from fluxtui.sandbox.metadata import key_problems, value_problems
from fluxtui.sandbox.statuses import StatusError, bad_request

Object = dict[str, Any]
Match = Callable[[Object], bool]
Test = Callable[[dict[str, str]], bool]

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_SYMBOLS = frozenset({"==", "!=", "=", "!", "(", ")", ",", "<", ">"})
_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_UNREADABLE = "unable to parse requirement: "
_FIELDS = re.compile(r"(?<!\\),")
_ESCAPE = re.compile(r"\\([\\,=])")


def labels(text: str) -> Match:
    """A function that tells whether an object's labels fit. Raises StatusError 400."""
    tests = _Parser(text).requirements()

    def match(obj: Object) -> bool:
        found = obj["metadata"].get("labels") or {}
        return all(test(found) for test in tests)

    return match


def fields(text: str, known: Collection[str]) -> Match:
    """A function that tells whether an object's fields fit; `known` are those that may be selected by.

    Raises StatusError 400.
    """
    tests: list[tuple[list[list[str]], str, bool]] = []
    for term in filter(None, _FIELDS.split(text)):
        name, operator, value = _field_term(text, term)
        if name not in known:
            listed = ", ".join(f'"{field}"' for field in known)
            raise bad_request(f'"{name}" is not a known field selector: only {listed}')
        tests.append((_PLACES.get(name) or [name.split(".")], value, operator == "!="))

    def match(obj: Object) -> bool:
        return all((_first(obj, paths) == value) is not negate for paths, value, negate in tests)

    return match


_PLACES = {"source": [["source", "component"], ["reportingComponent"]]}
"""Selectable names that are no paths (those of Events) → the paths of which the first with a text counts."""


def _first(obj: Object, paths: list[list[str]]) -> str:
    return next((text for path in paths if (text := _text(obj, path))), "")


class _Parser:
    """Reads a label selector: requirements with commas between them."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def requirements(self) -> list[Test]:
        found: list[Test] = []
        while self._peek() or found:
            token = self._peek()
            if token in _SYMBOLS and token != "!":
                raise bad_request(f"found '{token}', expected: !, identifier, or 'end of string'")
            found.append(self._requirement())
            after = self._next()
            if not after:
                break
            if after != ",":
                raise bad_request(f"found '{after}', expected: ',' or 'end of string'")
            if not self._peek() or self._peek() in _SYMBOLS - {"!"}:
                raise bad_request(f"found '{self._peek()}', expected: identifier after ','")
        return found

    def _requirement(self) -> Test:
        absent = self._peek() == "!"
        if absent:
            self._next()
        key = self._next()
        if not key or key in _SYMBOLS:
            raise _unreadable(f"found '{key}', expected: identifier")
        for problem in key_problems(key):
            raise _unreadable(f'<nil>: Invalid value: "{key}": {problem}')
        if absent or self._peek() in ("", ","):
            return lambda found: (key in found) is not absent
        operator = self._next()
        if operator in ("in", "notin"):
            values = self._values(key)
            if operator == "in":
                return lambda found: found.get(key) in values
            return lambda found: found.get(key) not in values
        if operator in ("=", "==", "!="):
            value = self._value(key)
            if operator == "!=":
                return lambda found: found.get(key) != value
            return lambda found: found.get(key) == value
        if operator in ("<", ">"):
            return _bound(key, operator, self._value(key))
        raise _unreadable(f"found '{operator}', expected: {_OPERATORS}")

    def _values(self, key: str) -> set[str]:
        """The values between two parentheses; nothing between commas is the empty value."""
        if self._next() != "(":
            raise _unreadable(f"found '{self._last()}', expected: '('")
        values, value = set(), ""
        while True:
            token = self._next()
            if token in (",", ")"):
                values.add(_checked(key, value))
                value = ""
                if token == ")":
                    return values
            elif not token or token in _SYMBOLS or value:
                raise _unreadable(f"found '{token}', expected: ',' or ')'")
            else:
                value = token

    def _value(self, key: str) -> str:
        if self._peek() in ("", ","):
            return ""
        token = self._next()
        if token in _SYMBOLS:
            raise _unreadable(f"found '{token}', expected: identifier")
        return _checked(key, token)

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _last(self) -> str:
        return self._tokens[self._at - 1] if 0 < self._at <= len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token


def _bound(key: str, operator: str, value: str) -> Test:
    if not _is_number(value):
        problem = "for 'Gt', 'Lt' operators, the value must be an integer"
        raise _unreadable(f'values[0][{key}]: Invalid value: "{value}": {problem}')
    limit = int(value)

    def test(found: dict[str, str]) -> bool:
        own = found.get(key, "")
        if not _is_number(own):
            return False
        return int(own) > limit if operator == ">" else int(own) < limit

    return test


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _checked(key: str, value: str) -> str:
    for problem in value_problems(value):
        raise _unreadable(f'values[0][{key}]: Invalid value: "{value}": {problem}')
    return value


def _unreadable(problem: str) -> StatusError:
    return bad_request(f"{_UNREADABLE}{problem}")


def _field_term(text: str, term: str) -> tuple[str, str, str]:
    for operator in ("!=", "==", "="):
        name, found, value = term.partition(operator)
        if found:
            return name, operator, _ESCAPE.sub(r"\1", value)
    raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")


def _text(obj: Any, path: list[str]) -> str:
    for part in path:
        obj = obj.get(part) if isinstance(obj, dict) else None
    if isinstance(obj, bool):
        return "true" if obj else "false"
    return "" if obj is None else str(obj)
