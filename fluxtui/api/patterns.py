"""Regular expressions that are compiled when they are first used: to compile those of a program costs its start."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial


def lazily(pattern: str) -> Callable[[], re.Pattern[str]]:
    """What gives the compiled pattern, at once from the second time on. Raises re.error when called."""
    return cache(partial(re.compile, pattern))
