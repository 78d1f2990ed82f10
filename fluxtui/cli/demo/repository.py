"""The demo's Git repository: a working copy of the files beside this module, with one commit."""

from __future__ import annotations

import importlib.resources
import os
import shutil
import subprocess
from pathlib import Path

BRANCH = "main"
_IDENTITY = {
    "GIT_AUTHOR_NAME": "fluxtui demo",
    "GIT_AUTHOR_EMAIL": "demo@example.com",
    "GIT_COMMITTER_NAME": "fluxtui demo",
    "GIT_COMMITTER_EMAIL": "demo@example.com",
}


class RepositoryError(Exception):
    """The repository could not be made; the text says why."""


def create(folder: Path) -> Path:
    """Make the working copy `folder`/fleet and commit its files to `main`.

    The commit identity is stored in the repository, so that `git commit` works there without any set-up. Raises
    RepositoryError when git is missing or fails.
    """
    working_copy = folder / "fleet"
    with importlib.resources.as_file(importlib.resources.files("fluxtui.cli.demo") / "fleet") as files:
        shutil.copytree(files, working_copy)
    _git(working_copy, "init", "--quiet", f"--initial-branch={BRANCH}")
    _git(working_copy, "config", "user.name", _IDENTITY["GIT_AUTHOR_NAME"])
    _git(working_copy, "config", "user.email", _IDENTITY["GIT_AUTHOR_EMAIL"])
    _git(working_copy, "config", "commit.gpgsign", "false")
    _git(working_copy, "add", "--all")
    _git(working_copy, "commit", "--quiet", "--message", "Describe the fleet")
    return working_copy


def _git(directory: Path, *arguments: str) -> None:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments],
            env={**os.environ, **_IDENTITY},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    except FileNotFoundError:
        raise RepositoryError("the demo needs git, and there is none on the PATH") from None
    if done.returncode != 0:
        raise RepositoryError(f"git {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
