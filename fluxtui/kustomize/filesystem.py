"""Where a build reads files: a directory tree, memory, or memory laid over either.

Paths are absolute and use `/`. A file system never leaves its root, not by `..` and not by symbolic links.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from fluxtui.kustomize.errors import LoadError

MAX_FILE_BYTES = 64 << 20


class FileSystem(Protocol):
    """What a build needs of files."""

    def real(self, path: str) -> str:
        """The path with symbolic links resolved. Raises LoadError when it leaves the root or does not exist."""

    def is_dir(self, path: str) -> bool:
        """Whether there is a directory."""

    def is_file(self, path: str) -> bool:
        """Whether there is a file."""

    def read(self, path: str) -> bytes:
        """The content of a file. Raises LoadError."""


class RealFileSystem:
    """Files on disk, below `root`; the default root allows all that the process may read."""

    def __init__(self, root: str | Path = "/") -> None:
        self._root = os.path.realpath(root)

    def real(self, path: str) -> str:
        real = os.path.realpath(path)
        if not _inside(real, self._root):
            raise LoadError(f"{path}: security; file is not in or below '{self._root}'")
        if not os.path.exists(real):
            raise LoadError(f"{path}: no such file or directory")
        return real

    def is_dir(self, path: str) -> bool:
        real = os.path.realpath(path)
        return _inside(real, self._root) and os.path.isdir(real)

    def is_file(self, path: str) -> bool:
        real = os.path.realpath(path)
        return _inside(real, self._root) and os.path.isfile(real)

    def read(self, path: str) -> bytes:
        real = self.real(path)
        try:
            # What is opened is looked at, and without waiting for somebody who writes to a pipe.
            with open(os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise LoadError(f"{path}: not a regular file")
                if status.st_size > MAX_FILE_BYTES:
                    raise LoadError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
                return file.read(MAX_FILE_BYTES)
        except OSError as error:
            raise LoadError(f"{path}: {(error.strerror or str(error)).lower()}") from error


class MemoryFileSystem:
    """Files of a mapping: absolute path → content."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = {posixpath.normpath(path): content for path, content in files.items()}
        self._directories = {"/"}
        for path in self._files:
            directory = posixpath.dirname(path)
            while directory not in self._directories:
                self._directories.add(directory)
                directory = posixpath.dirname(directory)

    def real(self, path: str) -> str:
        path = posixpath.normpath(path)
        if not (self.is_file(path) or self.is_dir(path)):
            raise LoadError(f"{path}: no such file or directory")
        return path

    def is_dir(self, path: str) -> bool:
        return posixpath.normpath(path) in self._directories

    def is_file(self, path: str) -> bool:
        return posixpath.normpath(path) in self._files

    def read(self, path: str) -> bytes:
        try:
            return self._files[posixpath.normpath(path)]
        except KeyError:
            raise LoadError(f"{path}: no such file or directory") from None


class OverlayFileSystem:
    """Files in memory over another file system: `files` (absolute path → content) win, `hidden` are not there."""

    def __init__(self, below: FileSystem, files: Mapping[str, bytes], hidden: frozenset[str] = frozenset()) -> None:
        self._below = below
        self._files = MemoryFileSystem(files)
        self._hidden = hidden

    def real(self, path: str) -> str:
        return posixpath.normpath(path) if self._files.is_file(path) else self._below.real(path)

    def is_dir(self, path: str) -> bool:
        return self._files.is_dir(path) or self._below.is_dir(path)

    def is_file(self, path: str) -> bool:
        if self._files.is_file(path):
            return True
        return posixpath.normpath(path) not in self._hidden and self._below.is_file(path)

    def read(self, path: str) -> bytes:
        return self._files.read(path) if self._files.is_file(path) else self._below.read(path)


def _inside(path: str, root: str) -> bool:
    return root == "/" or path == root or path.startswith(root + "/")
