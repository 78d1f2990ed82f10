"""The console behind a slow line: a terminal that takes 1 Mbit/s, 300 ms away."""

from __future__ import annotations

import statistics
from pathlib import Path

from tests.bench.console import Console, Throttle
from tests.bench.figures import Figures, quantile
from tests.bench.live import LIVE, PATIENCE, Session, gaps, walk
from tests.bench.rig import FakeFleet, environment, program

BITS = 1_000_000
ROUND_TRIP = 0.3


def slow_line(fleet: FakeFleet, directory: Path, figures: Figures, samples: int, rate: float = 500) -> None:
    """Bytes a second and the latency of keys, with and without --saver, while visible rows change."""
    for option in ((), ("--saver",)):
        line = Throttle(BITS, ROUND_TRIP)
        command = [program(), *option, "--kubeconfig", str(fleet.kubeconfig())]
        name = f"slow line, {option[0] if option else 'as it is'}"
        with Console(command, environment(directory), throttle=line) as console:
            console.until(lambda seen: LIVE.search(seen) is not None, PATIENCE, what="the fleet")
            live = Session(console, fleet, figures, 0.0, samples)
            live.open_rows()
            with live.events(rate, hot=True):
                _, written = console.load(24)
                waits = [wait + ROUND_TRIP for wait in console.moves(walk(samples), gaps, patience=20)]
        figures.add(f"{name}: written at {rate:g} events/s", written / 1000, "kB/s", note=f"line: {BITS / 8000:g} kB/s")
        figures.add(f"{name}: key, p50", statistics.median(waits) * 1000, "ms", note="300 ms of it the line itself")
        figures.add(f"{name}: key, p95", quantile(waits, 0.95) * 1000, "ms")
