"""reconcile, suspend and resume on the command line."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from fluxtui.api.kinds import GIT_REPOSITORY, KUSTOMIZATION
from fluxtui.cli.main import COMMANDS, cli
from tests.cli.conftest import Fleet
from tests.fleet.live import controlled, create
from tests.fleet.objects import flux

Start = Callable[..., Awaitable[Fleet]]

KS = {"path": "./apps", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}
GIT = {"url": "https://git.example.com/fleet"}


async def fleet_of(start: Start, *names: str) -> Fleet:
    fleet = await start(*names)
    for client in fleet.clients.values():
        await create(client, flux("git", "fleet", spec=GIT))
        await create(client, flux("ks", "apps", spec=KS))
    return fleet


async def test_reconcile_waits_and_says_how_it_ended(start: Start) -> None:
    fleet = await fleet_of(start, "east")
    async with controlled(fleet.clients["east"], KUSTOMIZATION, GIT_REPOSITORY) as controllers:
        result = await fleet.run("reconcile", "ks", "apps", "--with-source")
        assert result.exit_code == 0
        assert result.stdout.startswith("✓ kustomization/flux-system/apps: applied main@7148a354 (")
        assert "source git fleet: " in result.stderr
        controllers["Kustomization"].verdicts["apps"] = ("False", "no such file")
        result = await fleet.run("reconcile", "ks", "apps")
        assert (result.exit_code, result.stdout) == (1, "✗ kustomization/flux-system/apps: no such file\n")


async def test_one_dead_cluster_does_not_keep_the_others_from_being_done(start: Start) -> None:
    fleet = await fleet_of(start, "east", "west")
    await fleet.clusters["west"].faults.set("refuse")
    async with controlled(fleet.clients["east"], KUSTOMIZATION):
        result = await fleet.run("reconcile", "ks", "apps", "-o", "json", "--timeout", "30s")
    said = json.loads(result.stdout)
    assert [(outcome["cluster"], outcome["ending"]) for outcome in said["outcomes"]] == [("east", "done")]
    assert [error["cluster"] for error in said["errors"]] == ["west"]
    assert result.exit_code == 1


async def test_suspend_and_resume(start: Start) -> None:
    fleet = await fleet_of(start, "east", "west")
    result = await fleet.run("suspend", "ks", "apps", "--reason", "migration", "--until", "4h", "--context", "east")
    assert (result.exit_code, result.stdout) == (0, "✓ kustomization/flux-system/apps: suspended\n")
    result = await fleet.run("get", "ks")
    states = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert "Suspended (Unknown)" in states["east"]
    assert "migration, by " in states["east"]
    assert "Suspended" not in states["west"]
    result = await fleet.run("reconcile", "ks", "apps", "--context", "east")
    assert result.exit_code == 1
    assert "refused: it is suspended (migration, by " in result.stdout
    async with controlled(fleet.clients["east"], KUSTOMIZATION):
        result = await fleet.run("resume", "ks", "--all", "--status-selector", "suspended=true", "--context", "east")
    assert (result.exit_code, result.stdout.startswith("✓ ")) == (0, True)


async def test_the_forms_of_outcomes(start: Start) -> None:
    fleet = await fleet_of(start, "east", "west")
    async with controlled(fleet.clients["east"], KUSTOMIZATION):
        result = await fleet.run("reconcile", "ks", "apps", "-o", "name", "--timeout", "10s")
        assert (result.exit_code, result.stdout) == (1, "east\tkustomization/flux-system/apps\n")
        result = await fleet.run("reconcile", "ks", "apps", "-o", "wide", "--context", "east")
        revision = "main@sha1:7148a354c0ffee5d0d8b1f2a3c4d5e6f70819203"
        assert f"apps: applied main@7148a354 at {revision} (" in result.stdout


async def test_what_is_suspended_or_resumed_already_is_no_fault(start: Start) -> None:
    fleet = await fleet_of(start, "east")
    result = await fleet.run("resume", "ks", "apps")
    assert (result.exit_code, result.stdout) == (0, "✓ kustomization/flux-system/apps: it is not suspended\n")
    await fleet.run("suspend", "ks", "apps", "--reason", "migration")
    result = await fleet.run("suspend", "ks", "--all", "-o", "json")
    outcomes = json.loads(result.stdout)["outcomes"]
    assert [(each["ending"], each["message"]) for each in outcomes] == [("done", "it is suspended already")]
    assert result.exit_code == 0
    assert "migration, by " in (await fleet.run("get", "ks")).stdout


async def test_scripts_go_ahead_over_all_clusters(start: Start) -> None:
    fleet = await fleet_of(start, "east", "west")
    result = await fleet.run("suspend", "ks", "apps")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "✓ east kustomization/flux-system/apps: suspended",
        "✓ west kustomization/flux-system/apps: suspended",
    ]


async def test_what_is_not_there(start: Start) -> None:
    fleet = await fleet_of(start, "east", "west")
    result = await fleet.run("reconcile", "ks", "nope")
    assert (result.exit_code, result.stderr) == (1, '✗ Kustomization "nope" not found in namespace flux-system\n')
    result = await fleet.run("suspend", "hr", "--all")
    assert (result.exit_code, result.stderr) == (0, "no HelmRelease objects found in namespace flux-system\n")


async def test_the_settings_say_how_long_an_outcome_is_waited_for(start: Start, tmp_path: Path) -> None:
    fleet = await fleet_of(start, "east")
    settings = tmp_path / "config.yaml"
    settings.write_text("actions: {timeout: 1s}\n")
    result = await fleet.run("reconcile", "ks", "apps", "--config", str(settings))
    why = "kustomize-controller has not handled the request: nobody holds its lease"
    said = f"✗ kustomization/flux-system/apps: no result after 1s: {why}\n"
    assert (result.exit_code, result.stdout) == (1, said)


async def test_protected_clusters_want_a_yes(start: Start, tmp_path: Path) -> None:
    fleet = await fleet_of(start, "prod-east")
    settings = tmp_path / "config.yaml"
    settings.write_text("clusters: {protected: ['prod-*']}\n")
    result = await fleet.run("suspend", "ks", "apps", "--config", str(settings))
    assert result.exit_code == 1
    assert "protected: prod-east; --yes is needed" in result.stderr
    result = await fleet.run("suspend", "ks", "apps", "--config", str(settings), "--yes")
    assert result.exit_code == 0


@pytest.mark.parametrize(("answer", "done"), [("y", True), ("n", False), ("", False)])
async def test_a_terminal_is_asked_when_several_clusters_are_meant(
    start: Start, answer: str, done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = await fleet_of(start, "east", "west")
    monkeypatch.setattr("fluxtui.cli.asking.asked_at_a_terminal", lambda: True)
    result = await fleet.run("suspend", "ks", "apps", stdin=f"{answer}\n")
    assert "suspend these in 2 clusters?" in result.stderr
    assert result.exit_code == (0 if done else 1)
    states = (await fleet.run("get", "ks")).stdout
    assert states.count("Suspended") == (2 if done else 0)
    result = await fleet.run("suspend", "ks", "apps", "--context", "*", stdin="n\n")
    assert "clusters?" not in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("reconcile ks", "name a Kustomization, or say --all, -l or --status-selector"),
        ("suspend ks apps --until tomorrow", "neither a duration such as 4h nor a time"),
        ("resume", "a kind is missing"),
    ],
)
async def test_wrong_usage(start: Start, words: str, message: str) -> None:
    fleet = await start("east")
    result = await fleet.run(*words.split())
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_help_tells_the_exit_codes() -> None:
    for verb in COMMANDS:
        result = CliRunner().invoke(cli, [verb, "--help"])
        assert result.exit_code == 0
        assert "Exit codes: 0" in result.stdout, verb
