"""Commits to repositories on this machine, noticed when they happen instead of at the interval."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_SETTLE = 0.3
"""Seconds after which a watch that was just set up is compared with what was there before."""

_Mark = frozenset[tuple[str, int]]


class RefWatcher(Generic[K]):
    """Watches the refs of local repositories, each for one key."""

    def __init__(self) -> None:
        self._directories: dict[K, tuple[Path, ...]] = {}
        self._marks: dict[K, _Mark] = {}
        self._changed = asyncio.Event()

    def add(self, key: K, repository: Path) -> None:
        """Watch a repository (a work tree or a bare one) for a key; before its refs are read. Blocking, but quick."""
        directories = _ref_directories(repository)
        if self._directories.get(key, ()) != directories:
            self._directories[key] = directories
            self._changed.set()
        self._marks[key] = _mark(directories)

    def remove(self, key: K) -> None:
        """No longer watch anything for a key."""
        self._marks.pop(key, None)
        if self._directories.pop(key, ()):
            self._changed.set()

    async def run(self, wake: Callable[[K], None]) -> None:
        """Call `wake` for every key whose refs changed, until cancelled."""
        while True:
            self._changed.clear()
            watched = {directory for directories in self._directories.values() for directory in directories}
            if not watched:
                await self._changed.wait()
                continue
            async with asyncio.TaskGroup() as group:
                late = group.create_task(self._compare(wake))
                await self._watch(watched, wake)
                late.cancel()

    async def _watch(self, directories: set[Path], wake: Callable[[K], None]) -> None:
        # Only needed when there is a local repository.
        from watchfiles import awatch

        async for changes in awatch(
            *directories,
            watch_filter=None,
            stop_event=self._changed,
            rust_timeout=60_000,
            ignore_permission_denied=True,
        ):
            paths = [Path(path) for _, path in changes if not path.endswith(".lock")]
            for key, watched in list(self._directories.items()):
                if any(path.is_relative_to(directory) for path in paths for directory in watched):
                    wake(key)

    async def _compare(self, wake: Callable[[K], None]) -> None:
        """Catch what changed while no watch was set up."""
        await asyncio.sleep(_SETTLE)
        for key, directories in list(self._directories.items()):
            mark = await asyncio.to_thread(_mark, directories)
            if self._marks.get(key, mark) != mark:
                self._marks[key] = mark
                wake(key)


def _ref_directories(repository: Path) -> tuple[Path, ...]:
    """Where a repository keeps its refs; empty when there is none."""
    common = _common_directory(repository)
    return tuple(path for name in ("refs", "reftable") if (path := common / name).is_dir())


def _common_directory(repository: Path) -> Path:
    """The directory with the refs: of a work tree, a linked work tree, or a bare repository."""
    git = repository / ".git"
    if git.is_file():
        git = repository / git.read_text(errors="replace").removeprefix("gitdir:").strip()
        shared = git / "commondir"
        if shared.is_file():
            git = git / shared.read_text(errors="replace").strip()
    return (git if git.is_dir() else repository).resolve()


def _mark(directories: tuple[Path, ...]) -> _Mark:
    """Names and times of all ref files: differs whenever a ref was written."""
    found = set()
    for directory in directories:
        for parent, _, files in os.walk(directory):
            for name in files:
                path = os.path.join(parent, name)
                try:
                    found.add((path, os.stat(path).st_mtime_ns))
                except FileNotFoundError:
                    continue
    return frozenset(found)
