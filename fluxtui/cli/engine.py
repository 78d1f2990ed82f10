"""`fluxtui engine`: the GitOps engine without a screen."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fluxtui.engine.process import Engine
    from fluxtui.kube.kubeconfig import Context, Kubeconfig

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "error": logging.ERROR}

HELP = """Reconcile the GitRepositories, Kustomizations and HelmReleases of clusters without Flux controllers.

The engine takes the leader-election Leases of the controllers it stands in for. A cluster whose own controllers hold
them is left alone; the engine says who holds them, keeps watching and takes over when they expire. Every selected
context is embedded, and contexts that appear in the kubeconfigs later are, too.

Once each cluster has had its first answer, one line of JSON is printed on stdout: {"ready": true, "pid": …,
"artifacts": URL, "logFile": …, "clusters": [{"context", "state", "message"}]} with the states leading, waiting and
unreachable. The log goes to stderr and, bounded, to a file, one JSON object a line.

SIGINT or SIGTERM: no new runs, those under way finish, Leases are given back. A second signal ends at once.

Repositories on this machine (file:// URLs) are reconciled as soon as a ref changes, not only at the interval.

Exit codes: 0 stopped; 1 stopped, and no cluster could ever be reconciled; 2 wrong usage, kubeconfig or storage."""


@click.command(help=HELP)
@click.option("--kubeconfig", "kubeconfigs", multiple=True, metavar="FILE", help="Kubeconfig file or glob; repeatable.")
@click.option(
    "--context", "patterns", multiple=True, metavar="NAME", help="Context or pattern; repeatable; default all."
)
@click.option("--concurrent", default=4, show_default=True, type=click.IntRange(1, 64), help="Runs at once per kind.")
@click.option(
    "--storage-path", type=click.Path(path_type=Path, file_okay=False), help="Directory for artifacts and log."
)
@click.option(
    "--storage-port", default=0, type=click.IntRange(0, 65535), help="Port for artifacts on 127.0.0.1; 0: any."
)
@click.option("--log-level", default="info", show_default=True, type=click.Choice(list(LEVELS)), help="Least level.")
@click.option("--log-file", type=click.Path(path_type=Path, dir_okay=False), help="Log file [default: in the storage].")
@click.option("--watch-namespace", default="", metavar="NAME", help="Only objects of this namespace.")
@click.option("--watch-label-selector", default="", metavar="SELECTOR", help="Only objects whose labels match.")
@click.option("--no-file-sources", is_flag=True, help="Refuse file:// repositories.")
@click.option("--no-watch-files", is_flag=True, help="Look at file:// repositories at their interval only.")
@click.option("--no-cross-namespace-refs", is_flag=True, help="Refuse references to objects of other namespaces.")
@click.option("--default-service-account", default="", metavar="NAME", help="Impersonated when an object names none.")
def command(
    kubeconfigs: tuple[str, ...],
    patterns: tuple[str, ...],
    concurrent: int,
    storage_path: Path | None,
    storage_port: int,
    log_level: str,
    log_file: Path | None,
    watch_namespace: str,
    watch_label_selector: str,
    no_file_sources: bool,
    no_watch_files: bool,
    no_cross_namespace_refs: bool,
    default_service_account: str,
) -> None:
    from fluxtui.engine.process import Engine
    from fluxtui.engine.runtime.artifacts import ArtifactError
    from fluxtui.engine.runtime.logs import logging_to
    from fluxtui.engine.runtime.settings import EngineSettings
    from fluxtui.engine.runtime.storage import StorageError, default_directory, locked
    from fluxtui.kube.errors import ConfigError
    from fluxtui.kube.kubeconfig import load, select

    settings = EngineSettings(
        concurrent=concurrent,
        watch_namespace=watch_namespace,
        label_selector=watch_label_selector,
        file_sources=not no_file_sources,
        watch_files=not no_watch_files,
        no_cross_namespace_refs=no_cross_namespace_refs,
        default_service_account=default_service_account,
    )
    storage = storage_path or default_directory()
    file = log_file or storage / "engine.jsonl"
    try:
        kubeconfig = load(kubeconfigs)
        contexts = select(kubeconfig, patterns)
        with locked(storage) as identity, logging_to(LEVELS[log_level], file):
            engine = Engine(
                settings,
                storage,
                identity,
                port=storage_port,
                log_file=file,
                on_ready=lambda line: click.echo(json.dumps(line)),
            )
            asyncio.run(_run(engine, contexts, _changes(kubeconfigs, patterns, kubeconfig)))
    except (ConfigError, StorageError, ArtifactError, OSError) as error:
        click.echo(f"fluxtui engine: {error}", err=True)
        raise SystemExit(2) from error
    raise SystemExit(0 if engine.has_led else 1)


async def _run(engine: Engine, contexts: Sequence[Context], changes: AsyncIterator[Sequence[Context]]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _signalled, engine)
    await engine.run(contexts, changes)


def _signalled(engine: Any) -> None:
    if engine.stop.is_set():
        os._exit(1)
    logging.getLogger("fluxtui.engine").info("stopping")
    engine.stop.set()


async def _changes(
    paths: Sequence[str], patterns: Sequence[str], current: Kubeconfig
) -> AsyncIterator[Sequence[Context]]:
    """What the kubeconfigs select, each time they change."""
    from fluxtui.kube.errors import ConfigError
    from fluxtui.kube.kubeconfig import select
    from fluxtui.kube.reload import watch_files

    async for kubeconfig in watch_files(paths, current=current):
        for warning in kubeconfig.warnings:
            logging.getLogger("fluxtui.engine").warning("%s", warning)
        try:
            yield select(kubeconfig, patterns)
        except ConfigError as error:
            logging.getLogger("fluxtui.engine").error("kubeconfig not taken over: %s", error)
