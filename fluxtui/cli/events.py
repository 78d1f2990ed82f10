"""`fluxtui events`: the Kubernetes Events about Flux objects of all selected clusters, in the order of time."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from fluxtui.api.kinds import HELM_CHART, HELM_RELEASE, KINDS, Kind, is_flux_group
from fluxtui.cli import output
from fluxtui.cli.contact import ask_all, list_objects
from fluxtui.cli.options import EXIT_CODES, Place, Selection, cluster_options, form_option
from fluxtui.cli.streaming import Hearing, until_interrupted
from fluxtui.cli.words import Wanted, kind_of
from fluxtui.fleet.happenings import EVENTS, Happening, happening
from fluxtui.fleet.rows import row_of
from fluxtui.fleet.states import State
from fluxtui.fleet.text import one_line, span
from fluxtui.kube.errors import KubeError
from fluxtui.kube.kubeconfig import Context

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

Object = dict[str, Any]

_CONTROLLERS = sorted({kind.controller for kind in KINDS if kind.controller})

HELP = f"""List the Kubernetes Events about Flux objects, the newest last. Servers keep them for an hour.

--for narrows them to a kind or to one object; the events about what that object takes its content from (its source, and
the chart of a HelmRelease) are among them.

\b
  fluxtui events -A --types warning
  fluxtui events --for ks/apps --context 'prod-*' --watch

JSON and YAML hold the Events themselves: {{"items": [{{"cluster": …, event…}}], "errors": […]}}; with --watch one
document an event.

{EXIT_CODES}"""


class Narrowing(msgspec.Struct, frozen=True):
    """Which events are wanted."""

    kind: Kind | None = None
    name: str = ""
    types: tuple[str, ...] = ()
    """In lower case; empty for all."""

    def has(self, event: Object) -> bool:
        """Whether an event is wanted that the server has selected."""
        involved = event.get("involvedObject") or {}
        group = str(involved.get("apiVersion") or "").rpartition("/")[0]
        return is_flux_group(group) and (not self.types or str(event.get("type") or "").lower() in self.types)


class Question(msgspec.Struct, frozen=True):
    """What a server is asked for."""

    namespace: str
    selector: str


def _subject(ctx: click.Context, param: click.Parameter, value: str) -> tuple[Kind | None, str]:
    word, _, name = value.partition("/")
    kind = kind_of(word) if word else None
    if value and kind is None:
        raise click.BadParameter(f"{value!r} is not KIND or KIND/NAME of a Flux kind", ctx, param)
    return kind, name


def _types(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(part.strip().lower() for value in values for part in value.split(","))
    for each in found:
        if each not in ("normal", "warning"):
            raise click.BadParameter(f"{each!r} is neither Normal nor Warning", ctx, param)
    return found


@click.command(help=HELP)
@click.option("--for", "subject", callback=_subject, default="", metavar="KIND[/NAME]", help="Events about these.")
@click.option("--types", multiple=True, callback=_types, metavar="TYPES", help="Normal, Warning; commas.")
@click.option("-w", "--watch", is_flag=True, help="Go on with new events, until interrupted.")
@click.option("--no-headers", "--no-header", is_flag=True, help="No headings above the table.")
@form_option
@cluster_options("30s", namespaces=True)
def command(
    subject: tuple[Kind | None, str], types: tuple[str, ...], watch: bool, no_headers: bool, form: str, place: Place
) -> None:
    """List events."""
    where, wanted = place.select(), Narrowing(*subject, types)
    if watch:
        sys.exit(asyncio.run(_Follower(where, wanted, form, headings=not no_headers).run()))
    sys.exit(asyncio.run(_list(where, wanted, form, headings=not no_headers)))


async def _list(where: Selection, wanted: Narrowing, form: str, *, headings: bool) -> int:
    async def ask(client: Client) -> list[Object]:
        questions = await questions_of(client, wanted, where.namespace)
        lists = [await client.list(EVENTS, each.namespace, field_selector=each.selector) for each in questions]
        return [event for found in lists for event in found.items if wanted.has(event)]

    answers = await ask_all(where.contexts, where.timeout, ask)
    answers.complain()
    found = [(cluster, event) for cluster, events in answers.of.items() for event in events]
    found.sort(key=lambda pair: happening(pair[1]).time)
    if form == "table":
        table_of(where, found).print(headings=headings)
        if not found and not answers.troubles:
            click.echo(f"no events found{where.somewhere}", err=True)
    else:
        items = [_item(cluster, event) for cluster, event in found]
        document = {"items": items, "errors": output.errors_of(answers.troubles)}
        (output.print_json if form == "json" else output.print_yaml)(document)
    return 1 if answers.troubles else 0


async def questions_of(client: Client, wanted: Narrowing, namespace: str) -> list[Question]:
    """What to ask a server for; over all namespaces, only for what Flux's controllers report. Raises KubeError."""
    if wanted.kind is None:
        by = [f"source={controller}" for controller in _CONTROLLERS] if not namespace else [""]
        return [Question(namespace, selector) for selector in by]
    selector = f"involvedObject.kind={wanted.kind.kind}"
    if not wanted.name:
        return [Question(namespace, selector)]
    questions = [Question(namespace, f"{selector},involvedObject.name={wanted.name}")]
    listing = await list_objects(client, Wanted((wanted.kind,)), namespace)
    for obj in listing.objects:
        if obj["metadata"]["name"] == wanted.name:
            questions += _related(client.id, obj, wanted.kind)
    return list(dict.fromkeys(questions))


def _related(cluster: str, obj: Object, kind: Kind) -> list[Question]:
    row = row_of(cluster, obj, time.time())
    found = []
    if row.source is not None:
        related = row.source
        selector = f"involvedObject.kind={related.kind},involvedObject.name={related.name}"
        found.append(Question(related.namespace, selector))
    if kind is HELM_RELEASE:
        chart = str((obj.get("status") or {}).get("helmChart") or "")
        namespace, _, name = chart.partition("/")
        if name:
            selector = f"involvedObject.kind={HELM_CHART.kind},involvedObject.name={name}"
            found.append(Question(namespace, selector))
    return found


def table_of(where: Selection, found: Iterable[tuple[str, Object]]) -> output.Table:
    """Events as a table; the namespace is told because an object's source may be in another."""
    table = output.Table(
        ["CLUSTER"] * where.several + ["NAMESPACE", "LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    )
    now = time.time()
    for cluster, event in found:
        read = happening(event)
        cells = [cluster] * where.several + [read.namespace, _seen(read, now)]
        cells += [
            "Warning" if read.warning else "Normal",
            read.reason,
            f"{read.kind}/{read.name}",
            one_line(read.message),
        ]
        table.add(cells, State.FAILED if read.warning else None, len(cells) - 4)
    return table


def _seen(read: Happening, now: float) -> str:
    """`2m`, or `2m (x5 over 10m)`."""
    last = span(now - read.time) if read.time else ""
    return f"{last} (x{read.count} over {span(now - read.first)})" if read.count > 1 else last


def _item(cluster: str, event: Object) -> Object:
    metadata = {key: value for key, value in (event.get("metadata") or {}).items() if key != "managedFields"}
    return {"cluster": cluster, **event, "metadata": metadata}


class _Follower:
    def __init__(self, where: Selection, wanted: Narrowing, form: str, *, headings: bool) -> None:
        self._where = where
        self._wanted = wanted
        self._form = form
        self._headings = headings
        self._hearing = Hearing()
        self._widths: list[int] = []
        self._shown: dict[tuple[str, str], tuple[float, int]] = {}

    async def run(self) -> int:
        await until_interrupted([self._cluster(context) for context in self._where.contexts])
        return self._hearing.exit_code

    async def _cluster(self, context: Context) -> None:
        from fluxtui.kube.client import Client

        async with Client(context, request_timeout=self._where.timeout) as client:
            while True:
                try:
                    await client.alive()
                    questions = await questions_of(client, self._wanted, self._where.namespace)
                    break
                except KubeError as error:
                    self._hearing.complain(context.id, error)
                    await asyncio.sleep(1)
            self._hearing.heard(context.id)
            async with asyncio.TaskGroup() as group:
                for question in questions:
                    group.create_task(self._question(client, question))

    async def _question(self, client: Client, question: Question) -> None:
        from fluxtui.kube.watch import watch

        batches = watch(
            client,
            EVENTS,
            namespace=question.namespace,
            field_selector=question.selector,
            on_state=lambda state: self._hearing.watched(client.id, state),
        )
        async with contextlib.aclosing(batches):
            async for batch in batches:
                fresh = [event for event in batch.upserts if self._is_fresh(client.id, event)]
                self._print(client.id, sorted(fresh, key=lambda event: happening(event).time))
                for namespace, name in batch.deletes:
                    self._shown.pop((client.id, f"{namespace}/{name}"), None)

    def _is_fresh(self, cluster: str, event: Object) -> bool:
        if not self._wanted.has(event):
            return False
        read = happening(event)
        face, key = (read.time, read.count), (cluster, read.key)
        fresh = self._shown.get(key) != face
        self._shown[key] = face
        return fresh

    def _print(self, cluster: str, events: Sequence[Object]) -> None:
        if self._form == "table" and events:
            table = table_of(self._where, ((cluster, event) for event in events))
            self._widths = table.print(headings=self._headings and not self._widths, widths=self._widths)
        for event in events if self._form != "table" else ():
            if self._form == "json":
                output.print_json(_item(cluster, event), indent=None)
            else:
                output.print_yaml(_item(cluster, event), separate=True)
