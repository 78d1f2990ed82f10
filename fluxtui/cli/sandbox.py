"""`fluxtui sandbox`: API servers on loopback until a signal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--clusters", type=click.IntRange(1, 200), help="How many API servers; default 1.")
@click.option("--names", metavar="A,B,…", help="Their names, in place of their number; default sandbox-1, sandbox-2, …")
@click.option(
    "--kubeconfig-out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the kubeconfig goes; default a temporary file.",
)
@click.option(
    "--no-simulate", is_flag=True, help="Leave workloads as they are written: no pods, nothing becomes ready."
)
@click.option("--speed", type=click.FloatRange(0.1, 1000), default=1.0, show_default=True, help="Of the simulation.")
def command(
    clusters: int | None, names: str | None, kubeconfig_out: Path | None, no_simulate: bool, speed: float
) -> None:
    """Serve API servers in process, on loopback, without any Kubernetes.

    Once all serve, one line of JSON is printed on stdout: {"kubeconfig": FILE, "contexts": [NAME…], "control": URL}.
    Logs go to stderr. The kubeconfig is removed at the end.

    Deployments, StatefulSets, DaemonSets and Jobs get pods that become ready. Annotations of the workload or of its
    pod template decide otherwise: sandbox.fluxtui.dev/behavior: ready, crash, image-pull, never-ready, complete, fail
    or slow; …/delay: 2s; …/exit-message; …/log.

    Faults are switched over HTTP: POST CONTROL/clusters/NAME/fault with {"fault": F}, where F is refuse, freeze, slow,
    gone, too-many, error, unauthorized, garbage, cut, or empty for none.

    Exit codes: 0 after SIGINT or SIGTERM, 1 when the kubeconfig can't be written, 2 for wrong usage.
    """
    if names is not None:
        chosen = [name.strip() for name in names.split(",")]
    else:
        chosen = [f"sandbox-{number + 1}" for number in range(clusters or 1)]
    if clusters is not None and clusters != len(chosen):
        raise click.UsageError(f"--clusters {clusters} and {len(chosen)} names: give one of both")
    if not all(chosen) or len(set(chosen)) != len(chosen):
        raise click.UsageError("--names: every cluster needs a name of its own")
    kubeconfig_out = kubeconfig_out and Path(os.path.abspath(kubeconfig_out))
    with ExitStack() as stack:
        if kubeconfig_out is None:
            kubeconfig_out = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fluxtui-"))) / "kubeconfig"
        stack.callback(_remove, kubeconfig_out)
        try:
            asyncio.run(_serve(chosen, kubeconfig_out, simulate=not no_simulate, speed=speed))
        except OSError as error:
            click.echo(f"fluxtui sandbox: {error}", err=True)
            sys.exit(1)


def _remove(path: Path) -> None:
    """Remove a file; one that could not be written is not there."""
    with suppress(OSError):
        path.unlink()


async def _serve(names: list[str], kubeconfig: Path, *, simulate: bool, speed: float) -> None:
    from fluxtui.sandbox.fleet import SandboxFleet

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with SandboxFleet(names, simulate=simulate, speed=speed) as fleet:
        fleet.write(kubeconfig)
        said = {"kubeconfig": str(kubeconfig), "contexts": names, "control": fleet.control}
        click.echo(json.dumps(said))
        sys.stdout.flush()
        await stop.wait()
