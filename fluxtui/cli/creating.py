"""What `create source git` and `create kustomization` have in common: options, applying to clusters, waiting."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from fluxtui.api import durations
from fluxtui.cli import output
from fluxtui.cli.asking import confirmed
from fluxtui.cli.contact import ask_all
from fluxtui.cli.options import Option, Place, Selection, duration, gathered
from fluxtui.fleet.audit import AuditLog
from fluxtui.fleet.authoring import put
from fluxtui.fleet.commands import matching
from fluxtui.fleet.follow import Followed, follow
from fluxtui.fleet.refs import Ref
from fluxtui.kube.errors import KubeError

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

Object = dict[str, Any]

_WRITE_WITHIN = 30.0
"""Seconds a cluster may take to take an object."""
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


class Making(msgspec.Struct, frozen=True):
    """How an object is made."""

    interval: str = "1m0s"
    label: dict[str, str] = {}
    export: bool = False
    force_conflicts: bool = False
    yes: bool = False


def commas(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """A repeatable option whose values may have commas."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def length(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """An option's value as Go writes a duration; empty for none."""
    seconds = duration(ctx, param, value)
    return durations.text(seconds) if seconds else ""


def object_name(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """An argument that is the name of an object."""
    if not _NAME.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not a name: lower case letters, digits and '-'", ctx, param)
    return value


def _labels(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in commas(ctx, param, values):
        key, equals, value = text.partition("=")
        if not equals or not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            raise click.BadParameter(f"{text!r} is not a label KEY=VALUE", ctx, param)
        found[key] = value
    return found


making_options: Option = gathered(
    "making",
    Making,
    (
        click.option(
            "--interval", callback=length, default="1m", show_default=True, metavar="DURATION", help="How often."
        ),
        click.option("--label", multiple=True, callback=_labels, metavar="KEY=VALUE", help="Labels; commas."),
        click.option("--export", is_flag=True, help="Print the YAML, and ask no cluster."),
        click.option("--force-conflicts", is_flag=True, help="Take over fields that others manage."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask back."),
    ),
)


def make(place: Place, making: Making, obj: Object, needed: Callable[[], Sequence[Object]] = lambda: ()) -> int:
    """Print the object, or apply it to the selected clusters and wait for the outcome; the exit code.

    It gets namespace and labels here, as do the objects that it needs and that are applied before it; they are asked
    for when it is clear that something is done. Raises click.UsageError.
    """
    if place.all_namespaces:
        raise click.UsageError("an object is made in one namespace: -A has no meaning here")
    labels = {"labels": making.label} if making.label else {}
    placed = {"namespace": place.one_namespace, **labels}
    obj = {**obj, "metadata": {**obj["metadata"], **placed}}
    if making.export:
        output.print_yaml(obj, separate=True)
        return 0
    where = place.select()
    clusters = [context.id for context in where.contexts]
    several = not where.explicit and where.several
    question = f"create it in {len(clusters)} clusters?" if several else ""
    protected = matching(where.settings.clusters.protected, clusters)
    if not making.yes and not confirmed("create", protected, question, clusters):
        click.echo("nothing was done", err=True)
        return 1
    first = [{**each, "metadata": {**each["metadata"], **placed}} for each in needed()]
    return asyncio.run(_apply(where, making, obj, first))


async def _apply(where: Selection, making: Making, obj: Object, first: Sequence[Object]) -> int:
    audit = AuditLog()
    subject = f"{obj['kind'].lower()}/{obj['metadata']['namespace']}/{obj['metadata']['name']}"

    async def act(client: Client) -> Followed:
        try:
            async with asyncio.timeout(_WRITE_WITHIN):
                for each in first:
                    await put(client, each, audit, force=making.force_conflicts)
                made = await put(client, obj, audit, force=making.force_conflicts)
        except TimeoutError:
            raise KubeError(f"no answer within {_WRITE_WITHIN:g} s") from None
        cluster = f"{client.id} " * where.several
        click.echo(f"► {cluster}{subject}: {made}, waiting for the controller", err=True)
        resource = await client.resource_for(obj)
        ref = Ref(client.id, resource.group, resource.kind, obj["metadata"]["namespace"], obj["metadata"]["name"])
        return await follow(client, resource, ref, "", where.timeout)

    answers = await ask_all(where.contexts, where.timeout + _WRITE_WITHIN, act)
    for cluster, followed in answers.of.items():
        good = followed.ending == "done"
        click.echo(f"{output.sign(good=good)} {f'{cluster} ' * where.several}{subject}: {followed.message}")
    answers.complain()
    if audit.problem:
        click.echo(f"fluxtui: the audit log could not be written: {audit.problem}", err=True)
    return 1 if answers.troubles or any(each.ending != "done" for each in answers.of.values()) else 0
