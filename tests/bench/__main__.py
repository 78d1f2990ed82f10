"""The bench.

python -m tests.bench                 every figure, a table, and build/bench.json (some ten minutes)
python -m tests.bench --short         a minute for CI: exit code 1 when a budget is broken
python -m tests.bench --only PART     start, verbs, live, stalls, far, slow, real; repeatable
python -m tests.bench --soak MINUTES  500 events a second with churn, for so long
python -m tests.bench --rest MINUTES  at rest on a real kube-apiserver ($KUBEBUILDER_ASSETS) with 2,000 objects
python -m tests.bench --readme        the table in the README, from build/bench.json
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests import apiserver, readme
from tests.bench import far, live, slow, starts
from tests.bench import figures as figuring
from tests.bench.figures import Figures
from tests.bench.real import real, small
from tests.bench.rig import ROOT, fake_fleet
from tests.bench.short import short
from tests.bench.soak import soak

PARTS = ("start", "verbs", "live", "stalls", "far", "slow", "real")
RESULT = ROOT / "build" / "bench.json"


def main() -> int:
    """Measure what is asked for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Figures of fluxtui under load.")
    parser.add_argument("--short", action="store_true", help="a minute for CI; 1 when a budget is broken")
    parser.add_argument("--only", action="append", choices=PARTS, help="a part of the figures; repeatable")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="memory and stalls over a long time")
    parser.add_argument("--rest", type=float, metavar="MINUTES", help="requests at rest on a real API server")
    parser.add_argument("--readme", action="store_true", help="write the README's table from the last run")
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--objects", type=int, default=500, help="of each cluster")
    parser.add_argument("--output", type=Path, default=RESULT, help="where the JSON goes")
    asked = parser.parse_args()
    # Whoever ends the bench early still gets what was measured.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if asked.readme:
        readme.write("figures", figuring.markdown(*figuring.read(asked.output)))
        return 0
    with tempfile.TemporaryDirectory(prefix="fluxtui-bench-") as name:
        directory = Path(name)
        if asked.short:
            return short(directory)
        figures = Figures()
        try:
            measure(asked, directory, figures)
        finally:
            sys.stdout.write(figures.table())
            asked.output.parent.mkdir(parents=True, exist_ok=True)
            asked.output.write_bytes(figures.json())
    return 0


def measure(asked: argparse.Namespace, directory: Path, figures: Figures) -> None:
    """Take the figures that are asked for."""
    figures.pace = starts.calibrated(directory)[0] / figuring.ECHO
    if asked.rest is not None:
        at_rest(directory, figures, asked.rest)
        return
    with fake_fleet(directory, asked.clusters, asked.objects) as fleet:
        if asked.soak is not None:
            soak(fleet, directory, figures, asked.soak)
            return
        for part in asked.only or PARTS:
            frame, echo = starts.calibrated(directory)
            figures.pace = frame / figuring.ECHO
            figures.add(f"calibration before {part}: Textual alone, exec to an answered key", frame, "s")
            figures.add(f"calibration before {part}: Textual alone, key, p50", echo * 1000, "ms")
            match part:
                case "start":
                    starts.start_up(figures, directory, fleet)
                case "verbs":
                    starts.verbs(figures, directory, fleet)
                case "live":
                    live.everything(fleet, directory, figures, echo)
                case "stalls":
                    live.stalls(fleet, directory, figures)
                case "far":
                    far.far_clusters(fleet, directory, figures, echo, 100)
                case "slow":
                    slow.slow_line(fleet, directory, figures, 60)
                case "real":
                    at_rest(directory, figures, 1)


def at_rest(directory: Path, figures: Figures, minutes: float) -> None:
    """On a real API server, where there is one."""
    binaries = apiserver.assets()
    if binaries is None:
        sys.stderr.write(f"skipped: {apiserver.MISSING}\n")
        return
    small(binaries, directory, figures)
    real(binaries, directory, figures, objects=2000, minutes=minutes)


if __name__ == "__main__":
    sys.exit(main())
