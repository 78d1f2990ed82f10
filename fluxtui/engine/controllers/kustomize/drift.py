"""Drift seen when it happens: what was applied is watched, and a foreign change wakes its Kustomization.

One stream for each kind, of metadata alone, of objects with the owner's label, and of so many kinds and objects at
most; whatever is beyond that is looked at when the interval comes. Upstream looks at the interval only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from fluxtui.api.kinds import KUSTOMIZE_GROUP
from fluxtui.engine.controllers.kustomize import policy
from fluxtui.engine.runtime.objects import Key, Object
from fluxtui.kube.changes import Action, ChangeSet
from fluxtui.kube.client import Client
from fluxtui.kube.drift import digest
from fluxtui.kube.errors import KubeError
from fluxtui.kube.identity import Identity
from fluxtui.kube.ownership import managed_fields

if TYPE_CHECKING:
    from fluxtui.kube.watch import Batch

SWITCH = "engine.fluxtui.dev/drift-detection"
"""Annotation of a Kustomization: "disabled" leaves its drift to the interval."""
DELETED = "deleted"
_OWN = (policy.MANAGER, "Apply", "")
_WAKES, _WITHIN = 6, 60.0
"""How often, in how many seconds, one object wakes its Kustomization: two who fight over a field would never end."""

_Owner = tuple[str, str, str]
_Kind = tuple[str, str, str]

logger = logging.getLogger("fluxtui.engine.drift")


class Budget(msgspec.Struct):
    """How much may still be watched, by all watches that share it."""

    kinds: int
    objects: int
    waiting: set[asyncio.Event] = set()
    """Set when there is room for another kind."""

    def give_back(self, kinds: int) -> None:
        """Watch fewer kinds than before."""
        self.kinds += kinds
        for event in self.waiting:
            event.set()
        self.waiting.clear()


class _Tracked(msgspec.Struct, gc=False):
    key: Key
    uid: str
    version: str
    owners: dict[_Owner, bytes]
    current: str
    """The resourceVersion it has by now: the one that was applied, or that the stream has shown since; empty when it
    is gone."""
    seen: bool = False
    """Whether the stream has shown this very object: one that is told as deleted before was its predecessor."""


class _Notice(msgspec.Struct, frozen=True, gc=False):
    """A foreign change."""

    uid: str
    """Of the object as it was tracked."""
    version: str
    """The resourceVersion of the change; empty when it is gone."""
    who: str


class DriftWatch:
    """What Kustomizations have applied to one cluster. `run` it beside the workers."""

    def __init__(self, cluster: str, budget: Budget, clock: Callable[[], float] = time.monotonic) -> None:
        """`cluster` is what the log calls it."""
        self._cluster = cluster
        self._budget = budget
        self._clock = clock
        self._tracked: dict[Identity, _Tracked] = {}
        self._of: dict[Key, dict[Identity, _Kind]] = {}
        self._notes: dict[Key, dict[Identity, str]] = {}
        self._applying: dict[Key, dict[Identity, _Notice]] = {}
        """Noticed while a Kustomization applies."""
        self._early: dict[Key, dict[Identity, Object]] = {}
        """Shown by a stream while a Kustomization still applies what is not tracked yet: object → its metadata."""
        self._wakes: dict[Identity, deque[float]] = {}
        self._streaming: set[tuple[str, str]] = set()
        """(group, kind) of the streams that bring every change at once."""
        self._kinds: Counter[_Kind] = Counter()
        """How many objects of each kind are tracked."""
        self._changed = asyncio.Event()
        self._exceeded = False
        self._faulty: set[_Kind] = set()
        self._wake: Callable[[Key], None] = lambda key: None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to watch, nor about to be."""
        return not self._of and not self._applying

    @property
    def faulty(self) -> bool:
        """Whether the cluster does not let itself be watched at the moment."""
        return bool(self._faulty)

    def track(self, key: Key, changes: ChangeSet) -> None:
        """From now on, what a Kustomization has applied is just this, as it is now."""
        kept = {change.identity for change in changes}
        for identity in [identity for identity in self._of.get(key, {}) if identity not in kept]:
            self._drop(key, identity)
        for change in changes:
            if change.action is Action.UNCHANGED and change.live is None:
                continue
            if change.action is Action.SKIPPED or change.live is None:
                self._drop(key, change.identity)
            else:
                self._put(key, change.identity, change.version, change.live)

    def version(self, key: Key, identity: Identity) -> str:
        """The resourceVersion that an object of a Kustomization has now; empty when no stream tells."""
        found = self._tracked.get(identity)
        if found is None or found.key != key or not found.seen:
            return ""
        return found.current if (identity.group, identity.kind) in self._streaming else ""

    def forget(self, key: Key) -> None:
        """Watch nothing of a Kustomization any more."""
        for identity in list(self._of.get(key, {})):
            self._drop(key, identity)
        self._notes.pop(key, None)

    @contextmanager
    def applying(self, key: Key) -> Iterator[Mapping[Identity, str]]:
        """While a Kustomization applies and `track` is told what; gives what was noticed of it since the last time:
        object → who changed it, or "deleted".

        What is noticed meanwhile wakes it afterwards, unless the engine itself has made the object anew or has written
        it since.
        """
        meanwhile = self._applying[key] = {}
        self._early[key] = {}
        try:
            yield self._notes.get(key, {})
            # Not after a failure: what could not be corrected is reported once it is.
            self._notes.pop(key, None)
        finally:
            del self._applying[key], self._early[key]
            for identity, notice in meanwhile.items():
                found = self._tracked.get(identity)
                if found is None or found.uid != notice.uid:
                    continue
                if not notice.version or _number(notice.version) > _number(found.version):
                    self._note(identity, notice.who, notice.version)

    async def run(self, client: Client, wake: Callable[[Key], None]) -> None:
        """Watch until cancelled; `wake` is called with a Kustomization whose objects somebody else changed."""
        self._wake = wake
        self._changed.set()
        self._faulty.clear()
        streams: dict[_Kind, asyncio.Task[None]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._changed.wait()
                    self._changed.clear()
                    self._adjust(client, streams, group)
        finally:
            self._budget.give_back(len(streams))

    def _adjust(self, client: Client, streams: dict[_Kind, asyncio.Task[None]], group: asyncio.TaskGroup) -> None:
        """Open and close streams, so that they are those of the kinds that are tracked."""
        wanted = self._kinds
        for kind in [kind for kind in streams if kind not in wanted]:
            streams.pop(kind).cancel()
            self._faulty.discard(kind)
            self._budget.give_back(1)
        for kind in wanted:
            if kind in streams:
                continue
            if not self._budget.kinds:
                self._budget.waiting.add(self._changed)
                self._exceed(f"{len(wanted)} kinds")
                break
            self._budget.kinds -= 1
            streams[kind] = group.create_task(self._follow(client, kind), name=f"drift of {kind[2]}")

    def _put(self, key: Key, identity: Identity, api_version: str, live: Object) -> None:
        before = self._tracked.get(identity)
        if before is not None and before.key != key:
            self._drop(before.key, identity)
        if identity not in self._tracked:
            if not self._budget.objects:
                self._exceed(f"more than {len(self._tracked)} objects")
                return
            self._budget.objects -= 1
        metadata = live.get("metadata") or {}
        uid, version = metadata.get("uid", ""), metadata.get("resourceVersion", "")
        current, seen = version, False
        if before is not None and before.uid == uid:
            seen = before.seen
            # The stream may have shown, while it was applied, what came after what was read then.
            if not before.current or _number(before.current) > _number(version):
                current = before.current
        found = self._tracked[identity] = _Tracked(key, uid, version, _owners(live), current, seen)
        self._count(key, identity, (identity.group, api_version, identity.kind))
        early = self._early.get(key, {}).pop(identity, None)
        if early is not None and early["metadata"].get("uid") == uid:
            found.seen = True
            if _number(early["metadata"].get("resourceVersion", "")) > _number(version):
                self._seen(identity, early)

    def _drop(self, key: Key, identity: Identity) -> None:
        found = self._tracked.get(identity)
        if found is not None and found.key == key:
            del self._tracked[identity]
            self._wakes.pop(identity, None)
            self._budget.objects += 1
        self._count(key, identity, None)
        if not self._of.get(key, True):
            del self._of[key]

    def _count(self, key: Key, identity: Identity, kind: _Kind | None) -> None:
        """Note the kind of an object, None for one that is not tracked any more; whoever opens streams hears of kinds
        that come and go."""
        kinds = self._of.setdefault(key, {}) if kind is not None else self._of.get(key, {})
        before = kinds.pop(identity, None)
        if kind is not None:
            kinds[identity] = kind
        if before == kind:
            return
        for changed, by in ((kind, 1), (before, -1)):
            if changed is None:
                continue
            self._kinds[changed] += by
            if self._kinds[changed] == (1 if by > 0 else 0):
                self._changed.set()
        if before is not None and not self._kinds[before]:
            del self._kinds[before]

    def _exceed(self, what: str) -> None:
        if not self._exceeded:
            self._exceeded = True
            logger.warning("%s: %s: the rest is checked for drift at its interval", self._cluster, what)

    async def _follow(self, client: Client, kind: _Kind) -> None:
        from fluxtui.kube.watch import Phase, WatchState, watch

        def on_state(state: WatchState) -> None:
            faulty = state.phase in (Phase.BROKEN, Phase.FORBIDDEN)
            (self._faulty.add if faulty else self._faulty.discard)(kind)
            (self._streaming.add if state.phase is Phase.LIVE else self._streaming.discard)(place)

        group, version, name = kind
        place = group, name
        while True:
            try:
                resource = await client.resource_for((group, version, name))
                break
            except KubeError as error:
                logger.info("%s: %s is not watched for drift: %s", self._cluster, name, error)
                self._faulty.add(kind)
                await asyncio.sleep(policy.DRIFT_RETRY)
        selector = f"{KUSTOMIZE_GROUP}/name"
        batches = watch(client, resource, label_selector=selector, metadata_only=True, on_state=on_state)
        try:
            async with aclosing(batches):
                async for batch in batches:
                    self._take(group, name, batch)
        finally:
            self._streaming.discard(place)

    def _take(self, group: str, kind: str, batch: Batch[Object]) -> None:
        """Compare what a stream brings with what is tracked."""
        present = {self._identity(group, kind, obj): obj for obj in batch.upserts}
        for identity, obj in present.items():
            self._seen(identity, obj)
        deleted = [Identity(key[0], key[1], group, kind) for key in batch.deletes]
        gone = [found for found in deleted if found in self._tracked and self._tracked[found].seen]
        if batch.replace:
            mine = [found for found in self._tracked if (found.group, found.kind) == (group, kind)]
            gone = [found for found in mine if found not in present]
        for identity in gone:
            self._tracked[identity].current = ""
            self._note(identity, DELETED)

    def _identity(self, group: str, kind: str, obj: Object) -> Identity:
        metadata = obj.get("metadata") or {}
        return Identity(metadata.get("namespace", ""), metadata.get("name", ""), group, kind)

    def _seen(self, identity: Identity, obj: Object) -> None:
        found = self._tracked.get(identity)
        metadata = obj.get("metadata") or {}
        if found is None:
            owner = _owner(metadata.get("labels") or {})
            if owner in self._early:
                self._early[owner][identity] = obj
            return
        found.seen = found.seen or metadata.get("uid") == found.uid
        found.current = metadata.get("resourceVersion", "")
        if metadata.get("resourceVersion") == found.version:
            return
        owners = _owners(obj)
        others = {owner[0] for owner, fields in owners.items() if owner != _OWN and found.owners.get(owner) != fields}
        if metadata.get("uid") != found.uid or others:
            self._note(identity, ", ".join(sorted(others)) or "recreated", found.current)

    def _note(self, identity: Identity, who: str, version: str = "") -> None:
        """Note that somebody changed an object, `version` its resourceVersion since, empty when it is gone."""
        found = self._tracked.get(identity)
        if found is None:
            return
        if found.key in self._applying:
            self._applying[found.key][identity] = _Notice(found.uid, version, who)
            return
        self._notes.setdefault(found.key, {})[identity] = who
        moments = self._wakes.setdefault(identity, deque(maxlen=_WAKES))
        moment = self._clock()
        if len(moments) == _WAKES and moment - moments[0] < _WITHIN:
            logger.warning("%s: %s of %s changes all the time (%s)", self._cluster, identity, found.key, who)
            return
        moments.append(moment)
        self._wake(found.key)


def report(changes: ChangeSet, notes: Mapping[Identity, str]) -> str:
    """What was corrected, a line an object with whoever had changed it; empty when nothing was."""
    lines = []
    for change in changes.changed:
        who = notes.get(change.identity)
        if who is not None:
            lines.append(f"{change}: " + ("it had been deleted" if who == DELETED else f"it had been changed by {who}"))
    return "\n".join(lines)


def _owner(labels: Mapping[str, str]) -> Key:
    """The Kustomization that an object's labels name."""
    return Key(labels.get(f"{KUSTOMIZE_GROUP}/namespace", ""), labels.get(f"{KUSTOMIZE_GROUP}/name", ""))


def _number(version: str) -> int:
    """A resourceVersion as a number, by which versions of one object can be compared."""
    return int(version) if version.isdigit() else 0


def _owners(obj: Object) -> dict[_Owner, bytes]:
    """Who owns which fields since when; status, and who only counts it, left out."""
    found: dict[_Owner, Any] = {}
    for entry in managed_fields(obj):
        owner = (str(entry.get("manager", "")), str(entry.get("operation", "")), str(entry.get("subresource", "")))
        if owner[2] != "status":
            found[owner] = digest({"fields": entry.get("fieldsV1"), "time": entry.get("time")})
    return found
