"""Reading the files of one kustomization: what it may read, and the directories that it builds on."""

from __future__ import annotations

import posixpath
import re

from fluxtui.kustomize import resources
from fluxtui.kustomize.errors import KustomizeError, LoadError, Unsupported
from fluxtui.kustomize.filesystem import FileSystem
from fluxtui.kustomize.resources import Resource
from fluxtui.kustomize.schema import Kinds

MAX_DIRECTORIES = 1000
"""Kustomizations that one build may read."""
MAX_DEPTH = 64
"""Kustomizations that may refer to each other in a chain."""

_URL = re.compile(r"https?://", re.IGNORECASE)
_REPOSITORY = re.compile(
    r"git::|(?:https?|ssh|git|file)://|[^/@\s]+@[^/:\s]+[:/]|(?:github\.com|gh)[:/]",
    re.IGNORECASE,
)


class Session:
    """What all kustomizations of one build share."""

    def __init__(self, fs: FileSystem, restrict_root: bool) -> None:
        self.fs = fs
        self.restrict_root = restrict_root
        self.kinds = Kinds()
        self.directories = 0


class Loader:
    """Reads files for the kustomization of one directory."""

    def __init__(self, session: Session, root: str, referrer: Loader | None = None) -> None:
        self.session = session
        self.root = root
        """Absolute, without symbolic links."""
        self._referrer = referrer
        self._depth: int = referrer._depth + 1 if referrer else 0
        session.directories += 1
        if session.directories > MAX_DIRECTORIES or self._depth > MAX_DEPTH:
            raise LoadError(f"{root}: more kustomizations than one build may read")

    def load(self, path: str) -> bytes:
        """The content of a file, relative to the root. Raises LoadError, Unsupported."""
        if _URL.match(path):
            raise Unsupported(f"remote file '{path}' is not supported yet")
        path = self.path(path)
        if not self.session.restrict_root:
            return self.session.fs.read(path)
        real = self.session.fs.real(path)
        if not self.session.fs.is_file(real):
            raise LoadError(f"'{path}' must resolve to a file")
        if not is_inside(posixpath.dirname(real), self.root):
            raise LoadError(f"security; file '{path}' is not in or below '{self.root}'")
        return self.session.fs.read(real)

    def path(self, path: str) -> str:
        """A path as an absolute one."""
        return posixpath.normpath(posixpath.join(self.root, path))

    def resources(self, path: str) -> list[Resource]:
        """The resources of a file. Raises KustomizeError."""
        return resources.read(self.load(path), self.path(path), self.session.kinds)

    def enter(self, path: str) -> Loader:
        """A loader for a directory that this kustomization builds on. Raises LoadError, Unsupported."""
        if not path:
            raise LoadError("new root cannot be empty")
        if is_remote(path):
            raise Unsupported(f"remote base '{path}' is not supported yet")
        if posixpath.isabs(path):
            raise LoadError(f"new root '{path}' cannot be absolute")
        root = directory(self.session.fs, self.path(path))
        visited: Loader | None = self
        while visited:
            if is_inside(visited.root, root):
                raise LoadError(f"cycle detected: candidate root '{root}' contains visited root '{visited.root}'")
            visited = visited._referrer
        return Loader(self.session, root, self)


def directory(fs: FileSystem, path: str) -> str:
    """A directory with symbolic links resolved. Raises LoadError."""
    try:
        root = fs.real(path)
    except KustomizeError as error:
        raise LoadError(f"must build at directory: {error}") from error
    if not fs.is_dir(root):
        raise LoadError(f"must build at directory: '{path}' is not a directory")
    return root


def is_inside(path: str, root: str) -> bool:
    """Whether a path is a directory or something below it."""
    return root == "/" or path == root or path.startswith(f"{root}/")


def is_remote(path: str) -> bool:
    """Whether a path names a repository or something on the web."""
    return _REPOSITORY.match(path) is not None
