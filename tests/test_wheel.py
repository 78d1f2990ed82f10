"""The wheel as users get it: built from a source distribution, installed into a clean environment, started."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.terminal import Terminal

ROOT = Path(__file__).parents[1]


def run(*arguments: str | Path, cwd: Path | None = None) -> str:
    command = [str(argument) for argument in arguments]
    done = subprocess.run(command, cwd=cwd or "/", capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from an unpacked sdist, so that nothing of the checkout can leak in."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    sdist = next(folder.glob("*.tar.gz"))
    run("tar", "-xzf", sdist, "-C", folder)
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=folder / sdist.name[:-7])
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `fluxtui` of an environment that has the wheel; only the dependencies are borrowed from this environment."""
    venv = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(venv), "platbase": str(venv)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # A plain path line: .pth files inside that folder, such as the editable install's, are not followed.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    script = venv / "bin" / "fluxtui"
    script.write_text(f"#!{venv}/bin/python\nfrom fluxtui.__main__ import main\nmain()\n")
    script.chmod(0o755)
    return script


def test_the_wheel_carries_styles_and_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("fluxtui/styles/") and name.endswith(".tcss") for name in names)
    assert "fluxtui/cli/demo/fleet/apps/base/kustomization.yaml" in names
    assert "fluxtui/py.typed" in names
    assert not any(name.startswith(("tests/", "styles/")) for name in names)


def test_the_installed_program_is_the_wheels(installed: Path) -> None:
    where = run(installed.parent / "python", "-c", "import fluxtui; print(fluxtui.__file__)").strip()
    assert Path(where).is_relative_to(installed.parents[1])
    assert run(installed, "--version").startswith("fluxtui, version ")


def test_the_console_starts_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\n"
        "clusters: [{name: nowhere, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        "users: [{name: nobody, user: {token: none}}]\n"
        "contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]\n"
    )
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with Terminal([str(installed), "--kubeconfig", str(kubeconfig)], env=environment, size=(120, 32)) as terminal:
        terminal.wait_for("nowhere", seconds=60)
        terminal.send("Q")
        assert terminal.wait(seconds=60) == 0
