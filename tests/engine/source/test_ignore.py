"""What stays out of an artifact."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import pytest
from pathspec import PathSpec

from fluxtui.engine.controllers.source.ignore import FILE_LIMIT, IgnoreError, exclusions, linear

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


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ("*a" * 40 + "*b", "a" * 255),
        ("*" * 5000 + "x", "a" * 255),
        ("*a?" * 40 + "*b", "a" * 255),
        ("**/a/" * 30 + "b", "a/" * 1000 + "a"),
        ("/**/*a*/**/*a*/**/*a*/**/b", "aaa/" * 900 + "a"),
    ],
    ids=["stars", "one-star", "any", "folders", "both"],
)
def test_no_rule_takes_the_engine_for_hours(tmp_path: Path, rule: str, path: str) -> None:
    assert not exclusions(tmp_path, rule)(path, False)


def test_rules_mean_what_they_did() -> None:
    """The same as pathspec's own expressions, but for classes, in which a slash is never meant."""
    chance = random.Random(6)
    words = ("a", "b", "*", "*", "?", "[ab]", "[!a]", ".", "\\*", "**")

    def text(choices: tuple[str, ...], most: int) -> str:
        return "".join(chance.choices(choices, k=chance.randint(1, most)))

    paths = ["/".join(text(("a", "a", "b", "."), 6) for _ in range(chance.randint(1, 5))) for _ in range(100)]
    for _ in range(600):
        folders = ["**" if chance.random() < 0.35 else text(words, 6) for _ in range(chance.randint(1, 6))]
        rule = "/".join(folders)
        (pattern,) = PathSpec.from_lines("gitignore", [rule]).patterns
        own = getattr(pattern, "regex", None)
        if not isinstance(own, re.Pattern):
            continue
        old = re.compile(own.pattern.replace("[^a]", "[^/a]"))
        new = re.compile(linear(own.pattern))
        for path in chance.sample(paths, 20):
            assert bool(old.match(path)) == bool(new.match(path)), (rule, path)


@pytest.mark.parametrize("rule", ["[z-a]", "\\"])
def test_a_rule_that_is_none(tmp_path: Path, rule: str) -> None:
    with pytest.raises(IgnoreError, match="an ignore rule is not valid"):
        exclusions(tmp_path, rule)
