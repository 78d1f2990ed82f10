"""The rig in a minute: a small fleet, and only figures that mean the same on any machine, however busy it is.

Nothing is timed by the clock on the wall: what counts is CPU time, as a multiple of what a calibration needs of it in
the same run, and memory. A budget that is broken is measured once more.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.bench import starts
from tests.bench.console import Console
from tests.bench.figures import Figures
from tests.bench.live import LIVE, bare_read, gaps, session, walk
from tests.bench.rig import FakeFleet, environment, fake_fleet, program

CLUSTERS, OBJECTS = 20, 250
BUDGETS: dict[str, float] = {
    "start": 3.0,
    "get": 2.2,
    "get of many": 6.0,
    "sync": 5.5,
    "key": 14.0,
    "filter key": 30.0,
    "event": 0.7,
    "rest": 15.0,
    "memory": 140.0,
}
"""What breaks a build, some twice what is usual. Multiples of the CPU time of the echo app's start; of the imports that
`get` can't do without, for one cluster and for all; of a bare client's reading; and of an echoed key, for a key that
moves the cursor, one typed into the filter, an event on a visible row, and a second at rest. Memory is in MB."""
RATE = 200.0
ROUNDS = 3
KEYS = 60
PATIENCE = 60.0
IMPORTS = "import asyncio, ssl, click, msgspec, yaml, hpack, multidict"

Measures = dict[str, float]


def cpu_of(command: Sequence[str], env: Mapping[str, str]) -> float:
    """CPU seconds of a command that ends; the least of some rounds."""
    took = []
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=dict(env), capture_output=True, check=True, timeout=PATIENCE)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(took)


def cpu_of_frame(command: Sequence[str], env: Mapping[str, str], frame: bytes, answer: bytes) -> float:
    """CPU seconds from exec until a first key is answered; the least of some rounds."""
    took = []
    for _ in range(ROUNDS):
        with Console(command, env) as console:
            console.until(lambda seen: frame in seen, PATIENCE, what="the first frame")
            console.type("j")
            console.until(lambda seen: answer in seen, PATIENCE, what="the first key's answer")
            took.append(console.cpu())
    return min(took)


def echoed_key(directory: Path) -> float:
    """CPU seconds of a key of the echo app."""
    with Console(ECHO, starts.repository(directory)) as console:
        console.until(lambda seen: b"typed-00000" in seen, PATIENCE, what="the echo app")
        console.settle(0.2, 1.0)
        before = console.cpu()
        for index in range(3 * KEYS):
            console.drain(gaps(index) / 3)
            console.type("j")
        console.settle(0.2, 1.0)
        return (console.cpu() - before) / (3 * KEYS)


ECHO = [sys.executable, "-m", "tests.bench.calibration", "echo"]


def ratios_of_starts(directory: Path, fleet: FakeFleet) -> Measures:
    """The console's first frame against the echo app's, and `get` against its imports."""
    env, repository = environment(directory), starts.repository(directory)
    echo = cpu_of_frame(ECHO, repository, b"typed-00000", b"00001")
    console = [program(), "--kubeconfig", str(fleet.kubeconfig())]
    imports = cpu_of([sys.executable, "-c", IMPORTS], repository)
    get = {
        count: [program(), "get", "ks", "-A", "--kubeconfig", str(fleet.kubeconfig(f"first-{count}", first=count))]
        for count in (1, CLUSTERS)
    }
    return {
        "start": cpu_of_frame(console, env, b"cluster-000", b"cluster-001") / echo,
        "get": cpu_of(get[1], env) / imports,
        "get of many": cpu_of(get[CLUSTERS], env) / imports,
    }


def drained(console: Console, seconds: float) -> float:
    """Read for so long; how long that is."""
    console.drain(seconds)
    return seconds


def ratios_of_work(directory: Path, fleet: FakeFleet) -> Measures:
    """Reading, keys, events, rest and memory of one session."""
    bare, echo = bare_read(fleet, directory)["cpu"], echoed_key(directory)
    with session(fleet, directory, Figures(), 0.0, KEYS) as live:
        console = live.console
        console.until(lambda seen: b"cluster-000" in seen, PATIENCE, what="the first frame")
        before = console.cpu()
        console.until(lambda seen: LIVE.search(seen) is not None, PATIENCE, what="the fleet")
        sync = console.cpu() - before
        live.open_rows()
        console.drain(1)
        resident = console.resident()
        at_rest, _ = console.load(6)

        def beyond_rest(work: Callable[[], float]) -> float:
            """CPU seconds of what is done, in seconds that it returns, beside what rest would have needed."""
            began = console.cpu()
            seconds = work()
            return max(0.0, console.cpu() - began - at_rest / 100 * seconds)

        key = beyond_rest(lambda: sum(console.moves(walk(KEYS), gaps, patience=20)) + sum(map(gaps, range(KEYS))))
        with live.events(RATE, hot=True):
            before = fleet.order("tell")["sent"]
            loaded = beyond_rest(lambda: drained(console, 4))
            events = fleet.order("tell")["sent"] - before
        typed = "ks-00"
        console.type("/")
        console.settle(0.3, 2)

        def filter_keys() -> float:
            for letter in typed:
                console.type(letter)
                console.settle(0.3, 1.0)
            return 0.5 * len(typed)

        filtered = beyond_rest(filter_keys)
    return {
        "sync": sync / bare,
        "key": key / KEYS / echo,
        "filter key": filtered / len(typed) / echo,
        "event": loaded / max(1, events) / echo,
        "rest": at_rest / 100 / echo,
        "memory": resident,
    }


def short(directory: Path) -> int:
    """Measure, print, and say 1 when a budget is broken twice."""
    broken: list[str] = []
    with fake_fleet(directory, CLUSTERS, OBJECTS) as fleet:
        parts: tuple[Callable[[], Measures], ...] = (
            lambda: ratios_of_starts(directory, fleet),
            lambda: ratios_of_work(directory, fleet),
        )
        for part in parts:
            found = part()
            if any(value > BUDGETS[name] for name, value in found.items()):
                again = part()
                found = {name: min(value, again[name]) for name, value in found.items()}
            for name, value in found.items():
                verdict = "" if value <= BUDGETS[name] else "  over its budget"
                sys.stdout.write(f"{name:<16}{value:>8.1f}  of at most {BUDGETS[name]:g}{verdict}\n")
                sys.stdout.flush()
                broken += [name] if verdict else []
    return 1 if broken else 0
