"""The syntax of the filter language: text to a tree of terms and back.

    query   = either *("or" either)         either = 1*term         terms beside each other must all hold
    term    = ["!"] ( "(" query ")" | field op value *("," value) | text )
    op      = "=" | "!=" | "~" | "!~" | "<" | "<=" | ">" | ">="
    value   = word (may hold the wildcards * and ?) | quoted text

`-l key=value` is `label=key=value`. Printing a tree and parsing it again gives the same tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

FIELDS: Final[Mapping[str, str]] = {
    "ready": "the condition Ready: true, false, unknown",
    "state": "ready, progressing, failed, stalled, overdue, suspended, deleting, unreachable, unknown, or trouble",
    "kind": "a kind or one of its short words: kind=hr,ks",
    "cluster": "name of the context: cluster=prod-*",
    "namespace": "namespace (or ns)",
    "name": "name",
    "since": "time since the last change: since<1h",
    "age": "time since the creation: age>2d",
    "suspended": "true or false",
    "reconciling": "true or false",
    "stalled": "true or false",
    "label": "a label: label=team or label=team=web",
    "reason": "reason of the state",
    "message": "message: message~timeout",
    "revision": "revision: revision~7148a354",
    "source": "name of the source, or kind/name",
    "path": "path, URL, chart or image",
}
ALIASES: Final[Mapping[str, str]] = {"ns": "namespace", "url": "path", "chart": "path", "status": "ready"}
_TIMES = frozenset({"since", "age"})
_TERM = re.compile(r"([A-Za-z]+)(!=|!~|<=|>=|=|~|<|>)")
_WORD_END = re.compile(r"[\s()]")
_PLAIN = re.compile(r"[^\s()\"!,\\]+")
_WORDS = frozenset({"or", "and", "-l"})
_DEEPEST = 50
"""Brackets and negations inside each other; a filter that people write has three."""


class QueryError(ValueError):
    """A query that can't be read: `position` (0-based) says where."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} (at {position + 1})")
        self.message = message
        self.position = position


class Text(msgspec.Struct, frozen=True):
    """Words to look for."""

    text: str

    def __str__(self) -> str:
        known = self.text.lower() in _WORDS or _TERM.match(self.text)
        return quoted(self.text) if known else plain(self.text)


class Field(msgspec.Struct, frozen=True):
    """A comparison of a field."""

    field: str
    op: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        first, *others = map(plain, self.values)
        if self.op in ("<", ">") and first.startswith("="):
            # Else it would be a part of the comparison.
            first = quoted(self.values[0])
        return f"{self.field}{self.op}{','.join((first, *others))}"


class Not(msgspec.Struct, frozen=True):
    """The opposite of a term."""

    term: Node

    def __str__(self) -> str:
        return f"!{_grouped(self.term)}"


class All(msgspec.Struct, frozen=True):
    """Terms that must all hold."""

    terms: tuple[Node, ...]

    def __str__(self) -> str:
        return " ".join(_grouped(term) for term in self.terms)


class Either(msgspec.Struct, frozen=True):
    """Terms of which one must hold."""

    terms: tuple[Node, ...]

    def __str__(self) -> str:
        return " or ".join(f"({term})" if isinstance(term, Either) else str(term) for term in self.terms)


Node = Text | Field | Not | All | Either


def _grouped(term: Node) -> str:
    return f"({term})" if isinstance(term, (All, Either)) else str(term)


def plain(text: str) -> str:
    """A value as it is, or quoted where it must be."""
    return text if _PLAIN.fullmatch(text) else quoted(text)


def quoted(text: str) -> str:
    """A value in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parse(text: str, check: Callable[[Field], None] = lambda field: None) -> Node | None:
    """The tree of a text; None for an empty one.

    `check` looks at each comparison and raises ValueError for one that makes no sense. Raises QueryError that says
    what is wrong and where.
    """
    reader = _Reader(text, check)
    reader.space()
    if reader.ended():
        return None
    node = reader.either()
    if not reader.ended():
        raise QueryError("unexpected )", reader.position)
    return node


class _Reader:
    def __init__(self, text: str, check: Callable[[Field], None]) -> None:
        self.text = text
        self.position = 0
        self._depth = 0
        self._check = check

    def ended(self) -> bool:
        return self.position >= len(self.text)

    def space(self) -> None:
        while not self.ended() and self.text[self.position].isspace():
            self.position += 1

    def word_is(self, word: str) -> bool:
        """Whether the bare word stands next; if so it is read."""
        end = self.position + len(word)
        if self.text[self.position : end].lower() != word:
            return False
        if end < len(self.text) and not _WORD_END.match(self.text, end):
            return False
        self.position = end
        self.space()
        return True

    def either(self) -> Node:
        terms = [self.all()]
        while self.word_is("or"):
            terms.append(self.all())
        return terms[0] if len(terms) == 1 else Either(tuple(terms))

    def all(self) -> Node:
        terms: list[Node] = []
        while not self.ended() and self.text[self.position] != ")":
            start = self.position
            if self.word_is("and"):
                continue
            if self.word_is("or"):
                self.position = start
                break
            terms.append(self.term())
            self.space()
        if not terms:
            raise QueryError("a term is missing", self.position)
        return terms[0] if len(terms) == 1 else All(tuple(terms))

    def term(self) -> Node:
        if self._depth == _DEEPEST:
            raise QueryError(f"more than {_DEEPEST} terms inside each other", self.position)
        self._depth += 1
        try:
            return self._term(self.position)
        finally:
            self._depth -= 1

    def _term(self, start: int) -> Node:
        if self.text[start] == "!":
            self.position += 1
            self.space()
            if self.ended():
                raise QueryError("nothing follows !", start)
            return Not(self.term())
        if self.text[start] == "(":
            self.position += 1
            self.space()
            node = self.either()
            if self.ended():
                raise QueryError("( is not closed", start)
            self.position += 1
            return node
        if self.text[start] == ")":
            raise QueryError("unexpected )", start)
        if self.word_is("-l"):
            return Field("label", "=", (self.value(),))
        match = _TERM.match(self.text, start)
        if match:
            return self.field(match)
        return Text(self.value(stop=_WORD_END))

    def field(self, match: re.Match[str]) -> Field:
        name = match[1].lower()
        name = ALIASES.get(name, name)
        if name not in FIELDS:
            import difflib

            near = difflib.get_close_matches(name, [*FIELDS, *ALIASES], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise QueryError(f"unknown field {match[1]}{hint}", match.start())
        self.position = match.end()
        values = [self.value()]
        while not self.ended() and self.text[self.position] == ",":
            self.position += 1
            values.append(self.value())
        field = Field(name, match[2], tuple(values))
        try:
            self._check(field)
        except ValueError as error:
            raise QueryError(str(error), match.start()) from error
        return field

    def value(self, stop: re.Pattern[str] = re.compile(r"[\s(),]")) -> str:
        if not self.ended() and self.text[self.position] == '"':
            return self.quoted()
        start = self.position
        match = stop.search(self.text, start)
        self.position = match.start() if match else len(self.text)
        if self.position == start:
            raise QueryError("a value is missing", start)
        return self.text[start : self.position]

    def quoted(self) -> str:
        return "".join(self._inside(self.position))

    def _inside(self, start: int) -> Iterator[str]:
        self.position += 1
        while not self.ended():
            character = self.text[self.position]
            self.position += 1
            if character == '"':
                return
            if character == "\\" and not self.ended():
                character = self.text[self.position]
                self.position += 1
            yield character
        raise QueryError("the quote is not closed", start)
