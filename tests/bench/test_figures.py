"""The bench's own arithmetic and payloads: a wrong rig would make every figure worthless."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from fluxtui.fleet.rows import row_of
from fluxtui.fleet.states import State
from tests.bench import figures
from tests.bench.console import CURSOR
from tests.bench.figures import Figure, Figures, quantile
from tests.bench.payloads import MIX, first_look, variant
from tests.bench.server import now


@pytest.mark.parametrize(("value", "verdict"), [(0.2, "ok"), (0.3, "ok"), (0.6, "in proportion"), (0.61, "misses")])
def test_a_verdict_is_held_against_the_target_and_the_machine(value: float, verdict: str) -> None:
    assert Figure(name="start", value=value, unit="s", target=0.3, pace=2.0, base=0.1).verdict == verdict


def test_memory_is_no_matter_of_pace_and_a_fast_machine_moves_no_target() -> None:
    assert Figure(name="memory", value=400, unit="MB", target=320, pace=2.0).verdict == "misses"
    assert Figure(name="start", value=0.29, unit="s", target=0.3, pace=0.5).verdict == "ok"
    assert Figure(name="start", value=9, unit="s", pace=2.0).verdict == ""


def test_quantiles_are_samples() -> None:
    values = [float(value) for value in range(1, 101)]
    assert (quantile(values, 0.5), quantile(values, 0.95), quantile(values, 1.0)) == (50.0, 95.0, 100.0)
    assert quantile([7.0], 0.95) == 7.0


def test_results_are_read_back_as_the_table_of_the_readme(tmp_path: Path) -> None:
    taken = Figures()
    taken.add_times("key, quiet", [0.001, 0.002, 0.030], targets=(5, 20), base=1.0)
    taken.add("bytes", 3.0, "kB/s")
    file = tmp_path / "bench.json"
    file.write_bytes(taken.json())
    told, found = figures.read(file)
    assert found == taken.all
    table = figures.markdown(told, found)
    assert "p50" not in table, "what says less stays out"
    assert "| key, quiet, p95 | 30.0 ms | ≤ 20.0 ms | ≤ 20.0 ms |" in table
    assert "bytes" not in table, "without a target it is no promise"
    assert told["processor"] in table


def test_the_cursor_is_found_among_colours() -> None:
    line = b"\x1b[38;2;1;2;3;48;2;35;48;68m  \x1b[0m\x1b[38;2;9;9;9;48;2;35;48;68mks   \x1b[0m\x1b[1mks-00042\x1b[0m"
    assert CURSOR.findall(line) == [b"ks-00042"]
    assert CURSOR.findall(line.replace(b"48;2;35;48;68", b"48;5;236")) == [b"ks-00042"]
    assert CURSOR.findall(line.replace(b"48;2;35;48;68", b"48;2;15;19;24")) == []


def test_the_fake_objects_are_as_many_as_large_and_as_mixed_as_asked() -> None:
    collections = variant(3, 500, now())
    sizes = [len(first_look(body, 1, now())) for each in collections for body in each.bodies]
    assert len(sizes) == pytest.approx(500, abs=len(MIX))
    assert sum(sizes) / len(sizes) == pytest.approx(6000, rel=0.15)
    seen = {
        row_of("c", msgspec.json.decode(first_look(body, 1, now())), time.time()).state
        for each in collections
        for body in each.bodies
    }
    assert seen == {State.READY, State.FAILED}
    names = {body.name for each in collections for body in each.bodies}
    assert not names & {body.name for each in variant(4, 500, now()) for body in each.bodies}
