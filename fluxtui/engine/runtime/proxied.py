"""Artifacts that only the cluster's own network reaches, fetched through the proxy of its API server.

Source: the proxy subresource of Services in the Kubernetes API; the URLs are those of source-controller.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fluxtui.api.source import Artifact
from fluxtui.engine.runtime.artifacts import ArtifactError, ArtifactNotFound, ArtifactStore, ClusterArtifacts
from fluxtui.engine.runtime.foreign import SIZE_LIMIT
from fluxtui.kube.errors import KubeError

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

_SERVICE = re.compile(r"(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc(\..+)?")
_PORTS = {"http": 80, "https": 443}


class ProxiedArtifacts(ClusterArtifacts):
    """The artifacts of somebody else's source-controller."""

    def __init__(self, store: ArtifactStore, client: Client) -> None:
        super().__init__(store, "proxied")
        self._client = client

    @asynccontextmanager
    async def open(self, artifact: Artifact) -> AsyncIterator[Path]:
        """As `ClusterArtifacts.open`."""
        path = proxy_path(artifact.url)
        if not path:
            async with super().open(artifact) as directory:
                yield directory
            return
        async with self.workspace() as workspace:
            file = workspace / "artifact.tar.gz"
            await self._fetch(artifact, path, file)
            async with self._store.unpacked(artifact, file) as directory:
                yield directory

    async def _fetch(self, artifact: Artifact, path: str, file: Path) -> None:
        size = 0
        try:
            with file.open("xb") as target:
                async with self._client.stream(path, accept="*/*") as chunks:
                    async for chunk in chunks:
                        size += len(chunk)
                        if size > SIZE_LIMIT:
                            raise ArtifactError(f"artifact {artifact.path}: larger than {SIZE_LIMIT} bytes")
                        await asyncio.to_thread(target.write, chunk)
        except KubeError as error:
            raise ArtifactNotFound(
                f"artifact {artifact.path} can't be fetched from {artifact.url} through the API server: {error}"
            ) from error


def proxy_path(url: str) -> str:
    """The path on the API server for a URL of a Service, `http://NAME.NAMESPACE.svc.cluster.local./…`; else empty."""
    parts = urlsplit(url)
    match = _SERVICE.fullmatch(parts.hostname or "")
    if match is None or parts.scheme not in _PORTS:
        return ""
    port = parts.port or _PORTS[parts.scheme]
    service = f"{'https:' if parts.scheme == 'https' else ''}{match['name']}:{port}"
    return f"/api/v1/namespaces/{match['namespace']}/services/{service}/proxy{parts.path}"
