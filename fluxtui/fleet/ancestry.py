"""What is not well below each row, by who applied it: a folded branch says so, and looking is all it may cost.

Only rows that are not well are counted, each at all that stand above it: on a cluster where all is well there is
nothing to count, and a row that fails costs as many steps as it has owners.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.states import NO_COUNTS, Counts, State

LOUD = frozenset({State.STALLED, State.FAILED, State.OVERDUE})
"""States in which an object itself is not well; of a cluster that does not answer its own line speaks."""


class Ancestry:
    """Counts by state of what stands below rows, kept as rows change and found anew when owners do."""

    def __init__(self, rows: Mapping[Ref, Row]) -> None:
        """`rows` are the mirror's own: what they say of owners is read there."""
        self._rows = rows
        self._loud: defaultdict[str, set[Ref]] = defaultdict(set)
        self._below: dict[str, dict[Ref, list[int]]] = {}
        """By cluster; none where owners changed since the last look."""

    def below(self, ref: Ref) -> Counts:
        """The rows below this one that are not well, by state."""
        found = self._of(ref.cluster).get(ref)
        return tuple(found) if found else NO_COUNTS

    def within(self, refs: Collection[Ref], but: Ref) -> Counts:
        """These rows and what is below them, none of which stands below another one of them, without `but`."""
        found = [0] * len(State)
        for ref in refs:
            row = self._rows.get(ref)
            if row is None:
                continue
            for state, count in enumerate(self.below(ref)):
                found[state] += count
            if row.state in LOUD:
                found[row.state] += 1
        row = self._rows.get(but)
        if row is not None and row.state in LOUD and any(above in refs for above in self.above(but)):
            found[row.state] -= 1
        return tuple(found)

    def above(self, ref: Ref) -> Iterator[Ref]:
        """The owner of a row, the owner's owner, and so on; a circle is gone round once."""
        seen = {ref}
        row = self._rows.get(ref)
        while row is not None and row.owner is not None and row.owner not in seen:
            yield row.owner
            seen.add(row.owner)
            row = self._rows.get(row.owner)

    def moved(self, cluster: str) -> None:
        """Owners changed in a cluster, or rows that have one came or went."""
        self._below.pop(cluster, None)

    def judged(self, ref: Ref, state: State | None, before: State | None) -> None:
        """A row changed its state; None before it came and after it went."""
        loud, was = state in LOUD, before in LOUD
        if not loud and not was:
            return
        if loud:
            self._loud[ref.cluster].add(ref)
        else:
            self._loud[ref.cluster].discard(ref)
        below = self._below.get(ref.cluster)
        if below is None:
            return
        for owner in self.above(ref):
            counts = below.setdefault(owner, [0] * len(State))
            if loud and state is not None:
                counts[state] += 1
            if was and before is not None:
                counts[before] -= 1

    def _of(self, cluster: str) -> dict[Ref, list[int]]:
        below = self._below.get(cluster)
        if below is None:
            below = self._below[cluster] = {}
            for ref in self._loud.get(cluster, ()):
                state = self._rows[ref].state
                for owner in self.above(ref):
                    below.setdefault(owner, [0] * len(State))[state] += 1
        return below
