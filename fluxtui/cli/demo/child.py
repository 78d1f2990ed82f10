"""A process of the demo that ends with it: `python -m fluxtui.cli.demo.child sandbox --clusters 3`.

Runs a fluxtui command and terminates it when standard input closes, which happens even when the demo is killed; then
removes the demo's folder, named by `FLUXTUI_DEMO_FOLDER`. A command that does not end soon is ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time

FOLDER = "FLUXTUI_DEMO_FOLDER"
GRACE = 5.0
"""Seconds in which a command must have ended once the demo is gone: its clusters are gone, too."""


def main() -> None:
    """Run the command given by the arguments until standard input closes."""
    # Whatever is being imported when the demo goes, the folder is removed.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        threading.Thread(target=_end_with_parent, daemon=True).start()
        from fluxtui.cli.main import cli

        cli(sys.argv[1:], prog_name="fluxtui")
    finally:
        if orphaned.is_set():
            _remove_folder()


orphaned = threading.Event()
"""Set once the demo is gone."""


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    orphaned.set()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    _remove_folder()
    os._exit(1)


def _remove_folder() -> None:
    """Remove the demo's folder, as often as a git that outlived the demo still writes to it."""
    folder = os.environ.get(FOLDER)
    deadline = time.monotonic() + GRACE
    while folder and os.path.exists(folder) and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
