"""Where an object comes from, what it waits for, what hangs on it, and the root of its trouble in one sentence.

Everything is read from the mirror; what an object refers to and the mirror does not hold is a step of its own.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable

import msgspec

from fluxtui.api.kinds import HELM_CHART, is_flux_group
from fluxtui.fleet.branches import Child
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.states import State

MOST_DEPENDENTS = 200
_DEEPEST = 16


class Role(enum.StrEnum):
    """What a step is to the traced object."""

    SOURCE = "source"
    OWNER = "owner"
    DEPENDENCY = "depends on"
    SELF = "object"
    OWNED = "owns"
    CONSUMER = "feeds"
    DEPENDENT = "awaited by"


class Step(msgspec.Struct, frozen=True):
    """One object of a trace; the console jumps to its `ref`."""

    ref: Ref
    role: Role
    depth: int = 0
    """Steps away from the traced object in the direction of the role; 0 for itself."""
    state: State = State.UNKNOWN
    message: str = ""
    revision: str = ""
    detail: str = ""
    missing: bool = False
    """Whether the cluster is read and there is no such object."""


class Trace(msgspec.Struct, frozen=True):
    """All steps, from the furthest origin to the furthest dependent, and the cause of the trouble."""

    steps: tuple[Step, ...]
    cause: str = ""
    """One sentence; empty when nothing is wrong."""
    chain: tuple[Ref, ...] = ()
    """The objects of that sentence: the traced one first, the root of its trouble last."""

    def of(self, *roles: Role) -> tuple[Step, ...]:
        """The steps with one of these roles."""
        return tuple(step for step in self.steps if step.role in roles)


def trace(mirror: Mirror, ref: Ref, child: Child | None = None, *, owner: Ref | None = None) -> Trace:
    """The trace of a row, or of any other object: `child` holds its state then, and `owner` the row that applied it,
    when its labels tell more than the inventories do."""
    owners = _owners(mirror, ref, owner)
    start = mirror.rows.get(ref)
    carrier = start or next((mirror.rows[step.ref] for step in owners if step.ref in mirror.rows), None)
    sources = _sources(mirror, carrier)
    dependencies = _reach(mirror, carrier, lambda row: row.depends, Role.DEPENDENCY)
    itself = _step(mirror, ref, Role.SELF, 0, child)
    below: list[Step] = []
    if start:
        below += _reach(mirror, start, lambda row: sorted(mirror.owned(row.ref)), Role.OWNED)
        below += _reach(mirror, start, lambda row: _consumers(mirror, row.ref), Role.CONSUMER, levels=1)
        below += _reach(mirror, start, lambda row: sorted(mirror.dependents(row.ref)), Role.DEPENDENT)
    chain = root_cause(mirror, carrier.ref) if carrier else ()
    steps = (*reversed(sources), *reversed(owners), *reversed(dependencies), itself, *below)
    return Trace(steps, sentence(mirror, chain), chain)


def _step(mirror: Mirror, ref: Ref, role: Role, depth: int, child: Child | None = None) -> Step:
    row = mirror.rows.get(ref)
    if row:
        return Step(ref, role, depth, row.state, row.message, row.revision, row.detail)
    if child:
        return Step(ref, role, depth, child.state, child.message)
    info = mirror.clusters.get(ref.cluster)
    missing = is_flux_group(ref.group) and info is not None and info.is_settled and not info.is_lost
    return Step(
        ref, role, depth, State.FAILED if missing else State.UNKNOWN, "not found" if missing else "", missing=missing
    )


def _owners(mirror: Mirror, ref: Ref, first: Ref | None = None) -> list[Step]:
    """Who applied the object, who applied that, and so on up to the root; the nearest first."""
    steps: list[Step] = []
    seen = {ref}
    here = first or _owner(mirror, ref)
    while here is not None and here not in seen and len(steps) < _DEEPEST:
        seen.add(here)
        steps.append(_step(mirror, here, Role.OWNER, len(steps) + 1))
        here = _owner(mirror, here)
    return steps


def _owner(mirror: Mirror, ref: Ref) -> Ref | None:
    row = mirror.rows.get(ref)
    return row.owner if row else next(iter(mirror.owners(ref)), None)


def _sources(mirror: Mirror, row: Row | None) -> list[Step]:
    """The source, the source's source (chart → repository), and so on; the nearest first."""
    steps: list[Step] = []
    if row is None:
        return steps
    for ref in _chart_of(mirror, row):
        steps.append(_step(mirror, ref, Role.SOURCE, len(steps) + 1))
    seen = {row.ref, *(step.ref for step in steps)}
    source = row.source
    while source is not None and source not in seen and len(steps) < _DEEPEST:
        seen.add(source)
        if is_flux_group(source.group):
            steps.append(_step(mirror, source, Role.SOURCE, len(steps) + 1))
        following = mirror.rows.get(source)
        source = following.source if following else None
    return steps


def _chart_of(mirror: Mirror, row: Row) -> list[Ref]:
    """The HelmChart that a HelmRelease made for itself: it stands between the release and its repository."""
    return [
        ref for ref in mirror.owned(row.ref) if ref.kind == HELM_CHART.kind and mirror.rows[ref].source == row.source
    ]


def _consumers(mirror: Mirror, ref: Ref) -> list[Ref]:
    """Who takes this source; a chart that a release made for itself is replaced by the release."""
    found = set()
    for consumer in mirror.consumers(ref):
        owner = mirror.rows[consumer].owner
        found.add(owner if consumer.kind == HELM_CHART.kind and owner in mirror.rows else consumer)
    return sorted(each for each in found if each is not None)


def _reach(
    mirror: Mirror, row: Row | None, links: Callable[[Row], Iterable[Ref]], role: Role, levels: int = _DEEPEST
) -> list[Step]:
    """Everything that `links` lead to, level by level, each object once."""
    if row is None:
        return []
    steps: list[Step] = []
    seen = {row.ref}
    level: Collection[Ref] = [row.ref]
    for depth in range(1, levels + 1):
        following = []
        for ref in level:
            here = mirror.rows.get(ref)
            for other in links(here) if here else ():
                if other not in seen and len(steps) < MOST_DEPENDENTS:
                    seen.add(other)
                    following.append(other)
                    steps.append(_step(mirror, other, role, depth))
        level = following
    return steps


def root_cause(mirror: Mirror, ref: Ref) -> tuple[Ref, ...]:
    """From an object in trouble to the object that is the root of it; empty when the object is well.

    A suspended or missing object on the way is a root: nothing will come from there by itself.
    """
    chain = [ref]
    row = mirror.rows.get(ref)
    if row is None or not _is_bad(row):
        return ()
    while len(chain) < _DEEPEST:
        row = mirror.rows.get(chain[-1])
        if row is None or (row.state == State.SUSPENDED and len(chain) > 1):
            break
        guilty = next((other for other in needed(mirror, row) if other not in chain and _blocks(mirror, other)), None)
        if guilty is None:
            break
        chain.append(guilty)
    return tuple(chain)


def needed(mirror: Mirror, row: Row) -> list[Ref]:
    """What a row can't become ready without: its dependencies, its source, the chart made for it."""
    return [other for other in (*row.depends, row.source, *_chart_of(mirror, row)) if other is not None]


def _is_bad(row: Row) -> bool:
    return row.before in (State.STALLED, State.FAILED, State.OVERDUE) or row.before == State.PROGRESSING


def _blocks(mirror: Mirror, ref: Ref) -> bool:
    """Whether nothing good can come from an object: in trouble, suspended without being ready, or not there."""
    row = mirror.rows.get(ref)
    if row is None:
        return _step(mirror, ref, Role.SOURCE, 0).missing
    return _is_bad(row) or (row.state == State.SUSPENDED and row.before != State.READY)


def sentence(mirror: Mirror, chain: Collection[Ref]) -> str:
    """`ks apps waits for ks infra, whose source git fleet failed: authentication required`."""
    parts: list[str] = []
    before: Row | None = None
    for ref in chain:
        name = f"{ref.word} {ref.name}"
        row = mirror.rows.get(ref)
        if before is None:
            parts.append(name)
        elif ref in before.depends:
            parts.append(f"waits for {name}" if len(parts) == 1 else f"which waits for {name}")
        else:
            parts.append(f"gets nothing from its source {name}" if len(parts) == 1 else f"whose source is {name}")
        before = row
        if row is None:
            parts.append("which does not exist")
            break
    if not parts:
        return ""
    root = before
    if root is None:
        return ", ".join([" ".join(parts[:2]), *parts[2:]])
    back = next((ref for ref in root.depends if ref in chain), None)
    if back is not None:
        return ", ".join([" ".join(parts[:2]), *parts[2:]]) + f", which waits for {back.word} {back.name}: a circle"
    words = root.state.word.lower() if root.state != State.SUSPENDED else f"suspended ({root.before.word.lower()})"
    end = f"is {words}" if root.state in (State.STALLED, State.SUSPENDED, State.OVERDUE, State.PROGRESSING) else words
    message = f": {root.message}" if root.message else ""
    if len(parts) == 1:
        return f"{parts[0]} {end}{message}"
    return ", ".join([" ".join(parts[:2]), *parts[2:]]) + f", which {end}{message}"
