"""What the views share while they write their lines: the filter, what is open, objects with their children, notices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Any

from fluxtui.fleet.ancestry import LOUD
from fluxtui.fleet.branches import Child, named
from fluxtui.fleet.clusters import ClusterInfo, Phase
from fluxtui.fleet.lines import Key, Line, LineType, Order, Shape, cluster_key
from fluxtui.fleet.matching import Predicate
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.query import Query
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row

MOST_CHILDREN = 2000
"""Children of one object that are shown; the rest is counted in a notice."""
_DEEPEST = 12

Rank = Callable[[Row], float]
_RANKS: dict[Order, Rank] = {Order.STATE: lambda row: row.state, Order.CHANGE: lambda row: -row.changed}

Cache = dict[Hashable, tuple[int, Any]]
"""What a view has found out, each with the revision it was true at."""


class Walk:
    """One flattening."""

    def __init__(self, mirror: Mirror, shape: Shape, cache: Cache) -> None:
        """`cache` is the tree's own."""
        self.mirror = mirror
        self.shape = shape
        self.cache = cache
        self.lines: list[Line] = []
        now = mirror.clock()
        self.match: Predicate | None = shape.query.matcher(now) if shape.query else None
        self.sift = (shape.query or Query()).sieve(now)
        self.rank: Rank | None = _RANKS.get(shape.order)
        """What rows are sorted by; None leaves them in their own order."""

    def is_open(self, key: Key, *, by_itself: bool = False) -> bool:
        """Whether a node is open; `by_itself`: unless it was folded."""
        return key not in self.shape.folded if by_itself else key in self.shape.expanded

    def passing(self, refs: Iterable[Ref]) -> Collection[Ref]:
        """The rows that the filter lets through."""
        if self.match is None:
            return refs if isinstance(refs, Collection) else list(refs)
        match, rows = self.match, self.mirror.rows
        return [ref for ref in refs if match(rows[ref])]

    def ordered(self, refs: Collection[Ref]) -> Collection[Ref]:
        """Rows in the order that is wanted."""
        rank, rows = self.rank, self.mirror.rows
        return refs if rank is None else sorted(refs, key=lambda ref: rank(rows[ref]))

    def cluster(self, cluster: str, refs: Sequence[Ref] = ()) -> bool:
        """Add the line of a cluster; whether it is open. With a filter, a cluster without `refs` has no line."""
        filtered = self.match is not None
        if filtered and not refs:
            return False
        key = cluster_key(cluster)
        opened = self.is_open(key, by_itself=filtered)
        self.lines.append(
            Line(
                key,
                0,
                LineType.CLUSTER,
                True,
                opened,
                cluster,
                members=tuple(refs) if filtered else (),
                filtered=filtered,
            )
        )
        return opened

    def objects(self, refs: Iterable[Ref], depth: int) -> None:
        """Add rows, and below those that are open their children."""
        for ref in refs:
            self.object(ref, depth, ref)

    def object(self, ref: Ref, depth: int, key: Key, above: frozenset[Ref] = frozenset()) -> None:
        """Add a row at `key`; `above` are the rows it stands below, so that a circle comes to an end."""
        row = self.mirror.rows[ref]
        opens = bool(row.inventory or self.mirror.owned(ref)) and ref not in above and depth < _DEEPEST
        opened = opens and key in self.shape.expanded
        self.lines.append(Line(key, depth, LineType.OBJECT, opens, opened, ref.cluster, None, ref))
        if opened:
            self._children(ref, depth + 1, key, above | {ref})

    def _children(self, ref: Ref, depth: int, key: Key, above: frozenset[Ref]) -> None:
        """Rows among the children first, then the objects of the inventory."""
        mirror = self.mirror
        row = mirror.rows[ref]
        branch = mirror.branches.get(ref) or named(row.managed())
        others = {child.ref for child in branch.children}
        rows = sorted({child for child in others if child in mirror.rows} | set(mirror.owned(ref)))
        for child in rows:
            if child != ref:
                self.object(child, depth, (key, child), above)
        children = [child for child in branch.children if child.ref not in mirror.rows]
        for leaf in children[:MOST_CHILDREN]:
            self._child(leaf, depth, (key, leaf.ref))
        if len(children) > MOST_CHILDREN:
            self.notice((key, "more"), depth, f"{len(children) - MOST_CHILDREN} more are not shown", ref.cluster)
        for text in (branch.error, branch.note):
            if text:
                self.notice((key, text), depth, text, ref.cluster)

    def _child(self, child: Child, depth: int, key: Key) -> None:
        opened = child.opens and key in self.shape.expanded
        self.lines.append(
            Line(key, depth, LineType.CHILD, child.opens, opened, child.ref.cluster, None, child.ref, child)
        )
        if not opened:
            return
        branch = self.mirror.branches.get(child.ref)
        if branch is None or (branch.loading and not branch.children):
            self.notice((key, "loading"), depth + 1, "loading…", child.ref.cluster)
            return
        for leaf in branch.children:
            self._child(leaf, depth + 1, (key, leaf.ref))
        text = branch.error or branch.note or ("" if branch.children else "no pods")
        if text:
            self.notice((key, "note"), depth + 1, text, child.ref.cluster)

    def notice(self, key: Key, depth: int, text: str, cluster: str = "") -> None:
        """Add a sentence."""
        self.lines.append(Line(("notice", key), depth, LineType.NOTICE, cluster=cluster, text=text))

    def notices(self, cluster: str, depth: int = 1) -> None:
        """Add what is to be said about a cluster beside its rows: how far it is read, what may not be read."""
        for text in cluster_notices(self.mirror.clusters[cluster], empty=not any(self.mirror.counts(cluster))):
            if depth or self.mirror.clusters[cluster].phase != Phase.LIVE:
                words = text if depth else f"{cluster}: {text}"
                self.notice((cluster, text), depth, words, cluster)

    def has_trouble(self, ref: Ref) -> bool:
        """Whether a row is in a state that a person should look at, in a cluster that answers."""
        return self.mirror.rows[ref].state in LOUD


def cluster_notices(info: ClusterInfo, *, empty: bool) -> list[str]:
    """The sentences about a cluster that stand in its tree."""
    if info.phase == Phase.CONNECTING:
        return ["connecting…"]
    if info.phase == Phase.SYNCING:
        return [f"reading, {info.synced} of {info.kinds} kinds"]
    found = []
    if info.is_lost:
        found.append(info.error or info.phase)
    if info.refused:
        found.append(f"requests are refused: {info.refused}")
    if info.forbidden:
        names = ", ".join(name.partition(".")[0] for name in info.forbidden)
        found.append(f"may not be read: {names}")
    if empty and not found:
        found.append("no Flux objects" if info.kinds else "no Flux kinds are installed")
    return found
