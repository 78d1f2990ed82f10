"""Installing and uninstalling on several clusters, one after another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import click

from fluxtui.engine.installation import InstallationError, Report
from fluxtui.kube import kubeconfig
from fluxtui.kube.client import Client
from fluxtui.kube.errors import ConfigError, KubeError


async def on_clusters(
    files: Sequence[str], patterns: Sequence[str], work: Callable[[Client], Awaitable[Report]]
) -> int:
    """Do something on every selected cluster and print its report; the exit code."""
    try:
        contexts = kubeconfig.select(kubeconfig.load(files), patterns)
    except ConfigError as error:
        click.echo(f"fluxtui: {error}", err=True)
        return 2
    code = 0
    for context in contexts:
        try:
            async with Client(context) as client:
                report = await work(client)
        except (KubeError, InstallationError) as error:
            click.echo(f"{context.id}: {error}", err=True)
            code = 1
            continue
        for line in report.lines:
            click.echo(f"{context.id}: {line}")
    return code
