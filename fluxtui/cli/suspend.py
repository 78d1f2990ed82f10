"""`fluxtui suspend`: stop the reconciliation of objects, and keep why and by whom."""

from __future__ import annotations

import sys
import time
from datetime import datetime

import click

from fluxtui.api import durations
from fluxtui.cli.acting import MEANING, Target, Wish, perform, target_options
from fluxtui.cli.options import Place, cluster_options
from fluxtui.cli.words import wanted
from fluxtui.fleet.actions import Action
from fluxtui.fleet.audit import timestamp

HELP = f"""Suspend the reconciliation of objects (spec.suspend), and keep why, by whom and until when as annotations.

\b
  fluxtui suspend ks apps --reason 'database migration' --until 4h
  fluxtui suspend hr --all -n web --context staging

--until is a duration or an RFC 3339 time; it is shown wherever the object is, and nothing ends the suspension but
`fluxtui resume`.

{MEANING}"""


def until(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """A duration from now, or a time, as RFC 3339."""
    if not value:
        return ""
    try:
        return timestamp(time.time() + durations.parse(value))
    except ValueError:
        pass
    try:
        return timestamp(datetime.fromisoformat(value).astimezone().timestamp())
    except ValueError as error:
        message = f"{value!r} is neither a duration such as 4h nor a time such as 2026-01-31T18:00:00Z"
        raise click.BadParameter(message, ctx, param) from error


@click.command(help=HELP)
@click.argument("words", nargs=-1, metavar="KIND [NAME]...")
@click.option("--reason", default="", metavar="TEXT", help="Why; shown wherever the object is.")
@click.option("--until", "end", callback=until, default="", metavar="TIME", help="When it is meant to end.")
@target_options
@cluster_options("30s", namespaces=True)
def command(
    words: tuple[str, ...],
    reason: str,
    end: str,
    target: Target,
    place: Place,
) -> None:
    """Suspend objects."""
    wish = Wish(Action.SUSPEND, wanted(words), target, reason, end)
    sys.exit(perform(place, wish))
