"""The README is true: its keys are the console's, its pictures and commands exist, its settings are read."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from fluxtui import config
from fluxtui.cli.main import cli
from tests.readme import README, table, with_part

TEXT = README.read_text()


def test_the_key_table_is_the_consoles() -> None:
    assert with_part(TEXT, "keys", table()) == TEXT, "run python -m tests.readme"


def test_pictures_and_links_exist() -> None:
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in target]
    assert targets
    for target in targets:
        assert (README.parent / target).exists(), target


def test_the_settings_shown_are_valid() -> None:
    block = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[0]
    assert config.parse(yaml.safe_load(block)).clusters.protected == ("prod-*",)


COMMANDS = sorted(set(re.findall(r"^fluxtui ([a-z]+) (.*?)(?: *#.*)?$", TEXT, re.MULTILINE)))


@pytest.mark.parametrize(("command", "arguments"), COMMANDS)
def test_the_options_shown_exist(command: str, arguments: str) -> None:
    words = arguments.split()[:1] if isinstance(cli.get_command(click.Context(cli), command), click.Group) else []
    help_text = CliRunner().invoke(cli, [command, *words, "--help"]).output
    for option in re.findall(r"--[a-z-]+", arguments):
        assert option in help_text, f"fluxtui {command} {option}"


def test_the_package_data_is_beside_the_readme() -> None:
    assert Path(README.parent / "styles").is_dir()
