"""What a shell offers after `fluxtui`, asked as the shells' scripts ask."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / "fluxtui"


def offered(words: str, position: int) -> set[str]:
    """The values that bash is given for the word at a position of a command line."""
    environment = {
        **os.environ,
        "_FLUXTUI_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(position),
    }
    done = subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == ""
    return {line.partition(",")[2] for line in done.stdout.splitlines() if line}


@pytest.mark.parametrize(
    ("words", "position", "expected"),
    [
        ("fluxtui re", 1, {"reconcile", "resume"}),
        ("fluxtui --kube", 1, {"--kubeconfig"}),
        ("fluxtui --ver", 1, {"--version"}),
        ("fluxtui --help", 1, {"--help"}),
        ("fluxtui engine --kube", 2, {"--kubeconfig"}),
        ("fluxtui --ascii --kube", 2, {"--kubeconfig"}),
        ("fluxtui zzz", 1, set()),
    ],
)
def test_commands_and_options_are_completed(words: str, position: int, expected: set[str]) -> None:
    assert offered(words, position) == expected


def test_every_command_is_offered() -> None:
    assert offered("fluxtui ", 1) >= {"get", "engine", "demo", "version"}
