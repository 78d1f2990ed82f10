"""The collector of circular garbage waits until the fleet is read."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from fluxtui.console import garbage


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.enable()
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.looptime
async def test_it_begins_when_all_is_read_and_looks_at_what_came_later_only() -> None:
    gc.disable()
    seen: list[bool] = []

    def is_read() -> bool:
        seen.append(gc.isenabled())
        return len(seen) == 3

    await garbage.begin_when(is_read)
    assert seen == [False, False, False]
    assert gc.isenabled()
    assert gc.get_threshold() == garbage.THRESHOLDS
    assert gc.get_freeze_count() > 10_000


@pytest.mark.looptime
async def test_a_fleet_that_is_never_read_keeps_it_from_work_for_a_minute_only() -> None:
    gc.disable()
    await garbage.begin_when(lambda: False)
    assert gc.isenabled()


async def test_where_it_runs_already_it_is_left_alone() -> None:
    thresholds = gc.get_threshold()
    await garbage.begin_when(lambda: True)
    assert gc.get_threshold() == thresholds
