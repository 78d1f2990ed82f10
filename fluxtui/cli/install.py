"""`fluxtui install`: the CRDs of the engine's kinds and the namespace flux-system."""

from __future__ import annotations

import json
import sys

import click

from fluxtui.cli.options import Place, cluster_options

HELP = """Install the CRDs of the engine's kinds and the namespace flux-system on the selected clusters.

\b
  fluxtui install --context edge-03
  fluxtui install --export > flux-crds.json

Installing again changes nothing. What is there already and is not fluxtui's (CRDs of upstream Flux) is left as it is;
a cluster on which Flux's own controllers hold their Leases is refused. Without --context, and if more than one cluster
is meant, a terminal is asked first (--yes answers); scripts go ahead. Clusters that the settings protect want their
name typed, or --yes.

Exit codes: 0 done everywhere; 1 a cluster failed or was refused, or the answer was no (what was done on the others
is printed all the same); 2 wrong usage, settings or kubeconfig."""


@click.command(help=HELP)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--export", is_flag=True, help="Print the manifests as a JSON list and ask no cluster.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask back.")
@cluster_options("5m")
def command(dry_run: bool, export: bool, yes: bool, place: Place) -> None:
    """Install."""
    from fluxtui.cli.installing import agreed, on_clusters
    from fluxtui.engine.installation import install, manifests

    if export:
        click.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests()}, indent=2))
        return
    where = place.select()
    several = where.several and not where.explicit
    question = f"install on these {len(where.contexts)} clusters?" if several else ""
    if not (yes or dry_run or agreed(where, "install", question, insist=False)):
        click.echo("nothing was done", err=True)
        sys.exit(1)
    sys.exit(on_clusters(where, lambda client, report: install(client, report, dry_run=dry_run)))
