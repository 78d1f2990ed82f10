"""`fluxtui install`: the CRDs of the engine's kinds and the namespace flux-system."""

from __future__ import annotations

import asyncio
import json
import sys

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--kubeconfig", "files", multiple=True, metavar="FILE", help="Kubeconfig file or glob; repeatable.")
@click.option(
    "--context", "patterns", multiple=True, metavar="NAME", help="Context or pattern; repeatable; default all."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--export", is_flag=True, help="Print the manifests as a JSON list and ask no cluster.")
def command(files: tuple[str, ...], patterns: tuple[str, ...], dry_run: bool, export: bool) -> None:
    """Install the Flux CRDs and the flux-system namespace on the selected clusters.

    CRDs of upstream Flux that are there already are left as they are. Installing again changes nothing.

    Exit codes: 0 done; 1 a cluster failed; 2 wrong usage or kubeconfig.
    """
    if export:
        from fluxtui.engine.installation import manifests

        click.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests()}, indent=2))
        return
    from fluxtui.cli.installing import on_clusters
    from fluxtui.engine.installation import install

    sys.exit(asyncio.run(on_clusters(files, patterns, lambda client: install(client, dry_run=dry_run))))
