"""What the verbs have in common on the command line: which clusters, which namespace, how long, in which form.

Exit codes of all verbs: 0 everything asked for was had; 1 a cluster did not answer, or an object was not found, refused
or failed; 2 wrong usage, settings or kubeconfig.
"""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec

from fluxtui import config
from fluxtui.api import durations
from fluxtui.api.meta import FLUX_NAMESPACE
from fluxtui.cli.words import hint
from fluxtui.config import Settings, SettingsError
from fluxtui.fleet.query import Query, QueryError
from fluxtui.kube import kubeconfig as kubeconfigs
from fluxtui.kube.errors import ConfigError
from fluxtui.kube.kubeconfig import Context

Option = Callable[[Callable[..., None]], Callable[..., None]]
"""What `click.option` gives."""

EXIT_CODES = """Exit codes: 0 all that was asked for; 1 a cluster did not answer, or an object was not found, refused or
failed (what the other clusters said is printed all the same); 2 wrong usage, settings or kubeconfig."""

NAMESPACE_VARIABLE = "FLUX_SYSTEM_NAMESPACE"
"""The flux CLI's variable for the namespace that is meant when none is given."""


def duration(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """An option's value as seconds: `30s`, `5m`, `1h30m`; 0.0 for none."""
    if not value:
        return 0.0
    try:
        found = durations.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error
    if not found:
        raise click.BadParameter("no time at all", ctx, param)
    return found


def query(ctx: click.Context, param: click.Parameter, value: str) -> Query:
    """An option's value as a filter of fleet.query."""
    try:
        return Query.parse(value)
    except QueryError as error:
        raise click.BadParameter(str(error), ctx, param) from error


class Selection(msgspec.Struct, frozen=True):
    """Where a verb looks."""

    contexts: tuple[Context, ...]
    explicit: bool
    """Whether contexts were chosen by name or pattern."""
    namespace: str
    """Empty for all namespaces."""
    timeout: float
    settings: Settings

    @property
    def several(self) -> bool:
        """Whether answers of several clusters come together."""
        return len(self.contexts) > 1

    @property
    def somewhere(self) -> str:
        """The namespace as the end of a sentence."""
        return f" in namespace {self.namespace}" if self.namespace else ""

    def complain_of_missing(self, title: str, names: Iterable[str], known: Iterable[str]) -> None:
        """Say on stderr that no cluster has objects of these names, and which of the known ones may be meant."""
        there = tuple(known)
        for name in names:
            click.echo(f'✗ {title} "{name}" not found{self.somewhere}{hint(name, there)}', err=True)


form_option: Option = click.option(
    "-o", "--output", "form", type=click.Choice(("table", "json", "yaml")), default="table", show_default=True
)


class Place(msgspec.Struct, frozen=True):
    """Where the options of a verb point, before any file is read."""

    files: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    config_path: Path | None = None
    timeout: float = 30.0
    namespace: str = ""
    all_namespaces: bool = False

    @property
    def one_namespace(self) -> str:
        """The namespace that is meant where all can't be."""
        return self.namespace or os.environ.get(NAMESPACE_VARIABLE) or FLUX_NAMESPACE

    def select(self) -> Selection:
        """The clusters and the namespace that are meant; warnings about kubeconfigs go to stderr.

        Raises click.UsageError; ends the program with exit code 2 when settings or kubeconfigs are wrong.
        """
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        if self.namespace and self.all_namespaces:
            raise click.UsageError("-n and -A exclude each other")
        try:
            settings = config.load(self.config_path)
            wanted = self.patterns or settings.clusters.contexts
            found = kubeconfigs.load(self.files or settings.clusters.kubeconfigs)
            contexts = kubeconfigs.select(found, wanted)
        except (SettingsError, ConfigError) as error:
            fail(str(error))
        for warning in found.warnings:
            click.echo(f"fluxtui: {warning}", err=True)
        if not contexts:
            fail("the kubeconfig has no usable context")
        timeout = self.timeout or durations.parse(settings.actions.timeout)
        return Selection(
            contexts, bool(self.patterns), "" if self.all_namespaces else self.one_namespace, timeout, settings
        )


def cluster_options(timeout: str, *, namespaces: bool = False) -> Option:
    """--kubeconfig, --context, --config, --timeout with this default, and -n and -A; the command gets a `place`.

    An empty `timeout` is that of the settings, for how long the outcome of an action is waited for.
    """
    waiting = "How long an outcome is waited for [default: 5m, or actions.timeout of the settings]."
    options: list[Option] = [
        click.option(
            "--kubeconfig", "files", multiple=True, metavar="FILE", help="Kubeconfig file or glob; repeatable."
        ),
        click.option(
            "--context",
            "patterns",
            multiple=True,
            metavar="NAME",
            help="Context or pattern (prod-*); repeatable [default: all].",
        ),
        click.option("--config", "config_path", type=click.Path(path_type=Path), metavar="FILE", help="Settings file."),
        click.option(
            "--timeout",
            callback=duration,
            default=timeout,
            show_default=bool(timeout),
            metavar="DURATION",
            help="Time for each cluster." if timeout else waiting,
        ),
    ]
    if namespaces:
        options += [
            click.option(
                "-n",
                "--namespace",
                default="",
                metavar="NAME",
                help=f"Namespace [default: {FLUX_NAMESPACE}, as flux has it].",
            ),
            click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces."),
        ]
    return gathered("place", Place, options)


def gathered(name: str, shape: type[Any], options: Sequence[Option]) -> Option:
    """Options whose values a command gets as one struct, in the argument `name`."""
    fields = {field.name for field in msgspec.structs.fields(shape)}

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(**values: Any) -> None:
            own = {key: values.pop(key) for key in fields & values.keys()}
            function(**values, **{name: shape(**own)})

        decorated: Callable[..., None] = command
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def fail(message: str) -> NoReturn:
    """End the program: wrong usage, settings or kubeconfig."""
    click.echo(f"fluxtui: {message}", err=True)
    sys.exit(2)
