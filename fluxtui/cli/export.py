"""`fluxtui export`: Flux objects as YAML that can be applied elsewhere."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from fluxtui.cli import output
from fluxtui.cli.contact import ask_all, list_objects
from fluxtui.cli.options import EXIT_CODES, Place, cluster_options
from fluxtui.cli.words import Wanted, wanted
from fluxtui.kube.errors import KubeError, NotFound

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

Object = dict[str, Any]

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

HELP = f"""Print Flux objects as YAML without what a cluster adds to them. KIND is what `fluxtui get` takes.

\b
  fluxtui export source git --all > sources.yaml
  fluxtui export ks apps --context prod-eu

Of several clusters, the objects of each follow a comment with its name.

{EXIT_CODES}"""


@click.command(help=HELP)
@click.argument("words", nargs=-1, metavar="KIND [NAME]...")
@click.option("--all", "every", is_flag=True, help="All objects of the kind.")
@click.option("--with-credentials", is_flag=True, help="The Secrets of spec.secretRef, too, with their values.")
@cluster_options("30s", namespaces=True)
def command(words: tuple[str, ...], every: bool, with_credentials: bool, place: Place) -> None:
    """Export objects."""
    meant = wanted(words)
    if not meant.names and not every:
        raise click.UsageError(f"name a {meant.title}, or say --all")
    sys.exit(asyncio.run(_export(place, meant, with_credentials)))


async def _export(place: Place, meant: Wanted, with_credentials: bool) -> int:
    where = place.select()
    problems: list[str] = []

    async def ask(client: Client) -> list[Object]:
        listing = await list_objects(client, meant, where.namespace)
        problems.extend(f"{client.id}: {problem}" for problem in listing.problems)
        found = [obj for obj in listing.objects if not meant.names or _names(obj).intersection(meant.names)]
        secrets = await _secrets(client, found) if with_credentials else []
        return found + secrets

    answers = await ask_all(where.contexts, where.timeout, ask)
    answers.complain()
    for problem in problems:
        click.echo(f"✗ {problem}", err=True)
    for cluster, objects in answers.of.items():
        if where.several and objects:
            click.echo(f"# {cluster}")
        for obj in objects:
            output.print_yaml(exported(obj), separate=True)
    seen = {name for objects in answers.of.values() for obj in objects for name in _names(obj)}
    missing = [name for name in meant.names if name not in seen]
    for name in missing:
        click.echo(f'✗ {meant.title} "{name}" not found{where.somewhere}', err=True)
    if not seen and not missing and not answers.troubles:
        click.echo(f"no {meant.title} objects found{where.somewhere}", err=True)
    return 1 if answers.troubles or problems or missing or not seen else 0


def exported(obj: Object) -> Object:
    """An object without what a cluster adds to it."""
    metadata = obj.get("metadata") or {}
    kept: Object = {name: metadata[name] for name in ("name", "namespace", "labels") if metadata.get(name)}
    annotations = {name: value for name, value in (metadata.get("annotations") or {}).items() if name != _LAST_APPLIED}
    if annotations:
        kept["annotations"] = annotations
    body: Object = {name: obj[name] for name in ("spec", "type", "data") if name in obj}
    return {"apiVersion": obj.get("apiVersion", ""), "kind": obj.get("kind", ""), "metadata": kept, **body}


async def _secrets(client: Client, objects: list[Object]) -> list[Object]:
    """The Secrets that sources log in with, each once. Raises KubeError for one that is not there."""
    resource = await client.resource_for(("", "v1", "Secret"))
    found: dict[tuple[str, str], Object] = {}
    for obj in objects:
        name = ((obj.get("spec") or {}).get("secretRef") or {}).get("name")
        key = (obj["metadata"].get("namespace", ""), name or "")
        if not name or key in found:
            continue
        try:
            found[key] = await client.get(resource, name, key[0])
        except NotFound as error:
            raise KubeError(f"{obj['kind']} {'/'.join(_names(obj) - {obj['metadata']['name']})}: {error}") from error
    return list(found.values())


def _names(obj: Object) -> set[str]:
    metadata = obj.get("metadata") or {}
    return {metadata.get("name", ""), f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"}
