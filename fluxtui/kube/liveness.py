"""Whether an API server is there: one opinion for all streams of a cluster.

A dead connection ends a watch by itself, but a frozen server, or a network that swallows packets, only says nothing.
Bookmarks come once a minute, which is too late for rows that shall be greyed within 30 s. So, when a cluster with open
watches said nothing at all for QUIET seconds, it is asked for a sign of life: eight bytes of a PING over HTTP/2, one
cheap request over HTTP/1.1 (GET /version, a static answer of some 400 bytes that anybody may read); none within
PATIENCE seconds ends all its streams. That is three questions a minute for a quiet cluster, none for a busy one or one
that is asked something else meanwhile, and detection after at most QUIET + PATIENCE = 28 s.

While a cluster is down, one question at a time asks for it, with growing and jittered pauses; all its watches wait for
the answer instead of knocking one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from fluxtui.kube.errors import ApiError, AuthError, ConfigError, KubeError, Unreachable

QUIET = 20.0
PATIENCE = 8.0
MAX_PAUSE = 30.0
"""Longest pause between two attempts, in seconds."""
_FIRST_PAUSE = 0.5


Probe = Callable[[float | None], Awaitable[object]]


class Abortable(Protocol):
    """A stream that can be ended from outside."""

    def abort(self, error: Exception) -> None:
        """Make its reader raise `error`."""


def full_jitter(attempt: int, first: float = _FIRST_PAUSE, cap: float = MAX_PAUSE) -> float:
    """A pause in seconds before attempt number `attempt` (from 1): random, below a bound that doubles up to `cap`."""
    return random.uniform(first / 2, min(cap, first * 2 ** min(attempt, 16)))


class Liveness:
    """Keeps `last_heard`, `latency` and `error` of one API server.

    A Probe asks the server within so many seconds (None: as many as any request gets) and raises KubeError.
    """

    def __init__(
        self,
        *,
        quiet: float = QUIET,
        patience: float = PATIENCE,
        max_pause: float = MAX_PAUSE,
    ) -> None:
        self._quiet = quiet
        self._patience = patience
        self._max_pause = max_pause
        self._last = time.monotonic()
        self._streams: set[Abortable] = set()
        self._busy = asyncio.Event()
        self._lock = asyncio.Lock()
        self._attempts = 0
        self._retry_at = 0.0
        self._verified = False
        self._revival = asyncio.Event()
        self.latency: float | None = None
        """Seconds that the last probe took."""
        self.error: KubeError | None = None
        """Why the server counts as down; None while it is up."""

    def is_up(self) -> bool:
        """Whether the server answered since the last failure."""
        return self._verified

    @property
    def last_heard(self) -> float:
        """Unix time of the last sign of life."""
        return time.time() - (time.monotonic() - self._last)

    @property
    def retry_at(self) -> float:
        """Unix time of the next attempt while the server is down."""
        return time.time() + max(0.0, self._retry_at - time.monotonic())

    def heard(self) -> None:
        """Something came from the server."""
        self._last = time.monotonic()

    def failed(self, error: KubeError) -> None:
        """A connection failed or broke: before anything else, ask whether the server is there."""
        if self._verified or self.error is None:
            self._verified = False
            self._attempts = 0
            self._retry_at = 0.0
        self.error = error

    def revived(self) -> None:
        """Note that what was refused is served again: whoever pauses tries again now."""
        self._revival.set()
        self._revival = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        """Wait so long, but no longer than until something is served again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._revival.wait()

    def opened(self, stream: Abortable) -> None:
        """A stream began."""
        self._streams.add(stream)
        self._busy.set()

    def closed(self, stream: Abortable) -> None:
        """A stream ended."""
        self._streams.discard(stream)
        if not self._streams:
            self._busy.clear()

    def abort(self, error: KubeError) -> None:
        """End all streams with `error`."""
        for stream in self._streams:
            stream.abort(_again(error))
        self._streams.clear()
        self._busy.clear()

    async def up(self, probe: Probe) -> None:
        """Return when the server is known to be there; otherwise ask, once, at its time.

        Raises KubeError when the server did not answer: the caller reports it and calls again, which waits for the
        next attempt. Many may wait; one asks.
        """
        if self.is_up():
            return
        attempts = self._attempts
        async with self._lock:
            if self.is_up():
                return
            if self._attempts != attempts and self.error is not None:
                raise _again(self.error)
            await asyncio.sleep(max(0.0, self._retry_at - time.monotonic()))
            try:
                await self._ask(probe, None)
            except KubeError as error:
                self._attempts += 1
                self._retry_at = time.monotonic() + full_jitter(self._attempts, cap=self._max_pause)
                self.error = error
                raise

    async def watch(self, probe: Probe) -> None:
        """Notice a server that fell silent; runs until cancelled."""
        while True:
            await self._busy.wait()
            silent = time.monotonic() - self._last
            if silent < self._quiet:
                await asyncio.sleep(self._quiet - silent)
                continue
            try:
                await self._ask(probe, self._patience)
            except (Unreachable, AuthError, ConfigError) as error:
                self.failed(error)
                self.abort(error)

    async def _ask(self, probe: Probe, patience: float | None) -> None:
        began = time.monotonic()
        # Any answer is a sign of life; what it refuses, each request finds out for itself.
        with contextlib.suppress(ApiError):
            await probe(patience)
        self._last = time.monotonic()
        if self.error is None or self.latency is None:
            # The first answer after an outage took as long as the outage did.
            self.latency = self._last - began
        self._verified = True
        self._attempts = 0
        self.error = None


def _again(error: KubeError) -> KubeError:
    """A copy, so that one exception is not raised in many tasks."""
    copy = type(error).__new__(type(error))
    copy.__dict__.update(error.__dict__)
    copy.args = error.args
    return copy
