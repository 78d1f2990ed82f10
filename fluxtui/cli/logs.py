"""`fluxtui logs`: what reconciles the selected clusters says, Flux's controllers and our engine alike."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import click
import msgspec

from fluxtui.api.meta import FLUX_NAMESPACE
from fluxtui.cli import output
from fluxtui.cli.options import EXIT_CODES, Option, Place, Selection, cluster_options, duration, gathered
from fluxtui.cli.streaming import Hearing, until_interrupted, unwrapping
from fluxtui.cli.words import kind_of
from fluxtui.fleet.controller_logs import (
    ControllerLine,
    Lines,
    Wanted,
    follow_lines,
    merged,
    past_lines,
)
from fluxtui.fleet.facts import moment
from fluxtui.kube.errors import KubeError
from fluxtui.kube.kubeconfig import Context

Queue = asyncio.Queue[ControllerLine | None]

_AHEAD = 256
"""Lines that are read of a cluster before those of others are printed."""
_AGAIN = 2.0
"""Seconds after which a cluster that fell silent is asked again."""
_ALL = -1
_COLOURS = {"error": "red", "debug": "bright_black"}

HELP = f"""Print the log lines of Flux's controllers, or of the engine that stands in for them.

The engine's lines are in a file of the host it runs on, and can only be read there. Without -A, only lines about
objects of the namespace are printed; with it, all. They are in the order of time; with --follow, as they come.

\b
  fluxtui logs --kind ks --name apps --since 10m
  fluxtui logs -A --level error --follow --context 'prod-*'

JSON is one object a line: {{"cluster", "source", "time", "level", "kind", "namespace", "name", "message"}}.

{EXIT_CODES}"""


class Filter(msgspec.Struct, frozen=True):
    """What the options say."""

    kind: str = ""
    name: str = ""
    level: str | None = None
    since: float = 0.0
    since_time: float = 0.0
    tail: int | None = None

    def wanted(self, namespace: str) -> Wanted:
        """The lines that are wanted. Raises click.UsageError."""
        if self.since and self.since_time:
            raise click.UsageError("--since and --since-time exclude each other")
        since = time.time() - self.since if self.since else self.since_time
        tail = None if self.tail == _ALL else self.tail
        return Wanted(self.kind, self.name, namespace, self.level or "", since, tail)


def _kind(ctx: click.Context, param: click.Parameter, value: str) -> str:
    found = kind_of(value)
    # A kind that we don't know may have a controller that writes such lines all the same.
    return found.kind if found else value


def _moment(ctx: click.Context, param: click.Parameter, value: str) -> float:
    found = moment(value)
    if value and not found:
        raise click.BadParameter(f"{value!r} is not an RFC 3339 time", ctx, param)
    return found


filter_options: Option = gathered(
    "filtered",
    Filter,
    (
        click.option("--kind", callback=_kind, default="", metavar="KIND", help="Lines about objects of this kind."),
        click.option("--name", default="", metavar="NAME", help="Lines about objects of this name."),
        click.option("--level", type=click.Choice(("debug", "info", "error")), help="Lines of this level."),
        click.option("--since", callback=duration, default="", metavar="DURATION", help="Lines not older than this."),
        click.option(
            "--since-time", callback=_moment, default="", metavar="TIME", help="Lines since an RFC 3339 time."
        ),
        click.option(
            "--tail", type=click.IntRange(_ALL), metavar="N", help="The last lines of each log only; -1: all."
        ),
    ),
)


@click.command(help=HELP)
@filter_options
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines, until interrupted.")
@click.option("--flux-namespace", default=FLUX_NAMESPACE, show_default=True, metavar="NAME", help="The controllers'.")
@click.option("-o", "--output", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
@cluster_options("30s", namespaces=True)
def command(filtered: Filter, follow: bool, flux_namespace: str, form: str, place: Place) -> None:
    """Print logs."""
    where = place.select()
    printer = _Printer(where, filtered.wanted(where.namespace), flux_namespace, form)
    sys.exit(asyncio.run(printer.follow() if follow else printer.past()))


class _Printer:
    def __init__(self, where: Selection, wanted: Wanted, namespace: str, form: str) -> None:
        self._where = where
        self._wanted = wanted
        self._namespace = namespace
        self._form = form
        self._hearing = Hearing()

    async def past(self) -> int:
        """Print what there is, in the order of time."""
        with unwrapping():
            async with asyncio.TaskGroup() as group:
                queues = []
                for context in self._where.contexts:
                    queue: Queue = asyncio.Queue(_AHEAD)
                    queues.append(queue)
                    group.create_task(self._read(context, queue))
                async for line in merged(map(_drained, queues)):
                    self._print(line)
        return self._hearing.exit_code

    async def follow(self) -> int:
        """Print what there is and what comes, until interrupted."""
        await until_interrupted([self._follow(context) for context in self._where.contexts])
        return self._hearing.exit_code

    async def _read(self, context: Context, queue: Queue) -> None:
        from fluxtui.kube.client import Client

        within = self._where.timeout
        try:
            async with Client(context, request_timeout=within) as client:
                async for line in past_lines(client, self._wanted, self._namespace, within, self._missed(context)):
                    await queue.put(line)
        except KubeError as error:
            self._hearing.complain(context.id, error)
        finally:
            await queue.put(None)

    async def _follow(self, context: Context) -> None:
        """Follow one cluster; one that falls silent is taken up again where it was left."""
        from fluxtui.kube.client import Client

        within, wanted = self._where.timeout, self._wanted

        def show(line: ControllerLine) -> None:
            self._hearing.heard(context.id)
            self._hearing.heard(_pod_of(context, line.source))
            self._print(line)

        async with Client(context, request_timeout=within) as client:
            while True:
                began = time.time()
                try:
                    await client.alive()
                    await follow_lines(client, wanted, show, self._namespace, within, self._missed(context))
                except* KubeError as errors:
                    self._hearing.complain(context.id, _leaf(errors))
                wanted = msgspec.structs.replace(wanted, since=began, tail=None)
                await asyncio.sleep(_AGAIN)

    def _missed(self, context: Context) -> Callable[[str, KubeError], None]:
        return lambda pod, error: self._hearing.complain(_pod_of(context, pod), error)

    def _print(self, line: ControllerLine) -> None:
        if self._form == "json":
            told = msgspec.to_builtins(line)
            output.print_json({**told, "time": _stamp(line.time)}, indent=None)
            return
        about = f"{line.kind}/{line.name}.{line.namespace}" if line.name else line.kind or line.source
        cluster = f"{line.cluster}  " * self._where.several
        text = f"{cluster}{_stamp(line.time)} {line.level} {about} - {line.message}"
        colour = _COLOURS.get(line.level)
        click.echo(click.style(text, fg=colour) if colour and output.in_colour() else text)


def _pod_of(context: Context, pod: str) -> str:
    return f"{context.id}: {pod}"


async def _drained(queue: Queue) -> Lines:
    while (line := await queue.get()) is not None:
        yield line


def _leaf(errors: BaseExceptionGroup[KubeError]) -> KubeError:
    found = errors.exceptions[0]
    return _leaf(found) if isinstance(found, BaseExceptionGroup) else found


def _stamp(moment: float) -> str:
    """As the controllers write it: RFC 3339 in UTC, to the millisecond."""
    return (
        datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else ""
    )
