"""The verbs as processes: pipes that close early, interruptions, terminals, colours."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Fleet
from tests.engine.polling import eventually
from tests.fleet.live import create
from tests.fleet.objects import failed, flux, ready

Start = Callable[..., Awaitable[Fleet]]

KS = {"path": "./apps", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}


async def fleet_of(start: Start) -> Fleet:
    fleet = await start("east")
    await create(fleet.clients["east"], flux("ks", "apps", ready(), spec=KS))
    await create(fleet.clients["east"], flux("ks", "web", failed(message="no such file"), spec=KS))
    return fleet


def command(fleet: Fleet, words: str) -> list[str]:
    return [sys.executable, "-m", "fluxtui", *words.split(), "--kubeconfig", str(fleet.kubeconfig)]


@pytest.mark.parametrize("words", ["get ks", "get ks -o json", "get ks -o yaml", "get ks --watch", "tree ks apps"])
async def test_a_reader_that_has_gone_ends_the_program_quietly(start: Start, words: str) -> None:
    fleet = await fleet_of(start)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        process = await asyncio.create_subprocess_exec(
            *command(fleet, words), stdout=writing, stderr=asyncio.subprocess.PIPE
        )
    finally:
        os.close(writing)
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, said.decode()) == (141, "")


@pytest.mark.parametrize("words", ["get ks", "reconcile ks apps", "tree ks apps", "trace ks apps", "check", "version"])
async def test_an_interruption_ends_the_program_quietly(start: Start, words: str) -> None:
    fleet = await fleet_of(start)
    cluster = fleet.clusters["east"]
    await cluster.faults.set("freeze")
    process = await asyncio.create_subprocess_exec(
        *command(fleet, words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    await eventually(lambda: connected(process.pid))
    process.send_signal(signal.SIGINT)
    out, said = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out, said.decode().strip()) == (130, b"", "interrupted")


def connected(pid: int) -> bool:
    """Whether a process holds a TCP connection: an event loop has sockets of its own."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    connections = {f"socket:[{fields[9]}]" for fields in map(str.split, lines) if fields[3] == "01"}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(entry) in connections:
                return True
        except OSError:
            continue
    return False


@pytest.mark.parametrize(
    ("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)], ids=str
)
async def test_colour_is_for_terminals_that_want_it(start: Start, variables: dict[str, str], coloured: bool) -> None:
    fleet = await fleet_of(start)
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1", **variables}
    text = await asyncio.to_thread(on_a_terminal, command(fleet, "get ks"), environment)
    assert "✗ Failed" in text
    assert ("\x1b[31m" in text) is coloured
    piped = await asyncio.to_thread(
        subprocess.run, command(fleet, "get ks"), env=environment, capture_output=True, text=True, timeout=120
    )
    assert "Failed" in piped.stdout
    assert "\x1b" not in piped.stdout
    assert "✗" not in piped.stdout


def on_a_terminal(words: list[str], environment: dict[str, str]) -> str:
    """What a command writes to a terminal."""
    ours, its = pty.openpty()
    process = subprocess.Popen(words, stdout=its, stderr=its, stdin=subprocess.DEVNULL, env=environment)
    os.close(its)
    chunks = []
    try:
        while chunk := os.read(ours, 65536):
            chunks.append(chunk)
    except OSError:
        # The kernel's way to say that the other end is closed.
        pass
    finally:
        os.close(ours)
        process.wait(timeout=60)
    assert process.returncode == 0
    return b"".join(chunks).decode()


async def test_a_terminal_that_knows_ascii_only(start: Start) -> None:
    fleet = await fleet_of(start)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    for words in ("get ks", "tree ks apps", "check"):
        done = await asyncio.to_thread(
            subprocess.run, command(fleet, words), env=environment, capture_output=True, timeout=120
        )
        assert b"Traceback" not in done.stderr, words
        assert done.stdout.isascii(), words
