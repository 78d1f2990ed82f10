"""What the import contracts can't see: imports made while a module is loaded, by us or by a library."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import importlib, pkgutil, sys
root = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
    importlib.import_module(module.name)
print("\\n".join(sorted(name for name in sys.modules if "." not in name)))
"""


HELP = """
import sys
from fluxtui.cli.main import cli
try:
    cli(["--help"])
except SystemExit:
    print(*sys.modules)
"""

GET = """
import sys
import fluxtui.cli.main, fluxtui.cli.get
print(*sys.modules)
"""


def loaded_by(package: str) -> set[str]:
    """Top-level modules that are loaded once every module of a package is."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, package], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("package", "absent"),
    [
        ("fluxtui.api", {"textual", "aiohttp", "kubernetes_asyncio", "git", "yaml"}),
        ("fluxtui.kube", {"textual", "kubernetes_asyncio", "git"}),
        ("fluxtui.kustomize", {"textual", "aiohttp", "kubernetes_asyncio", "git"}),
        ("fluxtui.fleet", {"textual", "aiohttp", "kubernetes_asyncio", "git"}),
        ("fluxtui.engine", {"textual", "kubernetes_asyncio", "helm_python"}),
        ("fluxtui.sandbox", {"textual", "kubernetes_asyncio", "git"}),
        ("fluxtui.console", {"aiohttp", "kubernetes_asyncio", "git"}),
    ],
)
def test_a_room_loads_nothing_it_must_not(package: str, absent: set[str]) -> None:
    assert not loaded_by(package) & absent


def test_the_command_line_is_light() -> None:
    """`fluxtui --help` loads neither Textual nor a client: it must answer at once."""
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True, timeout=120)
    modules = set(done.stdout.splitlines()[-1].split())
    assert not modules & {"textual", "aiohttp", "kubernetes_asyncio", "git", "yaml", "asyncio"}


def test_listing_objects_loads_no_console() -> None:
    """`fluxtui get` is waited for: until it knows what is asked for it loads neither a console nor a client."""
    done = subprocess.run([sys.executable, "-c", GET], capture_output=True, text=True, check=True, timeout=120)
    modules = done.stdout.split()
    assert not set(modules) & {"textual", "rich", "aiohttp", "git", "difflib", "fluxtui.kube.client"}
    assert len(modules) < 270
