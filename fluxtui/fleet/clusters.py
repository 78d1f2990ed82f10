"""A cluster as the fleet sees it: whether it answers, how far it is read, and who reconciles it."""

from __future__ import annotations

import enum

import msgspec


class Phase(enum.StrEnum):
    """How far a cluster is read."""

    CONNECTING = "connecting"
    SYNCING = "syncing"
    LIVE = "live"
    DEGRADED = "degraded"
    """Live, but some kinds may not be read, or are not heard, or requests are refused; see `ClusterInfo.forbidden`,
    `ClusterInfo.silent` and `ClusterInfo.refused`."""
    DENIED = "denied"
    """The server refuses us, or a credential could not be had."""
    UNREACHABLE = "unreachable"


class Mode(enum.StrEnum):
    """Who reconciles a cluster, as its leader-election Leases say."""

    UNKNOWN = ""
    """Not known yet, or the Leases may not be read."""
    DELEGATED = "delegated"
    """Flux's own controllers in the cluster."""
    EMBEDDED = "embedded"
    """An engine of ours."""
    NONE = "none"
    """Nobody holds a Lease."""


class ClusterInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a cluster; replaced, never changed. Times are seconds since the epoch."""

    id: str
    server: str = ""
    """Host and port of its API server."""
    phase: Phase = Phase.CONNECTING
    kinds: int = 0
    """Flux kinds that it serves and that we try to read."""
    synced: int = 0
    """Those of them that are listed and watched."""
    forbidden: tuple[str, ...] = ()
    """Resources that we may not read: `helmreleases.helm.toolkit.fluxcd.io`."""
    silent: tuple[str, ...] = ()
    """Resources whose watch has failed for so long that what is shown of them may be out of date, though the cluster
    is heard."""
    lost_since: float = 0.0
    """Since when it does not answer; 0.0 while it does."""
    error: str = ""
    """Why it is denied, unreachable or degraded: a sentence for users."""
    refused: str = ""
    """Why requests are refused although streams that were opened before go on: a sentence for users. What is shown is
    live then, but nothing can be done or opened."""
    distrusted: bool = False
    """Whether requests are refused because of who asks, and not whoever does."""
    latency: float = 0.0
    """Seconds that the last small request took; 0.0 when unknown."""
    mode: Mode = Mode.UNKNOWN
    holder: str = ""
    """Identity in the Leases."""
    flux_version: str = ""
    """`2.9.4`, of the controllers or the CRDs; empty when unknown."""
    kubernetes_version: str = ""
    stale_controllers: tuple[str, ...] = ()
    """Controllers that no longer renew their Lease."""
    log_file: str = ""
    """Where the engine that holds the Leases writes its log, on `log_host`."""
    log_host: str = ""

    @property
    def is_lost(self) -> bool:
        """Whether what is shown of it may be out of date."""
        return self.phase in (Phase.UNREACHABLE, Phase.DENIED)

    @property
    def is_settled(self) -> bool:
        """Whether the first reading has come to an end, well or not."""
        return self.phase not in (Phase.CONNECTING, Phase.SYNCING)

    @property
    def unanswered(self) -> str:
        """Why nothing that is asked of it is answered at the moment, a sentence; "" when it is."""
        if self.phase is Phase.DENIED:
            return f"{self.id} refuses us: {self.error}"
        if self.phase is Phase.UNREACHABLE or self.lost_since:
            return f"{self.id} does not answer: {self.error}"
        return f"{self.id} refuses requests: {self.refused}" if self.refused else ""
