"""A client that writes only while the Leases are held.

Imports the whole Kubernetes client: import it where clusters are connected to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fluxtui.kube.client import Client, Response
from fluxtui.kube.errors import KubeError
from fluxtui.kube.kubeconfig import Context

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class LeadershipLost(KubeError):
    """The Leases are no longer held: nothing may be written any more."""


class GuardedClient(Client):
    """Asks `may_write` before every request that could change something: for how many seconds writing is allowed.

    A write that takes longer is given up, so that none arrives after somebody else took over.
    """

    def __init__(self, context: Context, may_write: Callable[[], float], **options: Any) -> None:
        super().__init__(context, **options)
        self._may_write = may_write

    async def request(self, method: str, path: str, **options: Any) -> Response:
        """As `Client.request`. Raises LeadershipLost instead of writing without the Leases."""
        if method.upper() not in _READS:
            left = self._may_write()
            if left <= 0:
                raise LeadershipLost(f"{self.id}: the Leases are no longer held, nothing is written")
            options["timeout"] = min(options.get("timeout") or self._timeout, left)
        return await super().request(method, path, **options)
