"""Kubeconfig files, and files that name them, that change while we run."""

from __future__ import annotations

import asyncio
import glob
import os
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol, TypeVar

import msgspec
import watchfiles

from fluxtui.kube import kubeconfig as kubeconfigs
from fluxtui.kube.errors import ConfigError
from fluxtui.kube.kubeconfig import Kubeconfig

_DEBOUNCE = 250
_STEP = 250
"""Milliseconds between looks of the watcher at what it was told: each takes the interpreter; leaving waits for one."""
_POLL = 5000
"""Milliseconds between looks at the files themselves, for file systems and symlink chains that send no notice."""

Signature = tuple[tuple[str, str, int, int, int], ...]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


async def watch_files(
    paths: Sequence[str] = (), env: Mapping[str, str] = os.environ, *, current: Kubeconfig | None = None
) -> AsyncGenerator[Kubeconfig, None]:
    """A new Kubeconfig each time the files behind `load(paths, env)` changed in what they mean. Never ends by itself.

    Contexts that did not change compare equal to those before and keep their ids. While a file is broken or missing,
    the last good contexts stay, with a warning that says so; `current` is the first good one (loaded when not given).
    Raises ConfigError only when there is no good one to start from.
    """
    if current is None:
        current = await asyncio.to_thread(kubeconfigs.load, paths, env)
    async with aclosing(follow(_Reader(paths, env, current))) as changes:
        async for fresh in changes:
            yield fresh


class Reader(Protocol[T_co]):
    """Reads what some files mean; its methods block."""

    def places(self) -> list[str]:
        """Absolute paths and globs of every file that could matter now, there or not."""
        ...

    def look(self) -> T_co | None:
        """What the files mean if that is something else than before, else None."""
        ...


async def follow(reader: Reader[T]) -> AsyncGenerator[T, None]:
    """What a reader finds each time that changes. Never ends by itself."""
    while True:
        directories = await asyncio.to_thread(_directories, reader)
        # What was read may have been read long ago, and directories change as well: look before waiting.
        if (fresh := await asyncio.to_thread(reader.look)) is not None:
            yield fresh
        notices = watchfiles.awatch(
            *directories,
            recursive=False,
            debounce=_DEBOUNCE,
            step=_STEP,
            rust_timeout=_POLL,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        )
        async with aclosing(notices):
            async for _ in notices:
                if (fresh := await asyncio.to_thread(reader.look)) is not None:
                    yield fresh
                if await asyncio.to_thread(_directories, reader) != directories:
                    break


class _Reader:
    """What the files said last, and what they said while they were good."""

    def __init__(self, paths: Sequence[str], env: Mapping[str, str], current: Kubeconfig) -> None:
        self._paths = paths
        self._env = env
        self._last = self._good = current
        self._signature: Signature | None = None

    def places(self) -> list[str]:
        return kubeconfigs.candidates(self._paths, self._env)

    def look(self) -> Kubeconfig | None:
        """The contexts if they are others than before, else None."""
        signature = signature_of(self.places())
        if signature == self._signature:
            return None
        self._signature = signature
        try:
            fresh = self._good = kubeconfigs.load(self._paths, self._env, previous=self._good)
        except ConfigError as error:
            warning = f"{error} (keeping the contexts read before)"
            fresh = msgspec.structs.replace(self._good, warnings=(*self._good.warnings, warning))
        if fresh == self._last:
            return None
        self._last = fresh
        return fresh


def signature_of(places: Iterable[str]) -> Signature:
    """What differs as soon as one of the files at these places may have changed."""
    entries: list[tuple[str, str, int, int, int]] = []
    for path in _files(places):
        try:
            status = os.stat(path)
        except OSError:
            entries.append((path, "", 0, 0, 0))
            continue
        entries.append((path, os.path.realpath(path), status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(entries)


def _files(places: Iterable[str]) -> list[str]:
    """Every file that could matter now, there or not."""
    files: list[str] = []
    for path in places:
        files += sorted(glob.glob(path)) if glob.has_magic(path) and not os.path.exists(path) else [path]
    return files


def _directories(reader: Reader[object]) -> list[str]:
    """Directories whose entries can change what the files are: of the files, of links on the way, of their targets."""
    places = reader.places()
    directories: set[str] = set()
    for path in (*places, *_files(places)):
        here = path
        for _ in range(40):
            directory = os.path.dirname(here)
            while not os.path.isdir(directory) or glob.has_magic(directory):
                directory = os.path.dirname(directory)
            directories.add(directory)
            if os.path.islink(directory):
                directories.add(os.path.dirname(directory))
            if not os.path.islink(here):
                break
            here = os.path.normpath(os.path.join(os.path.dirname(here), os.readlink(here)))
        directories.add(os.path.dirname(os.path.realpath(path)))
    return sorted(directory for directory in directories if os.path.isdir(directory))
