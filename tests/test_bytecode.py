"""Sharing the compilation of the first start with a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fluxtui import bytecode

SHARE = """
import os, sys, threading
from fluxtui import bytecode
os.cpu_count = lambda: 2
bytecode.PACKAGES = ("fluxtui.console.tabs", "fluxtui.console.widgets")
bytecode.share_compiling()
children = [thread for thread in threading.enumerate() if thread.name == "byte code"]
for thread in children:
    thread.join(60)
try:
    os.waitpid(-1, os.WNOHANG)
    print("a child is left")
except ChildProcessError:
    print(len(children))
"""


def share(**environment: str) -> str:
    """How many child processes a start has had; it must say nothing else."""
    environment = {"PATH": "/usr/bin:/bin", **environment}
    command = [sys.executable, "-c", SHARE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=environment)
    assert not done.stderr
    return done.stdout.strip()


def modules(folder: Path) -> set[str]:
    """Names of the compiled modules anywhere below a folder."""
    return {path.name.partition(".")[0] for path in folder.rglob("*.pyc")}


def test_a_child_compiles_what_has_no_byte_code(tmp_path: Path) -> None:
    assert share(PYTHONPYCACHEPREFIX=str(tmp_path)) == "1"
    assert {"overview", "manifest", "pane", "tree", "document"} <= modules(tmp_path)


def test_python_takes_what_the_child_compiled(tmp_path: Path) -> None:
    share(PYTHONPYCACHEPREFIX=str(tmp_path))
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("tabs/*.pyc")}
    command = [sys.executable, "-c", "import fluxtui.console.tabs.overview, fluxtui.console.tabs.manifest"]
    subprocess.run(command, check=True, timeout=120, env={"PYTHONPYCACHEPREFIX": str(tmp_path)})
    assert written
    assert written == {path: path.stat().st_mtime_ns for path in written}


def test_a_console_that_was_started_before_needs_no_child(tmp_path: Path) -> None:
    environment = {"PYTHONPYCACHEPREFIX": str(tmp_path)}
    subprocess.run([sys.executable, "-c", "import fluxtui.console.app"], check=True, timeout=120, env=environment)
    assert share(**environment) == "0"


def test_no_child_where_python_is_to_write_no_byte_code(tmp_path: Path) -> None:
    assert share(PYTHONPYCACHEPREFIX=str(tmp_path), PYTHONDONTWRITEBYTECODE="1") == "0"
    assert not modules(tmp_path)


def test_a_child_ends_at_once_where_nothing_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert share(PYTHONPYCACHEPREFIX=str(file / "below")) == "1"


def test_a_start_goes_on_where_no_process_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse() -> int:
        asked.append(True)
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    bytecode.share_compiling()
    assert asked


@pytest.mark.parametrize("package", bytecode.PACKAGES)
def test_what_is_compiled_are_packages(package: str) -> None:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
