"""The engine's directory: one engine at a time, one identity for life."""

from __future__ import annotations

from pathlib import Path

import pytest

from fluxtui.engine.runtime.storage import StorageError, default_directory, locked


def test_the_identity_outlives_the_process_but_not_the_directory(tmp_path: Path) -> None:
    with locked(tmp_path / "a") as first:
        assert first.startswith("fluxtui_")
    with locked(tmp_path / "a") as again, locked(tmp_path / "b") as other:
        assert again == first
        assert other != first


def test_the_identity_of_another_host_is_not_taken_over(tmp_path: Path) -> None:
    with locked(tmp_path) as first:
        pass
    (tmp_path / "identity").write_text("fluxtui_elsewhere_" + first.rpartition("_")[2])
    with locked(tmp_path) as second:
        assert second != first
        assert "elsewhere" not in second


def test_a_second_engine_is_kept_out(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(StorageError, match="another engine uses"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_directory_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/x can't be used as storage"), locked(tmp_path / "file" / "x"):
        pass


def test_the_default_follows_the_base_directories(tmp_path: Path) -> None:
    assert default_directory({"XDG_STATE_HOME": "/state"}) == Path("/state/fluxtui/engine")
    assert default_directory({"HOME": "/home/me"}) == Path("/home/me/.local/state/fluxtui/engine")
