"""The processes of the demo: a sandbox and an engine, and what is put on the clusters first."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fluxtui.cli.demo import repository
from fluxtui.cli.demo.child import FOLDER

CLUSTERS = ("prod-eu", "prod-us", "staging")
OUTAGE = "prod-us"
"""The cluster that can be cut off."""
START_SECONDS = 60.0
SETTLE_SECONDS = 40.0
STOP_SECONDS = 8.0
_POLL = 0.25


class DemoError(Exception):
    """The demo could not start, or one of its processes ended; the text says which and why."""


class Demo:
    """A running demo, for as long as its context lasts; on the way out everything is stopped and removed."""

    def __init__(self) -> None:
        self.folder = Path()
        self.kubeconfig = Path()
        self.working_copy = Path()
        self.control = ""
        self._children: dict[str, asyncio.subprocess.Process] = {}

    @property
    def log(self) -> Path:
        """Where the engine logs to."""
        return self.folder / "engine.jsonl"

    async def __aenter__(self) -> Self:
        self.folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="fluxtui-demo-"))
        try:
            self.kubeconfig = self.folder / "kubeconfig"
            # First of all: it removes the folder even if the demo is killed while it makes the repository.
            await self._spawn("sandbox", "--names", ",".join(CLUSTERS), "--kubeconfig-out", str(self.kubeconfig))
            self.working_copy = await asyncio.to_thread(repository.create, self.folder)
            self.control = str((await self._hear("sandbox"))["control"])
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def reconcile(self) -> None:
        """Put the CRDs, the repository and the root Kustomizations on the clusters, and start the engine."""
        from fluxtui.cli.demo.bootstrap import bootstrap

        await bootstrap(self.kubeconfig, self.working_copy)
        await self._spawn(
            "engine",
            "--kubeconfig", str(self.kubeconfig),
            "--storage-path", str(self.folder / "artifacts"),
            "--log-file", str(self.log),
        )  # fmt: skip
        await self._hear("engine")

    async def up(self) -> dict[str, Any]:
        """Start reconciling and wait until every cluster has come to rest; what to tell the user.

        A machine so slow that only the roots are ready after a while is told all the same: the rest follows.
        """
        from fluxtui.cli.demo.bootstrap import Progress, progress

        await self.reconcile()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while (found := await progress(self.kubeconfig)) is not Progress.SETTLED:
            self._check()
            spent = loop.time() - begun
            if found is Progress.ROOTED and spent > SETTLE_SECONDS:
                break
            if spent > START_SECONDS:
                raise DemoError(f"the clusters are not reconciled within {START_SECONDS:g} s; see {self.log}")
            await asyncio.sleep(_POLL)
        return {
            "kubeconfig": str(self.kubeconfig),
            "contexts": list(CLUSTERS),
            "repositories": [str(self.working_copy)],
            "control": self.control,
            "log": str(self.log),
        }

    async def ended(self) -> None:
        """Wait until a process ends that should not. Raises DemoError that says how."""
        waits = {asyncio.create_task(child.wait()): name for name, child in self._children.items()}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
        name = waits[next(iter(done))]
        raise DemoError(f"the {name} ended: {self._last_words(name)}")

    async def outage(self) -> str:
        """Cut a cluster off, or give it back; a sentence about it."""
        import aiohttp

        async with aiohttp.ClientSession() as session:
            async with session.get(f"{self.control}/clusters") as answer:
                clusters = (await answer.json())["clusters"]
            away = any(item["fault"] for item in clusters if item["name"] == OUTAGE)
            url = f"{self.control}/clusters/{OUTAGE}/fault"
            async with session.post(url, json={"fault": "" if away else "refuse"}) as answer:
                answer.raise_for_status()
        return f"{OUTAGE} is back" if away else f"{OUTAGE} refuses connections now"

    async def _spawn(self, *arguments: str) -> None:
        """Start a fluxtui command that prints a line of JSON once it runs."""
        name = arguments[0]
        with (self.folder / f"{name}.err").open("wb") as errors:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "fluxtui.cli.demo.child", *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**os.environ, FOLDER: str(self.folder)},
                # Ctrl-C is for the demo, which then ends its processes in order.
                start_new_session=True,
            )  # fmt: skip
        self._children[name] = child

    async def _hear(self, name: str) -> dict[str, Any]:
        """The line of JSON that a command prints once it runs."""
        child = self._children[name]
        assert child.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await child.stdout.readline()
        except TimeoutError:
            raise DemoError(f"the {name} said nothing within {START_SECONDS:g} s") from None
        if not line:
            await child.wait()
            raise DemoError(f"the {name} did not start: {self._last_words(name)}")
        said: dict[str, Any] = json.loads(line)
        return said

    def _check(self) -> None:
        for name, child in self._children.items():
            if child.returncode is not None:
                raise DemoError(f"the {name} ended: {self._last_words(name)}")

    def _last_words(self, name: str) -> str:
        with suppress(OSError):
            lines = (self.folder / f"{name}.err").read_text(errors="replace").strip().splitlines()
            if lines:
                return lines[-1][:500]
        return f"exit code {self._children[name].returncode}"

    async def _end(self) -> None:
        """Stop the engine, then the sandbox, and remove the folder."""
        for child in reversed(self._children.values()):
            await _stop(child)
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)


async def _stop(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await child.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.stdin is not None:
        child.stdin.close()
        with suppress(BrokenPipeError, ConnectionResetError):
            await child.stdin.wait_closed()
