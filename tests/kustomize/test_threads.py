"""Builds of one process run in threads, the first ones, too."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys, threading
from pathlib import Path

sys.setswitchinterval(1e-6)
from fluxtui.kustomize import conversion, fieldspecs, kustomization

start = threading.Barrier(8)
problems = []


def first():
    start.wait()
    try:
        conversion.converted({"resources": ["a.yaml"], "images": [{"name": "a"}]}, kustomization.Kustomization, "x")
        fieldspecs.specs([{"path": "metadata/name", "kind": "A"}])
    except Exception as error:
        problems.append(error)


threads = [threading.Thread(target=first) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(problems)
"""


def test_the_first_builds_of_a_process_may_be_at_the_same_time() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr[-300:]) == (0, "[]\n", "")
