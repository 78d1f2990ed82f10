"""`fluxtui stats`: how many objects of each kind there are, how they fare, and how much their sources store."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
import msgspec

from fluxtui.api.kinds import KINDS
from fluxtui.cli import output
from fluxtui.cli.contact import Listing, ask_all, list_objects
from fluxtui.cli.options import EXIT_CODES, Place, Selection, cluster_options, form_option
from fluxtui.cli.words import Wanted
from fluxtui.fleet.rows import row_of
from fluxtui.fleet.states import Ready, State

if TYPE_CHECKING:
    from fluxtui.kube.client import Client

Object = dict[str, Any]

_EVERY = "all"
"""In the place of a cluster: the sum over all of them."""
_ORDER = {kind.kind: rank for rank, kind in enumerate(KINDS)}

HELP = f"""Count the Flux objects of all selected clusters, kind by kind.

RUNNING are those that are not suspended, FAILING those whose Ready condition is False, STORAGE is the size of the
artifacts that sources keep. Of several clusters, the sums over all of them come last.

JSON and YAML: {{"items": [{{"cluster", "kind", "running", "failing", "suspended", "storage"}}], "errors": […]}};
storage is in bytes.

{EXIT_CODES}"""


class Count(msgspec.Struct):
    """The objects of one kind."""

    cluster: str
    kind: str
    running: int = 0
    failing: int = 0
    suspended: int = 0
    storage: int = 0
    """Bytes."""

    def add(self, other: Count) -> None:
        """Add what another counts."""
        self.running += other.running
        self.failing += other.failing
        self.suspended += other.suspended
        self.storage += other.storage


@click.command(help=HELP)
@form_option
@click.option("--no-headers", "--no-header", is_flag=True, help="No headings above the table.")
@cluster_options("30s", namespaces=True)
def command(form: str, no_headers: bool, place: Place) -> None:
    """Count objects."""
    sys.exit(asyncio.run(_stats(place.select(), form, headings=not no_headers)))


async def _stats(where: Selection, form: str, *, headings: bool) -> int:
    async def ask(client: Client) -> Listing[dict[str, Any]]:
        return await list_objects(client, Wanted(KINDS), where.namespace)

    answers = await ask_all(where.contexts, where.timeout, ask)
    problems = [f"{cluster}: {problem}" for cluster, listing in answers.of.items() for problem in listing.problems]
    answers.complain()
    for problem in problems:
        click.echo(f"✗ {problem}", err=True)
    found = [count for cluster, listing in answers.of.items() for count in counts_of(cluster, listing.objects)]
    if form == "table":
        _table(where, found).print(headings=headings)
        if not found and not answers.troubles:
            click.echo(f"no Flux objects found{where.somewhere}", err=True)
    else:
        document = {"items": [msgspec.to_builtins(count) for count in found]}
        document["errors"] = output.errors_of(answers.troubles)
        (output.print_json if form == "json" else output.print_yaml)(document)
    return 1 if answers.troubles or problems else 0


def counts_of(cluster: str, objects: Iterable[Object]) -> list[Count]:
    """The counts of a cluster's objects, kind by kind; kinds without objects are left out."""
    counts: dict[str, Count] = {}
    now = time.time()
    for obj in objects:
        row = row_of(cluster, obj, now)
        size = ((obj.get("status") or {}).get("artifact") or {}).get("size")
        one = Count(
            cluster,
            row.ref.kind,
            running=not row.suspended,
            failing=row.ready == Ready.FALSE,
            suspended=row.suspended,
            storage=size if isinstance(size, int) else 0,
        )
        counts.setdefault(one.kind, Count(cluster, one.kind)).add(one)
    return _in_order(counts.values())


def _in_order(counts: Iterable[Count]) -> list[Count]:
    return sorted(counts, key=lambda count: (_ORDER.get(count.kind, len(_ORDER)), count.kind))


def _table(where: Selection, found: Iterable[Count]) -> output.Table:
    table = output.Table(["CLUSTER"] * where.several + ["RECONCILERS", "RUNNING", "FAILING", "SUSPENDED", "STORAGE"])
    rows, sums = list(found), dict[str, Count]()
    for count in rows:
        sums.setdefault(count.kind, Count(_EVERY, count.kind)).add(count)
    for count in rows + (_in_order(sums.values()) if where.several else []):
        numbers = [str(number) for number in (count.running, count.failing, count.suspended)]
        cells = [count.cluster] * where.several + [count.kind, *numbers, _size(count.storage)]
        table.add(cells, State.FAILED if count.failing else None, len(cells) - 3)
    return table


def _size(count: int) -> str:
    """`1.5 MiB`; `-` for nothing."""
    if not count:
        return "-"
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.1f} {unit}" if unit != "B" else f"{count} B"
        size /= 1024
    return f"{size:.1f} TiB"
