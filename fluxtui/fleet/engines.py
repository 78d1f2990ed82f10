"""The engine that is started from here: one `fluxtui engine` for all clusters that were asked for, on this machine.

It follows a roster: a cluster is started by being written into it, and stopped by being taken out. The engine goes on
when whoever started it leaves or dies, and is found again later: it inherits a locked file, so the lock says whether
it lives, whatever became of its number. What it does is read from the clusters; only how a start or a stop came out is
read from its file of states.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec

from fluxtui.fleet.audit import default_path
from fluxtui.fleet.text import one_line
from fluxtui.kube import roster as rosters
from fluxtui.kube.errors import ConfigError
from fluxtui.kube.kubeconfig import IN_CLUSTER, Context
from fluxtui.kube.roster import Entry, Roster

PROGRAM = (sys.executable, "-m", "fluxtui")
BEGINNING = 90.0
"""Seconds within which an engine must say what it finds."""
ENDING = 60.0
"""Seconds within which runs under way finish after a stop."""
_PAUSE = 0.1
_UNSETTLED = ("", "connecting", "stopping")
"""States after which another comes."""
_CHILDREN: list[subprocess.Popen[bytes]] = []
"""Every engine that this process has started: it outlives who started it, and is nobody's to wait for."""

P = ParamSpec("P")
T = TypeVar("T")


def kubeconfig_files(context: Context, env: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The files that another `fluxtui` must read to find a context again.

    Where several files of $KUBECONFIG are one set, a context's cluster and user may stand in any of them: the other
    process reads the same set then.
    """
    together = tuple(os.path.abspath(file) for file in env.get("KUBECONFIG", "").split(os.pathsep) if file)
    return together if len(together) > 1 and context.source in together else (context.source,)


def context_arguments(context: Context, env: Mapping[str, str] = os.environ) -> list[str]:
    """The arguments by which another `fluxtui` with the same $KUBECONFIG finds a context again."""
    files = kubeconfig_files(context, env)
    return [*([] if len(files) > 1 else [f"--kubeconfig={context.source}"]), f"--context={context.name}"]


class EngineError(Exception):
    """The engine could not be started or stopped; `str()` is a sentence for users."""


class _Cluster(msgspec.Struct):
    context: str = ""
    state: str = ""
    message: str = ""


class _States(msgspec.Struct):
    """What the engine keeps saying about its clusters."""

    clusters: list[_Cluster] = []


class Engines:
    """The engine of this user on this machine, and the clusters that were asked of it."""

    def __init__(self, directory: Path | None = None, program: Sequence[str] = PROGRAM) -> None:
        """`directory` has the engine's storage, log and roster; by default it is beside the audit log."""
        self.directory = directory or default_path().parent / "engines"
        self.log_file = self.directory / "engine.jsonl"
        self._program = program
        self._roster = self.directory / "roster.json"
        self._states = self.directory / "states.json"
        self._child: subprocess.Popen[bytes] | None = None

    def pid(self, context: Context) -> int:
        """The process that reconciles a cluster because it was asked to from here; 0 when none does."""
        pid = self._process()
        return pid if pid and self._read().find(context.name, kubeconfig_files(context)) is not None else 0

    def left_behind(self) -> list[str]:
        """Names of the clusters whose engine ended without having been asked to; none while it runs."""
        return [] if self._process() else [entry.id for entry in self._read().clusters]

    def is_own(self, holder: str) -> bool:
        """Whether who holds a cluster's Leases is the engine of this directory, dead or alive: it gets them back."""
        try:
            identity = (self.directory / "identity").read_text().strip()
        except OSError:
            return False
        return bool(identity) and holder.startswith(f"{identity}_")

    async def start(self, context: Context, *, others: bool = False) -> int:
        """Have the engine reconcile a cluster and wait until it leads it; returns its process.

        `others`: if the engine has to be started for that, it goes on with the clusters left behind, too. Raises
        EngineError: it does so already, it ended, or somebody else reconciles the cluster; it is not asked to any more
        then.
        """
        if context.source == IN_CLUSTER:
            raise EngineError("this context stands in no kubeconfig: run `fluxtui engine` as a Deployment")
        entry, child = await self._in_thread(self._add, context, others)
        try:
            async with asyncio.timeout(BEGINNING):
                found = await self._first_words(context, entry, child)
        except TimeoutError:
            if child is not None and not await asyncio.to_thread(self._states.exists):
                # It does not follow the roster either.
                child.terminate()
            await self.stop(context)
            raise EngineError(f"it said nothing within {BEGINNING:.0f}s: see {self.log_file}") from None
        except EngineError:
            await self.stop(context)
            raise
        if found.state != "leading":
            await self.stop(context)
            raise EngineError(one_line(found.message) or found.state)
        return await asyncio.to_thread(self._process)

    async def stop(self, context: Context) -> None:
        """Have the engine finish what is under way in a cluster and give its Leases back, and wait for that.

        Without any cluster the engine ends. Raises EngineError when it goes on.
        """
        entry = await self._in_thread(self._remove, context)
        if entry is None:
            return
        try:
            async with asyncio.timeout(ENDING):
                await self._end_of(entry)
        except TimeoutError:
            pid = await asyncio.to_thread(self._process)
            raise EngineError(f"process {pid} still finishes its runs: see {self.log_file}") from None

    async def _end_of(self, entry: Entry) -> None:
        while True:
            if not await asyncio.to_thread(self._has, entry):
                return
            await asyncio.sleep(_PAUSE)

    async def _in_thread(self, change: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        try:
            return await asyncio.to_thread(change, *args, **options)
        except OSError as error:
            raise EngineError(f"{self.directory} can't be used: {error.strerror or error}") from error

    def _process(self) -> int:
        """The process of the engine; 0 when none that was started from here runs."""
        if self._child is not None:
            # A child that has ended and is not asked for stays as a zombie.
            self._child.poll()
        try:
            handle = os.open(self.directory / "process", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            # Shared: whoever looks at the same moment is not taken for the engine.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            text = os.read(handle, 32).decode(errors="replace").strip()
            return int(text) if text.isdigit() else 0
        else:
            return 0
        finally:
            os.close(handle)

    def _read(self) -> Roster:
        """What was asked for; nothing where that can't be read, as an engine that runs keeps what it has read."""
        try:
            return rosters.read(self._roster)
        except ConfigError:
            return Roster()

    def _said(self, entry: Entry) -> _Cluster:
        """What the engine says of a cluster, empty when it says nothing."""
        try:
            said = msgspec.json.decode(self._states.read_bytes(), type=_States).clusters
        except (OSError, msgspec.DecodeError):
            return _Cluster()
        return next((cluster for cluster in said if cluster.context == entry.id), _Cluster())

    def _has(self, entry: Entry) -> bool:
        """Whether the engine still has a cluster that was taken out of the roster."""
        if not self._process():
            return False
        clusters = self._read().clusters
        if entry in clusters:
            raise EngineError("it was started again meanwhile, from elsewhere")
        # Without clusters it ends, and its end is waited for.
        return not clusters or bool(self._said(entry).state)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Alone in changing the roster and in starting the engine, among all consoles of the user."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self.directory / "roster.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _add(self, context: Context, others: bool, again: bool = False) -> tuple[Entry, subprocess.Popen[bytes] | None]:
        """Put a cluster into the roster, and start the engine if none runs. `again`: it may be there already."""
        with self._changing():
            running = self._process()
            roster = self._read() if running or others else Roster()
            files = kubeconfig_files(context)
            entry = roster.find(context.name, files)
            if entry is None:
                entry = _entry(context, files, roster)
                rosters.write(self._roster, Roster((*roster.clusters, entry)))
            elif running and not again:
                raise EngineError("its engine runs already")
            return entry, None if running else self._launch()

    def _remove(self, context: Context) -> Entry | None:
        with self._changing():
            roster = self._read()
            entry = roster.find(context.name, kubeconfig_files(context))
            if entry is not None:
                rosters.write(self._roster, Roster(tuple(one for one in roster.clusters if one != entry)))
            return entry

    def _launch(self) -> subprocess.Popen[bytes]:
        command = [*self._program, "engine", f"--roster={self._roster}", f"--storage-path={self.directory}"]
        command += [f"--log-file={self.log_file}", "--quiet"]
        handle = os.open(self.directory / "process", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._states.unlink(missing_ok=True)
            with (self.directory / "errors").open("wb") as errors:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    cwd=self.directory,
                    start_new_session=True,
                    pass_fds=(handle,),
                )
            os.ftruncate(handle, 0)
            os.write(handle, f"{child.pid}\n".encode())
        finally:
            # The child's copy holds the lock from now on.
            os.close(handle)
        _CHILDREN.append(child)
        self._child = child
        return child

    async def _first_words(self, context: Context, entry: Entry, child: subprocess.Popen[bytes] | None) -> _Cluster:
        """What the engine finds, once it has; one that was ending when it was asked is started anew."""
        while True:
            running = await asyncio.to_thread(self._process)
            found = await asyncio.to_thread(self._said, entry)
            if running and found.state not in _UNSETTLED:
                return found
            if not running and child is not None:
                raise EngineError(await asyncio.to_thread(self._last_words, child))
            if not running:
                entry, child = await self._in_thread(self._add, context, False, True)
            await asyncio.sleep(_PAUSE)

    def _last_words(self, child: subprocess.Popen[bytes]) -> str:
        said = (self.directory / "errors").read_text(errors="replace").strip().rpartition("\n")[2]
        return one_line(said) or f"it ended with exit code {child.poll()}"


def _entry(context: Context, files: tuple[str, ...], roster: Roster) -> Entry:
    """An entry with the id of the context, and with more than that when another entry has it."""
    id = context.id
    if any(entry.id == id for entry in roster.clusters):
        id += f"@{hashlib.sha256(os.pathsep.join(files).encode()).hexdigest()[:8]}"
    return Entry(id, context.name, files)
