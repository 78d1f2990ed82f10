"""What is known of applied objects, so that the server need not be asked about each of them again and again.

Holds, for an object, digests of what was desired and of what was live when the server last said that applying the one
changes nothing in the other, and the version of the live object. While both are the same, applying again changes
nothing, unless the server itself has changed (a webhook, a new default); therefore an entry is believed for a limited
time only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import msgspec

from fluxtui.kube.drift import content_digest, digest, live_digest
from fluxtui.kube.identity import Identity, Object, identity_of

LIFETIME = 3600.0
"""Seconds for which an entry is believed."""


class Sighting(msgspec.Struct, frozen=True):
    """One version of one live object."""

    uid: str
    version: str
    """Its resourceVersion."""


class _Known(msgspec.Struct, frozen=True, gc=False):
    desired: bytes
    live: bytes
    content: bytes
    at: float
    uid: str
    version: str
    owner: Mapping[str, str] | None
    """The labels of whoever may delete it, None when nobody may."""


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
        known = self._believed(identity_of(desired))
        return known is not None and known.desired == digest(desired)

    def matches(self, desired: Object, live: Object) -> bool:
        """Whether applying `desired` to `live` is known to change nothing."""
        return self.knows(desired) and self._known[identity_of(desired)].live == live_digest(live)

    def sighting(self, identity: Identity, owner: Mapping[str, str] | None = None) -> Sighting | None:
        """The version of the live object that was compared last; of an `owner`, only if it is theirs to delete."""
        known = self._known.get(identity)
        if known is None or (owner is not None and known.owner != owner):
            return None
        return Sighting(known.uid, known.version)

    def said_the_same(self, applied: Object) -> bool | None:
        """Whether the result of a dry run is what the live object says; None when that is not known.

        The result of a dry run has the version of the live object it would change.
        """
        known, metadata = self._believed(identity_of(applied)), applied["metadata"]
        if known is None or (known.uid, known.version) != (metadata.get("uid"), metadata.get("resourceVersion")):
            return None
        return known.content == content_digest(applied)

    def remember(self, desired: Object, live: Object, owner: Mapping[str, str] | None = None) -> None:
        """Note that applying `desired` to `live` changes nothing, and who may delete it: whoever has these labels."""
        content = content_digest(live)
        self._known[identity_of(desired)] = _Known(
            digest(desired), live_digest(live, content), content, self._clock(), *_version(live), owner
        )

    def renew(self, live: Object) -> None:
        """Note a later version of a live object that says the same."""
        known = self._known.get(identity_of(live))
        if known is not None:
            uid, version = _version(live)
            self._known[identity_of(live)] = msgspec.structs.replace(known, uid=uid, version=version)

    def forget(self, identities: Iterable[Identity]) -> None:
        """Forget objects, because they are about to change or are gone."""
        for identity in identities:
            self._known.pop(identity, None)

    def _believed(self, identity: Identity) -> _Known | None:
        known = self._known.get(identity)
        return known if known is not None and self._clock() - known.at < self._lifetime else None


def _version(live: Object) -> tuple[str, str]:
    metadata = live["metadata"]
    return metadata.get("uid", ""), metadata.get("resourceVersion", "")
