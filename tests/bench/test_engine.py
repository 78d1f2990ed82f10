"""The tables of the controllers' benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import engine
from tests.bench.engine import OURS, UPSTREAM, Result, markdown, rows, table
from tests.bench.engine_work import PHASES, Measured

MACHINE = {"processor": "a processor", "cores": "2", "system": "Linux", "python": "3.11", "date": "2026-01-01"}


def measured(factor: float) -> Measured:
    return Measured(seconds=10 * factor, cpu=2 * factor, server=4 * factor, requests=100 * factor, memory=60 * factor)


def result(*contestants: str) -> Result:
    rounds = {OURS: [measured(1), measured(3), measured(1)], UPSTREAM: [measured(4)]}
    phases = {phase: {name: rounds[name] for name in contestants} for phase in PHASES}
    return Result(MACHINE, 20, phases)


def test_the_median_of_the_rounds_counts_for_each_kustomization() -> None:
    found = {(row.title, row.unit): row for row in rows(result(OURS, UPSTREAM))}
    assert found["created, until all are Ready", "s"].values == {OURS: 10, UPSTREAM: 40}
    assert found["created, until all are Ready", "ms CPU each"].values == {OURS: 100, UPSTREAM: 400}
    assert found["asked for again, nothing changed", "API requests each"].values == {OURS: 5, UPSTREAM: 20}
    assert found["at rest", "API requests an hour"].values == {OURS: 12_000, UPSTREAM: 48_000}
    assert {row.share for row in found.values()} == {0.25}
    assert [title for title, unit in found if unit == "API requests an hour"] == ["at rest"]


def test_the_tables_put_the_contestants_side_by_side() -> None:
    told = markdown(result(OURS, UPSTREAM))
    assert "| 20 Kustomizations | time | CPU each | API requests each | memory |" in told
    assert "| created, until all are Ready | 10.0 s (40.0) | 100 ms (400) | 5.00 (20.0) | 60.0 MiB (240) |" in told
    assert "| at rest | | | 12,000 an hour in all (48,000) | |" in told
    assert "a processor, 2 cores" in told
    assert "0.25×" in table(result(OURS, UPSTREAM))


def test_without_upstream_there_is_nothing_to_compare() -> None:
    told = markdown(result(OURS, UPSTREAM), result(OURS))
    assert "| created, until all are Ready | 10.0 s | 100 ms | 5.00 | 60.0 MiB |" in told
    assert "×" not in table(result(OURS))


def test_the_directory_of_the_result_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.setattr(engine, "measure", lambda *_: result(OURS))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    output = tmp_path / "build" / "deep" / "bench.json"
    engine.main([f"--output={output}"])
    assert output.stat().st_size


def test_without_a_result_there_is_a_word_about_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="does not exist: measure before"):
        engine.main(["--readme", str(tmp_path / "none.json")])
