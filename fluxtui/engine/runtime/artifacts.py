"""Artifacts: what sources made, as reproducible tar.gz files that other reconcilers open as directories.

Files lie at `<root>/<cluster>/<kind>/<namespace>/<name>/<file>`, written to a temporary name and renamed, so that a
crash leaves either the whole file or none. An artifact is unpacked once, into `<root>/.unpacked/<digest>`, after its
digest was verified; the directory is read-only and shared. One that somebody else serves is fetched for that. Layout,
tar headers, digest and collection follow fluxcd/pkg `artifact/storage`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path, PurePosixPath

from fluxtui.api.source import Artifact
from fluxtui.engine.runtime import archives
from fluxtui.engine.runtime.foreign import DownloadError, Unavailable, download
from fluxtui.engine.runtime.objects import timestamp

UNPACKED = ".unpacked"
TEMPORARY = ".tmp-"
REMOTES = ".remotes"

Exclude = Callable[[str, bool], bool]
"""(path relative to the directory, with /; whether it is a directory) → whether it stays out of the artifact."""


class ArtifactError(Exception):
    """An artifact is missing, damaged, or can't be stored; `str()` is a sentence for users."""


class ArtifactNotFound(ArtifactError):
    """The artifact is not in this store."""


class ArtifactStore:
    """The artifacts of one process; `for_cluster` gives the view reconcilers get.

    Unpacked directories are kept while somebody has them open, and after that the `keep` used last.
    """

    def __init__(self, root: Path, *, ttl: float = 60.0, records: int = 2, keep: int = 64) -> None:
        self.root = root
        self.ttl = ttl
        self.records = records
        self.keep = keep
        self.base_url = ""
        """Where the store is served, set by the server: `http://127.0.0.1:9790`."""
        self._open: Counter[str] = Counter()
        self._used: dict[str, float] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def prepare(self) -> None:
        """Make the directories, remove what a crash left half written, forget what was unpacked. Raises ArtifactError.

        Blocking; called once, before anything is stored or opened.
        """
        try:
            (self.root / UNPACKED).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ArtifactError(f"no storage at {self.root}: {error.strerror or error}") from error
        for leftover in self.root.rglob(f"{TEMPORARY}*"):
            remove_tree(leftover)
        for directory in (self.root / UNPACKED).iterdir():
            remove_tree(directory)

    def for_cluster(self, cluster: str) -> ClusterArtifacts:
        """The artifacts of one cluster, whose id becomes a directory name."""
        return ClusterArtifacts(self, slug(cluster))

    @asynccontextmanager
    async def unpacked(self, artifact: Artifact, file: Path | None) -> AsyncIterator[Path]:
        """The content of an artifact as a read-only directory, from its tar.gz (None: fetched from its URL).

        Raises ArtifactError.
        """
        name = artifact.digest.replace(":", "-")
        if not re.fullmatch(r"sha(256|384|512)-[0-9a-f]{64,128}", name):
            raise ArtifactError(f"digest {artifact.digest!r} is not sha256:<hex>")
        target = self.root / UNPACKED / name
        self._open[name] += 1
        try:
            async with self._locks.setdefault(name, asyncio.Lock()):
                if not target.is_dir():
                    await self._unpack(artifact, file, target)
            self._used[name] = time.monotonic()
            yield target
        finally:
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]
                await self._trim()

    @asynccontextmanager
    async def workspace(self) -> AsyncIterator[Path]:
        """A private directory for the time of the context; what a crash leaves of it goes at the next start."""
        path = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=TEMPORARY, dir=self.root))
        try:
            yield path
        finally:
            await asyncio.to_thread(remove_tree, path)

    async def _unpack(self, artifact: Artifact, file: Path | None, target: Path) -> None:
        if file is not None:
            await asyncio.to_thread(_unpack, file, artifact.digest, target)
            return
        async with self.workspace() as workspace:
            fetched = workspace / "artifact.tar.gz"
            try:
                await download(artifact, fetched)
            except Unavailable as error:
                raise ArtifactNotFound(str(error)) from error
            except DownloadError as error:
                raise ArtifactError(str(error)) from error
            except OSError as error:
                raise ArtifactError(f"artifact {artifact.path} can't be stored: {error.strerror or error}") from error
            await asyncio.to_thread(_unpack, fetched, artifact.digest, target)

    async def _trim(self) -> None:
        closed = sorted((used, name) for name, used in self._used.items() if name not in self._open)
        surplus = [name for _, name in closed[: max(0, len(self._used) - self.keep)]]
        for name in surplus:
            del self._used[name]
            self._locks.pop(name, None)
            # Renamed first: whoever opens the artifact from now on unpacks it anew.
            grave = self.root / UNPACKED / f"{TEMPORARY}{name}-{time.monotonic_ns()}"
            with suppress(OSError):
                os.rename(self.root / UNPACKED / name, grave)
                await asyncio.to_thread(remove_tree, grave)


class ClusterArtifacts:
    """The artifacts of one cluster."""

    def __init__(self, store: ArtifactStore, directory: str) -> None:
        self._store = store
        self._directory = directory

    async def add(
        self,
        kind: str,
        namespace: str,
        name: str,
        directory: Path,
        *,
        revision: str,
        file: str,
        exclude: Exclude | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Artifact:
        """Archive a directory as `<kind>/<namespace>/<name>/<file>`; symbolic links and special files stay out.

        Raises ArtifactError.
        """
        path = "/".join((kind.lower(), namespace, name, file))
        target = self._local(path)
        try:
            digest, size = await asyncio.to_thread(_archive, directory, target, exclude)
        except OSError as error:
            raise ArtifactError(f"unable to archive artifact to storage: {error.strerror or error}") from error
        return Artifact(
            path=path,
            url=self.url(path),
            revision=revision,
            digest=digest,
            last_update_time=timestamp(),
            size=size,
            metadata=metadata or {},
        )

    @asynccontextmanager
    async def workspace(self) -> AsyncIterator[Path]:
        """A private directory for the time of the context, on the file system of the store."""
        async with self._store.workspace() as path:
            yield path

    @property
    def remotes(self) -> Path:
        """A directory of the store, shared by all clusters and not served, for what builds take from elsewhere."""
        return self._store.root / REMOTES

    def url(self, path: str) -> str:
        """Where a path of this store is served at the moment."""
        return f"{self._store.base_url}/{self._directory}/{path}"

    def exists(self, artifact: Artifact) -> bool:
        """Whether the artifact's file is in the store."""
        try:
            return stat.S_ISREG(self._local(artifact.path).lstat().st_mode)
        except (OSError, ArtifactError):
            return False

    async def verify(self, artifact: Artifact) -> None:
        """Compare file and digest. Raises ArtifactNotFound or ArtifactError."""
        path = self._local(artifact.path)
        try:
            digest = await asyncio.to_thread(_digest, path)
        except OSError as error:
            raise ArtifactNotFound(f"artifact {artifact.path} is not in the storage") from error
        if digest != artifact.digest:
            raise ArtifactError(f"artifact {artifact.path}: computed digest doesn't match '{artifact.digest}'")

    @asynccontextmanager
    async def open(self, artifact: Artifact) -> AsyncIterator[Path]:
        """The artifact's content as a directory, read-only and shared, for as long as the context lasts.

        Unpacked once for all who open it, after the digest was verified; what is not in this store is fetched from
        its URL. Raises ArtifactNotFound, also when nobody serves it, or ArtifactError.
        """
        file = self._local(artifact.path) if self.exists(artifact) else None
        if file is None and artifact.url.startswith(f"{self._store.base_url}/"):
            raise ArtifactNotFound(f"artifact {artifact.path} is not in the storage")
        async with self._store.unpacked(artifact, file) as directory:
            yield directory

    async def remove(self, artifact: Artifact) -> None:
        """Remove one artifact's file."""
        await asyncio.to_thread(self._local(artifact.path).unlink, missing_ok=True)

    async def remove_all(self, kind: str, namespace: str, name: str) -> bool:
        """Remove all artifacts of an object that is deleted; whether there were any."""
        directory = self._local(f"{kind.lower()}/{namespace}/{name}")
        existed = await asyncio.to_thread(directory.exists)
        await asyncio.to_thread(remove_tree, directory)
        return existed

    async def collect(self, artifact: Artifact) -> list[str]:
        """Remove superseded artifacts of the same object: those older than the ttl, and the oldest beyond `records`.

        Returns the paths removed.
        """
        current = self._local(artifact.path)
        removed = await asyncio.to_thread(_collect, current, self._store.ttl, self._store.records)
        parent = artifact.path.rpartition("/")[0]
        return [f"{parent}/{name}" for name in removed]

    def _local(self, path: str) -> Path:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\x00" in path:
            raise ArtifactError(f"path {path!r} is not inside the storage")
        return self._store.root / self._directory / pure


def slug(text: str) -> str:
    """A directory name for any text: its safe characters, and a short hash when something was lost."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:64]
    if safe == text:
        return safe
    return f"{safe or 'cluster'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def remove_tree(path: Path) -> None:
    """Remove a file or a directory, a read-only one too; no error when it is not there."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for directory, _, _ in os.walk(path):
        with suppress(OSError):
            os.chmod(directory, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def _archive(directory: Path, target: Path, exclude: Exclude | None) -> tuple[str, int]:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            digest, size = archives.pack(directory, file, exclude)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return digest, size


def _unpack(file: Path, digest: str, target: Path) -> None:
    """Verify and unpack into a temporary directory, then rename it into place."""
    try:
        found = _digest(file, digest.partition(":")[0])
    except OSError as error:
        raise ArtifactNotFound(f"artifact {file.name} is not in the storage") from error
    if found != digest:
        raise ArtifactError(f"artifact {file.name}: computed digest doesn't match '{digest}'")
    temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=target.parent))
    try:
        with file.open("rb") as stream:
            archives.unpack(stream, temporary)
        os.replace(temporary, target)
    except archives.ArchiveError as error:
        remove_tree(temporary)
        raise ArtifactError(f"artifact {file.name}: {error}") from error
    except OSError as error:
        remove_tree(temporary)
        raise ArtifactError(f"artifact {file.name} can't be unpacked: {error.strerror or error}") from error
    os.chmod(target, 0o500)


def _digest(file: Path, algorithm: str = "sha256") -> str:
    with file.open("rb") as stream:
        return f"{algorithm}:{hashlib.file_digest(stream, algorithm).hexdigest()}"


def _collect(current: Path, ttl: float, records: int) -> list[str]:
    moment = time.time()
    try:
        files = [entry for entry in os.scandir(current.parent) if entry.is_file(follow_symlinks=False)]
    except OSError:
        return []
    others = sorted(
        (entry.stat().st_mtime, entry.name)
        for entry in files
        if entry.name != current.name and not entry.name.startswith(TEMPORARY)
    )
    expired = [name for modified, name in others if moment - modified > ttl]
    kept = [name for _, name in others if name not in expired]
    # The current artifact counts as one of the records.
    surplus = kept[: max(0, len(kept) - max(0, records - 1))]
    removed = expired + surplus
    for name in removed:
        (current.parent / name).unlink(missing_ok=True)
    return removed
