"""From a key to an action: whom it concerns, what speaks against it, what must be asked, and how it came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from textual.screen import Screen

from fluxtui.console.columns import Brush
from fluxtui.console.screens.dialogs import Answer, Field, FormScreen, QuestionScreen
from fluxtui.console.screens.plan import VERBS, PlanScreen, summary
from fluxtui.console.until import EXAMPLES, parse_until
from fluxtui.console.widgets.tree import FleetTree
from fluxtui.console.working import in_worker
from fluxtui.fleet.actions import Action, Ending, Outcome, Plan, Step
from fluxtui.fleet.audit import timestamp
from fluxtui.fleet.fleet import Fleet
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.text import one_line

LONG = 12.0
"""Seconds that a toast about a failure stays."""


class Actions:
    """Carries out what the user asks for; one worker for each time it is asked."""

    def __init__(self, screen: Screen[Any], tree: FleetTree, fleet: Fleet, brush: Brush) -> None:
        self._screen = screen
        self._tree = tree
        self._fleet = fleet
        self._brush = brush
        self.pending = tree.pending

    def targets(self) -> list[Ref]:
        """The marked objects, else what the line under the cursor stands for."""
        if self._tree.marks:
            return sorted(ref for ref in self._tree.marks if ref in self._fleet.mirror.rows)
        line = self._tree.current
        return sorted(self._brush.tree.members(line)) if line else []

    def start(self, action: Action) -> None:
        """Do it to the targets, or say why not, or ask first."""
        refs = self.targets()
        if refs:
            self._begin(action, refs)
        elif (manager := self._tree.manager) is not None:
            self._offer_manager(action, manager)
        else:
            self._screen.notify(
                "Select a Flux object, a group or a cluster, or mark objects with space.",
                title="Nothing to act on",
                severity="warning",
                markup=False,
            )

    def _begin(self, action: Action, refs: Sequence[Ref]) -> None:
        plan = self._fleet.plan(action, refs)
        if len(refs) == 1 and plan.refused:
            self._refuse(action, plan)
        elif action is Action.SUSPEND:
            self._ask_reason(refs)
        elif len(refs) > 1:
            self._preview(plan)
        else:
            self._confirm(refs[0], plan)

    # Asking

    def _offer_manager(self, action: Action, manager: Ref) -> None:
        """Flux acts on its own objects: for what one of them applied, that one is offered."""
        line = self._tree.current
        assert line is not None
        assert line.ref is not None
        self._screen.app.push_screen(
            QuestionScreen(
                self._brush.palette,
                f"{name_of(line.ref)} is applied by {name_of(manager)}",
                "Flux acts on its own objects only.",
                [Answer("y", f"{action.value} {name_of(manager)}", "manager")],
            ),
            lambda answer: self._begin(action, [manager]) if answer else None,
        )

    def _refuse(self, action: Action, plan: Plan) -> None:
        """Why nothing is done; a suspended object may be resumed instead."""
        item = plan.items[0]
        row = self._fleet.mirror.rows.get(item.ref)
        resumable = row is not None and row.suspended and not self._fleet.plan(Action.RESUME, [item.ref]).refused
        if not (action.reconciles and action is not Action.RESUME and resumable and row):
            self._screen.notify(
                item.refusal, title=f"{name_of(item.ref)} not {VERBS[action]}", severity="warning", markup=False
            )
            return
        note = f"It is held: {row.suspended_note}." if row.suspended_note else "Nobody left a reason."
        self._screen.app.push_screen(
            QuestionScreen(
                self._brush.palette,
                f"{name_of(item.ref)} is suspended",
                f"{note} A suspended object is not reconciled.",
                [Answer("r", f"resume it, then {action.value}", "resume")],
            ),
            lambda answer: self._confirm(item.ref, Plan(Action.RESUME, ()), action) if answer else None,
        )

    def _ask_reason(self, refs: Sequence[Ref]) -> None:
        now = datetime.fromtimestamp(self._fleet.mirror.clock(), UTC).astimezone()
        subject = name_of(refs[0]) if len(refs) == 1 else f"{len(refs)} objects"

        def problem(text: str) -> str | None:
            try:
                parse_until(text, now)
            except ValueError as error:
                return str(error)
            return None

        def answered(values: dict[str, str] | None) -> None:
            if values is None:
                return
            until = parse_until(values["until"], now)
            end = timestamp(until.timestamp()) if until else ""
            plan = self._fleet.plan(Action.SUSPEND, refs, reason=values["reason"], until=end)
            if len(refs) > 1:
                self._preview(plan)
            else:
                self._confirm(refs[0], plan)

        fields = [
            Field("reason", "reason", "why, for whoever finds it suspended"),
            Field("until", "until", f"optional: {EXAMPLES}", problem),
        ]
        self._screen.app.push_screen(
            FormScreen(self._brush.palette, f"Suspend {subject}", _where(refs), fields, "suspend"), answered
        )

    def _confirm(self, ref: Ref, plan: Plan, then: Action | None = None) -> None:
        """Do to an object what a plan says, after its cluster's name was typed where the cluster is protected. What
        the plan says of the object itself does not count: its server will be asked."""
        cluster = ref.cluster
        if not self._fleet.commands.is_protected(cluster):
            self._run(ref, plan, then)
            return

        def problem(text: str) -> str | None:
            return None if text == cluster else "That is not its name."

        self._screen.app.push_screen(
            FormScreen(
                self._brush.palette,
                f"{one_line(cluster)} is protected",
                f"To {plan.action.value} {name_of(ref)}, type the name of the cluster.",
                [Field("name", "cluster", "", problem)],
                plan.action.value,
            ),
            lambda values: self._run(ref, plan, then) if values else None,
        )

    def _preview(self, plan: Plan) -> None:
        self._screen.app.push_screen(PlanScreen(self._brush, plan, self._run_bulk))

    # Doing

    def _run(self, ref: Ref, plan: Plan, then: Action | None) -> None:
        in_worker(self._screen, partial(self._one, ref, plan, then), "actions")

    def _run_bulk(self, screen: PlanScreen) -> None:
        in_worker(self._screen, partial(self._many, screen), "actions")

    async def _one(self, ref: Ref, plan: Plan, then: Action | None) -> None:
        with _Pending(self, [ref], plan.action):
            outcome = await self._act(plan.action, ref, plan.reason, plan.until)
            if then is not None and outcome.good:
                self._report(outcome)
                outcome = await self._act(then, ref)
        self._report(outcome)

    async def _act(self, action: Action, ref: Ref, reason: str = "", until: str = "") -> Outcome:
        """Look at an object as it is on its server, of which news may still be on their way, and act on it."""
        commands = self._fleet.commands
        checked = await commands.plan(action, [ref], reason=reason, until=until)
        (outcome,) = await commands.execute(checked, self._note)
        return outcome

    async def _many(self, screen: PlanScreen) -> None:
        plan = screen.plan

        def note(step: Step) -> None:
            self._note(step)
            screen.note(step)

        def ended(outcome: Outcome) -> None:
            self.pending.pop(outcome.ref, None)
            self._tree.check()
            screen.finish(outcome)

        with _Pending(self, plan.targets, plan.action):
            outcomes = await self._execute(plan, note, ended)
        self._tree.clear_marks()
        if not screen.is_attached:
            bad = [outcome for outcome in outcomes if not outcome.good]
            self._screen.notify(
                summary(outcomes),
                title=f"{plan.action.value.capitalize()} of {len(plan.targets)} objects",
                severity="warning" if bad else "information",
                markup=False,
            )

    async def _execute(
        self, plan: Plan, note: Callable[[Step], None], ended: Callable[[Outcome], None]
    ) -> list[Outcome]:
        """Ask the servers about permissions too, then carry out what is left of the plan."""
        commands = self._fleet.commands
        checked = await commands.plan(plan.action, plan.targets, reason=plan.reason, until=plan.until)
        return await commands.execute(checked, note, ended)

    def _note(self, step: Step) -> None:
        self.pending[step.ref] = step.text
        self._tree.check()

    def _report(self, outcome: Outcome) -> None:
        name, took = name_of(outcome.ref), f"  {outcome.seconds:.0f}s" if outcome.seconds >= 1 else ""
        if outcome.good:
            title = f"{name} {VERBS[outcome.action]}"
            where = one_line(outcome.ref.cluster)
            words = where if outcome.action is Action.SUSPEND else f"{outcome.message}  {where}{took}"
            self._screen.notify(words, title=title, markup=False)
            return
        self._screen.notify(
            outcome.message,
            title=f"{name} not {VERBS[outcome.action]}",
            severity="error" if outcome.ending is Ending.FAILED else "warning",
            timeout=LONG,
            markup=False,
        )


class _Pending:
    """Marks objects as waiting for an outcome, however the waiting ends."""

    def __init__(self, actions: Actions, refs: Sequence[Ref], action: Action) -> None:
        self._actions = actions
        self._refs = refs
        self._action = action

    def __enter__(self) -> None:
        self._actions.pending.update(dict.fromkeys(self._refs, self._action.value))
        self._actions._tree.check()

    def __exit__(self, *_: object) -> None:
        for ref in self._refs:
            self._actions.pending.pop(ref, None)
        self._actions._tree.check()


def name_of(ref: Ref) -> str:
    """`Kustomization apps`."""
    return f"{ref.kind} {ref.name}"


def _where(refs: Sequence[Ref]) -> str:
    clusters = sorted({ref.cluster for ref in refs})
    if len(refs) == 1:
        return f"{one_line(refs[0].cluster)} / {refs[0].namespace}"
    return f"in {', '.join(map(one_line, clusters[:6]))}{' and more' * (len(clusters) > 6)}"
