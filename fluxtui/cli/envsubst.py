"""`fluxtui envsubst`: environment variables in a text, with the grammar of Flux's post-build substitution."""

from __future__ import annotations

import os
import sys

import click

HELP = """Replace ${VAR} in what comes in by what the environment has, as Flux does after a build.

\b
  export region=eu-central-1
  fluxtui build clusters/prod | fluxtui envsubst --strict

The grammar is that of spec.postBuild: ${var:-default}, ${#var}, ${var/old/new}, ${var:offset:length}, ${var^^} and so
on; $$ is a dollar sign. Nothing is printed when something is wrong.

Exit codes: 0 substituted; 1 an expansion is malformed, or with --strict a variable is not set; 2 wrong usage."""


@click.command(help=HELP)
@click.option("--strict", is_flag=True, help="Refuse variables that have neither a value nor a default.")
def command(strict: bool) -> None:
    """Substitute from stdin to stdout."""
    from fluxtui.engine.controllers.kustomize.expansion import ExpansionError, expand

    # What is no UTF-8 goes out as it came in.
    text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    try:
        done = expand(text, os.environ, strict=strict)
    except ExpansionError as error:
        place = f" in {error.excerpt!r}" if error.excerpt else ""
        click.echo(f"fluxtui envsubst: {error}{place}", err=True)
        sys.exit(1)
    click.echo(done.encode("utf-8", "surrogateescape"), nl=False)
