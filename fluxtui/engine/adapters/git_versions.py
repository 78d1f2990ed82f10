"""Version ranges as Masterminds/semver understands them, which is what Flux calls semver.

A range is alternatives joined by `||`; each is comparisons joined by spaces or commas: `= != > < >= => <= =< ~ ^`,
`1.2.x`, `*`, and `1.2 - 2.0`. A pre-release satisfies an alternative only if one of its comparisons names one, too
(`>=1.0.0-0` lets all of them in). Order of versions is semantic_version's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec
from semantic_version import Version

_VERSION = r"v?(?:\d+|[xX*])(?:\.(?:\d+|[xX*]))?(?:\.(?:\d+|[xX*]))?(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
_COMPARISON = re.compile(rf"\s*(=|==|!=|>=|=>|<=|=<|>|<|~>|~|\^)?\s*({_VERSION})\s*,?")
_HYPHEN = re.compile(rf"\s*({_VERSION})\s+-\s+({_VERSION})\s*,?")
_PARTS = re.compile(r"v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?")


_DIGITS = 20
"""Most digits of a number, as of one of 64 bits."""
_SHOWN = 100


class RangeError(ValueError):
    """A text is no version range; the message says so."""


class _Bound(msgspec.Struct, frozen=True):
    """A version with how many of its three numbers were given."""

    version: Version
    given: int

    def next(self, position: int) -> Version:
        """The lowest version after all that share the first `position` numbers."""
        numbers = [self.version.major, self.version.minor, self.version.patch]
        numbers = [*numbers[: position - 1], numbers[position - 1] + 1, 0, 0][:3]
        return _plain(*numbers)


_Check = Callable[[Version], bool]


class VersionRange:
    """A parsed range: `"1.4.0" in range` for `Version`s."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._alternatives = [_Alternative(part, text) for part in text.split("||")]

    def __contains__(self, version: Version) -> bool:
        return any(alternative.admits(version) for alternative in self._alternatives)


def parse_tag(tag: str) -> Version | None:
    """The version a tag stands for, an optional leading `v` and three numbers; None when it stands for none."""
    try:
        return Version(tag.removeprefix("v"))
    except ValueError:
        return None


def newest(tags: Iterable[str], range_text: str) -> str | None:
    """The tag with the highest version in a range, None when there is none. Raises RangeError.

    Tags that differ in build metadata only are ordered by it.
    """
    wanted = VersionRange(range_text)
    found = [(version, tag) for tag in tags if (version := parse_tag(tag)) is not None and version in wanted]
    if not found:
        return None
    return max(found, key=lambda item: (item[0].precedence_key[:-1], item[0].build, item[1]))[1]


class _Alternative:
    """Comparisons that all have to hold."""

    def __init__(self, part: str, text: str) -> None:
        self._text = text
        self._checks: list[_Check] = []
        self._prereleases = False
        rest = part.strip()
        if not rest:
            raise RangeError(f'improper constraint: "{text}"')
        while rest:
            if hyphen := _HYPHEN.match(rest):
                self._add(">=", hyphen[1])
                self._add("<=", hyphen[2])
                rest = rest[hyphen.end() :]
            elif comparison := _COMPARISON.match(rest):
                self._add(comparison[1] or "", comparison[2])
                rest = rest[comparison.end() :]
            else:
                raise RangeError(f'improper constraint: "{text}"')

    def admits(self, version: Version) -> bool:
        if version.prerelease and not self._prereleases:
            return False
        return all(check(version) for check in self._checks)

    def _add(self, operator: str, version: str) -> None:
        bound = _bound(version, self._text)
        if bound is None:
            self._checks.append(_any if operator not in ("!=", ">", "<") else _none)
            return
        self._prereleases |= bool(bound.version.prerelease)
        self._checks.append(_CHECKS[operator](bound))


def _bound(text: str, range_text: str) -> _Bound | None:
    """The version of a comparison, missing numbers as 0; None for a wildcard alone."""
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise RangeError(f'improper constraint: "{range_text}"')
    numbers = []
    for number in parts.group(1, 2, 3):
        if number is None or number in "xX*":
            break
        if len(number) > _DIGITS:
            raise RangeError(f'improper constraint: "{range_text[:_SHOWN]}"')
        numbers.append(int(number))
    if not numbers:
        return None
    padded = [*numbers, 0, 0][:3]
    suffix = f"-{parts[4]}" if parts[4] and len(numbers) == 3 else ""
    try:
        return _Bound(Version(".".join(map(str, padded)) + suffix), len(numbers))
    except ValueError as error:
        raise RangeError(f'improper constraint: "{range_text}"') from error


def _any(_: Version) -> bool:
    return True


def _none(_: Version) -> bool:
    return False


def _plain(major: int, minor: int, patch: int) -> Version:
    return Version(f"{major}.{minor}.{patch}")


def _between(low: Version, high: Version) -> _Check:
    return lambda version: low <= version and _before(version, high)


def _before(version: Version, high: Version) -> bool:
    """Below `high` and not one of its pre-releases."""
    return bool(version.truncate("patch") < high if version.prerelease else version < high)


def _equal(bound: _Bound) -> _Check:
    if bound.given == 3:
        return lambda version: bool(version.precedence_key[:-1] == bound.version.precedence_key[:-1])
    return _between(bound.version, bound.next(bound.given))


def _not_equal(bound: _Bound) -> _Check:
    equal = _equal(bound)
    return lambda version: not equal(version)


def _greater(bound: _Bound) -> _Check:
    if bound.given == 3:
        return lambda version: bool(version > bound.version)
    return lambda version: bool(version >= bound.next(bound.given))


def _less_or_equal(bound: _Bound) -> _Check:
    if bound.given == 3:
        return lambda version: bool(version <= bound.version)
    return lambda version: _before(version, bound.next(bound.given))


def _tilde(bound: _Bound) -> _Check:
    return _between(bound.version, bound.next(min(bound.given, 2)))


def _caret(bound: _Bound) -> _Check:
    """Up to the next change of the leftmost number that is not 0."""
    numbers = (bound.version.major, bound.version.minor, bound.version.patch)[: bound.given]
    position = next((index for index, number in enumerate(numbers, 1) if number), bound.given)
    return _between(bound.version, bound.next(position))


_CHECKS: dict[str, Callable[[_Bound], _Check]] = {
    "": _equal,
    "=": _equal,
    "==": _equal,
    "!=": _not_equal,
    ">": _greater,
    ">=": lambda bound: lambda version: bool(version >= bound.version),
    "=>": lambda bound: lambda version: bool(version >= bound.version),
    "<": lambda bound: lambda version: bool(version < bound.version),
    "<=": _less_or_equal,
    "=<": _less_or_equal,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}
