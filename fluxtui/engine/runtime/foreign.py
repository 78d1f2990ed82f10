"""Artifacts that somebody else serves: another source-controller's, or those an ExternalArtifact names.

Fetched over HTTP into a file, bounded, and compared with the digest of the artifact before anybody reads them.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from fluxtui.api.source import Artifact

SIZE_LIMIT = 4 << 30
"""Most bytes of an artifact."""
TIMEOUT, CONNECT_TIMEOUT = 60.0, 10.0
"""Seconds a download may take, and seconds to a connection."""
ALGORITHMS = ("sha256", "sha384", "sha512")
_CHUNK = 1 << 18


class DownloadError(Exception):
    """What is served is not the artifact; `str()` is a sentence for users."""


class Unavailable(DownloadError):
    """The artifact is not served, or its server does not answer."""


async def download(artifact: Artifact, file: Path) -> None:
    """Write the artifact's tar.gz to a new file. Raises DownloadError and OSError."""
    # Most engines serve all their artifacts themselves.
    import aiohttp

    if not artifact.url.startswith(("http://", "https://")):
        raise DownloadError(f"artifact {artifact.path}: URL {artifact.url!r} is not http or https")
    algorithm, _, wanted = artifact.digest.partition(":")
    if algorithm not in ALGORITHMS:
        raise DownloadError(f"artifact {artifact.path}: digest algorithm {algorithm!r} is not known")
    digest, size = hashlib.new(algorithm), 0
    limits = aiohttp.ClientTimeout(total=TIMEOUT, connect=CONNECT_TIMEOUT)
    try:
        async with aiohttp.ClientSession(timeout=limits) as session, session.get(artifact.url) as response:
            if response.status == 404:
                raise Unavailable(f"artifact {artifact.path}: not found at {artifact.url}")
            if response.status != 200:
                raise DownloadError(f"artifact {artifact.path}: {artifact.url} answered {response.status}")
            with file.open("xb") as target:
                async for block in response.content.iter_chunked(_CHUNK):
                    size += len(block)
                    if size > SIZE_LIMIT:
                        raise DownloadError(f"artifact {artifact.path}: larger than {SIZE_LIMIT} bytes")
                    digest.update(block)
                    await asyncio.to_thread(target.write, block)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise Unavailable(f"artifact {artifact.path} can't be fetched from {artifact.url}: {reason}") from error
    if digest.hexdigest() != wanted:
        raise DownloadError(f"artifact {artifact.path}: computed digest doesn't match '{artifact.digest}'")
