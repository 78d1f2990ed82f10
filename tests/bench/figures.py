"""Figures: what was measured beside what is wanted and what the machine can do; as a table, as JSON, as Markdown."""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure; smaller is better in all of them."""

    name: str
    value: float
    unit: str
    target: float | None = None
    limit: float | None = None
    """Where a build would be broken on a machine like the one the targets come from."""
    base: float | None = None
    """The calibration in the same unit, taken in the same run."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the calibration."""
        return self.value / self.base if self.base else None

    @property
    def verdict(self) -> str:
        """`ok`, `misses` the target, or `broken`: over the limit."""
        if self.target is None or self.value <= self.target:
            return "ok" if self.target is not None else ""
        return "misses" if self.limit is None or self.value <= self.limit else "broken"


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which so many of them are (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else math.nan


class Figures:
    """All figures of a run, in order."""

    def __init__(self) -> None:
        self.all: list[Figure] = []

    def add(self, name: str, value: float, unit: str, **more: Any) -> Figure:
        """Note a figure and show it."""
        figure = Figure(name=name, value=value, unit=unit, **more)
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
        rows = [("figure", "measured", "calibration", "ratio", "target", "", "")]
        rows += [(f.name, _shown(f.value, f.unit), _shown(f.base, f.unit), f"{f.ratio:.1f}×" if f.ratio else "",
                  _shown(f.target, f.unit, "≤ "), f.verdict, f.note) for f in self.all]  # fmt: skip
        widths = [max(len(row[column]) for row in rows) for column in range(7)]
        lines = []
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(row[n].rjust(widths[n]) for n in range(1, 5)), row[5].ljust(widths[5])]
            lines.append("  ".join([*cells, row[6]]).rstrip())
        return "\n".join(lines) + "\n"

    def json(self) -> bytes:
        """For programs: the machine and every figure with its ratio and verdict."""
        listed = [{**msgspec.to_builtins(f), "ratio": f.ratio, "verdict": f.verdict} for f in self.all]
        return msgspec.json.format(msgspec.json.encode({"machine": machine(), "figures": listed}), indent=2) + b"\n"


def read(path: Path) -> tuple[dict[str, str], list[Figure]]:
    """Machine and figures of a file written before."""
    document = msgspec.json.decode(path.read_bytes())
    return document["machine"], [msgspec.convert(each, Figure, strict=False) for each in document["figures"]]


def markdown(told: dict[str, str], figures: Iterable[Figure]) -> str:
    """The short table of the README: figures that have a target, in words."""
    lines = ["| figure | measured | target |", "|---|---:|---:|"]
    for each in figures:
        if each.target is not None:
            lines.append(f"| {each.name} | {_shown(each.value, each.unit)} | {_shown(each.target, each.unit, '≤ ')} |")
    where = f"{told['processor']}, {told['cores']} cores, {told['system']}, Python {told['python']}"
    return "\n".join(lines) + f"\n\nTaken on {told['date']} by `make bench` on {where}.\n"


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
