"""List, then watch, for ever: the objects of one kind in one cluster as batches, through every fault.

What breaks and what follows: a cut or silent stream is taken up where it stopped, without a list; 410 and garbled
events lead to a list, whose batch replaces everything; a kind that is not served (404) or forbidden (403) is a state,
looked at again when discovery changes or after some minutes. While the server is down all watches of a cluster wait
for one liveness question (`fluxtui.kube.liveness`). Lists go through the gate, first ones and later ones alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, Generic, TypeVar

import msgspec

from fluxtui.kube import listing
from fluxtui.kube.client import Client
from fluxtui.kube.decoding import Change, Decoder, Garbled, Key
from fluxtui.kube.errors import ApiError, Forbidden, Gone, KubeError, NotFound, Silent, Unreachable
from fluxtui.kube.gate import Gate
from fluxtui.kube.lines import LineSplitter
from fluxtui.kube.liveness import full_jitter
from fluxtui.kube.resources import Resource
from fluxtui.kube.transport import IDLE_TIMEOUT

__all__ = ["Batch", "Gate", "Invalid", "Key", "Phase", "Timing", "WatchState", "watch"]

T = TypeVar("T")


class Phase(enum.StrEnum):
    """Where a watch stands."""

    SYNCING = "syncing"
    LIVE = "live"
    BROKEN = "broken"
    FORBIDDEN = "forbidden"
    ABSENT = "absent"
    """The server does not serve the kind."""


class WatchState(msgspec.Struct, frozen=True):
    """A phase, since when (Unix time), and why.

    BROKEN counts from the last sign of life when the server is unreachable, not from when that was noticed.
    """

    phase: Phase
    since: float
    error: KubeError | None = None


class Invalid(msgspec.Struct, frozen=True):
    """An object that is not of the type asked for."""

    key: Key
    problem: str


class Batch(msgspec.Struct, Generic[T]):
    """Changes to apply together; an object occurs once, in its last form."""

    upserts: list[T]
    deletes: list[Key]
    replace: bool = False
    """The upserts are all there is: what is not among them is gone."""
    kept: list[bytes] = []
    """With `keep`: what it made of each upsert."""
    invalid: list[Invalid] = []
    """Objects that exist but could not be read; they are not among the upserts, and not gone."""


class Timing(msgspec.Struct, frozen=True):
    """Times in seconds."""

    recheck: float = 300.0
    """Between looks at a kind that is absent or forbidden."""
    idle: float = IDLE_TIMEOUT
    """Of silence that end a stream."""
    stream: float = 300.0
    """Shortest life asked for a stream; the longest is twice that."""
    max_pause: float = 30.0
    """Longest pause between attempts."""


CHUNK = 100
"""Objects of a list that are decoded one by one before the loop may do something else: some 3 ms."""
_PROGRESS = 5.0
"""A stream that lived so long was no failure, even if nothing came."""


def watch(
    client: Client,
    resource: Resource,
    decoder_type: Any = None,
    *,
    namespace: str = "",
    label_selector: str = "",
    field_selector: str = "",
    metadata_only: bool = False,
    keep: Callable[[bytes], bytes] | None = None,
    fallback: Callable[[bytes], Any] | None = None,
    gate: Gate | None = None,
    on_state: Callable[[WatchState], None] | None = None,
    timing: Timing | None = None,
) -> AsyncGenerator[Batch[Any], None]:
    """Batches of the objects of `resource`, without end; raises nothing but cancellation.

    `decoder_type`: a struct whose `metadata` has `name`, `namespace`, `resource_version`; dicts when not given.
    `fallback` reads from bytes what is not of that type. `keep` makes what batches bring beside objects: from the JSON
    of each, or of the event with it. `metadata_only` asks the server for metadata alone. `on_state` hears of every
    change of state, at once. Enter the client (`async with`) first: it notices silent servers. Close the iterator
    (`contextlib.aclosing`) when leaving it early.
    """
    query = listing.Query(resource, namespace, label_selector, field_selector, metadata_only)
    item = dict[str, Any] if decoder_type is None else decoder_type
    decoder: Decoder[Any] = Decoder(item, resource, fallback=fallback, keep=keep)
    return _Watch(client, query, item, decoder, keep is not None, gate, on_state, timing or Timing()).run()


class _Watch(Generic[T]):
    def __init__(
        self,
        client: Client,
        query: listing.Query,
        item: Any,
        decoder: Decoder[T],
        keeps: bool,
        gate: Gate | None,
        on_state: Callable[[WatchState], None] | None,
        timing: Timing,
    ) -> None:
        self._client = client
        self._query = query
        self._item = item
        self._decoder = decoder
        self._keeps = keeps
        self._gate = gate
        self._on_state = on_state
        self._timing = timing
        self._version = ""
        self._state: WatchState | None = None
        self._failures = 0
        self._opened = 0.0

    async def run(self) -> AsyncGenerator[Batch[T], None]:
        self._enter(Phase.SYNCING)
        while True:
            try:
                await self._client.alive()
            except KubeError as error:
                self._broken(error)
                continue
            try:
                if not self._version:
                    yield await self._list()
                async with contextlib.aclosing(self._follow()) as batches:
                    async for batch in batches:
                        yield batch
            except NotFound as error:
                if self._state is None or self._state.phase is not Phase.ABSENT:
                    self._version = ""
                    self._enter(Phase.ABSENT, error)
                    yield Batch([], [], replace=True)
                await self._client.resources_changed(self._recheck())
            except Forbidden as error:
                self._enter(Phase.FORBIDDEN, error)
                await asyncio.sleep(self._recheck())
            except (KubeError, Garbled) as error:
                pause = self._failed(error)
                told = isinstance(error, ApiError) and error.retry_after
                await (asyncio.sleep(pause) if told else self._client.liveness.pause(pause))

    async def _list(self) -> Batch[T]:
        """Everything, as one replacing batch."""
        async with self._gate.syncing(self._client.id) if self._gate else contextlib.nullcontext():
            try:
                return await self._list_as(msgspec.Raw if self._keeps else self._item)
            except msgspec.ValidationError:
                # One odd object must not hide the others: look at each by itself.
                return await self._list_as(msgspec.Raw)

    async def _list_as(self, item: Any) -> Batch[T]:
        changes: list[Change[T]] = []
        version = ""
        page: listing.Page[Any]
        async for page in listing.pages(self._client, self._query, item, gate=self._gate):
            if page.first:
                changes.clear()
            if item is msgspec.Raw:
                for start in range(0, len(page.items), CHUNK):
                    async with self._gate.decoding() if self._gate else contextlib.nullcontext():
                        changes += [self._decoder.item(bytes(each)) for each in page.items[start : start + CHUNK]]
            else:
                changes += [self._decoder.listed(each) for each in page.items]
            version = page.resource_version
        self._version = version
        batch = self._batch(changes)
        batch.replace = True
        return batch

    async def _follow(self) -> AsyncGenerator[Batch[T], None]:
        """The batches of one stream, until the server ends it."""
        params = {
            **self._query.params,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(round(self._timing.stream * random.uniform(1, 2))),
        }
        lines = LineSplitter(spares_copies=True)
        async with contextlib.AsyncExitStack() as stack:
            async with self._gate.opening() if self._gate else contextlib.nullcontext():
                stream = self._client.stream(
                    self._query.path,
                    params=params,
                    accept=self._query.accept(watch=True),
                    idle_timeout=self._timing.idle,
                )
                chunks = await stack.enter_async_context(stream)
            self._opened = time.monotonic()
            self._enter(Phase.LIVE)
            async for chunk in chunks:
                changes, problem = self._read(lines.feed(chunk))
                if changes:
                    yield self._batch(changes)
                if problem is not None:
                    raise problem
        if not self._progressed():
            # A server that ends streams as soon as they begin is not asked again and again.
            self._failures += 1
            if self._failures > 1:
                await asyncio.sleep(full_jitter(self._failures, cap=self._timing.max_pause))

    def _read(self, lines: Iterable[bytes]) -> tuple[list[Change[T]], ApiError | Garbled | None]:
        """The changes in some lines, the last of each object, and what was wrong after them."""
        latest: dict[Key, Change[T]] = {}
        problem: ApiError | Garbled | None = None
        for line in lines:
            if not line or line.isspace():
                continue
            try:
                change = self._decoder.event(line)
            except (ApiError, Garbled) as error:
                problem = error
                break
            self._failures = 0
            self._version = change.version or self._version
            if change.type != "BOOKMARK":
                latest.pop(change.key, None)
                latest[change.key] = change
        return list(latest.values()), problem

    def _batch(self, changes: Iterable[Change[T]]) -> Batch[T]:
        batch: Batch[T] = Batch([], [])
        for change in changes:
            if change.type == "DELETED":
                batch.deletes.append(change.key)
            elif change.obj is not None:
                batch.upserts.append(change.obj)
                if self._keeps:
                    batch.kept.append(change.kept)
            else:
                batch.invalid.append(Invalid(change.key, change.problem))
        return batch

    def _recheck(self) -> float:
        return self._timing.recheck * random.uniform(0.8, 1.2)

    def _progressed(self) -> bool:
        """Whether the stream that ended was a good one; then what failed before it does not count any more."""
        opened, self._opened = self._opened, 0.0
        if opened and time.monotonic() - opened > _PROGRESS:
            self._failures = 0
            return True
        return False

    def _failed(self, error: KubeError | Garbled) -> float:
        """Take note of a failure; seconds to wait before the next attempt."""
        self._progressed()
        self._failures += 1
        pause = full_jitter(self._failures, cap=self._timing.max_pause)
        if isinstance(error, Gone):
            # An old version is everyday; only a server that says so again and again is broken.
            self._version = ""
            if self._failures == 1:
                return 0.0
        if isinstance(error, Garbled):
            self._version = ""
            error = Unreachable(f"{self._client.context.host}: the watch brought {error}")
        elif isinstance(error, Silent) and self._failures == 1:
            # Some servers send no bookmarks. Whether this one is there, the liveness question knows.
            return 0.0
        elif not isinstance(error, ApiError):
            self._client.liveness.failed(error)
            if self._failures == 1:
                pause = 0.0  # whether to wait is for the liveness question to find out
        self._broken(error)
        if isinstance(error, ApiError) and error.retry_after:
            pause = max(pause, error.retry_after)
        return pause

    def _broken(self, error: KubeError) -> None:
        if self._state is not None and self._state.phase is Phase.BROKEN:
            since = self._state.since
        else:
            since = time.time() if isinstance(error, ApiError) else self._client.liveness.last_heard
        self._enter(Phase.BROKEN, error, since)

    def _enter(self, phase: Phase, error: KubeError | None = None, since: float | None = None) -> None:
        """Change state, and tell, unless only the time would differ."""
        old = self._state
        if old is not None and old.phase is phase and str(old.error) == str(error):
            return
        self._state = WatchState(phase, time.time() if since is None else since, error)
        if phase is Phase.LIVE and old is not None and old.phase is Phase.BROKEN:
            # The other kinds of the cluster need not wait for the end of their pauses.
            self._client.liveness.revived()
        if self._on_state is not None:
            self._on_state(self._state)
