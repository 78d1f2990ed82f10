"""Programs that are given up leave nothing behind, and nobody waits for what they left."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fluxtui.kube.plugins import ExecPlugins, PluginSpec
from fluxtui.kube.programs import execute
from tests.kube.support import until

BUSY = ("-c", "sleep 60 & sleep 60")


def ask_plugin(*arguments: str) -> Coroutine[Any, Any, Any]:
    spec = PluginSpec("sh", arguments, (), "client.authentication.k8s.io/v1", "Never")
    return ExecPlugins().credential(spec)


def run_program(*arguments: str) -> Coroutine[Any, Any, Any]:
    return execute("sh", arguments)


async def give_up(working: Coroutine[Any, Any, Any], turns: int) -> None:
    """Think better of it after so many turns of the loop."""
    task = asyncio.ensure_future(working)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def descriptors() -> set[str]:
    """The pipes and inputs of ours that are open; a name lookup of another test may have files of its own."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            if os.readlink(f"/proc/self/fd/{number}").startswith(("pipe:", os.devnull)):
                found.add(number)
    return found


@pytest.mark.parametrize("work", [run_program, ask_plugin])
def test_what_is_cancelled_closes_all_it_opened(work: Callable[..., Coroutine[Any, Any, Any]]) -> None:
    """Whatever it has come to: files, the process, its pipes. What its loop leaves open is warned of, and fails."""
    asyncio.run(give_up(work(*BUSY), 1000))
    gc.collect()
    before = descriptors()
    for turns in (*range(16), 40, 100):
        asyncio.run(give_up(work(*BUSY), turns))
    gc.collect()
    assert descriptors() <= before


@pytest.mark.parametrize("work", [run_program, ask_plugin])
async def test_what_a_program_leaves_to_itself_is_not_waited_for(
    work: Callable[..., Coroutine[Any, Any, Any]], tmp_path: Path
) -> None:
    """A daemon in a session of its own holds the pipes."""
    file = tmp_path / "pid"
    task = asyncio.ensure_future(work("-c", f"setsid sleep 60 & echo $! >{file}.new; mv {file}.new {file}; wait"))
    await until(lambda: file.exists() or task.done())
    daemon = int(file.read_text())
    try:
        await until(lambda: os.getsid(daemon) == daemon)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # It is still there, so nobody waited for it.
        os.kill(daemon, 0)
    finally:
        with suppress(ProcessLookupError):
            os.kill(daemon, signal.SIGKILL)
