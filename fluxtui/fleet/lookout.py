"""One cluster looked at with small requests, now and then: who reconciles it, with which versions, and whether it still
answers requests while streams that were opened before go on."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from fluxtui.fleet import probe
from fluxtui.fleet.clusters import ClusterInfo, Mode
from fluxtui.fleet.text import one_line
from fluxtui.kube.errors import AuthError, KubeError, ServerError, TooManyRequests, Unauthorized, Unreachable

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

LEASES_EVERY = 45.0
"""Seconds between looks at the Leases, at most. That the server is there, `liveness` knows sooner and for less; who
refuses requests beside streams that go on is found out by this, within a minute."""
LEASES_DOUBTED = 20.0
"""The same while something is unusual: a Lease is not renewed in its time, or requests are refused."""
LEASES_STIRRED = 2.0
"""Seconds until the next look where nobody held one and yet an object changes: somebody has begun to work there."""
REFUSALS = 2
"""Looks in a row that fail for the server's own reasons before it counts as refusing requests: one may be chance."""
REFUSED_PAUSE = 2.0
"""Seconds from the first of them to the next look; they double from look to look, up to LEASES_DOUBTED."""
MEASURED = 3
"""Looks whose middle latency counts: one may have had to wait for others."""
VERSIONS_EVERY = 600.0
VERSIONS_RETRY = 60.0
_PATIENCE = 8.0

REFUSING = (Unauthorized, TooManyRequests, ServerError)
"""Errors after which to look whether a server refuses others, too."""

logger = logging.getLogger("fluxtui.fleet")


class Lookout:
    """Keeps `facts` true while `run` runs."""

    def __init__(self, facts: ClusterInfo, clock: Callable[[], float], on_news: Callable[[], None]) -> None:
        """`facts` is what is known of the cluster; `clock` gives seconds since the epoch; `on_news` is called when
        something may be known that was not."""
        self.facts = facts
        """What is known beside how far the cluster is read."""
        self._clock = clock
        self._on_news = on_news
        self._leases = probe.LeaseWatch()
        self._stirred = asyncio.Event()
        """An object changed on a cluster where nobody reconciles."""
        self._asked = False
        """Whether somebody wants the Leases looked at without delay."""
        self._refusals = 0
        self._doubts = True
        """Whether the last look found something unusual."""
        self._versions_at = 0.0
        self._latencies: deque[float] = deque(maxlen=MEASURED)
        """What the last looks took, in seconds."""

    def look(self) -> None:
        """Look at once."""
        self._asked = True
        self._stirred.set()

    def stir(self) -> None:
        """An object changed: where nobody is known to reconcile, somebody may have begun to."""
        if self.facts.mode is Mode.NONE:
            self._stirred.set()

    async def run(self, client: Client) -> None:
        """Look again and again until cancelled."""
        self._refusals, self._versions_at = 0, 0.0
        # Clusters that begin together are looked at one by one from then on: else each would wait for all others.
        shortest = 0.2
        while True:
            # What happens from now on may come too late for this look: it calls for the next.
            self._stirred.clear()
            self._asked = False
            self._doubts = True
            try:
                await client.alive()
                await self._look_at_leases(client)
                await self._ask_versions(client)
            except Unreachable as error:
                client.liveness.failed(error)
            except (Unauthorized, AuthError) as error:
                self._refused(error, distrusted=True)
            except (TooManyRequests, ServerError) as error:
                self._refusals += 1
                if self._refusals >= REFUSALS:
                    self._refused(error)
            except (KubeError, msgspec.DecodeError) as error:
                logger.debug("%s: %s", self.facts.id, error)
            self._on_news()
            if client.liveness.error is None:
                await self._until_next_look(self._pause() * random.uniform(shortest, 1.0))
                shortest = 0.9

    def _refused(self, error: KubeError, *, distrusted: bool = False) -> None:
        words = one_line(str(error))
        self.facts = msgspec.structs.replace(self.facts, refused=words, distrusted=distrusted)

    def _pause(self) -> float:
        """Seconds until the next look."""
        longest = min(LEASES_EVERY, LEASES_DOUBTED) if self._doubts else LEASES_EVERY
        return min(longest, REFUSED_PAUSE * 2.0 ** min(self._refusals - 1, 8)) if self._refusals else longest

    async def _until_next_look(self, pause: float) -> None:
        loop = asyncio.get_running_loop()
        soonest = loop.time() + min(LEASES_STIRRED, pause)
        timer = loop.call_later(pause, self._stirred.set)
        try:
            await self._stirred.wait()
        finally:
            timer.cancel()
        if not self._asked and (early := soonest - loop.time()) > 0:
            await asyncio.sleep(early)

    async def _look_at_leases(self, client: Client) -> None:
        began = time.perf_counter()
        found = await probe.leases(client, _PATIENCE)
        self._latencies.append(time.perf_counter() - began)
        middle = sorted(self._latencies)[(len(self._latencies) - 1) // 2]
        standing = self._leases.look(found, self._clock()) if found else probe.Standing()
        self._refusals, self._doubts = 0, standing.is_doubtful
        self.facts = msgspec.structs.replace(
            self.facts,
            refused="",
            distrusted=False,
            latency=probe.steady(self.facts.latency, middle),
            mode=standing.mode,
            holder=standing.holder,
            stale_controllers=standing.stale,
            log_file=standing.log_file,
            log_host=standing.log_host,
        )
        self._on_news()

    async def _ask_versions(self, client: Client) -> None:
        """Ask now and then; a server that refuses no more than this refuses little."""
        if time.time() < self._versions_at:
            return
        self._versions_at = time.time() + VERSIONS_RETRY
        try:
            kubernetes = one_line(str((await client.version()).get("gitVersion", ""))).removeprefix("v")
            flux = await probe.flux_version(client)
        except (TooManyRequests, ServerError) as error:
            logger.debug("%s: %s", self.facts.id, error)
            return
        self._versions_at = time.time() + VERSIONS_EVERY
        self.facts = msgspec.structs.replace(self.facts, kubernetes_version=kubernetes, flux_version=flux)
        self._on_news()
