"""`fluxtui engine`: the GitOps engine without a screen."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import msgspec
from click.core import ParameterSource

from fluxtui.api import durations
from fluxtui.cli.engine_options import (
    GATES,
    Accounts,
    Applying,
    Pace,
    accounts_options,
    applying_options,
    gated,
    gates,
    pace_options,
)
from fluxtui.cli.options import duration

if TYPE_CHECKING:
    from fluxtui.engine.endpoints import Address
    from fluxtui.engine.process import Engine, Listening
    from fluxtui.engine.runtime.settings import EngineSettings
    from fluxtui.engine.states import StatesFile
    from fluxtui.kube.kubeconfig import Context, Kubeconfig
    from fluxtui.kube.roster import RosterReader


def _address(ctx: click.Context, param: click.Parameter, value: str | None) -> Address | None:
    from fluxtui.engine.endpoints import Address

    try:
        return None if value is None else Address.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def _url(ctx: click.Context, param: click.Parameter, value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise click.BadParameter(f"'{value}' is no http:// or https:// URL", ctx, param)
    return value


LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "error": logging.ERROR}

HELP = """Reconcile the GitRepositories, Kustomizations and HelmReleases of clusters without Flux controllers.

The engine takes the leader-election Leases of the controllers it stands in for. A cluster whose own controllers hold
them is left alone; the engine says who holds them, keeps watching and takes over when they expire. Every selected
context is embedded, and contexts that appear in the kubeconfigs later are, too.

With --roster a file lists the clusters: {"clusters": [{"id": …, "context": …, "kubeconfig": [FILE, …]}]}.
It is followed as it changes, and the engine ends once it lists none. How each cluster stands is kept in states.json in
the storage. So the console has one engine for all clusters it is asked to start.

Once each cluster has had its first answer, one line of JSON is printed on stdout: {"ready": true, "pid": …,
"artifacts": URL, "logFile": …, "clusters": [{"context", "state", "message"}]} with the states leading, waiting and
unreachable; "metrics" and "health" are URLs, too, when they are served. The log goes to stderr and, bounded, to a file,
one JSON object a line.

SIGINT or SIGTERM: no new runs, those under way finish, Leases are given back. A second signal ends at once.

Repositories on this machine (file:// URLs) are reconciled as soon as a ref changes, not only at the interval.

With --watch-label-selector several engines share a cluster, each with Leases of its own, such as
--watch-label-selector='sharding.fluxcd.io/key=a' and, for the rest, '!sharding.fluxcd.io/key'.

--export prints how to run the engine for good with the other options given, and does nothing else: a systemd unit, or
the Deployment (with --image) that reconciles the cluster it runs in.

Exit codes: 0 stopped; 1 stopped, and no cluster could ever be reconciled; 2 wrong usage, kubeconfig or storage."""


@click.command(help=HELP)
@click.option("--kubeconfig", "kubeconfigs", multiple=True, metavar="FILE", help="Kubeconfig file or glob; repeatable.")
@click.option(
    "--context", "patterns", multiple=True, metavar="NAME", help="Context or pattern; repeatable; default all."
)
@click.option(
    "--roster", type=click.Path(path_type=Path, dir_okay=False), help="File that lists the clusters, instead of those."
)
@click.option("--concurrent", default=4, show_default=True, type=click.IntRange(1, 64), help="Runs at once per kind.")
@click.option(
    "--storage-path", type=click.Path(path_type=Path, file_okay=False), help="Directory for artifacts and log."
)
@click.option(
    "--storage-addr",
    default="127.0.0.1:0",
    show_default=True,
    callback=_address,
    metavar="[HOST]:PORT",
    help="Where artifacts are served; 0: any port.",
)
@click.option(
    "--storage-adv-addr", default="", metavar="HOST[:PORT]", help="Where the clusters find artifacts, if elsewhere."
)
@click.option("--metrics-addr", callback=_address, metavar="[HOST]:PORT", help="Serve /metrics for Prometheus there.")
@click.option("--health-addr", callback=_address, metavar="[HOST]:PORT", help="Serve /healthz and /readyz there.")
@click.option("--log-level", default="info", show_default=True, type=click.Choice(list(LEVELS)), help="Least level.")
@click.option("--log-file", type=click.Path(path_type=Path, dir_okay=False), help="Log file [default: in the storage].")
@click.option("--quiet", is_flag=True, help="Log to the file only: for whoever starts it unattended.")
@click.option("--watch-namespace", default="", metavar="NAME", help="Only objects of this namespace.")
@click.option("--watch-label-selector", default="", metavar="SELECTOR", help="Only objects whose labels match.")
@click.option(
    "--watch-configs-label-selector",
    default="reconcile.fluxcd.io/watch=Enabled",
    show_default=True,
    metavar="SELECTOR",
    help="ConfigMaps and Secrets whose change reconciles at once what refers to them.",
)
@click.option(
    "--events-addr", default="", metavar="URL", callback=_url, help="notification-controller, which gets all events."
)
@click.option("--no-file-sources", is_flag=True, help="Refuse file:// repositories.")
@click.option("--no-watch-files", is_flag=True, help="Look at file:// repositories at their interval only.")
@click.option("--no-cross-namespace-refs", is_flag=True, help="Refuse references to objects of other namespaces.")
@click.option("--no-remote-bases", is_flag=True, help="Refuse kustomizations that build on what other servers have.")
@accounts_options
@applying_options
@pace_options
@click.option(
    "--feature-gates",
    default="",
    callback=gates,
    metavar="NAME=BOOL,…",
    help=f"Upstream's switches: {', '.join(GATES)}.",
)
@click.option("--no-strict", is_flag=True, help="Apply as upstream does what the checks before apply would stop.")
@click.option("--no-drift-detection", is_flag=True, help="Look for drift at intervals only.")
@click.option("--export", type=click.Choice(["systemd", "deployment"]), help="Print how to run this for good.")
@click.option("--image", default="", help="Image of the Deployment that --export prints.")
@click.pass_context
def command(
    ctx: click.Context,
    kubeconfigs: tuple[str, ...],
    patterns: tuple[str, ...],
    roster: Path | None,
    concurrent: int,
    storage_path: Path | None,
    storage_addr: Address,
    storage_adv_addr: str,
    metrics_addr: Address | None,
    health_addr: Address | None,
    log_level: str,
    log_file: Path | None,
    quiet: bool,
    watch_namespace: str,
    watch_label_selector: str,
    watch_configs_label_selector: str,
    events_addr: str,
    no_file_sources: bool,
    no_watch_files: bool,
    no_cross_namespace_refs: bool,
    no_remote_bases: bool,
    accounts: Accounts,
    applying: Applying,
    pace: Pace,
    feature_gates: str,
    no_strict: bool,
    no_drift_detection: bool,
    export: str | None,
    image: str,
) -> None:
    if export:
        return click.echo(_export(ctx, export, image), nl=False)
    if roster is not None and (kubeconfigs or patterns):
        raise click.UsageError("--roster names the contexts and their files: --kubeconfig and --context are not for it")
    from fluxtui.engine.process import Listening
    from fluxtui.engine.runtime.settings import EngineSettings
    from fluxtui.engine.runtime.storage import default_directory

    settings = EngineSettings(
        concurrent=concurrent,
        watch_namespace=watch_namespace,
        label_selector=watch_label_selector,
        configs_label_selector=watch_configs_label_selector,
        events_addr=events_addr,
        file_sources=not no_file_sources,
        watch_files=not no_watch_files,
        no_cross_namespace_refs=no_cross_namespace_refs,
        remote_bases=not no_remote_bases,
        strict=not no_strict,
        drift_detection=not no_drift_detection,
        **msgspec.structs.asdict(accounts),
        **applying.settings(),
        **pace.settings(),
        **gated(feature_gates),
    )
    listening = Listening(artifacts=storage_addr, advertised=storage_adv_addr, metrics=metrics_addr, health=health_addr)
    storage = storage_path or default_directory()
    log = LEVELS[log_level], log_file or storage / "engine.jsonl", quiet
    raise SystemExit(_reconcile(settings, listening, storage, log, roster or (kubeconfigs, patterns)))


def _reconcile(
    settings: EngineSettings,
    listening: Listening,
    storage: Path,
    log: tuple[int, Path, bool],
    wanted: Path | tuple[Sequence[str], Sequence[str]],
) -> int:
    """Run the engine until a signal; the exit code.

    `log` is the level, the file, and whether it is the only place; `wanted` a roster, or kubeconfigs and patterns.
    """
    from fluxtui.engine.endpoints import EndpointError
    from fluxtui.engine.process import Engine
    from fluxtui.engine.runtime.artifacts import ArtifactError
    from fluxtui.engine.runtime.logs import logging_to
    from fluxtui.engine.runtime.storage import StorageError, locked
    from fluxtui.engine.states import StatesFile
    from fluxtui.kube.errors import ConfigError
    from fluxtui.kustomize.errors import FieldError
    from fluxtui.kustomize.labelselectors import parsed

    try:
        parsed(settings.label_selector)
        parsed(settings.configs_label_selector)
        states = StatesFile(storage / "states.json") if isinstance(wanted, Path) else None
        clusters = _clusters(wanted, states)
        with locked(storage) as identity, logging_to(log[0], log[1], stderr=not log[2]):
            engine = Engine(
                settings,
                storage,
                identity,
                listening=listening,
                log_file=log[1],
                on_ready=lambda line: click.echo(json.dumps(line)),
                states=states,
            )
            asyncio.run(_run(engine, *clusters))
    except (ConfigError, StorageError, ArtifactError, EndpointError, FieldError, OSError) as error:
        click.echo(f"fluxtui engine: {error}", err=True)
        return 2
    return 0 if engine.has_led else 1


def _export(ctx: click.Context, export: str, image: str) -> str:
    """The unit or the manifests that run the engine with the options given."""
    from fluxtui.engine.export import deployment, systemd_unit

    arguments: list[str] = []
    for option in ctx.command.params:
        if option.name in ("export", "image"):
            continue
        if ctx.get_parameter_source(str(option.name)) is not ParameterSource.COMMANDLINE:
            continue
        value = ctx.params[str(option.name)]
        name = option.opts[0]
        if value is True:
            arguments.append(name)
        else:
            arguments += [f"{name}={_word(option, item)}" for item in (value if isinstance(value, tuple) else [value])]
    if export == "deployment":
        if not image:
            raise click.UsageError("--export=deployment needs --image, an image that has fluxtui on its PATH")
        if any(argument.startswith(("--kubeconfig=", "--context=", "--roster=")) for argument in arguments):
            raise click.UsageError(
                "--export=deployment is for the cluster it runs in: --kubeconfig, --context and --roster are not"
            )
        return deployment(image, arguments)
    if not ctx.params["kubeconfigs"] and ctx.params["roster"] is None:
        arguments = [f"--kubeconfig={file}" for file in _default_files()] + arguments
    return systemd_unit(_program(), arguments)


def _word(option: click.Parameter, value: Any) -> str:
    """A value for a command that runs in another directory."""
    if isinstance(value, Path) or option.name == "kubeconfigs":
        return os.path.abspath(os.path.expanduser(str(value)))
    return durations.text(value) if option.callback is duration else str(value)


def _default_files() -> list[str]:
    listed = [name for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    return [os.path.abspath(name) for name in listed or [os.path.expanduser("~/.kube/config")]]


def _program() -> str:
    """The command that runs this, by its whole path."""
    script = Path(sys.argv[0])
    found = shutil.which("fluxtui") if script.name != "fluxtui" else str(script)
    return os.path.abspath(found or Path(sys.executable).with_name("fluxtui"))


_Clusters = tuple[Sequence["Context"], AsyncIterator[Sequence["Context"]]]
"""The contexts at first, and what they are from then on."""


def _clusters(wanted: Path | tuple[Sequence[str], Sequence[str]], states: StatesFile | None) -> _Clusters:
    """Raises ConfigError when there is nothing to begin with."""
    if isinstance(wanted, Path):
        from fluxtui.kube.roster import RosterReader

        reader = RosterReader(wanted)
        return (), _listed(reader, states)
    from fluxtui.kube.kubeconfig import load, select

    kubeconfig = load(wanted[0])
    return select(kubeconfig, wanted[1]), _changes(*wanted, kubeconfig)


async def _run(engine: Engine, contexts: Sequence[Context], changes: AsyncIterator[Sequence[Context]]) -> None:
    loop = asyncio.get_running_loop()
    signals = count()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: _signalled(engine, next(signals)))
    await engine.run(contexts, changes)


def _signalled(engine: Engine, before: int) -> None:
    if before:
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


async def _listed(reader: RosterReader, states: StatesFile | None) -> AsyncIterator[Sequence[Context]]:
    """What a roster lists, at first and each time it changes; ends when it lists nothing."""
    from fluxtui.kube.reload import follow

    async for selection in follow(reader):
        for warning in selection.warnings:
            logging.getLogger("fluxtui.engine").warning("%s", warning)
        if states is not None:
            states.blame(selection.problems)
        yield selection.contexts
        if selection.is_empty:
            return
