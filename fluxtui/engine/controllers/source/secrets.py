"""Secrets that sources name, always of their own namespace."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from fluxtui.engine.runtime.reconciliation import Reconciliation
from fluxtui.kube.errors import KubeError
from fluxtui.kube.resources import Resource

SECRETS = Resource(group="", version="v1", kind="Secret", plural="secrets", singular="secret", verbs=("get",))


class SecretError(Exception):
    """A Secret can't be read; `str()` says why, without its content."""


async def read_secret(run: Reconciliation[Any], name: str) -> dict[str, bytes]:
    """The data of a Secret in the namespace of the object. Raises SecretError."""
    try:
        secret = await run.cluster.client.get(SECRETS, name, run.key.namespace)
        return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
    except (KubeError, binascii.Error) as error:
        raise SecretError(str(error)) from error
