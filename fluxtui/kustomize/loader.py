"""Reading the files of one kustomization: what it may read, and the directories that it builds on."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from fluxtui.kustomize import repositories, resources
from fluxtui.kustomize.errors import KustomizeError, LoadError, RemoteRefused
from fluxtui.kustomize.filesystem import FileSystem, RealFileSystem
from fluxtui.kustomize.remotes import Remotes
from fluxtui.kustomize.repositories import Repository
from fluxtui.kustomize.resources import Resource
from fluxtui.kustomize.schema import Kinds

if TYPE_CHECKING:
    from fluxtui.kustomize.helm import Helm

MAX_DIRECTORIES = 1000
"""Kustomizations that one build may read."""
MAX_DEPTH = 64
"""Kustomizations that may refer to each other in a chain."""

_URL = re.compile(r"https?://", re.IGNORECASE)


class Session:
    """What all kustomizations of one build share."""

    def __init__(
        self, fs: FileSystem, restrict_root: bool, remotes: Remotes | None = None, helm: Helm | None = None
    ) -> None:
        self.fs = fs
        self.restrict_root = restrict_root
        self.remotes = remotes
        self.helm = helm
        self.kinds = Kinds()
        self.directories = 0


class Loader:
    """Reads files for the kustomization of one directory."""

    def __init__(self, session: Session, root: str, referrer: Loader | None = None, clone: Clone | None = None) -> None:
        self.session = session
        self.root = root
        """Absolute, without symbolic links."""
        self._referrer = referrer
        self._clone: Clone | None = clone or (referrer._clone if referrer else None)
        self.fs: FileSystem = self._clone.fs if self._clone else session.fs
        self._restricted = session.restrict_root or self._clone is not None
        self._depth: int = referrer._depth + 1 if referrer else 0
        session.directories += 1
        if session.directories > MAX_DIRECTORIES or self._depth > MAX_DEPTH:
            raise LoadError(f"{root}: more kustomizations than one build may read")

    def load(self, path: str) -> bytes:
        """The content of a file, relative to the root. Raises LoadError, Unsupported."""
        if is_url(path):
            return self._remotes(path).file(path)
        path = self.path(path)
        if not self._restricted:
            return self.fs.read(path)
        real = self.fs.real(path)
        if not self.fs.is_file(real):
            raise LoadError(f"'{path}' must resolve to a file")
        if not is_inside(posixpath.dirname(real), self.root):
            raise LoadError(f"security; file '{path}' is not in or below '{self.root}'")
        return self.fs.read(real)

    def _remotes(self, path: str) -> Remotes:
        if self.session.remotes is None:
            raise RemoteRefused(f"'{path}' is remote, and this build may read local files only")
        return self.session.remotes

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
        repository = repositories.parse(path)
        if repository is not None:
            return self._enter_clone(path, repository)
        if posixpath.isabs(path):
            raise LoadError(f"new root '{path}' cannot be absolute")
        root = directory(self.fs, self.path(path))
        if self._clone is not None and not is_inside(root, self._clone.root):
            raise LoadError(f"security; base '{root}' is outside of the repository that refers to it")
        visited: Loader | None = self
        while visited:
            if is_inside(visited.root, root):
                raise LoadError(f"cycle detected: candidate root '{root}' contains visited root '{visited.root}'")
            visited = visited._referrer
        return Loader(self.session, root, self)

    def _enter_clone(self, path: str, repository: Repository) -> Loader:
        visited: Loader | None = self
        while visited:
            if visited._clone is not None and visited._clone.address.startswith(path):
                raise LoadError(f"cycle detected: URI '{path}' referenced by previous URI '{visited._clone.address}'")
            visited = visited._referrer
        clone = Clone(path, self._remotes(path).repository(repository))
        root = directory(clone.fs, posixpath.join(clone.root, repository.path))
        return Loader(self.session, root, self, clone)


class Clone:
    """A working copy of a repository; nothing is read outside of it."""

    def __init__(self, address: str, root: str) -> None:
        self.address = address
        """As a kustomization has it."""
        self.fs = RealFileSystem(root)
        self.root = self.fs.real(root)


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


def is_url(path: str) -> bool:
    """Whether a path names a file on the web, or a repository by the same protocol."""
    return _URL.match(path) is not None
