"""`fluxtui envsubst` as users call it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from fluxtui.cli.main import cli

DONE = [
    ("region: ${REGION}\n", "region: eu\n"),
    ("${REGION^^} ${#REGION} ${REGION/e/E} $$HOME $REGION", "EU 2 Eu $HOME $REGION"),
    ("${UNSET:-a}|${UNSET}|", "a||"),
    ("${UNSET:-two\nlines}", "two\nlines"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "expected"), DONE)
def test_substitutes_from_the_environment(text: str, expected: str) -> None:
    result = CliRunner().invoke(cli, ["envsubst"], text, env={"REGION": "eu"})
    assert (result.exit_code, result.stdout) == (0, expected)


def test_bytes_that_are_no_text_stay() -> None:
    result = CliRunner().invoke(cli, ["envsubst"], b"\xff${REGION}\r\n", env={"REGION": "eu"})
    assert result.stdout_bytes == b"\xffeu\r\n"


def test_strict_names_every_variable_and_prints_nothing() -> None:
    result = CliRunner().invoke(cli, ["envsubst", "--strict"], "${REGION} ${A_1} ${B_2} ${C:-c}", env={"REGION": "eu"})
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == 'fluxtui envsubst: variable not set (strict mode): "A_1", "B_2"\n'


def test_a_malformed_expansion_is_shown() -> None:
    result = CliRunner().invoke(cli, ["envsubst"], "a\nb ${REGION\n", env={"REGION": "eu"})
    assert (result.exit_code, result.stdout) == (1, "")
    assert "'${REGION'" in result.stderr
