"""Starting the console: what must be so before Textual is imported, the run, and what follows a crash.

Importing this module loads no Textual.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec

from fluxtui.config import Settings, SettingsError
from fluxtui.kube.kubeconfig import Context

FRAMES = "120"
"""Textual's own frame rate: keys wait less; data are folded to far fewer flushes elsewhere."""
SAVING = {"TEXTUAL_FPS": "20", "TEXTUAL_ANIMATIONS": "none", "TEXTUAL_COLOR_SYSTEM": "256"}
"""What Textual is told instead on a slow line: 256 colours need half the bytes."""


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
    """Raises SettingsError when the theme or the keymap of the settings can't be used."""
    from fluxtui.console import keys
    from fluxtui.console.themes import NAMES

    if settings.console.theme not in NAMES:
        raise SettingsError(
            f"console.theme: there is no theme {settings.console.theme!r}; known are {', '.join(NAMES)}"
        )
    problems = keys.problems(settings.console.keymap)
    if problems:
        raise SettingsError("\n".join(problems))


def run(start: Start) -> int:
    """Open the console and stay until the user leaves; returns the exit code.

    Raises SettingsError before anything is drawn when the settings can't be used.
    """
    # Read by Textual when it is imported.
    wishes = SAVING if start.settings.console.saver else {"TEXTUAL_FPS": FRAMES}
    for name, value in wishes.items():
        os.environ.setdefault(name, value)
    check(start.settings)
    # Until the first frame there is nothing to collect; the app switches it on again.
    gc.disable()
    from fluxtui.console.app import ConsoleApp
    from fluxtui.kube.limits import raise_open_files

    raise_open_files()
    app = ConsoleApp(start)
    app.run(mouse=start.settings.console.mouse)
    if app.crash_report:
        return _show_crash(app.crash_report, app.theme)
    return app.return_code or 0


def _show_crash(report: str, theme: str) -> int:
    from fluxtui.console.screens.crash import CrashApp

    CrashApp(report, theme).run()
    # It stays readable after the screen is gone.
    sys.stderr.write(report)
    return 1
