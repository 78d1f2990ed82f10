"""The view by source: every repository, bucket and registry once, whatever clusters follow it and at which revision."""

from __future__ import annotations

from collections import defaultdict

from fluxtui.api.kinds import HELM_CHART, Category
from fluxtui.fleet.lines import Line, LineType
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.walk import Walk

Origin = tuple[str, str]
"""Kind and place of what a source follows."""


def walk(walk: Walk) -> None:
    """Add origins, the objects that follow them in each cluster, and who consumes these."""
    origins: defaultdict[Origin, dict[Ref, list[Ref]]] = defaultdict(dict)
    for cluster in sorted(walk.mirror.clusters):
        for origin, ref, consumers in _sources(walk, cluster):
            origins[origin][ref] = consumers
    for origin in sorted(origins, key=lambda each: (each[1], each[0])):
        _add(walk, origin, origins[origin])


def _sources(walk: Walk, cluster: str) -> list[tuple[Origin, Ref, list[Ref]]]:
    """The sources of a cluster in order, what each follows, and who consumes it. Kept while no link changes there."""
    mirror = walk.mirror
    revision = sum([mirror.revision(cluster, category) for category in Category])
    known = walk.cache.get(("sources", cluster))
    if known is None or known[0] != revision:
        refs = [ref for ref in mirror.refs(cluster, Category.SOURCES) if ref.kind != HELM_CHART.kind]
        found = [(_origin(mirror.rows[ref]), ref, sorted(_consumers(walk, ref))) for ref in sorted(refs)]
        known = walk.cache["sources", cluster] = (revision, found)
    sources: list[tuple[Origin, Ref, list[Ref]]] = known[1]
    return sources


def _origin(row: Row) -> Origin:
    """What a source follows: the URL without what is picked there."""
    place, at, _ = row.detail.rpartition("@")
    return row.ref.kind, (place if at and "://" in place else row.detail) or row.ref.path


def _add(walk: Walk, origin: Origin, consumers: dict[Ref, list[Ref]]) -> None:
    refs = list(consumers)
    own = set(walk.passing(refs))
    if walk.match:
        consumers = {ref: list(walk.passing(found)) for ref, found in consumers.items()}
        refs = [ref for ref in refs if ref in own or consumers[ref]]
        if not refs:
            return
    key = ("source", *origin)
    opened = walk.is_open(key, by_itself=walk.match is not None)
    # A source that only leads to what the filter lets through is no match, and no action on the line touches it.
    members = tuple(each for ref in refs for each in ((ref,) if ref in own else ()) + tuple(consumers[ref]))
    walk.lines.append(Line(key, 0, LineType.SOURCE, True, opened, text=origin[1], members=members))
    if not opened:
        return
    for ref in walk.ordered(refs):
        found = consumers[ref]
        below = walk.is_open(ref, by_itself=walk.match is not None) and bool(found)
        filtered = walk.match is not None
        hidden = () if below else tuple(found if filtered else _topmost(walk, found))
        walk.lines.append(
            Line(ref, 1, LineType.OBJECT, bool(found), below, ref.cluster, members=hidden, ref=ref, filtered=filtered)
        )
        if below:
            for consumer in walk.ordered(found):
                walk.object(consumer, 2, (key, consumer))


def _topmost(walk: Walk, refs: list[Ref]) -> list[Ref]:
    """Those rows that none of the others stands above: with what is below them they are all, each once."""
    among = set(refs)
    return [ref for ref in refs if among.isdisjoint(walk.mirror.ancestry.above(ref))]


def _consumers(walk: Walk, ref: Ref) -> set[Ref]:
    """Who takes this source, charts replaced by the releases that use them."""
    found: set[Ref] = set()
    for consumer in walk.mirror.consumers(ref):
        owner = walk.mirror.rows[consumer].owner
        is_own_chart = consumer.kind == HELM_CHART.kind and owner in walk.mirror.rows
        if not is_own_chart:
            found.add(consumer)
    return found
