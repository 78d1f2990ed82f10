"""Regular expressions of users, as Go reads them and in time that no expression can make long: RE2 matches them."""

from __future__ import annotations

import functools
import re
from typing import Any

from fluxtui.kustomize.errors import FieldError

_PLAIN = re.compile(r"[\w/-]*", re.ASCII)
"""Expressions that fit nothing but themselves."""


class Pattern:
    """A regular expression. Raises FieldError for what is none."""

    def __init__(self, text: str) -> None:
        # Few builds have one that is no plain word, and a library in C++ takes its time to load.
        import re2

        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled: Any = re2.compile(_bytes(text), options)
        except re2.error as error:
            why = error.args[0].decode(errors="replace")
            raise FieldError(f"pattern {text!r} is no regular expression: {why}") from error

    def fits(self, text: str) -> bool:
        """Whether it matches a text as a whole."""
        return self._compiled.fullmatch(_bytes(text)) is not None

    def occurs_in(self, text: str) -> bool:
        """Whether it matches a part of a text."""
        return self._compiled.search(_bytes(text)) is not None


def _bytes(text: str) -> bytes:
    """UTF-8; half of a surrogate pair, which is none, matches nothing."""
    return text.encode("utf-8", "surrogatepass")


compiled = functools.lru_cache(maxsize=1024)(Pattern)


@functools.lru_cache(maxsize=1 << 14)
def fits(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern as a whole; an empty pattern fits all. Raises FieldError."""
    if _PLAIN.fullmatch(pattern):
        return pattern in ("", text)
    return compiled(pattern).fits(text)
