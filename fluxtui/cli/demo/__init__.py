"""`fluxtui demo`: a sandbox fleet, an engine that reconciles it from a real Git repository, and the console.

Sandbox and engine are child processes that end with the demo; all lies in one temporary folder, removed at the end.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import click

HELP = """Open the console on three clusters that need no Kubernetes, no Docker and no network.

A sandbox serves three API servers on loopback, an engine reconciles them from a Git repository in a temporary folder,
and the console shows both. Commit to the repository and watch the change walk through the tree; the help (?) has a
short tour.

With --headless the same runs without the screen until SIGINT or SIGTERM. Once all is up, one line of JSON is printed:
{"kubeconfig": FILE, "contexts": [NAME…], "repositories": [WORKING COPY…], "control": URL, "log": FILE}.

Nothing is left behind.

Exit codes: 0 left by the user or a signal; 1 the demo could not start, or one of its processes ended; 2 wrong usage."""


@click.command(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--headless", is_flag=True, help="Run without the screen.")
@click.option("--theme", metavar="NAME", help="Theme of the console.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII characters only.")
def command(headless: bool, theme: str | None, ascii_only: bool) -> None:
    """Run the demo; never returns but by exiting."""
    from fluxtui.cli.demo.processes import DemoError
    from fluxtui.cli.demo.repository import RepositoryError

    try:
        sys.exit(asyncio.run(_headless()) if headless else _on_screen(theme, ascii_only))
    except (DemoError, RepositoryError) as error:
        click.echo(f"fluxtui demo: {error}", err=True)
        sys.exit(1)


async def _headless() -> int:
    from fluxtui.cli.demo.processes import Demo

    stop = asyncio.Event()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        # Under nohup it goes on without its terminal.
        numbers.append(signal.SIGHUP)
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Demo() as demo:
        stopping = asyncio.create_task(stop.wait())
        starting = asyncio.create_task(demo.up())
        try:
            await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                click.echo(json.dumps(starting.result()))
                sys.stdout.flush()
                ended = asyncio.create_task(demo.ended())
                await asyncio.wait((stopping, ended), return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    ended.result()
                ended.cancel()
        finally:
            for task in (starting, stopping):
                task.cancel()
    return 0


def _on_screen(theme: str | None, ascii_only: bool) -> int:
    from fluxtui.cli.demo.screen import show

    return show(theme, ascii_only)
