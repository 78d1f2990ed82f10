"""`fluxtui reconcile`: ask controllers to work now, and wait for what becomes of it."""

from __future__ import annotations

import sys

import click

from fluxtui.cli.acting import MEANING, Target, Wish, perform, target_options
from fluxtui.cli.options import Place, cluster_options
from fluxtui.cli.words import wanted
from fluxtui.fleet.actions import Action

HELP = f"""Ask for a reconcile now and wait until the controller reports the outcome, at most --timeout.

\b
  fluxtui reconcile ks apps --with-source
  fluxtui reconcile source git fleet --context 'prod-*'
  fluxtui reconcile hr -A --status-selector ready=false --yes

--with-source fetches first what the object takes its content from: the repository, and the chart of a HelmRelease. A
suspended object is refused, as flux refuses it: resume it first. Of several objects, those that others depend on go
first.

{MEANING}"""


@click.command(help=HELP)
@click.argument("words", nargs=-1, metavar="KIND [NAME]...")
@click.option("--with-source", is_flag=True, help="Reconcile the source first.")
@target_options
@cluster_options("", namespaces=True)
def command(
    words: tuple[str, ...],
    with_source: bool,
    target: Target,
    place: Place,
) -> None:
    """Reconcile objects."""
    action = Action.RECONCILE_WITH_SOURCE if with_source else Action.RECONCILE
    wish = Wish(action, wanted(words), target)
    sys.exit(perform(place, wish))
