"""Label and field selectors, as the API server reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fluxtui.sandbox.statuses import StatusError, bad_request

Object = dict[str, Any]
Match = Callable[[Object], bool]

_SPLIT = re.compile(r",(?![^(]*\))")
_SET = re.compile(r"([\w./-]+)\s+(in|notin)\s*\(([^)]*)\)")
_EQUAL = re.compile(r"([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)")
_EXISTS = re.compile(r"(!?)\s*([\w./-]+)")


def labels(text: str) -> Match:
    """A function that tells whether an object's labels fit. Raises StatusError 400."""
    tests = [_label_test(term.strip()) for term in _SPLIT.split(text) if term.strip()]

    def match(obj: Object) -> bool:
        found = obj["metadata"].get("labels") or {}
        return all(test(found) for test in tests)

    return match


def label_selector(selector: Object | None) -> Match:
    """The same for a `LabelSelector` of an object: matchLabels and matchExpressions; None fits nothing."""
    if selector is None:
        return lambda _: False
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or []

    def match(obj: Object) -> bool:
        found = obj["metadata"].get("labels") or {}
        if any(found.get(key) != value for key, value in wanted.items()):
            return False
        return all(_expression(expression, found) for expression in expressions)

    return match


def fields(text: str, known: Callable[[str], bool] = lambda _: True) -> Match:
    """A function that tells whether an object's fields fit; `known` says which may be selected by.

    Raises StatusError 400.
    """
    tests: list[tuple[list[str], str, bool]] = []
    for term in filter(None, (term.strip() for term in text.split(","))):
        name, operator, value = _field_term(term)
        if not known(name):
            raise bad_request(f"field label not supported: {name}")
        tests.append((name.split("."), value, operator == "!="))

    def match(obj: Object) -> bool:
        return all((_text(obj, path) == value) is not negate for path, value, negate in tests)

    return match


def _field_term(term: str) -> tuple[str, str, str]:
    for operator in ("!=", "==", "="):
        name, found, value = term.partition(operator)
        if found:
            return name.strip(), operator, value.strip()
    raise bad_request(f"invalid field selector: {term!r}")


def _text(obj: Any, path: list[str]) -> str:
    for part in path:
        obj = obj.get(part) if isinstance(obj, dict) else None
    if isinstance(obj, bool):
        return "true" if obj else "false"
    return "" if obj is None else str(obj)


def _label_test(term: str) -> Callable[[dict[str, str]], bool]:
    if found := _SET.fullmatch(term):
        key, operator = found[1], found[2]
        values = {value.strip() for value in found[3].split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.fullmatch(term):
        key, operator, value = found[1], found[2], found[3]
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.fullmatch(term):
        absent, key = bool(found[1]), found[2]
        return lambda labels: (key in labels) is not absent
    raise _unreadable(term)


def _unreadable(term: str) -> StatusError:
    return bad_request(f"unable to parse requirement: {term!r}")


def _expression(expression: Object, found: dict[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return found.get(key) in values
        case "NotIn":
            return found.get(key) not in values
        case "Exists":
            return key in found
        case "DoesNotExist":
            return key not in found
    return False
