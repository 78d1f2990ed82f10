"""Asking back before something is done to clusters: who is asked what, and what counts as a yes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click


def asked_at_a_terminal() -> bool:
    """Whether somebody is there who can answer."""
    return sys.stdin.isatty()


def confirmed(action: str, protected: Sequence[str], question: str = "", details: Iterable[str] = ()) -> bool:
    """Have the name of every protected cluster typed, then ask the question, if there is one, below its details.

    Without a terminal, protected clusters are refused and the question is not asked. A closed terminal is a no.
    """
    asked = asked_at_a_terminal()
    if protected and not asked:
        click.echo(f"✗ protected: {', '.join(protected)}; --yes is needed", err=True)
        return False
    try:
        for cluster in protected:
            if click.prompt(f"{action} on {cluster}: type its name to go on", default="", err=True) != cluster:
                return False
        if asked and question:
            for line in details:
                click.echo(f"  {line}", err=True)
            return click.confirm(question, err=True)
    except click.Abort:
        return False
    return True
