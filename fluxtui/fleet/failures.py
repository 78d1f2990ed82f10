"""The view by failure: one line for each message that is the same but for hashes and numbers, over all clusters.

What only waits for an object that failed is no failure of its own: it hangs below what it waits for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from fluxtui.fleet.lines import Line, LineType
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.states import State
from fluxtui.fleet.text import pattern_of
from fluxtui.fleet.trace import needed
from fluxtui.fleet.walk import Walk

Spread = dict[tuple[str, str], list[Ref]]
"""Rows by reason and pattern of message."""

_WAITING = frozenset({"DependencyNotReady", "SourceNotReady", "SourceUnavailable", "ArtifactFailed", "ChartNotReady"})
"""Reasons by which Flux's controllers say that something else has to become ready first."""
_DEEPEST = 8
"""Steps that what waits for what waits is set in at most."""


def walk(walk: Walk) -> None:
    """Add failures, those of most objects first, then clusters that do not answer."""
    rows = walk.mirror.rows
    troubled = {ref for ref in walk.passing(walk.mirror.troubled) if walk.has_trouble(ref)}
    causes = causes_of(walk.mirror, troubled)
    below: defaultdict[Ref, list[Ref]] = defaultdict(list)
    for ref, cause in causes.items():
        below[cause].append(ref)
    found: defaultdict[tuple[str, str], list[Ref]] = defaultdict(list)
    for ref in troubled - causes.keys():
        row = rows[ref]
        found[row.reason, pattern_of(row.message)].append(ref)
    members = {pattern: _with_all(sorted(refs), below) for pattern, refs in found.items()}
    for pattern in sorted(found, key=lambda each: (-len(members[each]), each)):
        _add(walk, pattern, sorted(found[pattern]), members[pattern], below)
    for info in walk.mirror.clusters.values():
        if info.is_lost and not walk.match:
            walk.notice(("lost", info.id), 0, f"{info.id}: {info.error or info.phase}", info.id)
    if not walk.lines:
        walk.notice("none", 0, "no failures" if walk.match is None else "no failures that the filter lets through")


def causes_of(mirror: Mirror, troubled: Collection[Ref]) -> dict[Ref, Ref]:
    """What each row that only waits waits for among the rows in trouble. Who waits for himself in a circle is left out:
    there nothing else is the cause."""
    found: dict[Ref, Ref] = {}
    for ref in troubled:
        row = mirror.rows[ref]
        if row.reason in _WAITING:
            cause = next((other for other in needed(mirror, row) if other in troubled), None)
            if cause is not None:
                found[ref] = cause
    for ref in _circles(found):
        del found[ref]
    return found


def _circles(causes: Mapping[Ref, Ref]) -> set[Ref]:
    found: set[Ref] = set()
    seen: set[Ref] = set()
    for ref in causes:
        path: dict[Ref, int] = {}
        here: Ref | None = ref
        while here is not None and here not in seen:
            seen.add(here)
            path[here] = len(path)
            here = causes.get(here)
        if here in path:
            found.update(list(path)[path[here] :])
    return found


def waiting(line: Line, mirror: Mirror) -> list[Ref]:
    """Those rows of a FAILURE line that only wait for others of it; none for lines of other types."""
    if line.type != LineType.FAILURE:
        return []
    rows = [mirror.rows[ref] for ref in line.members if ref in mirror.rows]
    return [row.ref for row in rows if ("failure", *failure_of(row)) != line.key]


def failure_of(row: Row) -> tuple[str, str]:
    """What two rows share that fail in the same way: the reason, and the message without hashes and numbers."""
    return row.reason, pattern_of(row.message)


def spread(mirror: Mirror) -> Spread:
    """The rows in trouble by the failure they share, sorted: how far each failure reaches over the fleet."""
    found: Spread = {}
    for ref in mirror.troubled:
        row = mirror.rows[ref]
        if row.message:
            found.setdefault(failure_of(row), []).append(ref)
    for refs in found.values():
        refs.sort()
    return found


def _with_all(refs: Collection[Ref], below: Mapping[Ref, list[Ref]]) -> tuple[Ref, ...]:
    """Rows and all that hangs below them."""
    found = list(refs)
    for ref in found:
        found += sorted(below.get(ref, ()))
    return tuple(found)


def _add(
    walk: Walk,
    pattern: tuple[str, str],
    refs: Sequence[Ref],
    members: tuple[Ref, ...],
    below: Mapping[Ref, list[Ref]],
) -> None:
    reason, _ = pattern
    key = ("failure", *pattern)
    opened = walk.is_open(key)
    newest = max((walk.mirror.rows[ref] for ref in refs), key=lambda row: row.changed)
    text = newest.message or reason or State.FAILED.word
    walk.lines.append(Line(key, 0, LineType.FAILURE, True, opened, text=text, members=members))
    if opened:
        _add_objects(walk, refs, below)


def _add_objects(walk: Walk, refs: Sequence[Ref], below: Mapping[Ref, list[Ref]]) -> None:
    waiting = [(ref, 1) for ref in reversed(refs)]
    while waiting:
        ref, depth = waiting.pop()
        walk.object(ref, depth, ref)
        following = sorted(below.get(ref, ()), reverse=True)
        waiting += [(other, min(depth + 1, _DEEPEST)) for other in following]
