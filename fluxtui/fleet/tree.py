"""The fleet as a flat list of lines, in one of five views, for what is opened and what the filter lets through.

Nothing is kept but lists that are still true: flattening 50,000 rows costs a few milliseconds (tests/bench/fleet.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable
from itertools import compress

from fluxtui.api.kinds import KINDS, Category
from fluxtui.fleet import failures, ownership, sources
from fluxtui.fleet.ancestry import LOUD
from fluxtui.fleet.lines import Line, LineType, Order, Shape, View, group_key
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.query import Query
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.states import NO_COUNTS, Counts, State
from fluxtui.fleet.walk import Cache, Walk

_KIND_ORDER = {kind.kind: index for index, kind in enumerate(KINDS)}


class Tree:
    """Flattens a mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self._sorted: dict[tuple[str, Category], tuple[int, list[Ref]]] = {}
        self._closed: dict[tuple[str, Category], tuple[int, list[Line]]] = {}
        self._rows: dict[tuple[str, Category], tuple[tuple[int, int], list[Row]]] = {}
        self._cache: Cache = {}
        self._flat: tuple[tuple[int, ...], list[Line]] | None = None
        self._passed: dict[Hashable, tuple[Hashable, Query, list[Line], list[Row]]] = {}
        """What the last filter let through, as long as no row of it changed: the next letter asks only there."""

    def flatten(self, shape: Shape) -> list[Line]:
        """The lines from top to bottom."""
        if not shape.query:
            self._passed.clear()
        walk = Walk(self.mirror, shape, self._cache)
        views: dict[View, Callable[[Walk], None]] = {
            View.KIND: self._kinds,
            View.OWNERSHIP: ownership.walk,
            View.SOURCE: sources.walk,
            View.FAILURE: failures.walk,
            View.FLAT: self._flatly,
        }
        views[shape.view](walk)
        return walk.lines

    def counts(self, line: Line) -> Counts:
        """Rows by state below a CLUSTER, GROUP, SOURCE or FAILURE line, as they are now."""
        if line.type in (LineType.CLUSTER, LineType.GROUP) and not line.filtered:
            return self.mirror.counts(line.cluster, line.category)
        return self._counted(line.members)

    def hidden(self, line: Line) -> Counts:
        """Rows that are not well and that a folded OBJECT line hides, by state."""
        if line.opened or not line.opens or line.ref is None or line.type != LineType.OBJECT:
            return NO_COUNTS
        if line.filtered:
            found = self._counted(line.members)
            return tuple(count if State(state) in LOUD else 0 for state, count in enumerate(found))
        ancestry = self.mirror.ancestry
        return ancestry.within(line.members, line.ref) if line.members else ancestry.below(line.ref)

    def _counted(self, refs: Iterable[Ref]) -> Counts:
        found = [0] * len(State)
        for ref in refs:
            row = self.mirror.rows.get(ref)
            if row:
                found[row.state] += 1
        return tuple(found)

    def members(self, line: Line) -> list[Ref]:
        """The rows a line stands for: what an action on it would touch."""
        if line.type == LineType.OBJECT:
            return [line.ref] if line.ref in self.mirror.rows else []
        if line.type in (LineType.CLUSTER, LineType.GROUP) and not line.filtered:
            return self.mirror.refs(line.cluster, line.category)
        return [ref for ref in line.members if ref in self.mirror.rows]

    @staticmethod
    def depends_on_states(shape: Shape) -> bool:
        """Whether lines come, go or move when a row changes its state or message: then any change flattens."""
        return shape.view == View.FAILURE or shape.order is not Order.NAME or bool(shape.query)

    def _kinds(self, walk: Walk) -> None:
        """Clusters, their categories, objects by kind and name."""
        touched: defaultdict[tuple[str, Category | None], set[Ref]] = defaultdict(set)
        for key in walk.shape.expanded:
            if isinstance(key, Ref):
                touched[key.cluster, self._category(key)].add(key)
        for cluster in self.mirror.clusters:
            groups = {category: self._shown(walk, cluster, category) for category in Category}
            passing = [line.ref for lines in groups.values() for line in lines if line.ref] if walk.match else ()
            if not walk.cluster(cluster, passing):
                continue
            for category, lines in groups.items():
                if lines and self._group(walk, cluster, category, lines):
                    self._with_opened(walk, lines, touched.get((cluster, category), ()), 2)
            walk.notices(cluster)

    @staticmethod
    def _with_opened(walk: Walk, lines: list[Line], opened: Collection[Ref], depth: int) -> None:
        """Add closed lines of objects, and in place of those that are opened their branches."""
        if not opened:
            walk.lines += lines
            return
        start = 0
        for index, line in enumerate(lines):
            if line.ref is not None and line.ref in opened:
                walk.lines += lines[start:index]
                walk.objects((line.ref,), depth)
                start = index + 1
        walk.lines += lines[start:]

    def _category(self, ref: Ref) -> Category | None:
        row = self.mirror.rows.get(ref)
        return row.category if row else None

    def _shown(self, walk: Walk, cluster: str, category: Category) -> list[Line]:
        """The closed lines of a category that the filter lets through, in the order that is wanted."""
        lines = self._closed_lines(cluster, category)
        if walk.match is None and walk.rank is None:
            return lines
        stamp = self.mirror.contents(cluster, category)
        return self._chosen(walk, (cluster, category), stamp, lines, lambda: self._rows_of(cluster, category, lines))

    def _rows_of(self, cluster: str, category: Category, lines: list[Line]) -> list[Row]:
        """The rows of the closed lines. Kept while none of them changes: a filter looks at them at each key."""
        stamp = self.mirror.contents(cluster, category)
        known = self._rows.get((cluster, category))
        if known and known[0] == stamp:
            return known[1]
        rows = self.mirror.rows
        found = [rows[line.ref] for line in lines if line.ref]
        self._rows[cluster, category] = (stamp, found)
        return found

    @staticmethod
    def _group(walk: Walk, cluster: str, category: Category, lines: list[Line]) -> bool:
        """Add the line of a category; whether it is open."""
        filtered = walk.match is not None
        key = group_key(cluster, category)
        opened = walk.is_open(key, by_itself=filtered)
        members = tuple([line.ref for line in lines if line.ref]) if filtered else ()
        walk.lines.append(
            Line(key, 1, LineType.GROUP, True, opened, cluster, category, None, None, category, members, filtered)
        )
        return opened

    def _flatly(self, walk: Walk) -> None:
        """All objects, by name."""
        lines = self._flat_lines()
        if walk.match is not None or walk.rank is not None:
            mirror, closed = self.mirror, lines
            stamp = tuple([mirror.contents(cluster, each) for cluster in mirror.clusters for each in Category])
            lines = self._chosen(
                walk, View.FLAT, stamp, lines, lambda: [mirror.rows[line.ref] for line in closed if line.ref]
            )
        self._with_opened(walk, lines, {key for key in walk.shape.expanded if isinstance(key, Ref)}, 0)
        for cluster in self.mirror.clusters:
            walk.notices(cluster, depth=0)

    def _sorted_refs(self, cluster: str, category: Category) -> list[Ref]:
        revision = self.mirror.revision(cluster, category)
        known = self._sorted.get((cluster, category))
        if known and known[0] == revision:
            return known[1]
        refs = sorted(
            self.mirror.refs(cluster, category),
            key=lambda ref: (_KIND_ORDER.get(ref.kind, len(KINDS)), ref.kind, ref.namespace, ref.name),
        )
        self._sorted[cluster, category] = (revision, refs)
        return refs

    def _closed_lines(self, cluster: str, category: Category) -> list[Line]:
        revision = self.mirror.revision(cluster, category)
        known = self._closed.get((cluster, category))
        if known and known[0] == revision:
            return known[1]
        lines = self._object_lines(self._sorted_refs(cluster, category), 2)
        self._closed[cluster, category] = (revision, lines)
        return lines

    def _flat_lines(self) -> list[Line]:
        stamp = tuple(self.mirror.revision(cluster, each) for cluster in self.mirror.clusters for each in Category)
        if self._flat is None or self._flat[0] != stamp:
            refs = sorted(self.mirror.rows, key=lambda ref: (ref.name, ref.namespace, ref.kind, ref.cluster))
            self._flat = (stamp, self._object_lines(refs, 0))
        return self._flat[1]

    def _object_lines(self, refs: Iterable[Ref], depth: int) -> list[Line]:
        rows, owned = self.mirror.rows, self.mirror.owned
        kind = LineType.OBJECT
        return [
            Line(ref, depth, kind, bool(rows[ref].inventory or owned(ref)), False, ref.cluster, None, ref)
            for ref in refs
        ]

    def _chosen(
        self, walk: Walk, key: Hashable, stamp: Hashable, lines: list[Line], rows_of: Callable[[], list[Row]]
    ) -> list[Line]:
        """Those lines whose rows the filter lets through, in the order that is wanted.

        `stamp` is equal as long as no row of these changed.
        """
        query = walk.shape.query
        known = self._passed.get(key)
        if query and known and known[0] == stamp and query.narrows(known[1]):
            lines, rows = known[2:]
        else:
            rows = rows_of()
        if query:
            passing = walk.sift(rows)
            lines, rows = list(compress(lines, passing)), list(compress(rows, passing))
            self._passed[key] = (stamp, query, lines, rows)
        if (rank := walk.rank) is not None:
            pairs = sorted(zip(lines, rows, strict=True), key=lambda pair: rank(pair[1]))
            lines = [line for line, _ in pairs]
        return lines
