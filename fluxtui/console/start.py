"""Starting the console: what must be so before Textual is imported, the run, and what follows a crash.

Importing this module loads no Textual.
"""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from fluxtui.config import Settings, SettingsError
from fluxtui.kube.kubeconfig import Context

if TYPE_CHECKING:
    from fluxtui.console.app import ConsoleApp

FRAMES = "120"
"""Textual's own frame rate: keys wait less; data are folded to far fewer flushes elsewhere."""
SAVING = {"TEXTUAL_FPS": "20", "TEXTUAL_ANIMATIONS": "none", "TEXTUAL_COLOR_SYSTEM": "256"}
"""What Textual is told instead on a slow line: 256 colours need half the bytes."""

ENDING = (signal.SIGTERM, signal.SIGHUP)
PATIENCE = 5.0
"""Seconds for leaving the terminal in order after a signal; one that takes no more output is left as it is."""


class Start(msgspec.Struct, kw_only=True):
    """What the console is started with."""

    contexts: Sequence[Context] = ()
    settings: Settings = Settings()
    reloads: Callable[[], AsyncIterator[Sequence[Context]]] | None = None
    """Yields the contexts again whenever a kubeconfig changed."""
    origin: str = ""
    """Where clusters were looked for, in words; shown when there are none."""
    notices: Sequence[str] = ()
    """Sentences about contexts that were skipped, shown once."""
    tour: str = ""
    """A guided tour for the help."""
    outage: Callable[[], Awaitable[str]] | None = None
    """Cuts a cluster off or gives it back, and says so: the demo's own key."""


def check(settings: Settings) -> None:
    """Raises SettingsError when the theme or the keymap of the settings can't be used, or a package is missing."""
    from fluxtui.console import keys
    from fluxtui.console.themes import NAMES

    if settings.console.theme not in NAMES:
        raise SettingsError(
            f"console.theme: there is no theme {settings.console.theme!r}; known are {', '.join(NAMES)}"
        )
    problems = keys.problems(settings.console.keymap)
    if problems:
        raise SettingsError("\n".join(problems))
    if settings.console.keep_objects:
        from fluxtui.fleet import manifests

        if not manifests.is_possible():
            raise SettingsError(f"console.keepObjects (--keep-objects): {manifests.EXTRA}")


def on_terminal() -> bool:
    """Whether keys come from a terminal and Textual, which draws on standard error, reaches one."""
    return all(stream is not None and stream.isatty() for stream in (sys.__stdin__, sys.__stderr__))


def require_terminal() -> None:
    """Raises SettingsError when there is no terminal to open the console on."""
    if not on_terminal():
        raise SettingsError("the console needs a terminal: standard input or standard error is redirected")


def end_with_terminal(descriptor: int) -> None:
    """Wait until the terminal behind `descriptor` has gone, then end the process as SIGHUP would.

    The kernel sends SIGHUP only to the session that a terminal controls, and `nohup` has it ignored. Textual would
    read the end of a closed terminal for ever, and its loop may be blocked on a writer that died, so nothing is left
    to leave in an orderly way.
    """
    poll = select.poll()
    # POLLHUP and POLLERR are reported unasked.
    poll.register(descriptor, 0)
    poll.poll()
    os._exit(128 + signal.SIGHUP)


async def _stay(app: ConsoleApp, *, mouse: bool) -> None:
    """Run the app until the user leaves or a signal comes. A signal leaves as a key would, so that the terminal is the
    shell's again; a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    # Under nohup it goes on without its terminal.
    numbers = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    guards: list[threading.Timer] = []

    def leave(number: signal.Signals) -> None:
        for each in numbers:
            loop.remove_signal_handler(each)
        guards.append(threading.Timer(PATIENCE, os._exit, [128 + number]))
        guards[-1].daemon = True
        guards[-1].start()
        app.exit(return_code=128 + number)

    for number in numbers:
        loop.add_signal_handler(number, leave, number)
    try:
        await app.run_async(mouse=mouse)
    finally:
        for guard in guards:
            guard.cancel()


def run(start: Start) -> int:
    """Open the console and stay until the user leaves; returns the exit code, 128 and its number after a signal.

    Raises SettingsError before anything is drawn when the settings can't be used or there is no terminal.
    """
    # Read by Textual when it is imported.
    wishes = SAVING if start.settings.console.saver else {"TEXTUAL_FPS": FRAMES}
    for name, value in wishes.items():
        os.environ.setdefault(name, value)
    check(start.settings)
    if not on_terminal():
        raise SettingsError("the console needs a terminal: standard input or standard error is redirected")
    # Switched on again by `console.garbage`.
    gc.disable()
    from fluxtui.console.app import ConsoleApp
    from fluxtui.console.turns import FairLoop
    from fluxtui.kube.limits import raise_open_files

    raise_open_files()
    threading.Thread(target=end_with_terminal, args=(0,), name="terminal", daemon=True).start()
    app = ConsoleApp(start)
    with asyncio.Runner(loop_factory=FairLoop) as runner:
        runner.run(_stay(app, mouse=start.settings.console.mouse))
    if app.crash_report:
        return _show_crash(app.crash_report, app.theme)
    return app.return_code or 0


def _show_crash(report: str, theme: str) -> int:
    from fluxtui.console.screens.crash import CrashApp

    CrashApp(report, theme).run()
    # It stays readable after the screen is gone.
    sys.stderr.write(report)
    return 1
