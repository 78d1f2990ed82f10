"""`fluxtui tree`: what an object manages, and what that manages in turn."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import click

from fluxtui.cli import output
from fluxtui.cli.gather import gather, named
from fluxtui.cli.options import EXIT_CODES, Place, Selection, cluster_options, form_option
from fluxtui.cli.words import Wanted, wanted
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref

HELP = f"""Print what an object manages, as a tree: the objects of its inventory, and below Flux objects theirs.

\b
  fluxtui tree ks flux-system
  fluxtui tree hr podinfo -n web --context staging -o json

JSON and YAML: {{"items": [{{"cluster": …, "resource": {{"group", "kind", "namespace", "name", "state"}}, "resources":
[…the same, nested…]}}], "errors": […]}}; objects without a state of Flux have none.

{EXIT_CODES}"""


@click.command(help=HELP)
@click.argument("words", nargs=-1, metavar="KIND NAME...")
@form_option
@cluster_options("30s", namespaces=True)
def command(
    words: tuple[str, ...],
    form: str,
    place: Place,
) -> None:
    """Print trees."""
    meant = wanted(words, named=True)
    where = place.select()
    sys.exit(asyncio.run(_tree(where, meant, form)))


async def _tree(where: Selection, meant: Wanted, form: str) -> int:
    mirror, answers = await gather(where)
    answers.complain()
    refs, missing = named(mirror, meant, where)
    if form == "table":
        for ref in refs:
            row = mirror.rows[ref]
            state = output.coloured(output.state_words(row), row.state)
            click.echo(("" if not where.several else f"{ref.cluster} ") + f"{_name(ref)}  {state}")
            for line in drawn(mirror, ref):
                click.echo(line)
    else:
        items = [{"cluster": ref.cluster, **_nested(mirror, ref, frozenset())} for ref in refs]
        document = {"items": items, "errors": output.errors_of(answers.troubles)}
        (output.print_json if form == "json" else output.print_yaml)(document)
    return 1 if missing or answers.troubles else 0


def drawn(mirror: Mirror, ref: Ref, prefix: str = "", above: frozenset[Ref] = frozenset()) -> Iterator[str]:
    """The lines below an object."""
    children = below(mirror, ref, above)
    for index, child in enumerate(children):
        last = index == len(children) - 1
        row = mirror.rows.get(child)
        state = f"  {output.coloured(output.state_words(row), row.state)}" if row else ""
        yield f"{prefix}{'└── ' if last else '├── '}{_name(child)}{state}"
        if row:
            yield from drawn(mirror, child, prefix + ("    " if last else "│   "), above | {ref})


def below(mirror: Mirror, ref: Ref, above: frozenset[Ref]) -> list[Ref]:
    """What an object manages: its inventory in its own order, then rows that carry its labels; nothing twice."""
    row = mirror.rows.get(ref)
    managed = dict.fromkeys(row.managed()) if row else {}
    managed |= dict.fromkeys(sorted(mirror.owned(ref)))
    return [child for child in managed if child != ref and child not in above]


def _name(ref: Ref) -> str:
    return "/".join(part for part in (ref.kind, ref.namespace, ref.name) if part)


def _nested(mirror: Mirror, ref: Ref, above: frozenset[Ref]) -> dict[str, Any]:
    row = mirror.rows.get(ref)
    resource = {"group": ref.group, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
    if row:
        resource["state"] = row.state.name.lower()
    children = [_nested(mirror, child, above | {ref}) for child in below(mirror, ref, above)]
    return {"resource": resource} | ({"resources": children} if children else {})
