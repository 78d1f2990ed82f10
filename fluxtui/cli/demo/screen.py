"""The demo on screen: the console over the sandbox's clusters, while a thread starts what they need.

The console owns the main thread and its loop; the demo's processes belong to a loop in a thread of their own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec

from fluxtui import config
from fluxtui.cli.demo.processes import OUTAGE, Demo, DemoError
from fluxtui.config import ConsoleSettings, Settings, SettingsError
from fluxtui.kube.kubeconfig import load

T = TypeVar("T")

TOUR = """
Three clusters follow one Git repository on this machine:

    {repository}

1  staging has a failure: payments crashes because DB_URL is not set. Open it: apps, then its pod; l shows the log.
   Fix it in another terminal, and watch apps and apps-canary become ready:

       cd {repository}
       sed -i '/^patches:/,$d' apps/staging/kustomization.yaml
       git commit -am 'Give payments its database back'

2  Change something everywhere: edit apps/base/kustomization.yaml, commit, and watch the revision walk through the tree.
3  {outage} has a suspended Kustomization: tenants. Resume it with r, and flux-system holds it again, as Git says
   suspend: true. Take that out of clusters/{outage}/apps.yaml and commit: it is resumed for good.
4  Cut {outage} off with O, and give it back with O: its rows are greyed within half a minute, and right again after.
5  t traces an object to its source; V changes the view; / filters, for example: state!=ready
"""


class _Background:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="demo", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def begin(self, work: Coroutine[Any, Any, T]) -> None:
        """Run a coroutine there; `close` gives up on it."""
        self._loop.call_soon_threadsafe(lambda: self._loop.create_task(work))

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there, from another loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def close(self) -> None:
        """Cancel what still runs, and end the thread."""

        async def cancel() -> None:
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.call(cancel())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def show(theme: str | None, ascii_only: bool) -> int:
    """Run the demo with the console; the exit code. Raises DemoError and RepositoryError."""
    from fluxtui.console.start import Start, require_terminal, run

    try:
        # Before anything is started.
        require_terminal()
        settings = _settings(config.load(), theme, ascii_only)
    except SettingsError as error:
        raise DemoError(str(error)) from error
    background = _Background()
    demo = Demo()
    try:
        background.call(demo.__aenter__())
        try:
            background.begin(demo.reconcile())
            code = run(
                Start(
                    contexts=load([str(demo.kubeconfig)]).contexts,
                    settings=settings,
                    origin=str(demo.kubeconfig),
                    tour=TOUR.format(repository=demo.working_copy, outage=OUTAGE),
                    outage=lambda: background.ask(demo.outage()),
                )
            )
            # A signal is a way to leave, as it is without the screen.
            return 0 if code > 128 else code
        finally:
            background.call(demo.__aexit__(None, None, None))
    except SettingsError as error:
        raise DemoError(str(error)) from error
    finally:
        background.close()


def _settings(settings: Settings, theme: str | None, ascii_only: bool) -> Settings:
    console: ConsoleSettings = msgspec.structs.replace(
        settings.console, theme=theme or settings.console.theme, ascii=ascii_only or settings.console.ascii
    )
    return msgspec.structs.replace(settings, console=console)
