"""A bulk action: what it would do, then its progress on the same lines, then how each object came out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Input, Static

from fluxtui.console import keys, stylesheets
from fluxtui.console.columns import Brush
from fluxtui.console.screens.dialogs import hint
from fluxtui.console.widgets.chrome import Words
from fluxtui.console.widgets.fields import TextField
from fluxtui.console.widgets.lines import VirtualList
from fluxtui.console.widgets.strips import segments
from fluxtui.fleet.actions import Action, Ending, Item, Outcome, Plan, Step
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.states import State
from fluxtui.fleet.text import one_line

_ENDINGS = {
    Ending.DONE: State.READY,
    Ending.FAILED: State.FAILED,
    Ending.TIMEOUT: State.OVERDUE,
}


class PlanList(VirtualList[Item]):
    """The objects of a plan with what is known of each: refused, waiting, its last step, its outcome."""

    def __init__(self, brush: Brush, plan: Plan) -> None:
        super().__init__(brush.palette, id="plan-list")
        self._brush = brush
        self.steps: dict[Ref, str] = {}
        self.outcomes: dict[Ref, Outcome] = {}
        self._plan = plan

    def on_mount(self) -> None:
        self.show(self._plan.items)

    def key(self, line: Item) -> Ref:
        return line.ref

    def stamp(self, line: Item) -> object:
        return (line, self.steps.get(line.ref), self.outcomes.get(line.ref))

    def paint(self, line: Item, width: int) -> Strip:
        palette, brush = self.palette, self._brush
        outcome, step = self.outcomes.get(line.ref), self.steps.get(line.ref)
        glyph, message, style = " ", "", palette.muted
        if outcome and outcome.ending in _ENDINGS:
            state = _ENDINGS[outcome.ending]
            glyph, message, style = brush.glyph(state), outcome.message, brush.state(state)
        elif outcome or line.refusal:
            # Nothing is done to it; that is no state of its own.
            glyph, message = brush.glyphs.separator, outcome.message if outcome else line.refusal
        elif step:
            glyph, message = brush.glyph(State.PROGRESSING), step
        text = Text.assemble(
            (f" {glyph} ", style), (f"{line.ref.word:<4} ", palette.muted), (line.ref.path, palette.ink)
        )
        text.append(f"  {one_line(line.ref.cluster)}", palette.muted).append(f"  {one_line(message)}", style)
        text.truncate(width - 1, overflow="ellipsis")
        return Strip(segments(text, self.app.console))


class PlanScreen(ModalScreen[None], inherit_bindings=False):
    """Preview, then progress, then results; closing it while it runs lets it run on."""

    CSS_PATH = stylesheets.path("plan")
    BINDINGS: ClassVar[list[BindingType]] = [*keys.DIALOG, *keys.PLAN]

    def __init__(self, brush: Brush, plan: Plan, execute: Callable[[PlanScreen], None]) -> None:
        """`execute` starts the action; it tells the screen of steps and outcomes."""
        super().__init__()
        self._brush = brush
        self.plan = plan
        self._execute = execute
        self._started = False

    def compose(self) -> ComposeResult:
        with Vertical(id="plan"):
            yield Static(self._title(), id="plan-title")
            yield PlanList(self._brush, self.plan)
            if self.plan.protected:
                names = " ".join(self.plan.protected)
                words = Text.assemble(
                    ("protected: type ", self._brush.palette.warning), (one_line(names), self._brush.palette.strong)
                )
                yield Static(words, id="plan-protected")
                yield TextField(id="plan-name", compact=True)
            yield Words(self._hint(), id="plan-hint")

    def on_mount(self) -> None:
        self.query_one(Input if self.plan.protected else PlanList).focus()

    def _title(self) -> Text:
        palette, plan = self._brush.palette, self.plan
        targets, clusters = len(plan.targets), len(plan.clusters)
        objects = f"{targets} object{'s' * (targets != 1)} in {clusters} cluster{'s' * (clusters != 1)}"
        text = Text.assemble((f"{plan.action.value.capitalize()} ", palette.strong), (objects, palette.strong))
        if plan.refused:
            text.append(f"   {len(plan.refused)} refused", palette.muted)
        if plan.reason:
            text.append(f"\n{plan.reason}", palette.ink)
        return text

    def _hint(self, words: str = "") -> Text:
        palette = self._brush.palette
        if words:
            return Text(f"{words}   ", palette.ink).append_text(hint([("escape", "close")], palette))
        if not self.plan.targets:
            return self._hint("Nothing can be done.")
        return hint([("enter", self.plan.action.value), ("escape", "leave it")], palette)

    @on(Input.Submitted)
    @on(VirtualList.Activated)
    def _confirm(self) -> None:
        if self._started or not self.plan.targets:
            return
        if self.plan.protected and self.query_one(Input).value.split() != list(self.plan.protected):
            self.query_one("#plan-hint", Words).update(
                Text("That is not the name; nothing was done.", self._brush.palette.error)
            )
            return
        self._started = True
        for widget in self.query("#plan-protected, #plan-name"):
            widget.display = False
        self.query_one(PlanList).focus()
        self._tell(f"0 of {len(self.plan.targets)} done")
        self._execute(self)

    # Told by who carries the plan out

    def note(self, step: Step) -> None:
        """Progress of one object."""
        if self.is_attached:
            found = self.query_one(PlanList)
            found.steps[step.ref] = step.text
            found.check()

    def finish(self, outcome: Outcome) -> None:
        """The end for one object."""
        if not self.is_attached:
            return
        found = self.query_one(PlanList)
        found.outcomes[outcome.ref] = outcome
        found.check()
        ended = [each for each in found.outcomes.values() if each.ending is not Ending.REFUSED]
        total = len(self.plan.targets)
        self._tell(summary(ended) if len(ended) >= total else f"{len(ended)} of {total} done")

    def _tell(self, words: str) -> None:
        self.query_one("#plan-hint", Words).update(self._hint(words))

    def action_cancel(self) -> None:
        self.dismiss(None)


def summary(outcomes: list[Outcome]) -> str:
    """`12 done, 1 failed, 2 timed out`."""
    counts = Counter(outcome.ending for outcome in outcomes)
    return ", ".join(f"{counts[ending]} {ending.value}" for ending in Ending if counts[ending]) or "nothing was done"


VERBS = {
    Action.RECONCILE: "reconciled",
    Action.RECONCILE_WITH_SOURCE: "reconciled with source",
    Action.SUSPEND: "suspended",
    Action.RESUME: "resumed",
}
"""The action as something done."""
