"""Random overlays built here and by the real `kustomize`: the same bytes, or a refusal by both.

`kustomize` is looked for in `KUBEBUILDER_ASSETS` and on PATH. `FLUXTUI_EXAMPLES` is how many overlays are built,
other ones each time, and asks for the smallest that fails; without it they are few and always the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from fluxtui.kustomize import KustomizeError, build
from tests.conformance.overlaid import overlays
from tests.conformance.overlays import Files

EXAMPLES = int(os.environ.get("FLUXTUI_EXAMPLES", "40"))


def binary() -> str | None:
    """The real kustomize."""
    places = [os.environ.get("KUBEBUILDER_ASSETS", ""), os.environ.get("PATH", "")]
    return shutil.which("kustomize", path=os.pathsep.join(filter(None, places)))


KUSTOMIZE = binary()
pytestmark = pytest.mark.skipif(KUSTOMIZE is None, reason="no kustomize in KUBEBUILDER_ASSETS or on PATH")


def write(files: Files, root: Path) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\x00" if name.endswith(".bin") else text.encode())


def theirs(directory: Path) -> str | None:
    """What the real kustomize prints, None when it refuses."""
    done = subprocess.run(
        [KUSTOMIZE or "kustomize", "build", str(directory)], capture_output=True, timeout=60, check=False
    )
    return done.stdout.decode() if done.returncode == 0 else None


def ours(directory: Path) -> str | None:
    """What this builder prints, None when it refuses."""
    try:
        return build(str(directory)).to_yaml()
    except KustomizeError:
        return None


@settings(
    max_examples=EXAMPLES,
    derandomize="FLUXTUI_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    phases=tuple(Phase) if "FLUXTUI_EXAMPLES" in os.environ else (Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@pytest.mark.timeout(0 if "FLUXTUI_EXAMPLES" in os.environ else 900)
@given(files=overlays())
def test_overlays_are_built_alike(files: Files) -> None:
    with tempfile.TemporaryDirectory() as root:
        write(files, Path(root))
        directory = Path(root) / "overlay"
        assert ours(directory) == theirs(directory)
