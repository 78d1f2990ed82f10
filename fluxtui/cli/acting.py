"""What `reconcile`, `suspend` and `resume` have in common: find objects, ask back where that is due, act, report."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from fluxtui.cli import output
from fluxtui.cli.asking import confirmed
from fluxtui.cli.contact import AT_ONCE, Listing, Trouble, in_part, list_to_judge
from fluxtui.cli.options import EXIT_CODES, Place, Selection, gathered
from fluxtui.cli.options import query as query_of
from fluxtui.cli.words import Wanted
from fluxtui.fleet.actions import Action, Ending, Outcome, Plan, Step
from fluxtui.fleet.commands import Commands
from fluxtui.fleet.query import Query
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import row_of
from fluxtui.fleet.wire import Wire
from fluxtui.kube.errors import KubeError, Unreachable

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

FIND_WITHIN = 30.0
"""Seconds a cluster may take to say what it has."""

MEANING = f"""The objects of these names are looked for in all selected clusters. Without --context, and if more than
one cluster has them, a terminal is asked first (--yes answers); scripts go ahead. Clusters that the settings protect
want their name typed, or --yes.

-o wide adds the revision in full; names are those of the objects with which all went well; JSON and YAML: {{"outcomes":
[{{"cluster", "kind", "namespace", "name", "action", "ending", "message", "revision", "seconds"}}], "errors": […]}}.

{EXIT_CODES}"""


class Target(msgspec.Struct, frozen=True):
    """Which objects are meant beside names, and how to answer."""

    every: bool = False
    query: Query = Query()
    label_selector: str = ""
    yes: bool = False
    form: str = "table"

    @property
    def is_open(self) -> bool:
        """Whether nothing says which objects are meant."""
        return not (self.every or self.query or self.label_selector)


class Wish(msgspec.Struct, frozen=True):
    """What is to be done to which objects."""

    action: Action
    meant: Wanted
    target: Target = Target()
    reason: str = ""
    until: str = ""


target_options = gathered(
    "target",
    Target,
    (
        click.option("--all", "every", is_flag=True, help="All objects of the kind."),
        click.option("-l", "--label-selector", default="", metavar="SELECTOR", help="All objects whose labels match."),
        click.option(
            "--status-selector",
            "--filter",
            "query",
            callback=query_of,
            default="",
            metavar="FILTER",
            help="All objects that pass, such as ready=false.",
        ),
        click.option("-y", "--yes", is_flag=True, help="Do not ask back."),
        click.option("-o", "--output", "form", type=click.Choice(output.FORMATS), default="table", show_default=True),
    ),
)
"""--all, -l, --status-selector, --yes and -o; the command gets a `target`."""


def perform(place: Place, wish: Wish) -> int:
    """Do it; returns the exit code. Raises click.UsageError when nothing says which objects are meant."""
    if not wish.meant.names and wish.target.is_open:
        raise click.UsageError(f"name a {wish.meant.title}, or say --all, -l or --status-selector")
    return asyncio.run(_Performance(place.select(), wish).run())


class _Performance:
    def __init__(self, where: Selection, wish: Wish) -> None:
        self._where = where
        self._wish = wish
        self._clients: dict[str, Client] = {}
        self._troubles: list[Trouble] = []
        self._there: set[str] = set()
        """Names of all objects of the kind, found where they were looked for."""

    async def run(self) -> int:
        from fluxtui.kube.client import Client

        async with contextlib.AsyncExitStack() as stack:
            for context in self._where.contexts:
                client = Client(context, request_timeout=min(self._where.timeout, FIND_WITHIN))
                self._clients[context.id] = await stack.enter_async_context(client)
            refs, missing = await self._find()
            for trouble in self._troubles:
                click.echo(f"✗ {trouble.cluster}: {trouble.message}", err=True)
            self._where.complain_of_missing(self._wish.meant.title, missing, self._there)
            outcomes = await self._act(refs) if refs else []
        if outcomes is None:
            click.echo("nothing was done", err=True)
            return 1
        self._report(outcomes)
        if not refs and not missing and not self._troubles:
            click.echo(f"no {self._wish.meant.title} objects found{self._where.somewhere}", err=True)
        return 1 if self._troubles or missing or not all(outcome.good for outcome in outcomes) else 0

    async def _find(self) -> tuple[list[Ref], list[str]]:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(client: Client) -> Listing[Wire] | Trouble:
            async with gate:
                try:
                    async with asyncio.timeout(FIND_WITHIN):
                        return await self._list(client)
                except TimeoutError:
                    return Trouble(client.id, f"no answer within {FIND_WITHIN:g} s")
                except KubeError as error:
                    return Trouble(client.id, str(error))

        answers = await asyncio.gather(*map(one, self._clients.values()))
        now = time.time()
        matches = self._wish.target.query.matcher(now)
        refs: list[Ref] = []
        seen: set[str] = set()
        for cluster, answer in zip(self._clients, answers, strict=True):
            if isinstance(answer, Trouble):
                self._troubles.append(answer)
                continue
            self._troubles += [Trouble(cluster, problem) for problem in answer.problems]
            for obj in answer.objects:
                row = row_of(cluster, obj, now, stale_controllers=answer.stale)
                names = {row.ref.name, row.ref.path}
                self._there.add(row.ref.name)
                if (not self._wish.meant.names or names.intersection(self._wish.meant.names)) and matches(row):
                    refs.append(row.ref)
                    seen |= names
        if not all(isinstance(answer, Listing) for answer in answers) and not self._there:
            # Nobody who could know has answered.
            return refs, []
        return refs, [name for name in self._wish.meant.names if name not in seen]

    async def _list(self, client: Client) -> Listing[Wire]:
        selector = self._wish.target.label_selector
        return await list_to_judge(in_part, client, self._wish.meant, self._where.namespace, selector)

    async def _act(self, refs: Sequence[Ref]) -> list[Outcome] | None:
        """The outcomes; None when the user said no."""
        actions = self._where.settings.actions
        commands = Commands(
            self._client,
            protected=self._where.settings.clusters.protected,
            concurrency=actions.concurrency,
            timeout=self._where.timeout,
        )
        plan = await commands.plan(self._wish.action, refs, reason=self._wish.reason, until=self._wish.until)
        if plan.targets and not self._wish.target.yes and not await asyncio.to_thread(self._confirmed, plan):
            return None
        outcomes = await commands.execute(plan, self._show_step)
        if commands.audit.problem:
            click.echo(f"fluxtui: the audit log could not be written: {commands.audit.problem}", err=True)
        return outcomes

    def _client(self, cluster: str) -> Client:
        if cluster not in self._clients:
            raise Unreachable(f"{cluster} is not connected")
        return self._clients[cluster]

    def _confirmed(self, plan: Plan) -> bool:
        several = not self._where.explicit and len(plan.clusters) > 1
        return confirmed(
            plan.action,
            plan.protected,
            f"{plan.action} these in {len(plan.clusters)} clusters?" if several else "",
            (f"{ref.cluster}  {ref.kind.lower()}/{ref.path}" for ref in plan.targets),
        )

    def _show_step(self, step: Step) -> None:
        click.echo(f"► {self._name(step.ref)}: {step.text}", err=True)

    def _name(self, ref: Ref) -> str:
        return (f"{ref.cluster} " if self._where.several else "") + f"{ref.kind.lower()}/{ref.path}"

    def _report(self, outcomes: Sequence[Outcome]) -> None:
        if self._wish.target.form in ("json", "yaml"):
            document = {"outcomes": list(map(_told, outcomes)), "errors": output.errors_of(self._troubles)}
            (output.print_json if self._wish.target.form == "json" else output.print_yaml)(document)
            return
        if self._wish.target.form == "name":
            for outcome in filter(lambda outcome: outcome.good, outcomes):
                click.echo(output.name_of(outcome.ref, several=self._where.several))
            return
        for outcome in outcomes:
            sign = output.sign(good=outcome.good)
            took = (
                f" ({outcome.seconds:.1f}s)" if outcome.good and outcome.seconds and outcome.action.reconciles else ""
            )
            refused = "refused: " if outcome.ending is Ending.REFUSED else ""
            at = f" at {outcome.revision}" if outcome.revision and self._wish.target.form == "wide" else ""
            click.echo(f"{sign} {self._name(outcome.ref)}: {refused}{outcome.message}{at}{took}")


def _told(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON and YAML show it."""
    ref = outcome.ref
    return {
        "cluster": ref.cluster,
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "action": outcome.action.value,
        "ending": outcome.ending.value,
        "message": outcome.message,
        "revision": outcome.revision,
        "seconds": round(outcome.seconds, 3),
    }
