"""A client that writes only while the Leases are held.

Imports the whole Kubernetes client: import it where clusters are connected to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fluxtui.kube.client import Client, Response
from fluxtui.kube.errors import ApiError, KubeError
from fluxtui.kube.kubeconfig import Context

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class LeadershipLost(KubeError):
    """The Leases are no longer held: nothing may be written any more."""


class GuardedClient(Client):
    """Asks `may_write` before every request that could change something: for how many seconds writing is allowed.

    A write that takes longer is given up, so that none arrives after somebody else took over. `on_request` hears the
    method and the status of each answer, "<error>" when there was none.
    """

    def __init__(
        self,
        context: Context,
        may_write: Callable[[], float],
        on_request: Callable[[str, str], None] = lambda method, code: None,
        **options: Any,
    ) -> None:
        super().__init__(context, **options)
        self._may_write = may_write
        self._on_request = on_request

    async def request(self, method: str, path: str, **options: Any) -> Response:
        """As `Client.request`. Raises LeadershipLost instead of writing without the Leases."""
        if method.upper() not in _READS:
            left = self._may_write()
            if left <= 0:
                raise LeadershipLost(f"{self.id}: the Leases are no longer held, nothing is written")
            options["timeout"] = min(options.get("timeout") or self._timeout, left)
        code = "<error>"
        try:
            response = await super().request(method, path, **options)
            code = str(response.status)
        except ApiError as error:
            code = str(error.status)
            raise
        finally:
            self._on_request(method, code)
        return response
