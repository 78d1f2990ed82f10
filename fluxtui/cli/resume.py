"""`fluxtui resume`: let suspended objects be reconciled again, and wait for what becomes of it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fluxtui.cli.acting import MEANING, Wish, check_target, perform, target_options
from fluxtui.cli.options import cluster_options, namespace_options, select
from fluxtui.cli.words import wanted
from fluxtui.fleet.actions import Action
from fluxtui.fleet.query import Query

HELP = f"""Resume suspended objects and wait until the controller reports the outcome, at most --timeout.

\b
  fluxtui resume ks apps
  fluxtui resume hr -A --status-selector suspended=true --yes

{MEANING}"""


@click.command(help=HELP)
@click.argument("words", nargs=-1, metavar="KIND [NAME]...")
@target_options
@cluster_options("5m")
@namespace_options
def command(
    words: tuple[str, ...],
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
    """Resume objects."""
    wish = Wish(Action.RESUME, wanted(words), every, query, label_selector, yes=yes, form=form)
    check_target(wish)
    where = select(files, patterns, config_path, timeout, namespace, all_namespaces)
    sys.exit(perform(where, wish))
