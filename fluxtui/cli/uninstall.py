"""`fluxtui uninstall`: take away what install has put there."""

from __future__ import annotations

import asyncio
import sys

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--kubeconfig", "files", multiple=True, metavar="FILE", help="Kubeconfig file or glob; repeatable.")
@click.option(
    "--context", "patterns", multiple=True, metavar="NAME", help="Context or pattern; repeatable; default all."
)
@click.option("--keep-namespace", is_flag=True, help="Leave the namespace flux-system.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
def command(files: tuple[str, ...], patterns: tuple[str, ...], keep_namespace: bool, dry_run: bool, yes: bool) -> None:
    """Remove the CRDs that install has put on the selected clusters, and all Flux objects of those kinds.

    What the objects applied stays and goes on running. A cluster on which an engine runs is refused; CRDs of upstream
    Flux are left alone.

    Exit codes: 0 done; 1 a cluster failed or was refused; 2 wrong usage or kubeconfig.
    """
    from fluxtui.cli.installing import on_clusters
    from fluxtui.engine.installation import uninstall

    if not (yes or dry_run):
        click.confirm("Remove the Flux CRDs and all Flux objects?", abort=True)
    code = asyncio.run(
        on_clusters(files, patterns, lambda client: uninstall(client, keep_namespace=keep_namespace, dry_run=dry_run))
    )
    sys.exit(code)
