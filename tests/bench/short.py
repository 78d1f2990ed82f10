"""The rig in a minute: a small fleet, and only figures that mean the same on any machine.

Times are held against calibrations taken just before and after; a budget that is broken is measured once more, since a
busy machine breaks budgets too.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench import starts
from tests.bench.console import Console
from tests.bench.figures import Figures
from tests.bench.live import LIVE, bare_read, gaps, session, walk
from tests.bench.rig import FakeFleet, environment, fake_fleet, program

CLUSTERS, OBJECTS = 20, 250
BUDGETS: dict[str, float] = {
    "start": 4.0,
    "get": 3.0,
    "sync CPU": 9.0,
    "key": 8.0,
    "key under load": 16.0,
    "memory": 190.0,
    "CPU at rest": 4.0,
    "CPU under load": 45.0,
}
"""What breaks a build: times as multiples of their calibration, memory in MB, CPU in percent of a core."""
RATE = 200.0

Measures = dict[str, float]


def ratios_of_starts(directory: Path, fleet: FakeFleet, rounds: int = 3) -> Measures:
    """Exec to a usable frame against the echo app, and `get` against its imports."""
    figures = Figures()
    starts.start_up(figures, directory, fleet, rounds=rounds - 1)
    starts.verbs(figures, directory, fleet, rounds=rounds)
    found = {each.name: each.ratio or 0.0 for each in figures.all}
    return {
        "start": min(found["exec to a usable frame, warm"], found["exec to a usable frame, all clusters dead"]),
        "get": found["fluxtui get ks -A, 1 cluster"],
    }


def ratios_of_work(directory: Path, fleet: FakeFleet) -> Measures:
    """Reading, keys, memory and CPU of one session."""
    bare = bare_read(fleet, directory)["cpu"]
    _, echo = starts.echo_frame(directory)
    with Console([program(), "--kubeconfig", str(fleet.kubeconfig())], environment(directory)) as console:
        console.until(lambda seen: b"cluster-000" in seen, 20, what="the first frame")
        before = console.cpu()
        console.until(lambda seen: LIVE.search(seen) is not None, 60, what="the fleet")
        sync = console.cpu() - before
    with session(fleet, directory, Figures(), echo, 60) as live:
        live.console.until(lambda seen: LIVE.search(seen) is not None, 60, what="the fleet")
        live.open_rows()
        quiet = statistics.median(live.console.moves(walk(60), gaps))
        resident = live.console.resident()
        live.console.drain(1)
        rest, _ = live.console.load(5)
        with live.events(RATE, hot=True):
            loaded = statistics.median(live.console.moves(walk(60), gaps))
            used, _ = live.console.load(4)
    _, again = starts.echo_frame(directory)
    echo = max(echo, again)
    return {
        "sync CPU": sync / bare,
        "key": quiet / echo,
        "key under load": loaded / echo,
        "memory": resident,
        "CPU at rest": rest,
        "CPU under load": used,
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
