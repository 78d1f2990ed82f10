"""The processes that a benchmark of controllers measures: the engine, or upstream's controllers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

NAMESPACE = "flux-system"
_SERVERS = ("etcd", "kube-apiserver")
_TICK = os.sysconf("SC_CLK_TCK")


class Processes:
    """Processes that are measured together."""

    def __init__(self, pids: list[int]) -> None:
        self.pids = pids

    def _all(self) -> Iterator[int]:
        """The processes and their children, as those who build."""
        waiting = list(self.pids)
        while waiting:
            pid = waiting.pop()
            yield pid
            try:
                for task in Path(f"/proc/{pid}/task").iterdir():
                    waiting += [int(child) for child in (task / "children").read_text().split()]
            except OSError:
                continue

    def cpu(self) -> float:
        """CPU seconds so far."""
        return sum(sum(map(int, self._stat(pid)[11:15])) for pid in self.pids) / _TICK

    def memory(self) -> float:
        """Resident memory now, MiB."""
        return sum(int(self._stat(pid)[21]) for pid in self._all()) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def _stat(self, pid: int) -> list[str]:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ["0"] * 50


def servers(directory: Path) -> Processes:
    """etcd and kube-apiserver, started by this process with their data in a directory."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            program, *arguments = Path(f"/proc/{child}/cmdline").read_text().split("\0")
            if Path(program).name in _SERVERS and any(str(directory) in argument for argument in arguments):
                found.append(int(child))
    return Processes(found)


def commands(binaries: Path | None, directory: Path) -> list[list[str]]:
    """What is measured: upstream's controllers, or the engine."""
    if binaries is None:
        storage = f"--storage-path={directory / 'storage'}"
        kubeconfig = f"--kubeconfig={directory / 'kubeconfig'}"
        return [[sys.executable, "-m", "fluxtui", "engine", kubeconfig, storage]]
    address = f"127.0.0.1:{free_port()}"
    own = [f"--storage-path={directory}", f"--storage-addr={address}", f"--storage-adv-addr={address}"]
    return [
        [
            str(binaries / name),
            "--watch-all-namespaces",
            "--enable-leader-election=false",
            "--events-addr=",
            f"--metrics-addr=127.0.0.1:{free_port()}",
            f"--health-addr=127.0.0.1:{free_port()}",
            *arguments,
        ]
        for name, arguments in (("source-controller", own), ("kustomize-controller", []))
    ]


class Contestant:
    """Processes that are stopped and started together; one that ends by itself is an error."""

    def __init__(self, commands: list[list[str]], directory: Path, group: asyncio.TaskGroup) -> None:
        self.measured = Processes([])
        """The processes that run; none while they are stopped."""
        self._commands = commands
        self._directory = directory
        self._group = group
        self._running: list[asyncio.subprocess.Process] = []
        self._watchers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start all."""
        env = {
            **os.environ,
            "HOME": str(self._directory),
            "TMPDIR": str(self._directory),
            "KUBECONFIG": str(self._directory / "kubeconfig"),
            "RUNTIME_NAMESPACE": NAMESPACE,
        }
        for command in self._commands:
            with (self._directory / f"{Path(command[0]).name}.log").open("ab") as log:
                process = await asyncio.create_subprocess_exec(*command, env=env, stdout=log, stderr=log)
            self._running.append(process)
            self._watchers.append(self._group.create_task(_watch(process, command)))
        self.measured.pids = [process.pid for process in self._running]

    async def stop(self) -> None:
        """Stop all, and wait for their end."""
        for watcher in self._watchers:
            watcher.cancel()
        for process in self._running:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        for process in self._running:
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                process.kill()
                await process.wait()
        self._running, self._watchers, self.measured.pids = [], [], []


@asynccontextmanager
async def running(commands: list[list[str]], directory: Path) -> AsyncIterator[Contestant]:
    """The processes of a contestant, as long as the block."""
    async with asyncio.TaskGroup() as group:
        contestant = Contestant(commands, directory, group)
        try:
            await contestant.start()
            yield contestant
        finally:
            await contestant.stop()


async def _watch(process: asyncio.subprocess.Process, command: list[str]) -> None:
    code = await process.wait()
    raise RuntimeError(f"{Path(command[0]).name} ended with {code}")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
