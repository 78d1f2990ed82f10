"""The view by failure: one line for each message that is the same but for hashes and numbers, over all clusters."""

from __future__ import annotations

from collections import defaultdict

from fluxtui.fleet.lines import Line, LineType
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.states import State
from fluxtui.fleet.text import pattern_of
from fluxtui.fleet.walk import Walk


def walk(walk: Walk) -> None:
    """Add failures, the most frequent first, then clusters that do not answer."""
    rows = walk.mirror.rows
    found: defaultdict[tuple[str, str], list[Ref]] = defaultdict(list)
    for ref in walk.passing(rows):
        if walk.has_trouble(ref):
            row = rows[ref]
            found[row.reason, pattern_of(row.message)].append(ref)
    for pattern in sorted(found, key=lambda each: (-len(found[each]), each)):
        _add(walk, pattern, sorted(found[pattern]))
    for info in walk.mirror.clusters.values():
        if info.is_lost and not walk.match:
            walk.notice(("lost", info.id), 0, f"{info.id}: {info.error or info.phase}", info.id)
    if not walk.lines:
        walk.notice("none", 0, "no failures" if walk.match is None else "no failures that the filter lets through")


def alike(mirror: Mirror, ref: Ref) -> list[Ref]:
    """The other rows that fail with the same message: the spread of a failure over the fleet."""
    row = mirror.rows.get(ref)
    if row is None or not row.state.is_trouble or not row.message:
        return []
    pattern = (row.reason, pattern_of(row.message))
    return sorted(
        other.ref
        for other in mirror.rows.values()
        if other.state.is_trouble and other.ref != ref and (other.reason, pattern_of(other.message)) == pattern
    )


def _add(walk: Walk, pattern: tuple[str, str], refs: list[Ref]) -> None:
    reason, _ = pattern
    key = ("failure", *pattern)
    opened = walk.is_open(key)
    newest = max((walk.mirror.rows[ref] for ref in refs), key=lambda row: row.changed)
    text = newest.message or reason or State.FAILED.word
    walk.lines.append(Line(key, 0, LineType.FAILURE, True, opened, text=text, members=tuple(refs)))
    if opened:
        walk.objects(refs, 1)
