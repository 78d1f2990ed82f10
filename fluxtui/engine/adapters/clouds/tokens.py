"""What all providers share: whose identity it is, tokens that end, and the one error.

CloudError    there is no access to be had; `str()` is a sentence for users, free of secrets
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from fluxtui.engine.adapters.web import Answer

_SHARE = 0.8
"""Part of a token's life for which it is used again."""


class CloudError(Exception):
    """A cloud gives no access, or what it is asked with is not right."""


class Account(Protocol):
    """A ServiceAccount of a cluster, whose annotations say what it stands for in a cloud."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def annotations(self) -> Mapping[str, str]: ...
    async def token(self, audiences: Sequence[str]) -> str:
        """A signed token of the account for others. Raises errors of its own."""
        ...


class Token(msgspec.Struct, frozen=True):
    """A bearer token; the repr keeps it."""

    text: str
    expires: float
    """Seconds since the epoch."""

    def __repr__(self) -> str:
        return f"Token(expires={self.expires:.0f})"


class Expiring(Protocol):
    """What is good for a time."""

    @property
    def expires(self) -> float: ...


T = TypeVar("T", bound=Expiring)


class TokenCache(Generic[T]):
    """Tokens, kept for most of their life."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, ...], tuple[T, float]] = {}

    async def get(self, key: tuple[str, ...], make: Callable[[], Awaitable[T]]) -> T:
        """The token of a key, made if there is none that is good for long enough."""
        moment = self._clock()
        known = self._kept.get(key)
        if known is not None and moment < known[1]:
            return known[0]
        made = await make()
        self._kept = {name: entry for name, entry in self._kept.items() if moment < entry[1]}
        self._kept[key] = made, moment + (made.expires - moment) * _SHARE
        return made


def refused(answer: Answer, *names: str) -> CloudError:
    """The error for an answer that is none, with what one of the named fields of it says."""
    for name in names:
        found: Any = answer.object()
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if isinstance(found, str) and found:
            return CloudError(f"{answer.url} answered {answer.status}: {found.splitlines()[0][:300]}")
    return CloudError(f"{answer.url} answered {answer.status}")
