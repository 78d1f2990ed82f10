"""Exponential, capped, jittered delays, one row per key."""

from __future__ import annotations

import random
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Backoff(Generic[K]):
    """How long to wait after the n-th failure in a row of a key.

    The defaults are the Flux controllers' `--min-retry-delay` 750 ms and `--max-retry-delay` 15 min.
    """

    def __init__(self, base: float = 0.75, cap: float = 900.0, *, factor: float = 2.0, jitter: float = 0.1) -> None:
        self._base, self._cap, self._factor, self._jitter = base, cap, factor, jitter
        self._failures: dict[K, int] = {}

    def next(self, key: K) -> float:
        """Count a failure and return the delay before the next try, seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        exponent = min(failures, 64)
        return jittered(min(self._base * self._factor**exponent, self._cap), self._jitter)

    def failures(self, key: K) -> int:
        """Failures in a row so far."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """Start again from the base delay."""
        self._failures.pop(key, None)


def jittered(seconds: float, fraction: float) -> float:
    """A delay changed at random by at most ± `fraction` of it."""
    return seconds * (1 + random.uniform(-fraction, fraction)) if fraction else seconds
