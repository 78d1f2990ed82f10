"""The settings file: defaults, and mistakes named by file and path."""

from __future__ import annotations

from pathlib import Path

import pytest

from fluxtui.config import Settings, SettingsError, default_path, load


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return file


def test_without_a_file_everything_has_its_default(isolated_home: Path) -> None:
    assert load() == Settings()
    assert default_path() == isolated_home / ".config" / "fluxtui" / "config.yaml"


def test_the_default_file_is_read(isolated_home: Path) -> None:
    file = isolated_home / ".config" / "fluxtui" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("console: {theme: fluxtui-light, keymap: {reconcile: ctrl+r}}\nclusters: {protected: [prod-*]}\n")
    settings = load()
    assert settings.console.theme == "fluxtui-light"
    assert settings.console.keymap == {"reconcile": "ctrl+r"}
    assert settings.clusters.protected == ("prod-*",)


def test_an_empty_file_is_fine(tmp_path: Path) -> None:
    assert load(write(tmp_path, "# nothing yet\n")) == Settings()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("console: {them: x}", "console.them: unknown field; did you mean theme?"),
        ("colour: red", "colour: unknown field; known are console, clusters, actions"),
        ("console: {framesPerSecond: 100}", "console.framesPerSecond: expected `int` <= 60"),
        ("console: {ascii: 1}", "console.ascii: expected `bool`, got `int`"),
        ("console: {view: grid}", "console.view: invalid enum value 'grid'"),
        ("clusters: {contexts: [1]}", "clusters.contexts[0]: expected `str`, got `int`"),
        ("actions: {timeout: soon}", "actions.timeout: expected `str` matching regex"),
        ("- a", "the document: expected `object`, got `array`"),
        ("a: [", "line 2, column 1: did not find expected node content"),
    ],
)
def test_a_mistake_is_named_by_file_and_path(tmp_path: Path, text: str, problem: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert problem in str(caught.value)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load(tmp_path / "absent.yaml")


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="larger than"):
        load(write(tmp_path, "# " + "x" * (1 << 20)))
