"""ServiceAccounts as identities: what their annotations say, and tokens of them for others.

Source: the TokenRequest API; fluxcd/pkg `auth`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fluxtui.engine.runtime.objects import Key
from fluxtui.kube.errors import KubeError, NotFound

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

OWN_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
LIFETIME = 3600
"""Seconds a token is good for."""


class ServiceAccountError(Exception):
    """An account that is not there, or has no token; `str()` is a sentence for users."""


class ServiceAccount:
    """One account of a cluster, as it was read."""

    def __init__(self, client: Client, key: Key, annotations: Mapping[str, str]) -> None:
        self._client = client
        self._key = key
        self.annotations = annotations

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self._key.namespace

    @property
    def name(self) -> str:
        """Its name."""
        return self._key.name

    async def token(self, audiences: Sequence[str]) -> str:
        """A token for others, good for LIFETIME. Raises ServiceAccountError."""
        resource = await self._client.resource_for(("", "v1", "ServiceAccount"))
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": list(audiences), "expirationSeconds": LIFETIME},
        }
        path = resource.path(self.namespace, self.name, "token")
        try:
            answer = await self._client.request("POST", path, body=msgspec.json.encode(request))
            return str(msgspec.json.decode(answer.body)["status"]["token"])
        except KubeError as error:
            message = f"failed to create kubernetes token for service account '{self._key}': {error}"
            raise ServiceAccountError(message) from error
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise ServiceAccountError(f"ServiceAccount '{self._key}': the server gave no token") from error


async def read(client: Client, key: Key) -> ServiceAccount:
    """An account of a cluster. Raises ServiceAccountError."""
    try:
        found = await client.get(await client.resource_for(("", "v1", "ServiceAccount")), key.name, key.namespace)
    except NotFound as error:
        raise ServiceAccountError(f"failed to get service account '{key}': not found") from error
    except KubeError as error:
        raise ServiceAccountError(f"failed to get service account '{key}': {error}") from error
    return ServiceAccount(client, key, (found.get("metadata") or {}).get("annotations") or {})


async def own(client: Client) -> ServiceAccount:
    """The account of the pod the engine runs in. Raises ServiceAccountError when it runs in none."""
    try:
        text = await asyncio.to_thread(OWN_TOKEN.read_text)
        payload = text.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        _, _, namespace, name = claims["sub"].split(":")
    except (OSError, LookupError, ValueError, TypeError, AttributeError, binascii.Error) as error:
        message = "serviceAccountName is needed: the engine has no ServiceAccount of its own, it runs in no pod"
        raise ServiceAccountError(message) from error
    return ServiceAccount(client, Key(namespace, name), {})
