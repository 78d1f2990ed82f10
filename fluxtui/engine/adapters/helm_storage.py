"""Helm's release storage in Secrets: `sh.helm.release.v1.<name>.v<revision>`, as Helm 4 and the flux CLI read it.

A release is JSON, gzipped, in base64, in a Secret of type `helm.sh/release.v1`. Pure data; the Secrets are read and
written by `fluxtui.engine.controllers.helm.releases`.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
Release = dict[str, Any]

SECRET_TYPE = "helm.sh/release.v1"
OWNER = "helm"
MAX_RELEASE_BYTES = 64 << 20
"""A release that unpacks to more is refused."""
PENDING = frozenset({"pending-install", "pending-upgrade", "pending-rollback"})
_GZIP = b"\x1f\x8b"


class StorageError(Exception):
    """A Secret holds no readable release; the text names it."""


def secret_name(name: str, revision: int) -> str:
    """Name of the Secret of one revision."""
    return f"sh.helm.release.v1.{name}.v{revision}"


def selector(name: str) -> str:
    """Label selector of all revisions of a release."""
    return f"owner={OWNER},name={name}"


def encode(release: Release, namespace: str, moment: datetime) -> Object:
    """The Secret of a release, in the namespace of the storage."""
    packed = gzip.compress(json.dumps(release, separators=(",", ":")).encode(), 9, mtime=0)
    status = release["info"]["status"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": SECRET_TYPE,
        "metadata": {
            "name": secret_name(release["name"], release["version"]),
            "namespace": namespace,
            "labels": {
                "name": release["name"],
                "owner": OWNER,
                "status": status,
                "version": str(release["version"]),
                "modifiedAt": str(int(moment.timestamp())),
            },
        },
        "data": {"release": base64.b64encode(base64.b64encode(packed)).decode()},
    }


def decode(secret: Object) -> Release:
    """The release of a Secret. Raises StorageError when it can't be read."""
    name = secret.get("metadata", {}).get("name", "")
    try:
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        release: Release = json.loads(_unpack(packed) if packed.startswith(_GZIP) else packed)
        if not isinstance(release["info"]["status"], str) or not isinstance(release["version"], int):
            raise TypeError("status or version")
    except (KeyError, TypeError, ValueError, zlib.error, binascii.Error) as error:
        raise StorageError(f"Secret {name} holds no readable Helm release: {error!r}") from error
    return release


def time(moment: datetime) -> str:
    """RFC 3339 with fractions, as Helm writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _unpack(packed: bytes) -> bytes:
    decompressor = zlib.decompressobj(wbits=31)
    data = decompressor.decompress(packed, MAX_RELEASE_BYTES)
    if decompressor.unconsumed_tail:
        raise ValueError(f"unpacks to more than {MAX_RELEASE_BYTES} bytes")
    return data
