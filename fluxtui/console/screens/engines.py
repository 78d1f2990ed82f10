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
    """Clusters that our engine is to reconcile, or no longer; what is under way stands on the cluster's line."""

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
        pid, own, left = await asyncio.to_thread(self._look, info, context)
        now, read_only = self._fleet.mirror.clock(), self._fleet.settings.console.read_only
        words = refusal(info, pid, now, own=own, read_only=read_only)
        if words:
            self._say(f"{one_line(info.id)} keeps its engine" if pid else f"No engine for {one_line(info.id)}", words)
        elif pid:
            words = f"The engine (process {pid}) gives its Leases back, and nobody reconciles the cluster then."
            self._ask(info, "stop", words, [Answer("y", "stop it", "stop")], context)
        else:
            words = (
                "A process on this machine reconciles it from now on, and goes on when this console is left: the same "
                f"key stops it. Its log is {self.engines.log_file}"
            )
            answers = [Answer("y", "start it", "start")]
            if left:
                names = ", ".join(map(one_line, left))
                words += f"\nThat process ended without having been asked to. It had, too: {names}"
                answers.append(Answer("a", "start all it had", "start all"))
            self._ask(info, "start", words, answers, context)

    def _look(self, info: ClusterInfo, context: Context) -> tuple[int, bool, list[str]]:
        """The process that has the cluster, whether the Leases are its, and which others it left behind."""
        pid = self.engines.pid(context)
        left = [name for name in self.engines.left_behind() if name != context.id]
        return pid, self.engines.is_own(info.holder), left

    def _ask(self, info: ClusterInfo, verb: str, words: str, answers: list[Answer], context: Context) -> None:
        palette, name = self._brush.palette, one_line(info.id)

        def answered(answer: object) -> None:
            if answer:
                others = answer == "start all"
                work = self._stop if verb == "stop" else partial(self._start, others=others)
                in_worker(self._screen, partial(work, info.id, context), "engines")

        title = f"{verb.capitalize()} the engine of {name}?"
        if self._fleet.commands.is_protected(info.id):
            check = Field("name", "cluster", f"type {name}", lambda text: None if text == info.id else "Not its name.")
            self._screen.app.push_screen(FormScreen(palette, title, words, [check], verb), answered)
        else:
            self._screen.app.push_screen(QuestionScreen(palette, title, words, answers), answered)

    async def _start(self, cluster: str, context: Context, *, others: bool) -> None:
        work = self.engines.start(context, others=others)
        if await self._carry_out(context, "start engine", "engine starts", "not started", work):
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


def refusal(info: ClusterInfo, pid: int, now: float, *, read_only: bool, own: bool = False) -> str:
    """Why an engine is neither started nor stopped, a sentence; "" when nothing speaks against it.

    `own`: who holds the Leases is the engine that would be started, which gets them back when it was killed.
    """
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
    if info.mode is Mode.EMBEDDED and not own and not info.stale_controllers:
        return f"an engine reconciles it already, started elsewhere: {one_line(info.holder)}"
    if not info.kinds:
        return f"it serves none of Flux's kinds: fluxtui install --context {one_line(info.id)}"
    return ""
