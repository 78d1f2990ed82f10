"""The console at work: reading the fleet, keys under load, what it costs in CPU, memory and bytes."""

from __future__ import annotations

import contextlib
import functools
import json
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from fluxtui.console.screens.details import SETTLE
from tests.bench.console import BAR, Console, Late
from tests.bench.figures import Figures
from tests.bench.payloads import MIX
from tests.bench.rig import ROOT, FakeFleet, environment, program
from tests.bench.starts import pace, repository

ANSWERS_AFTER = 0.05
"""Seconds a fake API server takes to answer while the console reads the fleet."""
PATIENCE = 120.0
MEMORY, GROWTH, KEPT = 180, 30, 80
"""MB after the sync over HTTP/2, how many more after some hours, and how many more with all objects kept in full."""
FIRST_COUNTS = re.compile("✓ \\d".encode())
LIVE = re.compile(rb"[m ]live\b")
UP, DOWN, HOME, RIGHT = "k", "j", "\x1b[H", "\x1b[C"


def bare_read(fleet: FakeFleet, directory: Path) -> dict[str, float]:
    """What a client needs that only reads the same lists."""
    paths = [f"/apis/{kind.group}/{kind.versions[0]}/{kind.plural}" for kind, _ in MIX]
    command = [sys.executable, "-m", "tests.bench.calibration", "read", str(fleet.kubeconfig()), *paths]
    done = subprocess.run(command, env=repository(directory), cwd=ROOT, check=True, capture_output=True)
    said: dict[str, float] = json.loads(done.stdout)
    return said


def gaps(index: int) -> float:
    """Seconds between keys: irregular, as fingers are."""
    return 0.035 + index * 37 % 11 * 0.006


def holds(token: bytes, seen: bytes) -> bool:
    """Whether the screen has got a text."""
    return token in seen


def walk(count: int, span: int = 30) -> str:
    """Keys that move down and up again within so many lines."""
    return "".join(DOWN if index // span % 2 == 0 else UP for index in range(count))


class Session:
    """A console on the whole fleet, and the figures taken from it one after the other."""

    def __init__(self, console: Console, fleet: FakeFleet, figures: Figures, echo: float, samples: int) -> None:
        """`echo` is the calibration of keys in seconds, `samples` how many keys make a figure."""
        self.console = console
        self.fleet = fleet
        self.figures = figures
        self.echo = echo * 1000
        self.samples = samples

    def sync(self, bare: dict[str, float]) -> None:
        """From the first frame to a fleet that is live, with keys pressed all the time."""
        console, figures = self.console, self.figures
        frame = console.until(lambda seen: b"cluster-000" in seen, 20, what="the first frame")
        first, done, waits = 0.0, 0.0, []
        cpu = console.cpu()
        seen = b""
        for index in range(100_000):
            key = DOWN if index // 20 % 2 == 0 else UP
            before = console.under_cursor()
            typed, answered = console.type(key), 0.0
            deadline = typed + gaps(index)
            while (now := time.monotonic()) < deadline or (not answered and now < typed + 5):
                data = console.pump(max(0.001, deadline - now) if answered else 0.05)
                seen = (seen + data)[-4096:]
                if not answered and data and console.under_cursor() != before:
                    answered = time.monotonic()
                if not first and FIRST_COUNTS.search(seen):
                    first = time.monotonic()
                if not done and LIVE.search(seen):
                    done = time.monotonic()
            if answered:
                waits.append(answered - typed)
            if done:
                break
            if time.monotonic() - frame > PATIENCE:
                raise Late("the fleet was not read in time")
        count = self.fleet.clusters * self.fleet.objects
        cpu = console.cpu() - cpu
        # The machine's pace changes within seconds: what it was before and what it is now tell what it was meanwhile.
        earlier = figures.pace
        self.pace()
        figures.pace = (earlier + figures.pace) / 2
        figures.add("first cluster's objects after the frame", first - frame, "s", target=0.6)
        figures.add(f"sync of {count} objects", done - frame, "s", target=4, base=bare["seconds"])
        figures.add(f"CPU of that sync, {len(waits)} keys included", cpu, "s", base=bare["cpu"])
        figures.add_times("key during sync", waits, targets=(20, 60, 120), base=self.echo)
        console.drain(2)
        figures.add("memory after sync", console.resident(), "MB", target=MEMORY)

    def pace(self) -> None:
        """Note how slow the machine is just now."""
        self.figures.pace = pace(self.fleet.directory)

    def rest(self, seconds: float) -> None:
        """Without events, once versions are known and what came with the start is done."""
        self.console.drain(15)
        self.pace()
        cpu, written = self.console.load(seconds)
        self.figures.add("CPU without events", cpu, "%", target=0.5)
        self.figures.add("written to the terminal without events", written / 1000, "kB/s")

    def open_rows(self) -> None:
        """The first cluster's Kustomizations lie open, the cursor among them."""
        self.console.drain(1)
        self.console.type(HOME)
        self.console.settle(0.3, 1.5)
        self.console.type(RIGHT)
        for name in ("sources", "kustomizations"):
            self.console.settle(0.3, 1.5)
            self.console.type(DOWN)
            self._wait_for_cursor(name)
        self.console.type(RIGHT)
        self.console.settle(0.3, 1.5)
        self.console.type(DOWN)
        self._wait_for_cursor("ks-")

    def _wait_for_cursor(self, text: str) -> None:
        pattern = re.compile(BAR + text.encode())
        self.console.until(lambda seen: pattern.search(seen) is not None, PATIENCE, what=f"the cursor on {text}")

    def keys(self, name: str, targets: tuple[float, float]) -> None:
        """Time the cursor."""
        waits = self.console.moves(walk(self.samples), gaps)
        self.figures.add_times(f"key, {name}", waits, targets=targets, base=self.echo)

    def load(self, rate: float, targets: tuple[float, float], cpu: float, seconds: float, *, hot: bool) -> None:
        """Keys, CPU and bytes while events come."""
        what = f"{rate:g} events/s {'on visible rows' if hot else 'all over'}"
        self.pace()
        with self.events(rate, hot=hot):
            used, written = self.console.load(seconds)
            self.figures.add(f"CPU at {what}", used, "%", target=cpu)
            self.figures.add(f"written to the terminal at {what}", written / 1000, "kB/s")
            self.keys(what, targets)

    @contextlib.contextmanager
    def events(self, rate: float, *, hot: bool = False, churn: float = 0.0) -> Iterator[None]:
        """A time in which events come."""
        self.fleet.order("events", rate=rate, hot=hot, churn=churn)
        self.console.drain(1.5)
        try:
            yield
        finally:
            self.fleet.order("events")
            self.console.drain(0.5)

    def to_screen(self, rate: float, count: int) -> None:
        """From an event that is sent to its words on the screen, while others come."""
        waits = []
        with self.events(rate):
            for index in range(count):
                self.console.drain(random.uniform(0.05, 0.15))
                token = f"probe{index:05}"
                began = time.monotonic()
                self.fleet.order("probe", row=index % 20, message=token)
                waits.append(self.console.until(functools.partial(holds, token.encode()), 10, what=token) - began)
        self.figures.add_times(f"event to screen at {rate:g} events/s", waits, targets=(40, 100))

    def typed(self, name: str, keys: list[str], target: float | None, *, quiet: float = 0.15) -> None:
        """From each key to the last byte of what it changes before `quiet` seconds, while nothing else happens."""
        waits = []
        for key in keys:
            self.console.settle(0.25, 1.5)
            waits.append(self.console.response(key, quiet))
        self.figures.add(f"{name}, median of {len(waits)}", statistics.median(waits) * 1000, "ms", target=target)

    def wake(self) -> None:
        """All watches cut at once."""
        watches = self.fleet.order("tell")["watches"]
        began = time.monotonic()
        self.fleet.order("cut")
        waits = self.console.moves(walk(min(60, self.samples), 15), gaps)
        while self.fleet.order("tell")["watches"] < watches:
            if time.monotonic() - began > PATIENCE:
                raise Late("the watches did not come back")
            self.console.drain(0.1)
        self.figures.add(f"all {watches} watches cut: back after", time.monotonic() - began, "s")
        self.figures.add_times("key while they come back", waits, targets=(20, 60, 120), base=self.echo)


@contextlib.contextmanager
def session(
    fleet: FakeFleet, directory: Path, figures: Figures, echo: float, samples: int, *options: str
) -> Iterator[Session]:
    """A console on all clusters of the fleet."""
    command = [program(), "--kubeconfig", str(fleet.kubeconfig()), *options]
    with Console(command, environment(directory)) as console:
        yield Session(console, fleet, figures, echo, samples)


def everything(fleet: FakeFleet, directory: Path, figures: Figures, echo: float) -> None:
    """All figures of one long session."""
    fleet.order("delay", seconds=ANSWERS_AFTER)
    bare = bare_read(fleet, directory)
    with session(fleet, directory, figures, echo, 120) as live:
        live.sync(bare)
        fleet.order("delay", seconds=0)
        live.rest(40)
        live.open_rows()
        live.keys("quiet", (5, 20))
        for rate, targets, cpu in ((500, (12, 35), 12), (2000, (20, 50), 25)):
            for hot in (False, True):
                live.load(rate, targets, cpu, 6, hot=hot)
        live.to_screen(500, 60)
        live.typed("open the YAML of an object", ["y", "d"] * 4, None)
        # What the pane asks of the cluster once the cursor has rested on the first match is not the filter's work.
        live.typed("filter key over all rows", ["/", *"ks-00"], 30, quiet=SETTLE * 2 / 3)
        live.console.type("\x1b")
        live.console.settle()
        live.console.type("\x1b")
        live.console.settle()
        live.typed("switch the view", ["V"] * 10, None)
        live.figures.add("memory at the end", live.console.resident(), "MB", target=MEMORY + GROWTH)
        live.wake()
    kept(fleet, directory, figures)


def kept(fleet: FakeFleet, directory: Path, figures: Figures) -> None:
    """What it takes to keep all objects in full."""
    with session(fleet, directory, figures, 0.0, 0, "--keep-objects") as live:
        live.console.until(lambda seen: LIVE.search(seen) is not None, PATIENCE, what="the fleet")
        began = time.monotonic()
        while fleet.order("tell")["watches"] < fleet.clusters * len(MIX):
            if time.monotonic() - began > PATIENCE:
                raise Late("not all kinds were read")
            live.console.drain(0.1)
        live.console.drain(2)
        figures.add("memory after sync, full objects kept", live.console.resident(), "MB", target=MEMORY + KEPT)


def stalls(fleet: FakeFleet, directory: Path, figures: Figures) -> None:
    """The longest time the event loop was away: while reading, under load and when all watches come back."""
    report = directory / "stalls.json"
    command = [sys.executable, "-m", "tests.bench.stalls", str(report), "--kubeconfig", str(fleet.kubeconfig())]
    with Console(command, repository(directory)) as console:
        console.until(lambda seen: LIVE.search(seen) is not None, PATIENCE, what="the fleet")
        synced = json.loads(report.read_text())
        fleet.order("events", rate=500, churn=5)
        console.drain(8)
        loaded = json.loads(report.read_text())
        fleet.order("cut")
        console.drain(10)
        # Leaving has long turns, too, and nobody waits for a key then.
        woken = json.loads(report.read_text())
        fleet.order("events")
    for name, said in (("during sync", synced), ("with 500 events/s", loaded), ("with all watches cut", woken)):
        over = ", ".join(f"{count} over {limit}" for count, limit in zip(said["over"], (20, 50, 100), strict=True))
        figures.add(f"longest stall, {name}", said["longest"] * 1000, "ms", target=50, note=f"{over} ms")
        figures.add(f"most CPU of a turn, {name}", said["cpu"] * 1000, "ms", target=50)
