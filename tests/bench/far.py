"""Clusters that are far away or at the end of a bad line among near ones: what the others and the keys feel of them."""

from __future__ import annotations

from pathlib import Path

from tests.bench.figures import Figures
from tests.bench.live import FIRST_COUNTS, LIVE, PATIENCE, session
from tests.bench.rig import FakeFleet

ANSWERS_AFTER = 0.5
"""Seconds that a fifth of the clusters, the first on the screen among them, take for each answer."""
LOST = 0.05
"""Share of the packets of a tenth of the clusters that has to be sent again."""
RATE = 500.0


def far_clusters(fleet: FakeFleet, directory: Path, figures: Figures, echo: float, samples: int) -> None:
    """Time to the first objects and to a live fleet, then keys under load."""
    fleet.order("delay", seconds=ANSWERS_AFTER, clusters=max(1, fleet.clusters // 5))
    fleet.order("lossy", share=LOST, clusters=max(1, fleet.clusters // 10))
    try:
        with session(fleet, directory, figures, echo, samples) as live:
            console = live.console
            frame = console.until(lambda seen: b"cluster-000" in seen, PATIENCE, what="the first frame")
            first = console.until(lambda seen: FIRST_COUNTS.search(seen) is not None, PATIENCE, what="objects")
            done = console.until(lambda seen: LIVE.search(seen) is not None, PATIENCE, what="the fleet")
            figures.add("far clusters: first objects of a near one after the frame", first - frame, "s", target=0.6)
            figures.add("far clusters: all live after the frame", done - frame, "s")
            live.open_rows()
            with live.events(RATE):
                live.keys(f"far clusters, {RATE:g} events/s", (12, 35))
    finally:
        fleet.order("delay", seconds=0)
        fleet.order("lossy", share=0)
