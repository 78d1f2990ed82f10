"""Log lines in controller-runtime's shape."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from fluxtui.engine.runtime import logs
from fluxtui.engine.runtime.logs import logging_to


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_says_which_object_it_is_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = {"controller": "kustomization", "Kustomization": {"name": "apps", "namespace": "flux-system"}}
    with logging_to(logging.INFO, tmp_path / "logs" / "engine.jsonl"):
        logging.getLogger("fluxtui.engine").info("applied", extra={"fields": fields})
        logging.getLogger("fluxtui.engine.leases").warning("late")
        logging.getLogger("fluxtui.engine").debug("not this")
    for text in (capsys.readouterr().err, (tmp_path / "logs" / "engine.jsonl").read_text()):
        first, second = lines(text)
        assert list(first) == ["level", "ts", "msg", "controller", "Kustomization"]
        assert (first["level"], first["msg"]) == ("info", "applied")
        assert first["Kustomization"] == {"name": "apps", "namespace": "flux-system"}
        assert str(first["ts"]).endswith("Z")
        assert len(str(first["ts"])) == len("2026-11-21T05:14:00.845Z")
        assert (second["logger"], second["msg"]) == ("engine.leases", "late")


def test_an_error_carries_its_traceback_on_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to(logging.INFO):
        try:
            raise ValueError("odd \x1b[31mtext\n")
        except ValueError as error:
            logging.getLogger("fluxtui.engine").error("failed", exc_info=error)
    (line,) = lines(capsys.readouterr().err)
    assert (line["level"], line["error"]) == ("error", "odd \x1b[31mtext\n")
    assert "Traceback" in str(line["stacktrace"])


def test_the_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FILE_LIMIT", 2000)
    with logging_to(logging.INFO, tmp_path / "engine.jsonl"):
        for number in range(200):
            logging.getLogger("fluxtui.engine").info("line %d", number)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["engine.jsonl", "engine.jsonl.1"]
    assert sum(file.stat().st_size for file in files) <= 4000
    assert lines(files[0].read_text())[-1]["msg"] == "line 199"


def test_the_logging_of_the_process_is_as_before_afterwards() -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    with logging_to(logging.DEBUG):
        pass
    assert (root.level, list(root.handlers)) == before
