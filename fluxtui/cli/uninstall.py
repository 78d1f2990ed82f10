"""`fluxtui uninstall`: take away what install has put there."""

from __future__ import annotations

import sys

import click

from fluxtui.cli.options import Place, cluster_options

HELP = """Remove the CRDs that install has put on the selected clusters, all Flux objects of those kinds, and the
namespace flux-system.

What the objects applied stays and goes on running: their finalizers are taken away first, so that nothing is pruned.
A cluster on which an engine or controllers run is refused: stop them first. CRDs and a namespace that are not
fluxtui's are left alone.

It asks before it goes on; without a terminal, --yes is needed. Clusters that the settings protect want their name
typed, or --yes.

Exit codes: 0 done everywhere; 1 a cluster failed or was refused, or the answer was no (what was done on the others
is printed all the same); 2 wrong usage, settings or kubeconfig."""


@click.command(help=HELP)
@click.option("--keep-namespace", is_flag=True, help="Leave the namespace flux-system.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask back.")
@cluster_options("5m")
def command(keep_namespace: bool, dry_run: bool, yes: bool, place: Place) -> None:
    """Uninstall."""
    from fluxtui.cli.installing import agreed, on_clusters
    from fluxtui.engine.installation import uninstall

    where = place.select()
    question = "remove the Flux CRDs and all Flux objects from these clusters?"
    if not (yes or dry_run or agreed(where, "uninstall", question, insist=True)):
        click.echo("nothing was done", err=True)
        sys.exit(1)
    code = on_clusters(
        where,
        lambda client, report: uninstall(client, report, keep_namespace=keep_namespace, dry_run=dry_run),
    )
    sys.exit(code)
