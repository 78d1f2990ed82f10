"""What `install` and `uninstall` have in common: ask back where that is due, work on all clusters at once, report."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import click

from fluxtui.cli.asking import asked_at_a_terminal, confirmed
from fluxtui.cli.contact import ask_all
from fluxtui.cli.options import Selection
from fluxtui.engine.installation import Report
from fluxtui.fleet.commands import matching
from fluxtui.kube.client import Client

Work = Callable[[Client, Report], Awaitable[Report]]


def agreed(where: Selection, action: str, question: str, *, insist: bool) -> bool:
    """Whether the user wants it: protected clusters want their name typed, a terminal is asked the question.

    `insist`: without a terminal that could answer the question, only --yes is an answer.
    """
    clusters = [context.id for context in where.contexts]
    if insist and not asked_at_a_terminal():
        click.echo(f"✗ {action} asks before it goes on; --yes is needed", err=True)
        return False
    return confirmed(action, matching(where.settings.clusters.protected, clusters), question, clusters)


def on_clusters(where: Selection, work: Work) -> int:
    """Do something on every selected cluster and print what was done there, done in part too; the exit code."""
    reports = {context.id: Report([]) for context in where.contexts}
    answers = asyncio.run(ask_all(where.contexts, where.timeout, lambda client: work(client, reports[client.id])))
    for cluster, report in reports.items():
        for line in report.lines:
            click.echo(f"{cluster}: {line}" if where.several else line)
    answers.complain()
    return 1 if answers.troubles else 0
