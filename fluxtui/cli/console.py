"""`fluxtui` and `fluxtui console`: the fleet console."""

from __future__ import annotations

import gc
import glob
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import click
import msgspec

from fluxtui import config
from fluxtui.config import Settings, SettingsError
from fluxtui.kube import kubeconfig as kubeconfigs
from fluxtui.kube.errors import ConfigError
from fluxtui.kube.kubeconfig import Context, Kubeconfig

HELP = """Show all clusters of the given kubeconfigs in one live tree, say what is broken and why, and act on it.

FILTER narrows the tree at the start, in the language of the console's filter line: state!=ready cluster=prod-*

Clusters come from --kubeconfig (files or globs), else from the settings, else from $KUBECONFIG, else from
~/.kube/config. Contexts that appear there later join the fleet while it runs.

Exit codes: 0 left by the user; 1 a bug of fluxtui; 2 wrong usage, settings or kubeconfig; 128 + N ended by signal N."""


@click.command(help=HELP)
@click.option("--kubeconfig", "files", multiple=True, metavar="FILE", help="Kubeconfig file or glob; repeatable.")
@click.option("--context", "patterns", multiple=True, metavar="NAME", help="Context or pattern; repeatable.")
@click.option("--read-only", is_flag=True, help="Refuse every action that writes to a cluster.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII characters only.")
@click.option("--saver", is_flag=True, help="Write little to the terminal: for slow lines.")
@click.option("--keep-objects", is_flag=True, help="Keep every object in memory: YAML at once and of silent clusters.")
@click.option("--theme", metavar="NAME", help="fluxtui-dark, fluxtui-dim, fluxtui-light or fluxtui-paper.")
@click.option("--config", "path", type=click.Path(path_type=Path), metavar="FILE", help="Settings file.")
@click.argument("filter_text", metavar="[FILTER]...", nargs=-1)
def command(
    files: tuple[str, ...],
    patterns: tuple[str, ...],
    read_only: bool,
    ascii_only: bool,
    saver: bool,
    keep_objects: bool,
    theme: str | None,
    path: Path | None,
    filter_text: tuple[str, ...],
) -> None:
    """Open the console; never returns but by exiting."""
    # Switched on again by `console.garbage`.
    gc.disable()
    from fluxtui.console.start import Start, run

    try:
        settings = laid_over(
            config.load(path),
            read_only=read_only,
            ascii_only=ascii_only,
            saver=saver,
            keep_objects=keep_objects,
            theme=theme,
            filter_text=" ".join(filter_text),
        )
        files = files or settings.clusters.kubeconfigs
        patterns = patterns or settings.clusters.contexts
        found = read(files)
        contexts = kubeconfigs.select(found, patterns) if found else ()
        code = run(
            Start(
                contexts=contexts,
                settings=settings,
                reloads=lambda: reloads(files, patterns, found),
                origin=" and ".join(map(_homely, kubeconfigs.candidates(files, os.environ))),
                notices=found.warnings if found else (),
            )
        )
    except (SettingsError, ConfigError) as error:
        click.echo(f"fluxtui: {error}", err=True)
        sys.exit(2)
    sys.exit(code)


def laid_over(
    settings: Settings,
    *,
    read_only: bool = False,
    ascii_only: bool = False,
    saver: bool = False,
    keep_objects: bool = False,
    theme: str | None = None,
    filter_text: str = "",
) -> Settings:
    """The settings with what the command line says laid over them."""
    console = settings.console
    console = msgspec.structs.replace(
        console,
        read_only=console.read_only or read_only,
        ascii=console.ascii or ascii_only,
        saver=console.saver or saver,
        keep_objects=console.keep_objects or keep_objects,
        theme=theme or console.theme,
        filter=filter_text or console.filter,
    )
    return msgspec.structs.replace(settings, console=console)


def read(files: Sequence[str]) -> Kubeconfig | None:
    """The contexts of the files, or None when nobody named a file and there is none: a first run.

    Raises ConfigError when there is a file and it can't be used.
    """
    try:
        return kubeconfigs.load(files)
    except ConfigError:
        places = kubeconfigs.candidates(files, os.environ)
        if files or os.environ.get("KUBECONFIG") or any(glob.glob(place) for place in places):
            raise
        return None


async def reloads(
    files: Sequence[str], patterns: Sequence[str], current: Kubeconfig | None
) -> AsyncIterator[Sequence[Context]]:
    """The selected contexts each time a kubeconfig changed; ends at once when there is none to look at."""
    if current is None:
        return
    async for found in kubeconfigs.watch_files(files, current=current):
        try:
            yield kubeconfigs.select(found, patterns)
        except ConfigError:
            # All contexts that the patterns mean are gone.
            yield ()


def _homely(path: str) -> str:
    home = os.path.expanduser("~")
    return "~" + path[len(home) :] if path.startswith(home + os.sep) else path
