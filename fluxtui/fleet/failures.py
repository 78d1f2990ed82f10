"""The view by failure: one line for each message that is the same but for hashes and numbers, over all clusters."""

from __future__ import annotations

from collections import defaultdict

from fluxtui.fleet.lines import Line, LineType
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.states import State
from fluxtui.fleet.text import pattern_of
from fluxtui.fleet.walk import Walk

Spread = dict[tuple[str, str], list[Ref]]
"""Rows by reason and pattern of message."""


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


def failure_of(row: Row) -> tuple[str, str]:
    """What two rows share that fail in the same way: the reason, and the message without hashes and numbers."""
    return row.reason, pattern_of(row.message)


def spread(mirror: Mirror) -> Spread:
    """The rows in trouble by the failure they share, sorted: how far each failure reaches over the fleet."""
    found: Spread = {}
    for row in mirror.rows.values():
        if row.state.is_trouble and row.message:
            found.setdefault(failure_of(row), []).append(row.ref)
    for refs in found.values():
        refs.sort()
    return found


def _add(walk: Walk, pattern: tuple[str, str], refs: list[Ref]) -> None:
    reason, _ = pattern
    key = ("failure", *pattern)
    opened = walk.is_open(key)
    newest = max((walk.mirror.rows[ref] for ref in refs), key=lambda row: row.changed)
    text = newest.message or reason or State.FAILED.word
    walk.lines.append(Line(key, 0, LineType.FAILURE, True, opened, text=text, members=tuple(refs)))
    if opened:
        walk.objects(refs, 1)
