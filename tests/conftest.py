"""Rules for every test: an isolated HOME, no cluster of the user's, no task left behind."""

from __future__ import annotations

import asyncio
import inspect
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes, or is made, says how busy the machine is, not whether the program is right; and what one
# run finds, every run finds.
settings.register_profile("tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

pytest_plugins = ["tests.fixtures_apiserver", "tests.fixtures_sandbox"]


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Programs that tests start can be interrupted, even when the tests run where Ctrl-C or a hang-up is ignored, as in
    a shell's background or under nohup: what is ignored is inherited."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def no_implicit_loop() -> None:
    """looptime asks every test for the current loop; where there is none, that would make one and leave it open."""
    asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def isolated_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A HOME of the test's own: no kubeconfig, settings file or Git identity of the user reaches a test."""
    home = tmp_path_factory.mktemp("home")
    for name in (
        "KUBECONFIG",
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
        "XDG_STATE_HOME",
        "NO_COLOR",
        "SSH_AUTH_SOCK",
        "DISABLE_HTTP2",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Test")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "test@example.com")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Test")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "test@example.com")
    return home


@pytest.fixture
async def _leftover_tasks() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield

    def running() -> list[asyncio.Task[object]]:
        return [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task() and not task.done()]

    # What is cancelled gets some turns to end.
    for _ in range(20):
        if not running():
            break
        await asyncio.sleep(0)
    left = running()
    for task in left:
        task.cancel()
    if left:
        await asyncio.gather(*left, return_exceptions=True)
        pytest.fail(f"tasks left running: {sorted(map(repr, left))}")


@pytest.fixture(autouse=True)
def no_leftover_tasks(request: pytest.FixtureRequest) -> None:
    """Fail an async test that leaves a task running."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("_leftover_tasks")
