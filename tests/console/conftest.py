"""Waiting until the console has done what it was told, also on a machine that is busy with something else."""

from __future__ import annotations

import asyncio
import time

import pytest
from textual.widgets import Input

REST = 0.02
"""Seconds of a rest, in which what waits for a moment comes about."""
NOTHING = 0.001
"""CPU seconds of a process that has nothing to do."""
LATE = 0.02
"""Seconds that a rest may take longer; beyond, the process may have had work and no CPU."""
PATIENCE = 1.0
TURNS = 20


async def idle(min_sleep: float = REST, max_sleep: float = PATIENCE) -> None:
    """Return after a rest in which the process could have worked and did not, or after `max_sleep` seconds."""
    loop = asyncio.get_running_loop()
    until = loop.time() + max_sleep
    while loop.time() < until:
        cpu, began = time.process_time(), loop.time()
        await asyncio.sleep(max(REST, min_sleep))
        if time.process_time() - cpu < NOTHING and loop.time() - began < REST + LATE:
            break
    for _ in range(TURNS):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _no_blinking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cursor that stays: a picture is not of the half second in which it is taken."""
    monkeypatch.setattr(Input, "_toggle_cursor", lambda self: None)


@pytest.fixture(autouse=True)
def _idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual's own takes a process that gets no CPU for one that needs none."""
    for module in ("app", "pilot"):
        monkeypatch.setattr(f"textual.{module}.wait_for_idle", idle)
