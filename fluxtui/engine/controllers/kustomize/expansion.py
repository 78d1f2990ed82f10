"""Shell-like parameter expansion in text, with the grammar Flux gives to `spec.postBuild`.

Source: fluxcd/pkg `envsubst` (a descendant of drone/envsubst): `${a}`, `${#a}`, `${a^}`, `${a^^}`, `${a,}`, `${a,,}`,
`${a:offset:length}`, `${a/old/new}` with `//`, `/#` and `/%`, `${a#glob}`, `${a##glob}`, `${a%glob}`, `${a%%glob}`,
and the defaults `${a=b}`, `${a:=b}`, `${a:-b}`, `${a:?b}`, `${a:+b}`, which all mean "b when a is empty". `$$` is a
dollar sign. Lengths and offsets count bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_MAX_DEPTH = 50
_INTEGER = re.compile(r"[+-]?[0-9]+")
_DEFAULTS = frozenset({"=", ":=", ":-", ":?", ":+"})


class ExpansionError(ValueError):
    """Text that can't be expanded; `str()` says why, `excerpt` is the place in the text (it may be secret)."""

    def __init__(self, reason: str, excerpt: str = "") -> None:
        super().__init__(reason)
        self.excerpt = excerpt


class UnsetVariables(ExpansionError):
    """Variables without a value or a default; `names` in order of appearance."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__("variable not set (strict mode): " + ", ".join(f'"{name}"' for name in names))


def expand(text: str, variables: Mapping[str, str], *, strict: bool = True) -> str:
    """Replace the expansions in a text.

    Raises ExpansionError for a malformed expansion. With `strict`, raises UnsetVariables, which names every variable
    that has neither a value nor a default; without it, such a variable is empty.
    """
    scanner = _Scanner(text, variables)
    done = scanner.document()
    if strict and scanner.unset:
        raise UnsetVariables(list(dict.fromkeys(scanner.unset)))
    return done


class _Scanner:
    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self.text = text
        self.variables = variables
        self.position = 0
        self.depth = 0
        self.unset: list[str] = []

    def document(self) -> str:
        parts = []
        while (dollar := self.text.find("$", self.position)) >= 0:
            parts.append(self.text[self.position : dollar])
            following = self.text[dollar + 1 : dollar + 2]
            if following == "{":
                self.position = dollar + 2
                parts.append(self._expansion())
            else:
                parts.append("$")
                self.position = dollar + (2 if following == "$" else 1)
        parts.append(self.text[self.position :])
        return "".join(parts)

    def _expansion(self) -> str:
        start = self.position - 2
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ExpansionError(f"expansions nested deeper than {_MAX_DEPTH}")
        try:
            return self._length() if self._peek() == "#" else self._operation()
        except ExpansionError as error:
            if not error.excerpt:
                error.excerpt = self.text[start : start + 40].partition("\n")[0]
            raise
        finally:
            self.depth -= 1

    def _length(self) -> str:
        self.position += 1
        name = self._run(_is_name, "bad substitution")
        self._close("bad substitution")
        return str(len(self._value(name).encode()))

    def _operation(self) -> str:
        name = self._run(_is_name, "unable to parse variable name")
        mark, following = self._peek(), self.text[self.position + 1 : self.position + 2]
        if mark == "=" or (mark == ":" and following in "=-?+" and following):
            return self._default(name, mark if mark == "=" else mark + following)
        if mark == ":":
            return self._substring(name)
        if mark in (",", "^"):
            return self._case(name)
        if mark == "/":
            return self._replace(name)
        if mark in ("#", "%"):
            return self._trim(name, mark)
        self._close("missing closing brace")
        return self._value(name)

    def _default(self, name: str, operator: str) -> str:
        self.position += len(operator)
        words = []
        while self._peek() != "}":
            words.append(self._word("}"))
        self._close("bad substitution")
        return self.variables.get(name, "") or "".join(words)

    def _substring(self, name: str) -> str:
        self.position += 1
        words = [self._word(":}")]
        if self._peek() == ":":
            while self._peek() == ":":
                self.position += 1
            words.append(self._word("}"))
        self._close("bad substitution")
        value = self._value(name)
        if not all(_INTEGER.fullmatch(word) for word in words):
            return value
        return _slice(value, *(int(word) for word in words))

    def _case(self, name: str) -> str:
        operator = ""
        while len(operator) < 2 and self._peek() in (",", "^"):
            operator += self._peek()
            self.position += 1
        self._close("bad substitution")
        value = self._value(name)
        change = _upper if operator.startswith("^") else _lower
        if operator in (",,", "^^"):
            return "".join(map(change, value))
        return change(value[0]) + value[1:] if value and len(operator) == 1 else value

    def _replace(self, name: str) -> str:
        operator = "/"
        self.position += 1
        if (mark := self._peek()) and mark in "/#%":
            operator += mark
            self.position += 1
        words = [self._word("/", escapes=True)]
        if self._peek() != "/":
            raise ExpansionError("bad substitution")
        while self._peek() == "/":
            self.position += 1
        if self._peek() != "}":
            words.append(self._word("}", escapes=True))
        self._close("bad substitution")
        return _replaced(self._value(name), operator, words)

    def _trim(self, name: str, mark: str) -> str:
        self.position += 1
        longest = self._peek() == mark
        self.position += longest
        pattern = self._word("}")
        self._close("bad substitution")
        value = self._value(name)
        if mark == "#":
            return value[_matched_prefix(value, pattern, longest) :]
        backwards = value[::-1]
        return backwards[_matched_prefix(backwards, pattern[::-1], longest) :][::-1]

    def _word(self, stops: str, *, escapes: bool = False) -> str:
        if self.text.startswith("${", self.position):
            self.position += 2
            return self._expansion()
        start, parts = self.position, []
        while (mark := self._peek()) and mark not in stops and not self.text.startswith("${", self.position):
            pair = self.text[self.position : self.position + 2]
            if escapes and pair in ("$$", "\\/", "\\\\"):
                mark = pair[1]
                self.position += 1
            parts.append(mark)
            self.position += 1
        if self.position == start:
            raise ExpansionError("unable to parse substitution within function")
        return "".join(parts)

    def _run(self, accept: Callable[[str], bool], otherwise: str) -> str:
        start = self.position
        while (mark := self._peek()) and accept(mark):
            self.position += 1
        if self.position == start:
            raise ExpansionError(otherwise)
        return self.text[start : self.position]

    def _close(self, otherwise: str) -> None:
        if self._peek() != "}":
            raise ExpansionError(otherwise)
        self.position += 1

    def _peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def _value(self, name: str) -> str:
        if name not in self.variables:
            self.unset.append(name)
        return self.variables.get(name, "")


def _is_name(mark: str) -> bool:
    return mark == "_" or mark.isalpha() or mark.isdecimal()


def _upper(mark: str) -> str:
    return changed if len(changed := mark.upper()) == 1 else mark


def _lower(mark: str) -> str:
    return changed if len(changed := mark.lower()) == 1 else mark


def _slice(value: str, offset: int, length: int | None = None) -> str:
    data = value.encode()
    if offset < 0:
        offset = max(0, len(data) + offset)
    end = len(data) if length is None else offset + length if length >= 0 else len(data) + length
    try:
        return data[offset : max(offset, end)].decode()
    except UnicodeDecodeError as error:
        raise ExpansionError("the substring cuts a character in half") from error


def _replaced(value: str, operator: str, words: list[str]) -> str:
    old, new = words[0], words[1] if len(words) > 1 else ""
    if operator == "/":
        return value.replace(old, new, 1)
    if operator == "//":
        return value.replace(old, new)
    if len(words) < 2:
        return value
    if operator == "/#":
        return new + value[len(old) :] if value.startswith(old) else value
    return value[: len(value) - len(old)] + new if value.endswith(old) else value


def _matched_prefix(value: str, pattern: str, longest: bool) -> int:
    """Length of the longest or shortest non-empty prefix that the glob matches; 0 when none does.

    `*` matches any text, `/` included, `?` one character, `[a-z]` and `[^a-z]` a class, a backslash escapes. Follows
    all positions in the pattern at once, so that no pattern can take exponential time.
    """
    atoms = _atoms(pattern)
    if atoms is None:
        return 0
    best = 0
    states = _skip_stars({0}, atoms)
    for length, mark in enumerate(value, 1):
        states = _skip_stars(
            {at if atoms[at] is None else at + 1 for at in states if at < len(atoms) and _takes(atoms[at], mark)},
            atoms,
        )
        if not states:
            break
        if len(atoms) in states:
            best = length
            if not longest:
                break
    return best


_Atom = Callable[[str], bool] | None


def _takes(atom: _Atom, mark: str) -> bool:
    return atom is None or atom(mark)


def _skip_stars(states: set[int], atoms: list[_Atom]) -> set[int]:
    found = set(states)
    for at in states:
        while at < len(atoms) and atoms[at] is None:
            at += 1
            found.add(at)
    return found


def _atoms(pattern: str) -> list[_Atom] | None:
    """The pattern as tests of one character, None standing for `*`; None for a malformed pattern."""
    atoms: list[_Atom] = []
    at = 0
    while at < len(pattern):
        mark = pattern[at]
        at += 1
        if mark == "*":
            atoms.append(None)
        elif mark == "?":
            atoms.append(lambda _: True)
        elif mark == "[":
            end = _class_end(pattern, at)
            if end < 0:
                return None
            atoms.append(_class(pattern[at:end]))
            at = end + 1
        else:
            if mark == "\\":
                if at == len(pattern):
                    return None
                mark = pattern[at]
                at += 1
            atoms.append(mark.__eq__)
    return atoms


def _class_end(pattern: str, at: int) -> int:
    at += pattern[at : at + 1] == "^"
    start = at
    while at < len(pattern):
        if pattern[at] == "]":
            return at if at > start else -1
        at += 2 if pattern[at] == "\\" else 1
    return -1


def _class(body: str) -> _Atom:
    negated = body.startswith("^")
    marks = re.findall(r"\\.|.", body[negated:], re.DOTALL)
    ranges: list[tuple[str, str]] = []
    while marks:
        low = marks.pop(0)[-1]
        high = low
        if len(marks) > 1 and marks[0] == "-":
            high = marks[1][-1]
            del marks[:2]
        ranges.append((low, high))
    return lambda mark: any(low <= mark <= high for low, high in ranges) != negated
