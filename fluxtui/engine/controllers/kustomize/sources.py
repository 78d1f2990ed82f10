"""Where a Kustomization's manifests come from: the source it names, and the artifact of that source.

Source: docs/spec/v1/kustomizations.md "Source reference".
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from fluxtui.api.kinds import BUCKET, EXTERNAL_ARTIFACT, GIT_REPOSITORY, OCI_REPOSITORY, Kind
from fluxtui.api.kustomize import KustomizationSpec
from fluxtui.api.source import Artifact
from fluxtui.engine.runtime import archives
from fluxtui.engine.runtime.artifacts import ArtifactError, ArtifactNotFound, ClusterArtifacts
from fluxtui.engine.runtime.objects import Key, Object

KINDS: Mapping[str, Kind] = {kind.kind: kind for kind in (GIT_REPOSITORY, OCI_REPOSITORY, BUCKET, EXTERNAL_ARTIFACT)}
_ORIGIN_REVISION = "org.opencontainers.image.revision"
_SIZE_LIMIT = 1 << 30
_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10)
_CHUNK = 1 << 18


class Source(msgspec.Struct, frozen=True):
    """A source that has an artifact."""

    kind: Kind
    key: Key
    artifact: Artifact

    @property
    def revision(self) -> str:
        """The artifact's revision: `main@sha1:…`."""
        return self.artifact.revision

    @property
    def origin_revision(self) -> str:
        """The revision of what an OCI artifact was made of, empty when it says nothing."""
        return self.artifact.metadata.get(_ORIGIN_REVISION, "")


def reference(spec: KustomizationSpec, namespace: str) -> tuple[Kind, Key]:
    """Kind and key of the source that a Kustomization of a namespace names."""
    ref = spec.source_ref
    return KINDS[ref.kind], Key(ref.namespace or namespace, ref.name)


def artifact_of(obj: Object | None) -> Artifact | None:
    """The artifact of a source object; None when there is none that can be read."""
    found: Any = ((obj or {}).get("status") or {}).get("artifact")
    try:
        return msgspec.convert(found, Artifact) if found else None
    except msgspec.ValidationError:
        return None


@asynccontextmanager
async def opened(store: ClusterArtifacts, artifact: Artifact) -> AsyncIterator[Path]:
    """The artifact's content as a directory: from the engine's own store, or fetched by HTTP and verified.

    Raises ArtifactNotFound when there is no such artifact (any more), and ArtifactError.
    """
    if store.exists(artifact):
        async with store.open(artifact) as directory:
            yield directory
        return
    if artifact.url.startswith(store.url("")):
        raise ArtifactNotFound(f"artifact {artifact.path} is not in the storage")
    async with store.workspace() as workspace:
        file, directory = workspace / "artifact.tar.gz", workspace / "content"
        await _download(artifact, file)
        directory.mkdir()
        await asyncio.to_thread(_unpack, file, directory)
        yield directory


async def _download(artifact: Artifact, file: Path) -> None:
    if not artifact.url.startswith(("http://", "https://")):
        raise ArtifactError(f"artifact {artifact.path}: URL {artifact.url!r} is not http or https")
    algorithm, _, wanted = artifact.digest.partition(":")
    if algorithm not in ("sha256", "sha384", "sha512"):
        raise ArtifactError(f"artifact {artifact.path}: digest algorithm {algorithm!r} is not known")
    digest, size = hashlib.new(algorithm), 0
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(artifact.url) as response:
            if response.status == 404:
                raise ArtifactNotFound(f"artifact {artifact.path}: not found at {artifact.url}")
            if response.status != 200:
                raise ArtifactError(f"artifact {artifact.path}: {artifact.url} answered {response.status}")
            with file.open("wb") as target:
                async for block in response.content.iter_chunked(_CHUNK):
                    size += len(block)
                    if size > _SIZE_LIMIT:
                        raise ArtifactError(f"artifact {artifact.path}: larger than {_SIZE_LIMIT} bytes")
                    digest.update(block)
                    await asyncio.to_thread(target.write, block)
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise ArtifactError(f"artifact {artifact.path} can't be fetched from {artifact.url}: {reason}") from error
    if digest.hexdigest() != wanted:
        raise ArtifactError(f"artifact {artifact.path}: computed digest doesn't match '{artifact.digest}'")


def _unpack(file: Path, directory: Path) -> None:
    try:
        with file.open("rb") as stream:
            archives.unpack(stream, directory)
    except (archives.ArchiveError, OSError) as error:
        raise ArtifactError(f"artifact can't be unpacked: {error}") from error
