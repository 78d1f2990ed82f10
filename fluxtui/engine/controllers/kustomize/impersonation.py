"""Acting as the ServiceAccount a Kustomization names.

Source: docs/spec/v1/kustomizations.md "Role-based access control".
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from fluxtui.kube.client import Client, Response
from fluxtui.kube.errors import ConfigError
from fluxtui.kube.resources import Resource, Resources


class ImpersonatingClient(Client):
    """Sends its requests through another client, as somebody else; needs no closing of its own."""

    def __init__(self, base: Client, user: str) -> None:
        """Raises ConfigError when the kubeconfig impersonates already, which can't be done twice."""
        if base.context.user.get("as"):
            raise ConfigError(
                f"context {base.id} impersonates {base.context.user['as']}, which can't be {user} as well"
            )
        super().__init__(base.context, liveness=base.liveness)
        self._base = base
        self._user = user

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Coroutine[Any, Any, Response]:
        """As `Client.request`, as the user."""
        return self._base.request(method, path, headers={**(headers or {}), "Impersonate-User": self._user}, **options)

    async def resources(self, *, refresh: bool = False) -> Resources:
        """What the server serves, as the engine itself sees it."""
        return await self._base.resources(refresh=refresh)

    async def resource_for(self, what: Mapping[str, Any] | tuple[str, str, str]) -> Resource:
        """As `Client.resource_for`."""
        return await self._base.resource_for(what)


def client_for(base: Client, namespace: str, service_account: str) -> Client:
    """A client of a ServiceAccount; the engine's own for an empty name."""
    if not service_account:
        return base
    return ImpersonatingClient(base, f"system:serviceaccount:{namespace}:{service_account}")
