"""Directories as reproducible tar.gz files and back, confined and bounded.

Only content counts: entries are sorted, owners and times are dropped, modes are one of three. The same files give the
same bytes. Source of names, modes and what is left out: fluxcd/pkg `artifact/storage`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

DIRECTORY_MODE, FILE_MODE, EXECUTABLE_MODE = 0o750, 0o600, 0o700
ENTRY_LIMIT = 1_000_000
SIZE_LIMIT = 4 << 30
"""Most entries, and bytes of content, an archive may hold."""
_CHUNK = 1 << 18


class ArchiveError(Exception):
    """An archive is damaged, too big, or reaches outside its directory."""


class _Sink(io.RawIOBase):
    """Writes through to a file, hashing and counting."""

    def __init__(self, target: IO[bytes]) -> None:
        super().__init__()
        self.target = target
        self.hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        block = bytes(cast("bytes", data))
        self.hash.update(block)
        self.size += len(block)
        return self.target.write(block)


def pack(directory: Path, target: IO[bytes], exclude: Callable[[str, bool], bool] | None = None) -> tuple[str, int]:
    """Write a directory as tar.gz; returns its digest `sha256:<hex>` and its size in bytes.

    `exclude` gets each path relative to the directory, and whether it is a directory; what lies below an excluded
    directory is asked for, too. Symbolic links and special files stay out. Raises OSError.
    """
    sink = _Sink(target)
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=cast("IO[bytes]", sink), compresslevel=6, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path, relative, status in _walk(directory, exclude):
            header = tarfile.TarInfo(relative)
            if stat.S_ISDIR(status.st_mode):
                header.type, header.mode = tarfile.DIRTYPE, DIRECTORY_MODE
                tar.addfile(header)
                continue
            header.mode = EXECUTABLE_MODE if status.st_mode & 0o111 else FILE_MODE
            with path.open("rb") as stream:
                header.size = os.fstat(stream.fileno()).st_size
                tar.addfile(header, stream)
    return f"sha256:{sink.hash.hexdigest()}", sink.size


def _walk(
    directory: Path, exclude: Callable[[str, bool], bool] | None, relative: str = ""
) -> Iterator[tuple[Path, str, os.stat_result]]:
    if not relative:
        yield directory, ".", directory.stat()
    for entry in sorted(os.scandir(directory), key=lambda found: found.name):
        status = entry.stat(follow_symlinks=False)
        folder = stat.S_ISDIR(status.st_mode)
        if not folder and not stat.S_ISREG(status.st_mode):
            continue
        name = f"{relative}/{entry.name}" if relative else entry.name
        if exclude is None or not exclude(name, folder):
            yield Path(entry.path), name, status
        if folder:
            yield from _walk(Path(entry.path), exclude, name)


def unpack(source: IO[bytes], directory: Path, *, entry_limit: int = ENTRY_LIMIT, size_limit: int = SIZE_LIMIT) -> None:
    """Unpack a tar.gz into an existing empty directory and make the content read-only.

    Only regular files and directories are made; nothing is written outside of the directory. Raises ArchiveError when
    the archive is damaged, has an entry with an absolute path or `..`, or exceeds a limit; and OSError.
    """
    left = size_limit
    folders = []
    try:
        with tarfile.open(fileobj=source, mode="r|gz") as tar:
            for count, entry in enumerate(tar):
                if count >= entry_limit:
                    raise ArchiveError(f"more than {entry_limit} entries")
                target = directory / _confined(entry.name)
                if entry.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    folders.append(target)
                elif entry.isreg():
                    left -= entry.size
                    if left < 0:
                        raise ArchiveError(f"more than {size_limit} bytes of content")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _write(tar, entry, target)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        raise ArchiveError(f"damaged archive: {error}") from error
    for folder in folders:
        if folder != directory:
            folder.chmod(0o500)


def _confined(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ArchiveError(f"entry {name!r} reaches outside the archive")
    return path


def _write(tar: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> None:
    content = tar.extractfile(entry)
    assert content is not None
    # O_EXCL: an entry given twice, or through something already there, is an error instead of an overwrite.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        handle = os.open(target, flags, 0o500 if entry.mode & 0o111 else 0o400)
    except FileExistsError as error:
        raise ArchiveError(f"entry {entry.name!r} comes twice") from error
    with os.fdopen(handle, "wb") as file:
        while block := content.read(_CHUNK):
            file.write(block)
