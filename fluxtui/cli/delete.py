"""`fluxtui delete`: Flux objects of the selected clusters, after having asked."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from fluxtui.cli import output
from fluxtui.cli.asking import asked_at_a_terminal, confirmed
from fluxtui.cli.contact import ask_all, list_objects
from fluxtui.cli.options import EXIT_CODES, Place, Selection, cluster_options
from fluxtui.cli.words import Wanted, wanted
from fluxtui.fleet.audit import AuditLog
from fluxtui.fleet.authoring import remove
from fluxtui.fleet.commands import matching
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import row_of
from fluxtui.fleet.text import counted
from fluxtui.kube.errors import KubeError, NotFound

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

Object = dict[str, Any]
Found = list[tuple[Ref, Object]]

HELP = f"""Delete Flux objects by name, in all selected clusters that have them. KIND is what `fluxtui get` takes.

It says what would be deleted and asks; without a terminal, --silent is needed. What a Kustomization applied goes with
it if it prunes (spec.deletionPolicy), and what a HelmRelease installed is uninstalled: suspend them first to keep it.

\b
  fluxtui delete ks apps --context staging
  fluxtui delete source git fleet --silent

{EXIT_CODES}"""


@click.command(help=HELP)
@click.argument("words", nargs=-1, metavar="KIND NAME...")
@click.option("-s", "--silent", "-y", "--yes", "silent", is_flag=True, help="Do not ask.")
@cluster_options("30s", namespaces=True)
def command(words: tuple[str, ...], silent: bool, place: Place) -> None:
    """Delete objects."""
    meant = wanted(words, named=True)
    sys.exit(asyncio.run(_delete(place.select(), meant, silent)))


async def _delete(where: Selection, meant: Wanted, silent: bool) -> int:
    async def ask(client: Client) -> Found:
        listing = await list_objects(client, meant, where.namespace)
        if listing.problems:
            raise KubeError(listing.problems[0])
        rows = [(row_of(client.id, obj, time.time()).ref, obj) for obj in listing.objects]
        return [(ref, obj) for ref, obj in rows if {ref.name, ref.path}.intersection(meant.names)]

    answers = await ask_all(where.contexts, where.timeout, ask)
    answers.complain()
    found = [pair for pairs in answers.of.values() for pair in pairs]
    seen = {name for ref, _ in found for name in (ref.name, ref.path)}
    missing = [name for name in meant.names if name not in seen]
    for name in missing:
        click.echo(f'✗ {meant.title} "{name}" not found{where.somewhere}', err=True)
    if found and not silent and not await asyncio.to_thread(_agreed, where, found):
        click.echo("nothing was done", err=True)
        return 1
    failed = await _carry_out(where, answers.of, silent) if found else False
    return 1 if failed or missing or answers.troubles else 0


def _agreed(where: Selection, found: Found) -> bool:
    if not asked_at_a_terminal():
        click.echo("✗ delete asks before it goes on; --silent is needed", err=True)
        return False
    clusters = dict.fromkeys(ref.cluster for ref, _ in found)
    details = (f"{ref.cluster}  {ref.kind.lower()}/{ref.path}{_consequence(obj)}" for ref, obj in found)
    protected = matching(where.settings.clusters.protected, clusters)
    return confirmed("delete", protected, "Are you sure you want to delete these?", details)


def _consequence(obj: Object) -> str:
    """What goes with an object, as far as it says so."""
    spec = obj.get("spec") or {}
    policy = spec.get("deletionPolicy") or "MirrorPrune"
    prunes = policy in ("Delete", "WaitForTermination") or (policy == "MirrorPrune" and spec.get("prune"))
    entries = len((((obj.get("status") or {}).get("inventory")) or {}).get("entries") or [])
    if not entries or not prunes or spec.get("suspend"):
        return ""
    return f"  and the {counted(entries, 'object')} it applied"


async def _carry_out(where: Selection, found: dict[str, Found], silent: bool) -> bool:
    """Delete; whether something could not be."""
    audit = AuditLog()

    async def act(client: Client) -> Sequence[tuple[Ref, str, bool]]:
        return [await _one(client, ref, obj, audit) for ref, obj in found[client.id]]

    contexts = [context for context in where.contexts if found.get(context.id)]
    answers = await ask_all(contexts, where.timeout, act)
    answers.complain()
    ended = [each for outcomes in answers.of.values() for each in outcomes]
    for ref, text, good in ended:
        cluster = f"{ref.cluster} " * where.several
        click.echo(f"{output.sign(good=good)} {cluster}{ref.kind.lower()}/{ref.path}: {text}")
    if audit.problem:
        click.echo(f"fluxtui: the audit log could not be written: {audit.problem}", err=True)
    return bool(answers.troubles) or not all(good for _, _, good in ended)


async def _one(client: Client, ref: Ref, obj: Object, audit: AuditLog) -> tuple[Ref, str, bool]:
    try:
        gone = await remove(client, ref, obj["metadata"]["uid"], audit)
    except NotFound:
        return ref, "deleted meanwhile", True
    except KubeError as error:
        return ref, str(error), False
    return ref, "deleted" if gone else "being deleted: its finalizers come first", True
