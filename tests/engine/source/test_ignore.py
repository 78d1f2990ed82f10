"""What stays out of an artifact."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fluxtui.engine.controllers.source.ignore import FILE_LIMIT, IgnoreError, exclusions

FILES = (
    "apps/web.yaml",
    "apps/notes.md",
    "deploy/a.txt",
    "deploy/keep",
    "deploy/deep/b.txt",
    "logo.png",
    "bundle.tar.gz",
    ".github/workflow.yml",
    ".gitlab-ci.yml",
    "sub/.sops.yaml",
    ".gitignore",
    "top.yaml",
)
DEFAULT = {"apps/web.yaml", "apps/notes.md", "deploy/a.txt", "deploy/keep", "deploy/deep/b.txt", "top.yaml"}
ALL = set(FILES) - {".gitignore"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def kept(tree: Path, spec: str | None = None) -> set[str]:
    exclude = exclusions(tree, spec)
    found = set()
    for parent, folders, files in os.walk(tree):
        relative = os.path.relpath(parent, tree)
        below = "" if relative == "." else f"{relative}/"
        for name in folders:
            exclude(below + name, True)
        found |= {below + name for name in files if not exclude(below + name, False)}
    return {name for name in found if not name.endswith(".sourceignore")}


def test_by_default_ci_images_archives_and_tools_stay_out(tree: Path) -> None:
    assert kept(tree) == DEFAULT


def test_spec_ignore_replaces_the_defaults_and_is_gitignore_syntax(tree: Path) -> None:
    assert kept(tree, "# everything\n/*\n# but\n!/apps\n*.md\n") == {"apps/web.yaml"}
    assert kept(tree, "") == DEFAULT
    assert kept(tree, "top.yaml") == ALL - {"top.yaml"}


def test_an_excluded_directory_takes_its_content_along_unless_it_is_re_included(tree: Path) -> None:
    assert kept(tree, "deploy/\n") == ALL - {"deploy/a.txt", "deploy/keep", "deploy/deep/b.txt"}
    assert kept(tree, "deploy/\n!deploy/keep") == ALL - {"deploy/a.txt", "deploy/deep/b.txt"}
    assert kept(tree, "/deploy/**/*.txt") == ALL - {"deploy/a.txt", "deploy/deep/b.txt"}


def test_any_sourceignore_switches_the_defaults_off_and_holds_for_its_directory(tree: Path) -> None:
    (tree / "deploy/.sourceignore").write_text("*.txt\n")
    assert kept(tree) == ALL - {"deploy/a.txt", "deploy/deep/b.txt"}
    (tree / "deploy/.sourceignore").write_text("/a.txt\n")
    (tree / "apps/a.txt").write_text("x")
    assert kept(tree) == (ALL | {"apps/a.txt"}) - {"deploy/a.txt"}


def test_git_files_stay_out_whatever_the_rules(tree: Path) -> None:
    (tree / "apps/.gitignore").write_text("x")
    assert "apps/.gitignore" not in kept(tree, "nothing")


def test_spec_ignore_comes_last_and_may_re_include(tree: Path) -> None:
    (tree / ".sourceignore").write_text("*.md\n*.png\n")
    assert kept(tree) == ALL - {"apps/notes.md", "logo.png"}
    assert kept(tree, "!apps/notes.md") == ALL - {"logo.png"}


def test_an_ignore_file_without_bounds_is_refused(tree: Path) -> None:
    (tree / ".sourceignore").write_bytes(b"#" * (FILE_LIMIT + 1))
    with pytest.raises(IgnoreError, match=r"\.sourceignore is larger"):
        kept(tree)
