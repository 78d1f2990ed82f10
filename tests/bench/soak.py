"""A long time at 500 events a second with churn: memory must be flat, and no turn of the loop get longer."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

from tests.bench.console import Console
from tests.bench.figures import Figures
from tests.bench.live import LIVE, PATIENCE
from tests.bench.rig import FakeFleet
from tests.bench.starts import repository

RATE, CHURN = 500.0, 5.0
SAMPLES = 40


def soak(fleet: FakeFleet, directory: Path, figures: Figures, minutes: float) -> None:
    """Memory over the time, and the longest stalls of its two halves."""
    report = directory / "soak.json"
    command = [sys.executable, "-m", "tests.bench.stalls", str(report), "--kubeconfig", str(fleet.kubeconfig())]
    resident: list[tuple[float, float]] = []
    stalls: list[list[int]] = []
    with Console(command, repository(directory)) as console:
        console.until(lambda seen: LIVE.search(seen) is not None, PATIENCE, what="the fleet")
        fleet.order("events", rate=RATE, churn=CHURN)
        console.drain(10)
        began, cpu = time.monotonic(), console.cpu()
        for _ in range(SAMPLES):
            console.drain(minutes * 60 / SAMPLES)
            console.type("j")
            resident.append((time.monotonic() - began, console.resident()))
            stalls.append(json.loads(report.read_text())["over"])
        used = (console.cpu() - cpu) / (time.monotonic() - began) * 100
        sent = fleet.order("events")["sent"]
    half = SAMPLES // 2
    moments, values = zip(*resident[half:], strict=True)
    slope = statistics.linear_regression(moments, values).slope * 60
    note = f"{sent} events in {minutes:g} minutes, {CHURN:g} rows a second come and go"
    figures.add("soak: memory at the end", values[-1], "MB", note=note)
    figures.add("soak: memory grown", values[-1] - resident[0][1], "MB", target=30)
    figures.add("soak: memory grown a minute, second half", slope, "MB")
    figures.add("soak: turns over 50 ms, first half", stalls[half - 1][1] - stalls[0][1], "")
    figures.add("soak: turns over 50 ms, second half", stalls[-1][1] - stalls[half - 1][1], "")
    figures.add("soak: CPU", used, "%", target=12)
