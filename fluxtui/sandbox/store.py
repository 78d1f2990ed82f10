"""Objects in memory, their versions, and who watches them.

One counter gives every write its resourceVersion. Each write is an entry of a bounded log, from which watches resume;
an older version than the log begins with is gone (410). An event is encoded once for all watchers of one API version.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from fluxtui.sandbox.statuses import gone

Object = dict[str, Any]
StoreName = tuple[str, str]
Key = tuple[str, str]
"""Namespace and name."""

LOG_LENGTH = 20000
"""Writes that watches can resume from."""


class Change(msgspec.Struct):
    """One write."""

    version: int
    type: str
    """ADDED, MODIFIED or DELETED."""
    store: StoreName
    object: Object
    """The object after the write; for DELETED as it was, with the version of the deletion."""
    previous: Object | None
    encoded: dict[str, bytes] = {}
    """apiVersion → JSON of the object."""


Listener = Callable[[Change], None]


class Store:
    """All objects of one server. Objects handed out are shared: copy before you change them."""

    def __init__(self) -> None:
        self.version = 1
        self._objects: dict[StoreName, dict[Key, Object]] = {}
        self._log: deque[Change] = deque(maxlen=LOG_LENGTH)
        self._oldest = 0
        self._watchers: set[Watcher] = set()
        self._listeners: list[Listener] = []

    def get(self, store: StoreName, key: Key) -> Object | None:
        """An object, None when it is not there."""
        return self._objects.get(store, {}).get(key)

    def all(self, store: StoreName) -> list[Object]:
        """The objects of a resource, by namespace and name."""
        found = self._objects.get(store, {})
        return [found[key] for key in sorted(found)]

    def everything(self) -> Iterator[tuple[StoreName, Object]]:
        """All objects."""
        for store, objects in list(self._objects.items()):
            for obj in list(objects.values()):
                yield store, obj

    def put(self, store: StoreName, obj: Object) -> Object:
        """Store a new or changed object, under a new version, which is written into it."""
        key = key_of(obj)
        previous = self._objects.get(store, {}).get(key)
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self._objects.setdefault(store, {})[key] = obj
        self._record(Change(self.version, "MODIFIED" if previous else "ADDED", store, obj, previous))
        return obj

    def remove(self, store: StoreName, key: Key) -> Object:
        """Take an object away; returns it with the version of its deletion."""
        previous = self._objects[store].pop(key)
        self.version += 1
        last = {**previous, "metadata": {**previous["metadata"], "resourceVersion": str(self.version)}}
        self._record(Change(self.version, "DELETED", store, last, previous))
        return last

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call a plain function at every write, right after it; returns how to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def watch(self, store: StoreName, since: int) -> Watcher:
        """The writes of a resource after a version. Raises StatusError 410 when they are no longer kept."""
        if since < self._oldest:
            raise gone(f"too old resource version: {since} ({self._oldest})")
        watcher = Watcher(self, store)
        for change in self._log:
            if change.version > since and change.store == store:
                watcher.push(change)
        self._watchers.add(watcher)
        return watcher

    def forget(self, watcher: Watcher) -> None:
        """End a watch."""
        self._watchers.discard(watcher)

    def compact(self) -> None:
        """Forget the log: every older version is gone from now on."""
        self._log.clear()
        self._oldest = self.version

    @property
    def oldest(self) -> int:
        """The oldest version from which a watch can resume."""
        return self._oldest

    def _record(self, change: Change) -> None:
        if len(self._log) == self._log.maxlen:
            self._oldest = self._log[0].version
        self._log.append(change)
        for watcher in self._watchers:
            if watcher.store == change.store:
                watcher.push(change)
        for listener in list(self._listeners):
            listener(change)


class Watcher:
    """The writes of one resource, in order, for one reader."""

    def __init__(self, owner: Store, store: StoreName) -> None:
        self.store = store
        self._owner = owner
        self._pending: deque[Change] = deque()
        self._ready = asyncio.Event()

    def push(self, change: Change) -> None:
        """Add a write."""
        self._pending.append(change)
        self._ready.set()

    async def take(self) -> list[Change]:
        """Everything that is there, at least one write; waits for it."""
        await self._ready.wait()
        self._ready.clear()
        taken = list(self._pending)
        self._pending.clear()
        return taken

    def close(self) -> None:
        """End the watch."""
        self._owner.forget(self)


def key_of(obj: Object) -> Key:
    """Namespace and name of an object."""
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]
