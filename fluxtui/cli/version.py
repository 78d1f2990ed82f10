"""`fluxtui version`: of this program, and of Flux and Kubernetes on the selected clusters."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import click
import msgspec

import fluxtui
from fluxtui.cli import output
from fluxtui.cli.contact import ask_all
from fluxtui.cli.options import EXIT_CODES, Place, Selection, cluster_options, form_option
from fluxtui.fleet import probe
from fluxtui.fleet.text import one_line

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

HELP = f"""Print the version of fluxtui, and of Flux and Kubernetes on the selected clusters.

JSON and YAML: {{"fluxtui": …, "items": [{{"cluster", "kubernetes", "flux", "mode"}}], "errors": […]}}; mode is
delegated, embedded, none, or empty when it can't be told.

{EXIT_CODES}"""


class Versions(msgspec.Struct, frozen=True):
    """Of one cluster; empty where unknown."""

    kubernetes: str
    flux: str
    mode: str


@click.command(help=HELP)
@click.option("--client", "own", is_flag=True, help="Only this program's own version; asks no cluster.")
@form_option
@cluster_options("30s")
def command(
    own: bool,
    form: str,
    place: Place,
) -> None:
    """Print versions."""
    if own and form == "table":
        click.echo(f"fluxtui {fluxtui.__version__}")
        return
    where = None if own else place.select()
    sys.exit(asyncio.run(_version(where, form)))


async def _version(where: Selection | None, form: str) -> int:
    answers = await ask_all(where.contexts if where else (), where.timeout if where else 0.0, versions)
    if form == "table":
        click.echo(f"fluxtui {fluxtui.__version__}")
        table = output.Table(("CLUSTER", "KUBERNETES", "FLUX", "MODE"))
        for cluster, found in answers.of.items():
            table.add((cluster, found.kubernetes, found.flux, found.mode))
        table.print()
    else:
        items = [{"cluster": cluster, **msgspec.to_builtins(found)} for cluster, found in answers.of.items()]
        errors = output.errors_of(answers.troubles)
        document = {"fluxtui": fluxtui.__version__, "items": items, "errors": errors}
        (output.print_json if form == "json" else output.print_yaml)(document)
    answers.complain()
    return 1 if answers.troubles else 0


async def versions(client: Client) -> Versions:
    """What one cluster runs. Raises KubeError when it does not answer."""
    kubernetes = one_line(str((await client.version()).get("gitVersion", ""))).removeprefix("v")
    leases = await probe.leases(client, 30.0)
    standing = probe.LeaseWatch().look(leases, time.time()) if leases else probe.Standing()
    return Versions(kubernetes, await probe.flux_version(client), standing.mode.value)
