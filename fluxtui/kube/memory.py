"""What is known of applied objects, so that the server need not be asked about each of them again and again.

Holds, for an object, digests of what was desired and of what was live when the server last said that applying the one
changes nothing in the other. While both are the same, applying again changes nothing, unless the server itself has
changed (a webhook, a new default); therefore an entry is believed for a limited time only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import msgspec

from fluxtui.kube.drift import digest, live_digest
from fluxtui.kube.identity import Identity, Object, identity_of

LIFETIME = 3600.0
"""Seconds for which an entry is believed."""


class _Known(msgspec.Struct, frozen=True, gc=False):
    desired: bytes
    live: bytes
    at: float


class Memory:
    """Digests of the applied objects of one cluster."""

    def __init__(self, lifetime: float = LIFETIME, clock: Callable[[], float] = time.monotonic) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._known: dict[Identity, _Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def knows(self, desired: Object) -> bool:
        """Whether this very desired object was compared lately."""
        known = self._known.get(identity_of(desired))
        return known is not None and self._clock() - known.at < self._lifetime and known.desired == digest(desired)

    def matches(self, desired: Object, live: Object) -> bool:
        """Whether applying `desired` to `live` is known to change nothing."""
        known = self._known.get(identity_of(desired))
        return known is not None and self.knows(desired) and known.live == live_digest(live)

    def remember(self, desired: Object, live: Object) -> None:
        """Note that applying `desired` to `live` changes nothing."""
        self._known[identity_of(desired)] = _Known(digest(desired), live_digest(live), self._clock())

    def forget(self, identities: Iterable[Identity]) -> None:
        """Forget objects, because they are about to change or are gone."""
        for identity in identities:
            self._known.pop(identity, None)
