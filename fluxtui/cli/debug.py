"""`fluxtui debug kustomization`: what its variables are in the end, its status and its history."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from fluxtui.api.kinds import KUSTOMIZATION
from fluxtui.cli import output
from fluxtui.cli.contact import ask_all, list_objects
from fluxtui.cli.groups import KindGroup
from fluxtui.cli.options import EXIT_CODES, Place, cluster_options
from fluxtui.cli.words import Wanted
from fluxtui.fleet.text import lines as clean
from fluxtui.kube.errors import KubeError
from fluxtui.kube.masking import MASK

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

Object = dict[str, Any]
Shown = list[tuple[str, Any]]
"""(`namespace/name`, what is printed of it)."""

HELP = f"""Print what a Kustomization works with, of every selected cluster that has it; exactly one --show.

--show-vars prints the variables of spec.postBuild as they are substituted in the end, later sources over earlier ones,
a line NAME=VALUE each; values that a Secret has are *** unless --show-secrets is given. --show-status and
--show-history print YAML. Of several clusters, each follows a comment with its name.

\b
  fluxtui debug ks apps --show-vars --context prod-eu

{EXIT_CODES}"""


@click.group(cls=KindGroup)
def command() -> None:
    """Print what a Flux object works with.

    Exit codes: 0 all that was asked for; 1 a cluster did not answer, or an object was not found; 2 wrong usage.
    """


@command.command("kustomization", help=HELP)
@click.argument("name")
@click.option("--show-vars", is_flag=True, help="The variables, as NAME=VALUE.")
@click.option("--show-status", is_flag=True, help="The status, as YAML.")
@click.option("--show-history", is_flag=True, help="What was reconciled and how it ended, as YAML.")
@click.option("--show-secrets", is_flag=True, help="Print the values that Secrets have, too.")
@cluster_options("30s", namespaces=True)
def kustomization(name: str, show_secrets: bool, place: Place, **shown: bool) -> None:
    """Print parts of Kustomizations."""
    parts = [option.removeprefix("show_") for option, wanted in shown.items() if wanted]
    if len(parts) != 1:
        raise click.UsageError("exactly one of --show-vars, --show-status and --show-history is needed")
    part = parts[0]
    if show_secrets and part != "vars":
        raise click.UsageError("--show-secrets goes with --show-vars")
    sys.exit(asyncio.run(_debug(place, name, part, show_secrets)))


async def _debug(place: Place, name: str, part: str, show_secrets: bool) -> int:
    where = place.select()

    async def ask(client: Client) -> Shown:
        listing = await list_objects(client, Wanted((KUSTOMIZATION,)), where.namespace)
        if listing.problems:
            raise KubeError(listing.problems[0])
        found = [obj for obj in listing.objects if obj["metadata"]["name"] == name]
        return [(_path(obj), await _part(client, obj, part, show_secrets)) for obj in found]

    answers = await ask_all(where.contexts, where.timeout, ask)
    answers.complain()
    shown = [(cluster, path, what) for cluster, found in answers.of.items() for path, what in found]
    for cluster, path, what in shown:
        if where.several or not where.namespace:
            click.echo(f"# {cluster}  {path}")
        if isinstance(what, str):
            click.echo(what, nl=False)
        else:
            output.print_yaml(what)
    if not shown and not answers.troubles:
        click.echo(f'✗ Kustomization "{name}" not found{where.somewhere}', err=True)
    return 0 if shown and not answers.troubles else 1


async def _part(client: Client, raw: Object, part: str, show_secrets: bool) -> Any:
    """What is printed: text, or plain data for YAML. Raises KubeError."""
    status = raw.get("status") or {}
    if part == "vars":
        return await _variables(client, raw, show_secrets)
    return status if part == "status" else status.get("history") or []


async def _variables(client: Client, raw: Object, show_secrets: bool) -> str:
    from fluxtui.engine.controllers.kustomize.local import spec_of, variables_of
    from fluxtui.engine.controllers.kustomize.preview import PreviewError

    try:
        spec = spec_of(raw)
        found = await variables_of(spec, raw["metadata"].get("namespace", ""), client)
    except PreviewError as error:
        raise KubeError(f"{_path(raw)}: {error}") from error
    if spec.post_build is None:
        raise KubeError(f"{_path(raw)}: no post build substitutions found")
    shown = {name: MASK if each.secret and not show_secrets else each.value for name, each in found.items()}
    return "".join(f"{name}={clean(value)}\n" for name, value in sorted(shown.items()))


def _path(raw: Object) -> str:
    return f"{raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}"
