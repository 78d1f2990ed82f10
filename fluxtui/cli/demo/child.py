"""A process of the demo that ends with it: `python -m fluxtui.cli.demo.child sandbox --clusters 3`.

Runs a fluxtui command and terminates it when standard input closes, which happens even when the demo is killed; then
removes the demo's folder, named by `FLUXTUI_DEMO_FOLDER`.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading

FOLDER = "FLUXTUI_DEMO_FOLDER"


def main() -> None:
    """Run the command given by the arguments until standard input closes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from fluxtui.cli.main import cli

    try:
        cli(sys.argv[1:], prog_name="fluxtui")
    finally:
        folder = os.environ.get(FOLDER)
        if folder and orphaned.is_set():
            shutil.rmtree(folder, ignore_errors=True)


orphaned = threading.Event()
"""Set once the demo is gone."""


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    orphaned.set()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
