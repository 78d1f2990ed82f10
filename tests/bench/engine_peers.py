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
        self._pids = pids

    def _all(self) -> Iterator[int]:
        """The processes and their children, as those who build."""
        waiting = list(self._pids)
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
        return sum(sum(map(int, self._stat(pid)[11:15])) for pid in self._pids) / _TICK

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


@asynccontextmanager
async def running(commands: list[list[str]], directory: Path) -> AsyncIterator[Processes]:
    env = {
        **os.environ,
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "KUBECONFIG": str(directory / "kubeconfig"),
        "RUNTIME_NAMESPACE": NAMESPACE,
    }
    processes = []
    try:
        for command in commands:
            with (directory / f"{Path(command[0]).name}.log").open("ab") as log:
                processes.append(await asyncio.create_subprocess_exec(*command, env=env, stdout=log, stderr=log))
        async with asyncio.TaskGroup() as group:
            watchers = [
                group.create_task(_watch(process, command))
                for process, command in zip(processes, commands, strict=True)
            ]
            yield Processes([process.pid for process in processes])
            for watcher in watchers:
                watcher.cancel()
    finally:
        for process in processes:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _watch(process: asyncio.subprocess.Process, command: list[str]) -> None:
    code = await process.wait()
    raise RuntimeError(f"{Path(command[0]).name} ended with {code}")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
