"""Label selectors of Kubernetes: `app=web,tier in (a, b),!old`."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import NamedTuple

from fluxtui.kustomize.errors import FieldError

_NAME = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)"
_KEY = rf"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?{_NAME}"
_EXISTS = re.compile(rf"(?P<not>!)?\s*(?P<key>{_KEY})")
_EQUALS = re.compile(rf"(?P<key>{_KEY})\s*(?P<op>==|=|!=)\s*(?P<value>{_NAME}?)")
_IN = re.compile(rf"(?P<key>{_KEY})\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)")
_COMPARES = re.compile(rf"(?P<key>{_KEY})\s*(?P<op>[<>])\s*(?P<value>-?\d+)")


class Requirement(NamedTuple):
    """One term of a selector."""

    key: str
    operator: str
    values: frozenset[str]

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether a set of labels meets it."""
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "!exists":
                return value is None
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
        if value is None or not re.fullmatch(r"-?\d+", value):
            return False
        limit = int(next(iter(self.values)))
        return int(value) > limit if self.operator == ">" else int(value) < limit


def selects(expression: str, labels: Mapping[str, str]) -> bool:
    """Whether a selector fits a set of labels; an empty one does. Raises FieldError when it can't be read."""
    return all(requirement.fits(labels) for requirement in parsed(expression))


@functools.lru_cache(maxsize=1024)
def parsed(expression: str) -> tuple[Requirement, ...]:
    """The requirements of a selector. Raises FieldError."""
    if not expression.strip():
        return ()
    return tuple(_requirement(term.strip(), expression) for term in re.split(r",(?![^(]*\))", expression))


def _requirement(term: str, expression: str) -> Requirement:
    if found := _IN.fullmatch(term):
        values = frozenset(value.strip() for value in found["values"].split(","))
        return Requirement(found["key"], found["op"], values)
    if found := _EXISTS.fullmatch(term):
        return Requirement(found["key"], "!exists" if found["not"] else "exists", frozenset())
    if found := _EQUALS.fullmatch(term):
        return Requirement(found["key"], "notin" if found["op"] == "!=" else "in", frozenset([found["value"]]))
    if found := _COMPARES.fullmatch(term):
        return Requirement(found["key"], found["op"], frozenset([found["value"]]))
    raise FieldError(f"unable to parse label selector {expression!r}: unexpected {term!r}")
