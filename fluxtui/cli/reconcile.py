"""`fluxtui reconcile`: ask controllers to work now, and wait for what becomes of it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fluxtui.cli.acting import MEANING, Wish, check_target, perform, target_options
from fluxtui.cli.options import cluster_options, namespace_options, select
from fluxtui.cli.words import wanted
from fluxtui.fleet.actions import Action
from fluxtui.fleet.query import Query

HELP = f"""Ask for a reconcile now and wait until the controller reports the outcome, at most --timeout.

\b
  fluxtui reconcile ks apps --with-source
  fluxtui reconcile source git fleet --context 'prod-*'
  fluxtui reconcile hr -A --status-selector ready=false --yes

--with-source fetches first what the object takes its content from: the repository, and the chart of a HelmRelease. A
suspended object is refused, as flux refuses it: resume it first.

{MEANING}"""


@click.command(help=HELP)
@click.argument("words", nargs=-1, metavar="KIND [NAME]...")
@click.option("--with-source", is_flag=True, help="Reconcile the source first.")
@target_options
@cluster_options("5m")
@namespace_options
def command(
    words: tuple[str, ...],
    with_source: bool,
    every: bool,
    label_selector: str,
    query: Query,
    yes: bool,
    form: str,
    files: tuple[str, ...],
    patterns: tuple[str, ...],
    config_path: Path | None,
    timeout: float,
    namespace: str,
    all_namespaces: bool,
) -> None:
    """Reconcile objects."""
    action = Action.RECONCILE_WITH_SOURCE if with_source else Action.RECONCILE
    wish = Wish(action, wanted(words), every, query, label_selector, yes=yes, form=form)
    check_target(wish)
    where = select(files, patterns, config_path, timeout, namespace, all_namespaces)
    sys.exit(perform(where, wish))
