"""Engines that are started from here: `fluxtui engine` as a process of its own for each cluster.

An engine goes on when whoever started it leaves or dies, and is found again later: it inherits a locked file, so the
lock says whether it lives, whatever became of its number. What it does is read from the cluster, never from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from fluxtui.fleet.audit import default_path
from fluxtui.fleet.text import one_line
from fluxtui.kube.kubeconfig import IN_CLUSTER, Context

PROGRAM = (sys.executable, "-m", "fluxtui")
BEGINNING = 90.0
"""Seconds within which an engine must say what it finds."""
ENDING = 60.0
"""Seconds within which runs under way finish after a stop."""
_PAUSE = 0.1


def context_arguments(context: Context, env: Mapping[str, str] = os.environ) -> list[str]:
    """The arguments by which another `fluxtui` finds a context again.

    Where several files of $KUBECONFIG are one set, a context's cluster and user may stand in any of them: the other
    process reads the same set then.
    """
    together = [os.path.abspath(file) for file in env.get("KUBECONFIG", "").split(os.pathsep) if file]
    files = [] if len(together) > 1 and context.source in together else [f"--kubeconfig={context.source}"]
    return [*files, f"--context={context.name}"]


class EngineError(Exception):
    """The engine could not be started or stopped; `str()` is a sentence for users."""


class _Cluster(msgspec.Struct):
    state: str = ""
    message: str = ""


class _Ready(msgspec.Struct):
    """What an engine prints once its clusters have had their first answer."""

    clusters: list[_Cluster] = []


class Engines:
    """The engines of this user on this machine."""

    def __init__(self, directory: Path | None = None, program: Sequence[str] = PROGRAM) -> None:
        """`directory` is where each engine has a folder of its own, by default beside the audit log."""
        self.directory = directory or default_path().parent / "engines"
        self._program = program
        self._children: list[subprocess.Popen[bytes]] = []

    def pid(self, context: Context) -> int:
        """The process of a cluster's engine; 0 when none that was started from here runs."""
        self._children = [child for child in self._children if child.poll() is None]
        try:
            handle = os.open(self.folder(context) / "process", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            text = os.read(handle, 32).decode(errors="replace").strip()
            return int(text) if text.isdigit() else 0
        else:
            return 0
        finally:
            os.close(handle)

    def log_file(self, context: Context) -> Path:
        """Where the engine of a cluster writes its log."""
        return self.folder(context) / "engine.jsonl"

    def folder(self, context: Context) -> Path:
        """The folder of a cluster's engine: its storage, its log and what it said when it began."""
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", context.name)[:40]
        digest = hashlib.sha256(f"{context.source}\n{context.name}\n{context.server}".encode()).hexdigest()[:8]
        return self.directory / f"{name}-{digest}"

    async def start(self, context: Context) -> int:
        """Start the engine of a cluster and wait until it leads; returns its process.

        Raises EngineError: it runs already, it ended, or somebody else reconciles the cluster; none is left then.
        """
        if context.source == IN_CLUSTER:
            raise EngineError("this context stands in no kubeconfig: run `fluxtui engine` as a Deployment")
        try:
            child = await asyncio.to_thread(self._launch, context)
        except OSError as error:
            raise EngineError(f"{self.folder(context)} can't be used: {error.strerror or error}") from error
        try:
            async with asyncio.timeout(BEGINNING):
                found = await self._first_words(context, child)
        except TimeoutError:
            await self.stop(context)
            raise EngineError(f"it said nothing within {BEGINNING:.0f}s: see {self.log_file(context)}") from None
        if found.state != "leading":
            await self.stop(context)
            raise EngineError(one_line(found.message) or found.state)
        return child.pid

    async def stop(self, context: Context) -> None:
        """Have the engine of a cluster finish what is under way and give its Leases back, and wait for its end.

        Raises EngineError when it goes on.
        """
        pid = self.pid(context)
        if not pid:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(ENDING):
                await self._end_of(context, pid)
        except TimeoutError:
            raise EngineError(f"process {pid} still finishes its runs: see {self.log_file(context)}") from None

    async def _end_of(self, context: Context, pid: int) -> None:
        while True:
            if self.pid(context) != pid:
                return
            await asyncio.sleep(_PAUSE)

    def _launch(self, context: Context) -> subprocess.Popen[bytes]:
        folder = self.folder(context)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        command = [*self._program, "engine", *context_arguments(context)]
        command += [f"--storage-path={folder}", f"--log-file={self.log_file(context)}", "--quiet"]
        handle = os.open(folder / "process", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise EngineError("its engine runs already") from None
            with (folder / "ready").open("wb") as ready, (folder / "errors").open("wb") as errors:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=ready,
                    stderr=errors,
                    cwd=folder,
                    start_new_session=True,
                    pass_fds=(handle,),
                )
            os.ftruncate(handle, 0)
            os.write(handle, f"{child.pid}\n".encode())
        finally:
            # The child's copy holds the lock from now on.
            os.close(handle)
        self._children.append(child)
        return child

    async def _first_words(self, context: Context, child: subprocess.Popen[bytes]) -> _Cluster:
        folder = self.folder(context)
        while True:
            ended = child.poll() is not None
            line = (folder / "ready").read_bytes()
            if line.endswith(b"\n"):
                clusters = msgspec.json.decode(line, type=_Ready).clusters
                return clusters[0] if clusters else _Cluster("stopped", "the kubeconfig has no such context")
            if ended:
                said = (folder / "errors").read_text(errors="replace").strip().rpartition("\n")[2]
                raise EngineError(one_line(said) or f"it ended with exit code {child.returncode}")
            await asyncio.sleep(_PAUSE)
