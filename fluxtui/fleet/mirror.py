"""The fleet in memory: news of all clusters folded into rows, counts and links. No I/O, no tasks, one thread.

Feeding marks rows as changed and calls `on_change` once; whoever listens calls `drain` and gets everything since the
last time. That is the one place where bursts are folded.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from fluxtui.api.kinds import BY_KIND, Category
from fluxtui.fleet.alarms import Alarms
from fluxtui.fleet.ancestry import Ancestry
from fluxtui.fleet.branches import Branch
from fluxtui.fleet.clusters import ClusterInfo
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row, judged, ref_of, row_of
from fluxtui.fleet.states import LOST_AFTER, NO_COUNTS, Counts, State, next_change
from fluxtui.fleet.wire import Wire, read

if TYPE_CHECKING:
    from fluxtui.fleet.manifests import Manifests

_EMPTY: frozenset[Ref] = frozenset()


class Changes(NamedTuple):
    """What happened since the last drain."""

    rows: set[Ref]
    """Rows that were added, replaced or removed."""
    clusters: set[str]
    """Clusters whose `ClusterInfo` changed, came or went."""
    branches: set[Ref]
    """Opened objects whose children changed."""
    structure: bool
    """Whether lines came, went or moved: a tree must be flattened again."""


class Mirror:
    """All rows of all clusters."""

    def __init__(self, clock: Callable[[], float] = time.time, on_change: Callable[[], None] = lambda: None) -> None:
        """`clock` gives seconds since the epoch; `on_change` is called at the first change after a drain."""
        self.clock = clock
        self.on_change = on_change
        self.rows: dict[Ref, Row] = {}
        self.clusters: dict[str, ClusterInfo] = {}
        """In the order in which they are shown."""
        self.ancestry = Ancestry(self.rows)
        """What is not well below each row."""
        self.branches: dict[Ref, Branch] = {}
        self.on_moved: dict[Ref, Callable[[], None]] = {}
        """Called when the row's inventory or links change, or when it goes."""
        self.lost: dict[tuple[str, str, str], float] = {}
        """Cluster, group and kind that are not heard of → since when."""
        self.manifests: Manifests | None = None
        """The full objects of the rows, where they are kept."""
        self.events = 0
        """Objects that came by the watches so far: news per second is its difference."""
        self._members: defaultdict[tuple[str, Category], set[Ref]] = defaultdict(set)
        self._revisions: defaultdict[tuple[str, Category], int] = defaultdict(int)
        self._contents: defaultdict[tuple[str, Category], int] = defaultdict(int)
        self._troubled: set[Ref] = set()
        self._counts: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * len(State))
        self._owned: defaultdict[Ref, set[Ref]] = defaultdict(set)
        self._consumers: defaultdict[Ref, set[Ref]] = defaultdict(set)
        self._dependents: defaultdict[Ref, set[Ref]] = defaultdict(set)
        self._turning: set[tuple[str, str, str]] = set()
        self._alarms = Alarms()
        self._changes = Changes(set(), set(), set(), False)
        self._kicked = False

    # feeding

    def set_cluster(self, info: ClusterInfo) -> None:
        """Add a cluster or replace what is known of it."""
        before = self.clusters.get(info.id)
        if info == before:
            return
        self.clusters[info.id] = info
        self._changes.clusters.add(info.id)
        self._changed(structure=before is None or before.phase != info.phase or before.forbidden != info.forbidden)
        if before and before.stale_controllers != info.stale_controllers:
            self._judge_again(ref for ref in self.refs(info.id))

    def drop_cluster(self, cluster: str) -> None:
        """Forget a cluster and its rows."""
        for ref in list(self.refs(cluster)):
            self._remove(ref)
        for ref in [ref for ref in self.branches if ref.cluster == cluster]:
            del self.branches[ref]
        for key in [key for key in self.lost if key[0] == cluster]:
            del self.lost[key]
            self._turning.discard(key)
        self.clusters.pop(cluster, None)
        self._changes.clusters.add(cluster)
        self._changed(structure=True)

    def upsert(self, cluster: str, objects: Iterable[Wire | Mapping[str, Any] | bytes]) -> list[Ref]:
        """Fold objects into their rows; returns whose they are. Raises ValueError for what is no object."""
        now = self.clock()
        info = self.clusters.get(cluster)
        stale: Collection[str] = info.stale_controllers if info else ()
        refs = []
        for obj in objects:
            wire = read(obj)
            ref = ref_of(cluster, wire)
            previous = self.rows.get(ref)
            if previous:
                ref = previous.ref
            lost = self.lost.get((cluster, ref.group, ref.kind), 0.0)
            row = row_of(cluster, wire, now, previous, ref=ref, lost_since=lost, stale_controllers=stale)
            self._put(row, previous, now)
            refs.append(row.ref)
        self.events += len(refs)
        return refs

    def remove(self, refs: Iterable[Ref]) -> None:
        """Objects that are gone; unknown ones are ignored."""
        for ref in refs:
            if ref in self.rows:
                self._remove(ref)
            self.events += 1

    def retain(self, cluster: str, group: str, kind: str, refs: Collection[Ref]) -> None:
        """End of a complete (re-)list of a kind: what is not among `refs` vanished, and what is there is fresh."""
        kept = refs if isinstance(refs, set) else set(refs)
        for ref in [ref for ref in _of_kind(self._members, cluster, group, kind) if ref not in kept]:
            self._remove(ref)
        self.set_lost(cluster, group, kind, 0.0)

    def set_lost(self, cluster: str, group: str, kind: str, since: float) -> None:
        """Since when a kind of a cluster is not heard of (0.0: it is): its rows become Unreachable, or not."""
        key = (cluster, group, kind)
        before = self.lost.get(key, 0.0)
        if before == since:
            return
        if since:
            self.lost[key] = since
            self._turning.add(key)
        else:
            del self.lost[key]
            self._turning.discard(key)
        now = self.clock()
        if any(moment and now - moment > LOST_AFTER for moment in (before, since)):
            # A silence that is no loss yet, or never became one, is seen in no row.
            self._judge_again(_of_kind(self._members, *key))

    def set_branch(self, ref: Ref, branch: Branch | None) -> None:
        """The children of an opened object; None when it was closed."""
        before = self.branches.get(ref)
        if branch == before:
            return
        if branch is None:
            del self.branches[ref]
        else:
            self.branches[ref] = branch
        self._changes.branches.add(ref)
        # The lines of the children carry what is known of them, so that they are written anew whatever it is.
        self._changed(structure=True)

    def refresh(self) -> float:
        """Judge again what time alone has changed. Returns when (by the clock) to call it next; infinity: never."""
        now = self.clock()
        for key in [key for key in self._turning if now - self.lost[key] > LOST_AFTER]:
            self._turning.discard(key)
            self._judge_again(_of_kind(self._members, *key))
        while (ref := self._alarms.due(now)) is not None:
            if ref in self.rows:
                self._judge_again((ref,))
                self._alarms.set(ref, next_change(self.rows[ref], now))
        turning = [self.lost[key] + LOST_AFTER for key in self._turning]
        return min([*turning, self._alarms.next])

    def drain(self) -> Changes:
        """Everything that changed since the last call."""
        changes, self._changes = self._changes, Changes(set(), set(), set(), False)
        self._kicked = False
        return changes

    # reading

    def refs(self, cluster: str, category: Category | None = None) -> list[Ref]:
        """The rows of a cluster, of one category or of all, in no order."""
        categories = (category,) if category else tuple(Category)
        return [ref for each in categories for ref in self._members.get((cluster, each), _EMPTY)]

    def revision(self, cluster: str, category: Category) -> int:
        """A number that changes whenever rows of this category come, go or change their links."""
        return self._revisions[cluster, category]

    def contents(self, cluster: str, category: Category) -> tuple[int, int]:
        """Numbers that change whenever any row of this category changes, comes or goes."""
        return self._revisions[cluster, category], self._contents[cluster, category]

    def counts(self, cluster: str = "", category: Category | None = None) -> Counts:
        """Rows by state: of the fleet, of a cluster, or of a category in a cluster."""
        found = self._counts.get((cluster, category or ""))
        return tuple(found) if found else NO_COUNTS

    @property
    def troubled(self) -> Collection[Ref]:
        """Rows in a state that a person should look at, in no order."""
        return self._troubled

    def owned(self, ref: Ref) -> Collection[Ref]:
        """Rows that this object applied, by their labels."""
        return self._owned.get(ref, _EMPTY)

    def consumers(self, ref: Ref) -> Collection[Ref]:
        """Rows that take this object as their source."""
        return self._consumers.get(ref, _EMPTY)

    def dependents(self, ref: Ref) -> Collection[Ref]:
        """Rows whose dependsOn names this object."""
        return self._dependents.get(ref, _EMPTY)

    def owners(self, ref: Ref) -> list[Ref]:
        """The rows whose inventory names an object (of any kind), the labelled owner first."""
        row = self.rows.get(ref)
        found = [row.owner] if row and row.owner in self.rows else []
        needle = ref.inventory_id
        for other in self.refs(ref.cluster):
            inventory = self.rows[other].inventory
            if needle in inventory and needle in inventory.splitlines() and other not in (ref, *found):
                found.append(other)
        return found

    # folding

    def _put(self, row: Row, previous: Row | None, now: float) -> None:
        ref = row.ref
        self.rows[ref] = row
        key = (ref.cluster, row.category)
        self._contents[key] += 1
        moved = previous is None or _moved(row, previous)
        if moved:
            self._members[key].add(ref)
            self._revisions[key] += 1
            if previous:
                self._link(previous, present=False)
            self._link(row, present=True)
            if row.owner or (previous and previous.owner):
                self.ancestry.moved(ref.cluster)
        self._count(row, previous)
        self._alarms.set(ref, next_change(row, now))
        self._changes.rows.add(ref)
        self._changed(structure=moved)
        if moved and ref in self.on_moved:
            self.on_moved[ref]()

    def _remove(self, ref: Ref) -> None:
        row = self.rows.pop(ref)
        if self.manifests is not None:
            self.manifests.forget((ref,))
        key = (ref.cluster, row.category)
        self._members[key].discard(ref)
        self._revisions[key] += 1
        self._link(row, present=False)
        if row.owner:
            self.ancestry.moved(ref.cluster)
        self._count(None, row)
        self.branches.pop(ref, None)
        self._changes.rows.add(ref)
        self._changed(structure=True)
        if ref in self.on_moved:
            self.on_moved[ref]()

    def _judge_again(self, refs: Iterable[Ref]) -> None:
        now = self.clock()
        for ref in list(refs):
            row = self.rows[ref]
            info = self.clusters.get(ref.cluster)
            lost = self.lost.get((ref.cluster, ref.group, ref.kind), 0.0)
            fresh = judged(row, now, lost_since=lost, stale_controllers=info.stale_controllers if info else ())
            if fresh is not row:
                self.rows[ref] = fresh
                self._contents[ref.cluster, row.category] += 1
                self._count(fresh, row)
                self._changes.rows.add(ref)
                self._changed(structure=False)

    def _count(self, row: Row | None, previous: Row | None) -> None:
        if row and previous and row.state == previous.state:
            return
        if row and row.state.is_trouble:
            self._troubled.add(row.ref)
        elif previous:
            self._troubled.discard(previous.ref)
        known = row or previous
        if known:
            self.ancestry.judged(known.ref, row.state if row else None, previous.state if previous else None)
        for each, step in ((row, 1), (previous, -1)):
            if each:
                for key in (("", ""), (each.ref.cluster, ""), (each.ref.cluster, each.category)):
                    self._counts[key][each.state] += step

    def _link(self, row: Row, *, present: bool) -> None:
        links = [(self._dependents, other) for other in row.depends]
        if row.owner:
            links.append((self._owned, row.owner))
        if row.source:
            links.append((self._consumers, row.source))
        for index, other in links:
            if present:
                index[other].add(row.ref)
            elif other in index:
                index[other].discard(row.ref)
                if not index[other]:
                    del index[other]
        if row.owner in self.rows:
            owner = self.rows[row.owner]
            self._revisions[owner.ref.cluster, owner.category] += 1

    def _changed(self, *, structure: bool) -> None:
        if structure and not self._changes.structure:
            self._changes = self._changes._replace(structure=True)
        if not self._kicked:
            self._kicked = True
            self.on_change()


def _of_kind(members: Mapping[tuple[str, Category], Collection[Ref]], cluster: str, group: str, kind: str) -> list[Ref]:
    known = BY_KIND.get((group, kind))
    found = members.get((cluster, known.category if known else Category.OTHER), _EMPTY)
    return [ref for ref in found if ref.kind == kind and ref.group == group]


def _moved(row: Row, previous: Row) -> bool:
    """Whether the row has other links, children or groups in some view than the row before."""
    return (row.owner, row.source, row.inventory, row.detail, row.depends) != (
        previous.owner,
        previous.source,
        previous.inventory,
        previous.detail,
        previous.depends,
    )
