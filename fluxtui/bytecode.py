"""The first start after an installation: missing byte code is compiled on two cores instead of one.

Wheels bring no byte code and uv, unlike pip, makes none when it installs them. Python then compiles each module when it
is imported, one after the other, and the console's first frame would take four times as long as any later one. So a
child process compiles packages that the start comes to later, while the start itself compiles from the front; each
finds what the other has done. Both write as importlib does, whole files under their final name, so that nobody reads
half of one.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import cache_from_source

PACKAGES = (
    "asyncio",
    "yaml",
    "fluxtui.console.tabs",
    "fluxtui.console.widgets",
    "fluxtui.console.screens",
    "fluxtui.console",
    "fluxtui.fleet",
    "textual",
    "textual.layouts",
    "textual.css",
    "fluxtui.kube",
)
"""What the console imports, as far as nearly all of a package is needed: what the start has soon come to, then the last
first, until both meet."""
LAST = os.path.join(os.path.dirname(__file__), "console", "app.py")
"""The last module of the console to be imported."""


def share_compiling() -> None:
    """Have a child process compile, if the console has never been started yet and its byte code may be kept.

    Must be called while there is one thread: the process is forked. The child ends with its parent, at the latest.
    """
    if sys.dont_write_bytecode or (os.cpu_count() or 1) < 2 or os.path.exists(cache_from_source(LAST)):
        return
    parent = os.getpid()
    try:
        child = os.fork()
    except OSError:
        # No room for another process, or none allowed.
        return
    if child:
        threading.Thread(target=os.waitpid, args=(child, 0), name="byte code", daemon=True).start()
        return
    try:
        _be_silent()
        for package in PACKAGES:
            _compile(package, parent)
    finally:
        # Whatever went wrong here, the parent compiles for itself, and says so if it can't.
        os._exit(0)


def _be_silent() -> None:
    """Let go of the terminal."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)


def _compile(package: str, parent: int) -> None:
    """Write the byte code of a package's modules that have none, large ones first."""
    top, *below = package.split(".")
    spec = PathFinder.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return
    folder = os.path.join(spec.submodule_search_locations[0], *below)
    sources = [entry for entry in os.scandir(folder) if entry.name.endswith(".py")]
    for source in sorted(sources, key=lambda entry: entry.stat().st_size, reverse=True):
        cached = cache_from_source(source.path)
        if os.path.exists(cached):
            continue
        SourceFileLoader(package, source.path).get_code(package)
        if os.getppid() != parent or not os.path.exists(cached):
            # Nobody waits for it any more, or the installation can't be written to.
            os._exit(0)
