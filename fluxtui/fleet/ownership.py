"""The view by ownership: what nobody applied stands at the top of its cluster, everything else below its owner."""

from __future__ import annotations

from collections.abc import Iterator

from fluxtui.api.kinds import Category
from fluxtui.fleet.lines import Key, Line, LineType
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.walk import Walk

_CATEGORIES = {category: index for index, category in enumerate(Category)}


def walk(walk: Walk) -> None:
    """Add clusters, their roots, and below them what they applied."""
    mirror = walk.mirror
    for cluster in mirror.clusters:
        passing = set(walk.passing(mirror.refs(cluster))) if walk.match else set()
        if not walk.cluster(cluster, sorted(passing)):
            continue
        roots = _roots(walk, cluster)
        if walk.match:
            shown = _with_owners(walk, passing)
            for ref in walk.ordered([ref for ref in roots if ref in shown]):
                _narrow(walk, ref, 1, ref, shown, frozenset())
        else:
            walk.objects(walk.ordered(roots), 1)
        walk.notices(cluster)


def _roots(walk: Walk, cluster: str) -> list[Ref]:
    """The rows that nobody owns: those that own others first."""
    mirror = walk.mirror
    revision = sum(mirror.revision(cluster, category) for category in Category)
    known = walk.cache.get(("roots", cluster))
    if known is None or known[0] != revision:
        found = sorted((ref for ref in mirror.refs(cluster) if _is_root(walk, ref)), key=lambda ref: _order(walk, ref))
        known = walk.cache["roots", cluster] = (revision, found)
    roots: list[Ref] = known[1]
    return roots


def _is_root(walk: Walk, ref: Ref) -> bool:
    """Whether nobody that has a row owns it; the members of a circle of owners are roots all."""
    rows = walk.mirror.rows
    seen = {ref}
    owner = rows[ref].owner
    if owner is None or owner not in rows:
        return True
    while owner is not None and owner in rows:
        if owner in seen:
            return owner == ref
        seen.add(owner)
        owner = rows[owner].owner
    return False


def _order(walk: Walk, ref: Ref) -> tuple[object, ...]:
    return (not walk.mirror.owned(ref), _CATEGORIES[walk.mirror.rows[ref].category], ref)


def _with_owners(walk: Walk, refs: set[Ref]) -> set[Ref]:
    """The rows that pass the filter, and those above them."""
    rows = walk.mirror.rows
    shown = set(refs)
    for ref in refs:
        owner = rows[ref].owner
        while owner is not None and owner in rows and owner not in shown:
            shown.add(owner)
            owner = rows[owner].owner
    return shown


def _narrow(walk: Walk, ref: Ref, depth: int, key: Key, shown: set[Ref], above: frozenset[Ref]) -> None:
    """A row and, open by themselves, those below it that lead to what the filter lets through."""
    below = sorted(child for child in walk.mirror.owned(ref) if child in shown and child not in above and child != ref)
    if not below:
        walk.object(ref, depth, key)
        return
    opened = walk.is_open(key, by_itself=True)
    hidden = () if opened else tuple(_passing_below(walk, ref, shown))
    walk.lines.append(
        Line(key, depth, LineType.OBJECT, True, opened, ref.cluster, None, ref, members=hidden, filtered=True)
    )
    if opened:
        for child in below:
            _narrow(walk, child, depth + 1, (key, child), shown, above | {ref})


def _passing_below(walk: Walk, ref: Ref, shown: set[Ref]) -> Iterator[Ref]:
    """The rows below this one that the filter lets through, each once."""
    seen, waiting = {ref}, [ref]
    while waiting:
        below = [child for child in walk.mirror.owned(waiting.pop()) if child in shown and child not in seen]
        yield from walk.passing(below)
        seen.update(below)
        waiting += below
