"""`fluxtui trace`: where an object comes from, what it waits for, and the root of its trouble."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from fluxtui.cli import output
from fluxtui.cli.contact import Trouble, ask_all
from fluxtui.cli.gather import gather
from fluxtui.cli.options import EXIT_CODES, Place, Selection, cluster_options, form_option
from fluxtui.cli.words import kind_of, wanted
from fluxtui.fleet.branches import Child, child_of
from fluxtui.fleet.links import owner_of
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.text import span
from fluxtui.fleet.trace import Role, Step, Trace, trace
from fluxtui.fleet.wire import read
from fluxtui.kube.errors import NotFound, UnknownKind

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

Object = dict[str, Any]

HELP = f"""Print the chain of an object: its source, who applies it, what it depends on, and why it is not ready.

Any object can be traced that Flux applies, not only Flux's own; two forms, flux's and a shorter one:

\b
  fluxtui trace ks apps
  fluxtui trace deployment/web -n web
  fluxtui trace web --kind deployment --api-version apps/v1 -n web

JSON and YAML: {{"items": [{{"cluster", "cause", "steps": [{{"role", "group", "kind", "namespace", "name", "state",
"message", "revision", "missing"}}]}}], "errors": […]}}; roles are source, owner, depends on, object, owns, feeds,
awaited by.

{EXIT_CODES}"""


@click.command(help=HELP)
@click.argument("words", nargs=-1, metavar="KIND NAME")
@click.option("--kind", default="", help="Kind of the object, when only its name is given.")
@click.option("--api-version", default="", help="API version of the object, such as apps/v1.")
@form_option
@cluster_options("30s", namespaces=True)
def command(
    words: tuple[str, ...],
    kind: str,
    api_version: str,
    form: str,
    place: Place,
) -> None:
    """Print traces."""
    word, name = _subject(words, kind)
    where = place.select()
    sys.exit(asyncio.run(_trace(where, word, name, api_version.rpartition("/")[0], form)))


def _subject(words: tuple[str, ...], kind: str) -> tuple[str, str]:
    """The word for the kind, and the name."""
    if kind:
        if len(words) != 1:
            raise click.UsageError("with --kind, give one name")
        return kind, words[0]
    if len(words) == 1 and "/" in words[0]:
        word, _, name = words[0].partition("/")
        return word, name
    if len(words) == 2 and kind_of(words[0]) is None and words[0].lower().rstrip("s") not in ("source", "image"):
        return words[0], words[1]
    found = wanted(words, named=True)
    if len(found.names) != 1 or len(found.kinds) != 1:
        raise click.UsageError("give one KIND and one NAME")
    return found.kinds[0].resource, found.names[0]


async def _trace(where: Selection, word: str, name: str, group: str, form: str) -> int:
    mirror, answers = await gather(where)
    subjects = await ask_all(
        [context for context in where.contexts if context.id in answers.of],
        where.timeout,
        lambda client: _look(client, word, name, group, where.namespace),
    )
    troubles: list[Trouble] = answers.troubles + subjects.troubles
    items: list[tuple[Ref, Object, Trace]] = []
    for cluster, found in subjects.of.items():
        for ref, obj in found:
            items.append((ref, obj, _traced(mirror, cluster, ref, obj)))
    for trouble in troubles:
        click.echo(f"✗ {trouble.cluster}: {trouble.message}", err=True)
    if not items and subjects.of:
        title = known.kind if (known := kind_of(word)) else word
        where.complain_of_missing(title, [name], _near(mirror, title))
    if form == "table":
        for ref, _, traced in items:
            _print(mirror, ref, traced)
    else:
        document = {
            "items": [_told(ref, traced) for ref, _, traced in items],
            "errors": output.errors_of(troubles),
        }
        (output.print_json if form == "json" else output.print_yaml)(document)
    return 1 if troubles or not items else 0


def _near(mirror: Mirror, title: str) -> Iterator[str]:
    """Names of the objects of a kind, as far as rows and inventories tell."""
    for row in mirror.rows.values():
        yield from (ref.name for ref in (row.ref, *row.managed()) if ref.kind.lower() == title.lower())


async def _look(client: Client, word: str, name: str, group: str, namespace: str) -> list[tuple[Ref, Object]]:
    """The objects of a name in one cluster, of a kind that any word of kubectl's may name. Raises KubeError."""
    served = await client.resources()
    resource = served.by_word(f"{word}.{group}" if group and "." not in word else word) or served.by_word(word)
    known = kind_of(word)
    if known:
        resource = await client.resource_for((known.group, "", known.kind))
    if resource is None:
        raise UnknownKind(group, word)
    inside, _, short = name.rpartition("/")
    try:
        if resource.namespaced and not (inside or namespace):
            listed = (await client.list(resource, field_selector=f"metadata.name={short}")).items
        else:
            listed = [await client.get(resource, short, inside or namespace)]
    except NotFound:
        return []
    found = []
    for obj in listed:
        metadata = obj["metadata"]
        ref = Ref(client.id, resource.group, resource.kind, metadata.get("namespace", ""), metadata["name"])
        found.append((ref, obj))
    return found


def _traced(mirror: Mirror, cluster: str, ref: Ref, obj: Object) -> Trace:
    """The trace of a row, or of any object through the Flux object that its labels or an inventory name."""
    if ref in mirror.rows:
        return trace(mirror, ref)
    child: Child = child_of(ref, obj)
    owner = owner_of(cluster, read(obj))
    return trace(mirror, ref, child, owner=owner if owner in mirror.rows else None)


def _print(mirror: Mirror, ref: Ref, traced: Trace) -> None:
    """Blocks as flux prints them, from the object to its source, and what it waits for."""
    owners = traced.of(Role.OWNER)
    sources = traced.of(Role.SOURCE)
    click.echo()
    rows = [("Object", f"{ref.kind}/{ref.name}"), ("Cluster", ref.cluster)]
    rows += [("Namespace", ref.namespace)] if ref.namespace else []
    if ref in mirror.rows:
        rows += list(_details(mirror.rows[ref]))
    elif owners or sources:
        rows.append(("Status", "Managed by Flux"))
    else:
        rows.append(("Status", "Not managed by Flux"))
    blocks = [rows]
    blocks += [_block(mirror, step) for step in (*reversed(owners), *reversed(sources))]
    blocks += [_block(mirror, step) for step in reversed(traced.of(Role.DEPENDENCY))]
    for index, block in enumerate(blocks):
        if index:
            click.echo("---")
        for key, value in block:
            click.echo(f"{key + ':':<16} {value}".rstrip())
    if traced.cause:
        click.echo(f"---\n{'Cause:':<16} {traced.cause}")


def _block(mirror: Mirror, step: Step) -> list[tuple[str, str]]:
    title = (step.ref.kind, step.ref.name)
    if step.role is Role.DEPENDENCY:
        title = ("Depends on", f"{step.ref.kind}/{step.ref.name}")
    rows = [title, ("Namespace", step.ref.namespace)]
    row = mirror.rows.get(step.ref)
    if row:
        return rows + list(_details(row))
    return [*rows, ("Status", "not found" if step.missing else "not known")]


def _details(row: Row) -> Iterator[tuple[str, str]]:
    if row.detail:
        label = "URL" if "://" in row.detail else "Chart" if row.ref.kind in ("HelmRelease", "HelmChart") else "Path"
        yield label, row.detail
    if row.revision:
        yield "Revision", row.revision
    changed = f", {span(time.time() - row.changed)} ago" if row.changed else ""
    yield "Status", f"{output.state_words(row)}{changed}"
    if row.message:
        yield "Message", row.message


def _told(ref: Ref, traced: Trace) -> Object:
    steps = [
        {
            "role": step.role.value,
            "group": step.ref.group,
            "kind": step.ref.kind,
            "namespace": step.ref.namespace,
            "name": step.ref.name,
            "state": step.state.name.lower(),
            "message": step.message,
            "revision": step.revision,
            "missing": step.missing,
        }
        for step in traced.steps
    ]
    return {"cluster": ref.cluster, "cause": traced.cause, "steps": steps}
