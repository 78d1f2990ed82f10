"""The demo in a real terminal, and without one: it comes up, reconciles a commit, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from fluxtui.api.kinds import KUSTOMIZATION
from fluxtui.cli.demo.bootstrap import Progress, progress_of
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.states import State
from tests.terminal import Terminal

PROGRAM = [sys.executable, "-m", "fluxtui"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment whose temporary files are the test's own."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return {**os.environ, "TMPDIR": str(folder), "TERM": "xterm-256color", "COLORTERM": "truecolor"}


def left_behind(environment: dict[str, str]) -> list[str]:
    """The demo's folders that are still there."""
    return [path.name for path in Path(environment["TMPDIR"]).glob("fluxtui-demo-*")]


def wait_until(check: Any, seconds: float = 120) -> Any:
    """The first true value of `check`."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, "not in time"
        select.select([], [], [], 0.1)


def test_a_signal_is_a_way_to_leave_the_demo(environment: dict[str, str]) -> None:
    with Terminal([*PROGRAM, "demo"], env=environment, size=(120, 32)) as terminal:
        terminal.wait_for("prod-eu", seconds=120)
        terminal.process.terminate()
        assert terminal.wait(seconds=60) == 0
        assert terminal.raw.rfind(b"\x1b[?1049l") > terminal.raw.rfind(b"\x1b[?1049h")
    assert not left_behind(environment)


def test_the_demo_opens_in_a_terminal(environment: dict[str, str]) -> None:
    with Terminal([*PROGRAM, "demo"], env=environment, size=(120, 32)) as terminal:
        terminal.wait_for("prod-eu", seconds=120)
        terminal.wait_for("infra-crds", seconds=120)
        terminal.send("?")
        terminal.wait_for("Tour", seconds=120)
        terminal.send("\x1b")
        terminal.wait_gone("Tour", seconds=120)
        terminal.send("Q")
        assert terminal.wait(seconds=60) == 0
    wait_until(lambda: not left_behind(environment))


@contextmanager
def begun(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A demo without a screen that may not be up yet."""
    process = subprocess.Popen(
        [*PROGRAM, "demo", "--headless"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        process.communicate()


@pytest.fixture
def headless(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A demo without a screen, and what it said once it was up."""
    with begun(environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield process, json.loads(line)


def kustomizations(said: dict[str, Any], context: str) -> dict[str, dict[str, Any]]:
    """Name → row of a cluster's Kustomizations, as `fluxtui get` tells them."""
    command = [*PROGRAM, "get", "ks", "-A", "-o", "json", "--kubeconfig", said["kubeconfig"], "--context", context]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return {item["metadata"]["name"]: item for item in json.loads(done.stdout)["items"]}


def applied(item: dict[str, Any] | None) -> str:
    return str(((item or {}).get("status") or {}).get("lastAppliedRevision", ""))


def not_ready(said: dict[str, Any]) -> dict[str, str]:
    """Cluster/name → why, of the Kustomizations that are neither ready nor suspended."""
    found = {}
    for context in said["contexts"]:
        for name, item in kustomizations(said, context).items():
            conditions = {each["type"]: each for each in (item.get("status") or {}).get("conditions") or []}
            ready = conditions.get("Ready") or {"status": "", "reason": "New"}
            if ready["status"] != "True" and not item["spec"].get("suspend"):
                found[f"{context}/{name}"] = ready["reason"]
    return found


def test_all_settles_and_a_commit_walks_through_every_cluster(
    headless: tuple[subprocess.Popen[str], dict[str, Any]], environment: dict[str, str]
) -> None:
    process, said = headless
    assert said["contexts"] == ["prod-eu", "prod-us", "staging"]
    # It is up when all is up: nothing has to be waited for. What has failed is tried again now and then.
    failures = {"staging/apps": "HealthCheckFailed", "staging/apps-canary": "DependencyNotReady"}
    assert not_ready(said).keys() == failures.keys()
    wait_until(lambda: not_ready(said) == failures)
    repository = Path(said["repositories"][0])
    file = repository / "infrastructure" / "controllers" / "namespace.yaml"
    namespace = yaml.safe_load(file.read_text())
    namespace["metadata"]["labels"] = {"changed": "yes"}
    file.write_text(yaml.safe_dump(namespace))
    subprocess.run(["git", "-C", str(repository), "commit", "-qam", "Change it"], check=True, timeout=120)
    commit = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=120
    ).stdout.strip()
    for context in said["contexts"]:
        wait_until(lambda context=context: commit in applied(kustomizations(said, context).get("infra-controllers")))
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert not left_behind(environment)


def test_a_killed_demo_takes_its_processes_and_files_along(
    headless: tuple[subprocess.Popen[str], dict[str, Any]], environment: dict[str, str]
) -> None:
    process, _ = headless
    process.kill()
    process.wait(60)
    wait_until(lambda: not left_behind(environment))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGINT])
def test_a_demo_that_ends_while_it_starts_leaves_nothing_behind(
    environment: dict[str, str], number: signal.Signals
) -> None:
    with begun(environment) as process:
        [folder] = wait_until(lambda: left_behind(environment))
        wait_until(lambda: (Path(environment["TMPDIR"]) / folder / "fleet").exists())
        process.send_signal(number)
        process.wait(60)
        wait_until(lambda: not left_behind(environment))


def row(name: str, state: State, reason: str = "", *depends: str) -> Row:
    kind = KUSTOMIZATION
    refs = [Ref("staging", kind.group, kind.kind, "flux-system", each) for each in (name, *depends)]
    return Row(ref=refs[0], state=state, reason=reason, depends=tuple(refs[1:]))


ROOT = row("flux-system", State.READY)
INFRA = row("infra", State.FAILED, "HealthCheckFailed")


@pytest.mark.parametrize(
    ("rows", "progress"),
    [
        ([], Progress.BEGUN),
        ([row("flux-system", State.PROGRESSING)], Progress.BEGUN),
        ([ROOT], Progress.SETTLED),
        ([ROOT, row("tenants", State.SUSPENDED), INFRA], Progress.SETTLED),
        ([ROOT, row("apps", State.UNKNOWN)], Progress.ROOTED),
        ([ROOT, row("apps", State.PROGRESSING)], Progress.ROOTED),
        ([ROOT, row("apps", State.FAILED, "ArtifactFailed")], Progress.ROOTED),
        ([ROOT, row("infra", State.READY), row("apps", State.FAILED, "DependencyNotReady", "infra")], Progress.ROOTED),
        ([ROOT, INFRA, row("apps", State.FAILED, "DependencyNotReady", "infra")], Progress.SETTLED),
    ],
)
def test_the_demo_is_up_when_nothing_moves_any_more(rows: list[Row], progress: Progress) -> None:
    assert progress_of(rows) is progress


def test_without_a_terminal_nothing_is_started(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "fluxtui", "demo"]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    said = "the console needs a terminal: standard input or standard error is redirected"
    assert done.stderr == f"fluxtui demo: {said}\n"
    assert not left_behind(environment)
