"""`fluxtui get`: the Flux objects of all selected clusters."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from fluxtui.cli import output
from fluxtui.cli.contact import Answers, Listing, Object, Trouble, ask_all, in_part, list_to_judge, whole
from fluxtui.cli.options import EXIT_CODES, Place, Selection, cluster_options
from fluxtui.cli.options import query as query_of
from fluxtui.cli.words import Wanted, wanted
from fluxtui.fleet.query import Query
from fluxtui.fleet.rows import Row, row_of
from fluxtui.fleet.wire import Wire

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

Found = list[tuple[Row, Object]]

HELP = f"""List Flux objects of all selected clusters at once.

KIND is a kind or one of its words (ks, hr, gitrepo), two of flux's words (source git, image policy), several with
commas (ks,hr), a whole family (sources all) or all. NAMEs narrow the list; KIND/NAME works too.

\b
  fluxtui get all -A --status-selector state=trouble
  fluxtui get ks --context 'prod-*' -A --status-selector 'ready=false since<1h'
  fluxtui get source git fleet -o yaml

--status-selector takes the console's filter language: ready=false, state!=ready, kind=hr, cluster=prod-*, ns=…, age>2d,
message~timeout, text. JSON and YAML hold the objects themselves: {{"items": [{{"cluster": …, "state": …, object…}}],
"errors": [{{"cluster": …, "message": …}}]}}; with --watch one document a change, and "deleted" is the state of what has
gone. Names are KIND/NAMESPACE/NAME, after the context and a tab where there are several contexts.

{EXIT_CODES}"""


@click.command(help=HELP)
@click.argument("words", nargs=-1, metavar="KIND [NAME]...")
@cluster_options("30s", namespaces=True)
@click.option("-l", "--label-selector", default="", metavar="SELECTOR", help="Only objects whose labels match.")
@click.option(
    "--status-selector", "--filter", "query", callback=query_of, default="", metavar="FILTER", help="Only what passes."
)
@click.option("-o", "--output", "form", type=click.Choice(output.FORMATS), default="table", show_default=True)
@click.option("-w", "--watch", is_flag=True, help="Go on with what changes, until interrupted.")
@click.option("--no-headers", "--no-header", is_flag=True, help="No headings above the table.")
def command(
    words: tuple[str, ...],
    place: Place,
    label_selector: str,
    query: Query,
    form: str,
    watch: bool,
    no_headers: bool,
) -> None:
    """List objects."""
    meant = wanted(words)
    where = place.select()
    if watch:
        from fluxtui.cli.watching import follow

        sys.exit(asyncio.run(follow(where, meant, label_selector, query, form, headings=not no_headers)))
    # It ends in a moment: nothing that a collection could free is worth its time (half of it with twenty clusters).
    gc.disable()
    sys.exit(asyncio.run(_get(where, meant, label_selector, query, form, headings=not no_headers)))


class Judged(msgspec.Struct):
    """The objects of one cluster as rows, in the order in which they are shown."""

    rows: list[Row]
    objects: list[Object]
    """The object of each row, where the form shows them."""
    problems: list[str]


async def _get(where: Selection, meant: Wanted, selector: str, query: Query, form: str, *, headings: bool) -> int:
    async def ask(client: Client) -> Judged:
        # Judged as they come: other clusters answer meanwhile.
        if form in ("json", "yaml"):
            return judged(client.id, await list_to_judge(whole, client, meant, where.namespace, selector), meant)
        return judged(client.id, await list_to_judge(in_part, client, meant, where.namespace, selector), meant)

    answers = await ask_all(where.contexts, where.timeout, ask)
    troubles = troubles_of(answers)
    found, missing = chosen(answers, meant, query)
    show(found, troubles, where, meant, form, headings=headings)
    if answers.of:
        there = (row.ref.name for answer in answers.of.values() for row in answer.rows)
        where.complain_of_missing(meant.title, missing, there)
    if not found and not missing and not troubles and form in ("table", "wide"):
        click.echo(f"no {meant.title} objects found{where.somewhere}", err=True)
    return 1 if troubles or missing else 0


def judged(cluster: str, listing: Listing[Wire] | Listing[Object], meant: Wanted) -> Judged:
    """What a cluster listed, as rows."""
    now = time.time()
    ranks = {kind.kind: rank for rank, kind in enumerate(meant.kinds)}
    pairs = [(row_of(cluster, obj, now, stale_controllers=listing.stale), obj) for obj in listing.objects]

    def order(pair: tuple[Row, Wire | Object]) -> tuple[int, str, str, str]:
        ref = pair[0].ref
        return ranks.get(ref.kind, len(ranks)), ref.kind, ref.namespace, ref.name

    pairs.sort(key=order)
    objects = [obj for _, obj in pairs if isinstance(obj, dict)]
    return Judged([row for row, _ in pairs], objects, listing.problems)


def troubles_of(answers: Answers[Judged]) -> list[Trouble]:
    """Clusters that did not answer, and kinds that others could not list; told on stderr."""
    answers.troubles += [Trouble(name, problem) for name, answer in answers.of.items() for problem in answer.problems]
    answers.complain()
    return answers.troubles


def chosen(answers: Answers[Judged], meant: Wanted, query: Query) -> tuple[Found, list[str]]:
    """The rows that were asked for and pass the filter, with their objects where those are known, and the names that
    no cluster has."""
    matches = query.matcher(time.time())
    found: Found = []
    seen: set[str] = set()
    for answer in answers.of.values():
        for row, obj in zip(answer.rows, answer.objects or itertools.repeat({}), strict=False):
            names = {row.ref.name, row.ref.path}
            if meant.names and not names.intersection(meant.names):
                continue
            seen |= names
            if matches(row):
                found.append((row, obj))
    return found, [name for name in meant.names if name not in seen]


def show(
    found: Sequence[tuple[Row, Object]],
    troubles: Iterable[Trouble],
    where: Selection,
    meant: Wanted,
    form: str,
    *,
    headings: bool,
) -> None:
    """Print rows in one of the forms."""
    if form in ("json", "yaml"):
        document = {"items": [output.item(obj, row) for row, obj in found], "errors": output.errors_of(troubles)}
        (output.print_json if form == "json" else output.print_yaml)(document)
    elif form == "name":
        click.echo("".join(f"{output.name_of(row.ref, several=where.several)}\n" for row, _ in found), nl=False)
    else:
        table_of(where, meant, [row for row, _ in found], wide=form == "wide").print(headings=headings)


def table_of(where: Selection, meant: Wanted, rows: Iterable[Row], *, wide: bool, gone: bool = False) -> output.Table:
    """The table for what was asked."""
    return output.row_table(
        rows,
        several=where.several,
        namespaces=not where.namespace,
        kinds=len(meant.kinds) + len(meant.words) > 1,
        wide=wide,
        now=time.time(),
        gone=gone,
    )
