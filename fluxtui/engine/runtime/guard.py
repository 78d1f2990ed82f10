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
    """Asks `leading` before every request that could change something."""

    def __init__(self, context: Context, leading: Callable[[], bool], **options: Any) -> None:
        super().__init__(context, **options)
        self._leading = leading

    async def request(self, method: str, path: str, **options: Any) -> Response:
        """As `Client.request`. Raises LeadershipLost instead of writing without the Leases."""
        if method.upper() not in _READS and not self._leading():
            raise LeadershipLost(f"{self.id}: the Leases are no longer held, nothing is written")
        return await super().request(method, path, **options)
