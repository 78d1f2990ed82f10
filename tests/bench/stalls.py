"""Runs `fluxtui` with a watch on its event loop: how long it was busy without looking at its keys.

    python -m tests.bench.stalls FILE ARGUMENTS…

Writes to FILE, whenever a turn was long, JSON of `longest`, of `cpu`, the most CPU time that a turn took (a busy
machine makes turns long that are not), and of `over`: how many took longer than 20, 50 and 100 ms. Counted from half a
second after the loop began: the first frame is a figure of its own.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from pathlib import Path

from fluxtui.console import turns

AFTER = 0.5
LIMITS = (0.02, 0.05, 0.1)


class WatchedSelector(turns.FairSelector):
    """The console's selector that knows how long its loop was away."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.began = self.left = time.monotonic()
        self.longest, self.cpu, self.over = 0.0, 0.0, [0] * len(LIMITS)
        self.used = time.thread_time()

    def select(self, timeout: float | None = None) -> turns.Ready:
        away = time.monotonic() - self.left
        if self.left - self.began > AFTER and away > LIMITS[0]:
            self.over = [count + (away > limit) for count, limit in zip(self.over, LIMITS, strict=True)]
            self.longest = max(self.longest, away)
            self.cpu = max(self.cpu, time.thread_time() - self.used)
            report(self.file, self.longest, self.cpu, self.over)
        found = super().select(timeout)
        self.left, self.used = time.monotonic(), time.thread_time()
        return found


def report(file: Path, longest: float, cpu: float, over: list[int]) -> None:
    """Write the file in one go: it is read at any time."""
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps({"longest": longest, "cpu": cpu, "over": over}))
    fresh.replace(file)


if __name__ == "__main__":
    file = Path(sys.argv[1])
    report(file, 0.0, 0.0, [0] * len(LIMITS))
    vars(turns)["FairSelector"] = functools.partial(WatchedSelector, file)
    sys.argv = ["fluxtui", *sys.argv[2:]]
    from fluxtui.__main__ import main

    main()
