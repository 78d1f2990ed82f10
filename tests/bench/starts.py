"""Start-up: from exec to a frame that answers keys, warm and cold, and of the commands that print and end."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.console import BAR, Console, Late
from tests.bench.figures import ECHO, Figures
from tests.bench.rig import FakeFleet, dead_clusters, environment, program

FRAME = re.compile(rb"cluster-000")
MOVED = re.compile(BAR + rb"cluster-001")


def first_frame(command: Sequence[str], env: dict[str, str]) -> float:
    """Seconds from exec until the clusters are listed and a key typed then has moved the cursor."""
    with Console(command, env) as console:
        console.until(lambda seen: FRAME.search(seen) is not None, 20, what="the first frame")
        console.type("j")
        answered = console.until(lambda seen: MOVED.search(seen) is not None, 20, what="the first key's answer")
        return answered - console.began


def echo_frame(directory: Path, keys: int = 0) -> tuple[float, float]:
    """The same of the echo app: seconds to a frame that answered a key, and the median of so many keys after it."""
    with Console([sys.executable, "-m", "tests.bench.calibration", "echo"], repository(directory)) as console:
        console.until(lambda seen: b"typed-00000" in seen, 20, what="the echo app")
        console.type("j")
        answered = console.until(lambda seen: b"00001" in seen, 20, what="the echo app's answer")
        console.settle(0.2, 1.0)
        return answered - console.began, statistics.median(_echoes(console, keys) or [0.0])


def calibrated(directory: Path, rounds: int = 3) -> tuple[float, float]:
    """The medians of both over some rounds: one alone tells as much of the moment as of the machine."""
    frames, keys = zip(*(echo_frame(directory, 100) for _ in range(rounds)), strict=True)
    return statistics.median(frames), statistics.median(keys)


def pace(directory: Path, rounds: int = 3) -> float:
    """How many times slower the machine is just now than the one the targets were set on."""
    return statistics.median(echo_frame(directory)[0] for _ in range(rounds)) / ECHO


def _echoes(console: Console, count: int) -> list[float]:
    times = []
    for index in range(count):
        console.drain(0.03 + index % 5 * 0.01)
        began = console.type("j")
        times.append(console.until(bool, 5) - began)
    return times


def repository(directory: Path, **extra: str) -> dict[str, str]:
    """The environment of a calibration, which is a module of the repository."""
    return environment(directory, PYTHONPATH=str(Path(__file__).parents[2]), **extra)


def forget_pages() -> None:
    """Have the system drop its cached pages of the interpreter's and our packages' files."""
    if not hasattr(os, "posix_fadvise"):
        return
    for folder in {sys.prefix, sys.base_prefix, str(Path(__file__).parents[2] / "fluxtui")}:
        for path in Path(folder).rglob("*"):
            if path.suffix in (".py", ".pyc", ".so", ".pem", ".tcss") and path.is_file():
                with path.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def start_up(figures: Figures, directory: Path, fleet: FakeFleet, rounds: int = 5) -> None:
    """All figures of starting the console; the fleet's clusters are asked as little as can be."""
    config = fleet.kubeconfig()
    command = [program(), "--kubeconfig", str(config)]
    env = environment(directory)
    first_frame(command, env)
    warm: list[float] = []
    dead: list[float] = []
    echo: list[float] = []
    with dead_clusters(directory, fleet.clusters) as silent:
        for _ in range(rounds):
            # Turn about, so that what else the machine does falls on all of them.
            echo.append(echo_frame(directory)[0])
            warm.append(first_frame(command, env))
            dead.append(first_frame([program(), "--kubeconfig", str(silent)], env))
    base = statistics.median(echo)
    figures.pace = base / ECHO
    figures.add("exec to a usable frame, warm", statistics.median(warm), "s", target=0.3, base=base)
    figures.add("exec to a usable frame, all clusters dead", statistics.median(dead), "s", target=0.3, base=base)
    if rounds < 3:
        return
    cold = []
    for _ in range(3):
        forget_pages()
        cold.append(first_frame(command, env))
    figures.add("exec to a usable frame, cold cache", statistics.median(cold), "s", target=0.45, base=base)
    fresh = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as empty:
            fresh.append(first_frame(command, environment(directory, PYTHONPYCACHEPREFIX=empty)))
    figures.add("exec to a usable frame, without .pyc", statistics.median(fresh), "s", target=1.0, base=base)


def verbs(figures: Figures, directory: Path, fleet: FakeFleet, rounds: int = 5) -> None:
    """`fluxtui get ks -A` on one cluster and on twenty."""
    env = environment(directory)
    imports = [sys.executable, "-c", "import asyncio, ssl, aiohttp, click, msgspec, yaml"]
    base = statistics.median(_timed(imports, env) for _ in range(rounds))
    for count, target in ((1, 0.35), (20, 0.7)):
        if count > fleet.clusters:
            continue
        config = fleet.kubeconfig(f"first-{count}", first=count)
        command = [program(), "get", "ks", "-A", "--kubeconfig", str(config)]
        took = statistics.median(_timed(command, env) for _ in range(rounds))
        name = f"fluxtui get ks -A, {count} cluster{'s' * (count > 1)}"
        figures.add(name, took, "s", target=target, base=base)


def _timed(command: Sequence[str], env: dict[str, str]) -> float:
    began = time.monotonic()
    done = subprocess.run(command, env=env, capture_output=True, check=False)
    took = time.monotonic() - began
    if done.returncode:
        raise Late(f"{' '.join(command)}: {done.stderr.decode()[-500:]}")
    return took
