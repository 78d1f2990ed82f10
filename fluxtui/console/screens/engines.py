"""Our engine on a cluster: whether it may be started or stopped here, what must be asked first, and how it came out."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

from textual.screen import Screen

from fluxtui.console.columns import Brush
from fluxtui.console.screens.dialogs import Answer, Field, FormScreen, QuestionScreen
from fluxtui.console.widgets.tree import FleetTree
from fluxtui.console.working import in_worker
from fluxtui.fleet.clusters import ClusterInfo, Mode
from fluxtui.fleet.engines import EngineError, Engines
from fluxtui.fleet.fleet import Fleet
from fluxtui.fleet.text import one_line, span
from fluxtui.kube.kubeconfig import Context

LONG = 12.0
"""Seconds that a toast about a failure stays."""


class EngineControl:
    """One engine for each cluster; what is under way stands on the cluster's line."""

    def __init__(
        self, screen: Screen[Any], tree: FleetTree, fleet: Fleet, brush: Brush, engines: Engines | None = None
    ) -> None:
        self._screen = screen
        self._tree = tree
        self._fleet = fleet
        self._brush = brush
        self.engines = engines or Engines()

    def toggle(self) -> None:
        """Offer to start the engine of the cluster under the cursor, or to stop it, or say why neither can be done."""
        line = self._tree.current
        info = self._fleet.mirror.clusters.get(line.cluster) if line else None
        context = self._fleet.context(info.id) if info else None
        if info is None or context is None:
            self._say("Which cluster?", "Select a cluster, or something in it.")
        elif info.id not in self._brush.engines:
            in_worker(self._screen, partial(self._offer, info, context), "engines")

    async def _offer(self, info: ClusterInfo, context: Context) -> None:
        pid = await asyncio.to_thread(self.engines.pid, context)
        words = refusal(info, pid, self._fleet.mirror.clock(), read_only=self._fleet.settings.console.read_only)
        if words:
            self._say(f"{one_line(info.id)} keeps its engine" if pid else f"No engine for {one_line(info.id)}", words)
        elif pid:
            words = f"Process {pid} gives its Leases back, and nobody reconciles the cluster then."
            self._ask(info, "stop", words, context)
        else:
            words = (
                "A process on this machine reconciles it from now on, and goes on when this console is left: the same "
                f"key stops it. Its log is {self.engines.log_file(context)}"
            )
            self._ask(info, "start", words, context)

    def _ask(self, info: ClusterInfo, verb: str, words: str, context: Context) -> None:
        palette, name = self._brush.palette, one_line(info.id)
        work = partial(self._start if verb == "start" else self._stop, info.id, context)

        def answered(answer: object) -> None:
            if answer:
                in_worker(self._screen, work, "engines")

        title = f"{verb.capitalize()} the engine of {name}?"
        if self._fleet.commands.is_protected(info.id):
            check = Field("name", "cluster", f"type {name}", lambda text: None if text == info.id else "Not its name.")
            self._screen.app.push_screen(FormScreen(palette, title, words, [check], verb), answered)
        else:
            answer = Answer("y", f"{verb} it", verb)
            self._screen.app.push_screen(QuestionScreen(palette, title, words, [answer]), answered)

    async def _start(self, cluster: str, context: Context) -> None:
        if await self._carry_out(context, "start engine", "engine starts", "not started", self.engines.start(context)):
            words = "It goes on when this console is left; the same key stops it."
            self._screen.notify(words, title=f"The engine reconciles {one_line(cluster)}", markup=False)

    async def _stop(self, cluster: str, context: Context) -> None:
        if await self._carry_out(context, "stop engine", "engine stops", "not stopped", self.engines.stop(context)):
            self._screen.notify(
                "Nobody reconciles it now.", title=f"Engine of {one_line(cluster)} stopped", markup=False
            )

    async def _carry_out(
        self, context: Context, action: str, words: str, failed: str, work: Coroutine[Any, Any, object]
    ) -> bool:
        """Do it with a word on the cluster's line meanwhile; whether it went well, which is said if not, and noted in
        the audit log either way."""
        cluster, result = context.id, "done"
        self._brush.engines[cluster] = words
        self._tree.check()
        try:
            await work
        except EngineError as error:
            result = str(error)
            self._say(f"Engine of {one_line(cluster)} {failed}", result, severe=True)
            return False
        finally:
            del self._brush.engines[cluster]
            # Who holds the Leases now is known at once, not with the next look at them.
            self._fleet.look(cluster)
            self._tree.check()
            await self._fleet.note(context, action, result)
        return True

    def _say(self, title: str, words: str, *, severe: bool = False) -> None:
        self._screen.notify(words, title=title, severity="error" if severe else "warning", timeout=LONG, markup=False)


def refusal(info: ClusterInfo, pid: int, now: float, *, read_only: bool) -> str:
    """Why an engine is neither started nor stopped, a sentence; "" when nothing speaks against it."""
    if read_only:
        return "read-only: the settings forbid every write"
    if pid:
        return ""
    if info.is_lost:
        since = f" for {span(now - info.lost_since)}" if info.lost_since else ""
        return f"{one_line(info.id)} does not answer{since}"
    if not info.is_settled:
        return "it is still being read: in a moment it is known who reconciles it"
    if info.mode is Mode.DELEGATED:
        return f"Flux's own controllers reconcile it: {one_line(info.holder)} holds their Leases. Stop them first."
    if info.mode is Mode.EMBEDDED:
        return f"an engine reconciles it already, started elsewhere: {one_line(info.holder)}"
    if not info.kinds:
        return f"it serves none of Flux's kinds: fluxtui install --context {one_line(info.id)}"
    return ""
