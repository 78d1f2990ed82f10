"""`fluxtui resume`: let suspended objects be reconciled again, and wait for what becomes of it."""

from __future__ import annotations

import sys

import click

from fluxtui.cli.acting import MEANING, Target, Wish, perform, target_options
from fluxtui.cli.options import Place, cluster_options
from fluxtui.cli.words import wanted
from fluxtui.fleet.actions import Action

HELP = f"""Resume suspended objects and wait until the controller reports the outcome, at most --timeout.

\b
  fluxtui resume ks apps
  fluxtui resume hr -A --status-selector suspended=true --yes

{MEANING}"""


@click.command(help=HELP)
@click.argument("words", nargs=-1, metavar="KIND [NAME]...")
@target_options
@cluster_options("", namespaces=True)
def command(
    words: tuple[str, ...],
    target: Target,
    place: Place,
) -> None:
    """Resume objects."""
    wish = Wish(Action.RESUME, wanted(words), target)
    sys.exit(perform(place, wish))
