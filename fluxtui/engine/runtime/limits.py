"""How much a process does at once, over all its clusters."""

from __future__ import annotations

import asyncio

from fluxtui.engine.runtime.settings import EngineSettings


class Limits:
    """Semaphores of the process: take one before the clock of a timeout starts, so that waiting does not count.

    Two of them, because a remote that is dead keeps its place until the timeout, and must not keep those that answered
    from being fetched.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.remotes = asyncio.Semaphore(settings.remotes)
        """Questions to remotes that may never answer."""
        self.tools = asyncio.Semaphore(settings.tools)
        """Work that costs CPU and disk: checkouts, archives, charts."""
