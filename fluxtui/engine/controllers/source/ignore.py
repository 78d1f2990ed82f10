"""Which files of a source stay out of its artifact.

Rules in the order they are read, the last that matches decides: Git's own files; the defaults (CI, images, archives,
tools), unless there is any `.sourceignore` or `spec.ignore`; each `.sourceignore` for its directory and below;
`spec.ignore`. A rule that matches a directory matches all that is in it, and what an excluded directory holds may be
re-included. Source: fluxcd/pkg `sourceignore`, and the section "Excluding files" of the API document.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from pathspec import PathSpec
from pathspec.pattern import Pattern

IGNORE_FILE = ".sourceignore"
VCS = (".git/", ".gitignore", ".gitmodules", ".gitattributes")
DEFAULTS = (
    *("*.jpg", "*.jpeg", "*.gif", "*.png", "*.wmv", "*.flv", "*.tar.gz", "*.zip"),
    *(".github/", ".circleci/", ".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".drone.yml", "cloudbuild.yaml"),
    *("codeship-services.yml", "codeship-steps.yml"),
    *("**/.goreleaser.yml", "**/.sops.yaml", "**/.flux.yaml"),
)
FILE_LIMIT = 1 << 20
"""Most bytes of an ignore file."""
_FOLDERS = "(?:/.+)?"
"""What pathspec makes of `**` between folders."""
_NEGATED = re.compile(r"(?<!\\)\[\^(?!/)")
_STARS = re.compile(r"(?:\[\^/\]\*){2,}")
_BETWEEN = re.compile(r"\[\^/\]\*((?:(?:\\.|\[(?:\\.|[^\]\\])+\]|[^/\[\\(])(?![*+?]))+)(?=\[\^/\]\*)")
"""A `*` and what is between it and the next one of the same folder."""
_SPECIAL = re.compile(r"([\\*?\[\]!# ])")


class IgnoreError(Exception):
    """An ignore file can't be read or holds a rule that is none; `str()` names it."""


def exclusions(directory: Path, spec_ignore: str | None) -> Callable[[str, bool], bool]:
    """(path relative to the directory, whether it is a directory) → whether it stays out.

    Ask for a directory before what is in it, as a walk does. Blocking. Raises IgnoreError.
    """
    own = [rule for path in _ignore_files(directory) for rule in _read(directory, path)]
    if spec_ignore is not None:
        own += rules(spec_ignore)
    lines = [*VCS, *(own or DEFAULTS)]
    try:
        found = [_Rule.of(pattern) for pattern in PathSpec.from_lines("gitignore", lines).patterns]
    except (ValueError, RecursionError, OverflowError, re.error) as error:
        raise IgnoreError(f"an ignore rule is not valid: {error}") from error
    return _Exclusions([rule for rule in found if rule is not None])


def rules(text: str, directory: str = "") -> list[str]:
    """The rules of an ignore file, made relative to the root when the file is in a directory below it."""
    found = [line.rstrip("\r") for line in text.split("\n")]
    return [_scoped(line, directory) for line in found if line.strip() and not line.startswith("#")]


def linear(expression: str) -> str:
    """A regular expression that pathspec made of a rule, such that a match takes no time out of proportion.

    Whoever writes rules and files could else stop the engine for hours. A wildcard that another one follows takes the
    first place where what is between them fits, and no other: if the rest does not fit after that, it fits nowhere.
    """
    # No class of characters has the slash in it.
    expression = _NEGATED.sub("[^/", expression)
    expression = _STARS.sub("[^/]*", expression)
    expression = _BETWEEN.sub(r"(?>[^/]*?\g<1>)", expression)
    first, *others = expression.split(_FOLDERS)
    if len(others) < 2:
        return expression
    middle = "".join(rf"(?>(?:/.+?)??{part}(?=/))" for part in others[:-1] if part)
    return f"{first}{middle}{_FOLDERS}{others[-1]}"


class _Rule(msgspec.Struct, frozen=True):
    """One rule, as its expression."""

    excludes: bool
    matches: Callable[[str], object]

    @classmethod
    def of(cls, pattern: Pattern) -> _Rule | None:
        """None for what is no rule, such as a comment."""
        expression = getattr(pattern, "regex", None)
        if pattern.include is None or not isinstance(expression, re.Pattern):
            return None
        return cls(pattern.include, re.compile(linear(expression.pattern)).match)


class _Exclusions:
    """Rank of a path: the position of the last rule that matches it or a directory above it."""

    def __init__(self, rules: Sequence[_Rule]) -> None:
        self._rules = rules
        self._ranks: dict[str, int] = {}

    def __call__(self, path: str, folder: bool) -> bool:
        rank = self._rank(f"{path}/" if folder else path, self._ranks.get(path.rpartition("/")[0], -1))
        if folder:
            self._ranks[path] = rank
        return rank >= 0 and self._rules[rank].excludes

    def _rank(self, path: str, inherited: int) -> int:
        for position in range(len(self._rules) - 1, inherited, -1):
            if self._rules[position].matches(path) is not None:
                return position
        return inherited


def _scoped(rule: str, directory: str) -> str:
    if not directory:
        return rule
    negation = "!" if rule.startswith("!") else ""
    body = rule.removeprefix("!")
    prefix = _SPECIAL.sub(r"\\\1", directory)
    anchored = "/" in body.rstrip("/ ")
    return f"{negation}/{prefix}/{body.lstrip('/')}" if anchored else f"{negation}/{prefix}/**/{body}"


def _ignore_files(directory: Path) -> list[str]:
    """Relative paths of all ignore files, those above before those below."""
    found = []
    for parent, folders, files in os.walk(directory):
        folders[:] = sorted(name for name in folders if name != ".git")
        if IGNORE_FILE in files:
            found.append(os.path.relpath(os.path.join(parent, IGNORE_FILE), directory))
    return found


def _read(directory: Path, path: str) -> list[str]:
    file = directory / path
    if file.is_symlink():
        return []
    try:
        with file.open("rb") as stream:
            content = stream.read(FILE_LIMIT + 1)
    except OSError as error:
        raise IgnoreError(f"{path}: {error.strerror or error}") from error
    if len(content) > FILE_LIMIT:
        raise IgnoreError(f"{path} is larger than {FILE_LIMIT >> 20} MiB")
    return rules(content.decode("utf-8", "replace"), os.path.dirname(path))
