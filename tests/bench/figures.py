"""Figures: what was measured beside what is wanted and what the machine can do; as a table, as JSON, as Markdown."""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

ECHO = 0.155
"""Seconds from exec to an answered key of the echo app on the machine the targets were set on."""
_PACED = frozenset({"s", "ms", "%"})
_SHORT = (
    "exec to ",
    "first cluster's objects",
    "fluxtui get",
    "sync of",
    "key during sync, p95",
    "memory after sync",
    "CPU without events",
    "key, quiet, p95",
    "CPU at 500 events/s all over",
    "key, 500 events/s all over, p95",
    "event to screen at 500 events/s, p95",
    "CPU at 2000 events/s all over",
    "key, 2000 events/s all over, p95",
    "filter key",
    "longest stall",
    "CPU on it at rest",
)
"""How the names of those begin that the README tells."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure; smaller is better in all of them."""

    name: str
    value: float
    unit: str
    target: float | None = None
    base: float | None = None
    """The calibration in the same unit, taken in the same run."""
    pace: float = 1.0
    """How many times slower this machine was just then than the one the targets were set on."""
    note: str = ""

    @property
    def fair(self) -> float | None:
        """The target in proportion to the machine: what is a time, or a share of one, takes as much longer."""
        if self.target is None or self.unit not in _PACED:
            return self.target
        return self.target * max(1.0, self.pace)

    @property
    def ratio(self) -> float | None:
        """How many times the calibration."""
        return self.value / self.base if self.base else None

    @property
    def verdict(self) -> str:
        """`ok`, `in proportion` to the machine, or what is over the target even so: `misses`."""
        if self.target is None or self.fair is None:
            return ""
        if self.value <= self.target:
            return "ok"
        return "in proportion" if self.value <= self.fair else "misses"


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which so many of them are (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else math.nan


class Figures:
    """All figures of a run, in order."""

    def __init__(self) -> None:
        self.all: list[Figure] = []
        self.pace = 1.0

    def add(self, name: str, value: float, unit: str, **more: Any) -> Figure:
        """Note a figure and show it."""
        figure = Figure(name=name, value=value, unit=unit, pace=self.pace, **more)
        self.all = [each for each in self.all if each.name != name] + [figure]
        return figure

    def add_times(
        self, name: str, seconds: Sequence[float], *, targets: Sequence[float | None], base: float | None = None
    ) -> None:
        """Note p50, p95 and the longest of some times, in ms; targets in ms in that order."""
        p50, p95, most = (*targets, None, None, None)[:3]
        note = f"{len(seconds)} samples"
        self.add(f"{name}, p50", statistics.median(seconds) * 1000, "ms", target=p50, base=base, note=note)
        self.add(f"{name}, p95", quantile(seconds, 0.95) * 1000, "ms", target=p95)
        self.add(f"{name}, longest", max(seconds) * 1000, "ms", target=most)

    def table(self) -> str:
        """For people."""
        rows = [("figure", "measured", "calibration", "ratio", "target", "here", "", "")]
        for f in self.all:
            ratio, here = f"{f.ratio:.1f}×" if f.ratio else "", _shown(f.fair, f.unit, "≤ ")
            measured, base, target = _shown(f.value, f.unit), _shown(f.base, f.unit), _shown(f.target, f.unit, "≤ ")
            rows.append((f.name, measured, base, ratio, target, here, f.verdict, f.note))
        widths = [max(len(row[column]) for row in rows) for column in range(8)]
        lines = []
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(row[n].rjust(widths[n]) for n in range(1, 6)), row[6].ljust(widths[6])]
            lines.append("  ".join([*cells, row[7]]).rstrip())
        return "\n".join(lines) + "\n"

    def json(self) -> bytes:
        """For programs: the machine and every figure with its ratio and verdict."""
        listed = [{**msgspec.to_builtins(f), "ratio": f.ratio, "fair": f.fair, "verdict": f.verdict} for f in self.all]
        return msgspec.json.format(msgspec.json.encode({"machine": machine(), "figures": listed}), indent=2) + b"\n"


def read(path: Path) -> tuple[dict[str, str], list[Figure]]:
    """Machine and figures of a file written before."""
    document = msgspec.json.decode(path.read_bytes())
    return document["machine"], [msgspec.convert(each, Figure, strict=False) for each in document["figures"]]


def markdown(told: dict[str, str], figures: Sequence[Figure]) -> str:
    """The short table of the README: of the figures that have a target those that say most, kept or not."""
    lines = ["| figure | measured | target | in proportion to the machine |", "|---|---:|---:|---:|"]
    for each in figures:
        if each.target is not None and each.name.startswith(_SHORT):
            shown = _shown(each.value, each.unit), *(_shown(most, each.unit, "≤ ") for most in (each.target, each.fair))
            lines.append(f"| {' | '.join((each.name, *shown))} |")
    where = f"{told['processor']}, {told['cores']} cores, {told['system']}, Python {told['python']}"
    paces = [each.pace for each in figures]
    pace = f"{min(paces):.1f} to {max(paces):.1f}"
    words = f"Taken on {told['date']} by `make bench` on {where}, which was then {pace} times as slow as the machine"
    return "\n".join(lines) + f"\n\n{words} of the targets.\n"


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    from datetime import UTC, datetime

    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line[:10] == "model name"]
        processor = names[0] if names else processor
    return {
        "processor": processor,
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def _shown(value: float | None, unit: str, lead: str = "") -> str:
    if value is None:
        return ""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{lead}{value:.{digits}f} {unit}"
