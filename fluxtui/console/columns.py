"""What each type of line shows, as cells: one function per type, pure from line and mirror to `Cells`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from rich.style import Style

from fluxtui.console.cells import KIND_WIDTH, Cells
from fluxtui.console.glyphs import UNICODE, Glyphs
from fluxtui.console.themes import Palette
from fluxtui.fleet import failures
from fluxtui.fleet.ancestry import LOUD
from fluxtui.fleet.clusters import ClusterInfo, Mode, Phase
from fluxtui.fleet.failures import Spread, failure_of, spread
from fluxtui.fleet.lines import Line, LineType
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.states import Counts, State
from fluxtui.fleet.text import one_line, span
from fluxtui.fleet.tree import Tree

SHOWN_ORDER = (
    State.READY,
    State.PROGRESSING,
    State.STALLED,
    State.FAILED,
    State.OVERDUE,
    State.DELETING,
    State.SUSPENDED,
    State.UNREACHABLE,
    State.UNKNOWN,
)
"""The order in which counts stand: the good first, then what wants attention, then what is out of our hands."""

ALIKE_FOR = 5.0
"""Seconds for which the spread of a failure is believed."""


class Brush(msgspec.Struct):
    """What every line is drawn with: the facts, the clock, the styles and the characters."""

    mirror: Mirror
    tree: Tree
    palette: Palette
    glyphs: Glyphs
    ascii_only: bool = False
    with_cluster: bool = False
    """Whether objects name their cluster: in views whose lines stand for several clusters."""
    engines: dict[str, str] = {}
    """Clusters whose engine is being started or stopped from here, in words."""
    keymap: Mapping[str, str] = {}
    """The user's own keys, for sentences that name one."""

    _spread: tuple[float, Spread] = (0.0, {})

    def alike(self, row: Row) -> list[Ref]:
        """Other rows that fail as this one does; looked up in the whole fleet, so every few seconds only."""
        if not row.state.is_trouble or not row.message:
            return []
        key, now = failure_of(row), self.mirror.clock()
        seen, known = self._spread
        if not 0 <= now - seen < ALIKE_FOR or row.ref not in known.get(key, ()):
            known = spread(self.mirror)
            self._spread = (now, known)
        return [ref for ref in known.get(key, ()) if ref != row.ref]

    def glyph(self, state: State) -> str:
        return state.ascii if self.ascii_only else state.glyph

    def age(self, since: float) -> str:
        """The time since a moment, or nothing for none."""
        return span(self.mirror.clock() - since) if since else ""

    def state(self, state: State) -> Style:
        return self.palette.token(state.token)


def stamp(line: Line, brush: Brush) -> tuple[object, ...]:
    """Everything the line's looks depend on beside its key; cheap, and equal as long as nothing visible changed."""
    if line.type == LineType.OBJECT:
        row = brush.mirror.rows.get(line.ref) if line.ref else None
        return (line.opens, line.opened, line.depth, row, brush.age(_since(line, brush)), brush.tree.hidden(line))
    if line.type == LineType.CHILD:
        return (line.opened, line.depth, line.child, brush.age(_since(line, brush)), _is_lost(line, brush))
    if line.type == LineType.CLUSTER:
        info = brush.mirror.clusters.get(line.cluster)
        under_way = brush.engines.get(line.cluster)
        age = brush.age(_since(line, brush))
        return (line.opened, info, age, brush.tree.counts(line), len(line.members), under_way)
    if line.type == LineType.NOTICE:
        return (line.depth, line.text)
    return (line.opened, line.text, brush.tree.counts(line))


def ages(line: Line, brush: Brush, before: float) -> bool:
    """Whether the line tells another age now than it did at the moment `before`."""
    since = _since(line, brush)
    return bool(since) and span(brush.mirror.clock() - since) != span(before - since)


def _since(line: Line, brush: Brush) -> float:
    """The moment that the line's age is counted from; 0.0 for a line without one."""
    if line.type == LineType.OBJECT:
        row = brush.mirror.rows.get(line.ref) if line.ref else None
        return row.changed if row else 0.0
    if line.type == LineType.CHILD:
        return line.child.changed if line.child else 0.0
    info = brush.mirror.clusters.get(line.cluster) if line.type == LineType.CLUSTER else None
    return info.lost_since if info else 0.0


def cells(line: Line, brush: Brush) -> Cells:
    """The cells of any line."""
    if line.type == LineType.OBJECT and line.ref:
        row = brush.mirror.rows.get(line.ref)
        return _object(line, row, brush) if row else _gone(line, brush)
    if line.type == LineType.CHILD and line.child:
        return _child(line, brush)
    if line.type == LineType.CLUSTER:
        return _cluster(line, brush)
    if line.type == LineType.NOTICE:
        return _notice(line, brush)
    return _heading(line, brush)


def _arrow(line: Line, brush: Brush) -> str:
    if not line.opens:
        return " "
    return brush.glyphs.opened if line.opened else brush.glyphs.closed


def _object(line: Line, row: Row, brush: Brush) -> Cells:
    palette = brush.palette
    lost = row.state == State.UNREACHABLE
    style = brush.state(row.state)
    kind = row.ref.word
    name = row.ref.name if len(kind) < KIND_WIDTH else f" {row.ref.name}"
    message, message_style = _message(row, style, palette)
    return Cells(
        depth=line.depth,
        arrow=_arrow(line, brush),
        glyph=brush.glyph(row.state),
        glyph_style=style,
        kind=kind,
        name=name,
        name_style=palette.muted if lost else palette.ink,
        note=one_line(row.ref.cluster) if brush.with_cluster else "",
        message=message,
        message_style=palette.muted if lost else message_style,
        right=_right(line, row, brush),
        tail=brush.age(row.changed),
        tail_style=palette.muted,
    )


def _right(line: Line, row: Row, brush: Brush) -> tuple[tuple[str, Style], ...]:
    """What a folded branch hides that is not well, then the revision."""
    palette = brush.palette
    hidden = count_cells(brush.tree.hidden(line), brush)
    if not row.revision:
        return hidden
    revision = (row.short, palette.muted if row.state == State.UNREACHABLE else palette.link)
    return (*hidden, ("  ", palette.ink), revision) if hidden else (revision,)


def _message(row: Row, style: Style, palette: Palette) -> tuple[str, Style]:
    """What the row says beside its state, and how loud: nothing that the state and the revision say already."""
    if row.state == State.SUSPENDED and row.suspended_note:
        return row.suspended_note, style
    words = row.message or row.reason
    if row.state == State.SUSPENDED and not row.before.is_trouble:
        return "suspended", style
    if row.before in (State.READY, State.UNKNOWN, State.DELETING):
        return ("" if row.revision else row.message), palette.muted
    if row.state != row.before and row.before.is_trouble:
        return f"was {row.before.word.lower()}: {words}", palette.muted
    return words, palette.muted if row.state == State.PROGRESSING else style


def _child(line: Line, brush: Brush) -> Cells:
    child = line.child
    assert child is not None
    palette = brush.palette
    state = State.UNREACHABLE if _is_lost(line, brush) else child.state
    style = brush.state(state)
    bad = state in (State.FAILED, State.STALLED, State.DELETING)
    ref = child.ref
    quiet = state in (State.UNKNOWN, State.UNREACHABLE)
    return Cells(
        depth=line.depth,
        arrow=_arrow(line, brush),
        glyph=brush.glyph(state),
        glyph_style=style,
        name=f"{ref.kind} {ref.name if ref.kind == 'Pod' else ref.path}",
        name_style=palette.muted if quiet else palette.ink,
        message=child.message.replace(UNICODE.times, brush.glyphs.times),
        message_style=style if bad else palette.muted,
        tail=brush.age(child.changed),
        tail_style=palette.muted,
    )


def _is_lost(line: Line, brush: Brush) -> bool:
    """Whether what is known of a child may be out of date; of a row, its state says so."""
    info = brush.mirror.clusters.get(line.cluster)
    return info is not None and info.is_lost


def _gone(line: Line, brush: Brush) -> Cells:
    palette = brush.palette
    name = line.ref.name if line.ref else ""
    return Cells(line.depth, name=name, name_style=palette.muted, message="gone", message_style=palette.muted)


def _notice(line: Line, brush: Brush) -> Cells:
    text = one_line(line.text)
    if brush.ascii_only:
        text = text.replace("…", brush.glyphs.ellipsis)
    return Cells(depth=line.depth, name=text, name_style=brush.palette.muted)


def _heading(line: Line, brush: Brush) -> Cells:
    """A group, a source or a failure: its words and its counts."""
    palette = brush.palette
    counts = brush.tree.counts(line)
    if line.type == LineType.GROUP:
        name = line.text or (line.category.value if line.category else "")
        return Cells(
            depth=line.depth,
            arrow=_arrow(line, brush),
            name=name,
            name_style=palette.heading,
            right=count_cells(counts, brush),
        )
    clusters = len({ref.cluster for ref in line.members})
    where = f"{clusters} clusters" if clusters != 1 else next((one_line(ref.cluster) for ref in line.members), "")
    waiting = len(failures.waiting(line, brush.mirror))
    if waiting:
        where += f" {brush.glyphs.separator} {waiting} wait{'s' * (waiting == 1)} for it"
    worst = min((State(index) for index, count in enumerate(counts) if count), default=State.UNKNOWN)
    return Cells(
        depth=line.depth,
        arrow=_arrow(line, brush),
        glyph=brush.glyph(worst),
        glyph_style=brush.state(worst),
        name=one_line(line.text),
        name_style=palette.strong if line.type == LineType.SOURCE else brush.state(worst),
        message=where,
        message_style=palette.muted,
        right=count_cells(counts, brush),
    )


def count_cells(counts: Counts, brush: Brush, *, muted: bool = False) -> tuple[tuple[str, Style], ...]:
    """`✓ 118  ↻ 3  ✗ 2`: states that occur, each in its colour."""
    parts: list[tuple[str, Style]] = []
    for _, text, style in state_cells(counts, brush):
        parts.append((f"{'  ' if parts else ''}{text}", brush.palette.muted if muted else style))
    return tuple(parts)


def state_cells(counts: Counts, brush: Brush) -> list[tuple[State, str, Style]]:
    """State, `✓ 118` and colour of each state that occurs."""
    found = [state for state in SHOWN_ORDER if counts[state]]
    return [(state, f"{brush.glyph(state)} {counts[state]}", brush.state(state)) for state in found]


def _cluster(line: Line, brush: Brush) -> Cells:
    palette = brush.palette
    info = brush.mirror.clusters[line.cluster]
    counts = brush.tree.counts(line)
    state = cluster_state(info, counts)
    words = cluster_words(info, brush)
    if info.is_lost:
        return _lost_cluster(line, info, words, brush)
    latency = f"{round(info.latency * 1000)}ms" if info.latency else ""
    return Cells(
        depth=line.depth,
        arrow=_arrow(line, brush),
        glyph=brush.glyph(state),
        glyph_style=brush.state(state),
        name=one_line(info.id),
        name_style=palette.strong,
        message=words,
        message_style=palette.warning if info.refused or info.phase == Phase.DEGRADED else palette.muted,
        right=count_cells(counts, brush),
        tail=latency,
        tail_style=palette.muted,
    )


def _lost_cluster(line: Line, info: ClusterInfo, words: str, brush: Brush) -> Cells:
    """A cluster that does not answer: greyed, with what it was."""
    palette = brush.palette
    before = [0] * len(State)
    for ref in brush.tree.members(line):
        before[brush.mirror.rows[ref].before] += 1
    was = "  ".join(text.strip() for text, _ in count_cells(tuple(before), brush, muted=True))
    state = cluster_state(info, brush.tree.counts(line))
    return Cells(
        depth=line.depth,
        arrow=_arrow(line, brush),
        glyph=brush.glyph(state),
        glyph_style=brush.state(state),
        name=one_line(info.id),
        name_style=palette.heading,
        message=f"{words} {brush.glyphs.separator} was {was}" if was else words,
        message_style=palette.muted,
    )


def cluster_state(info: ClusterInfo, counts: Counts) -> State:
    """The worst state of a cluster that wants attention; Ready when none does, whatever else is going on."""
    if info.is_lost:
        return State.FAILED if info.phase == Phase.DENIED else State.UNREACHABLE
    if info.refused:
        return State.FAILED
    quiet = State.READY if info.kinds > len(info.forbidden) else State.UNKNOWN
    if info.silent:
        quiet = State.UNREACHABLE
    if not info.is_settled:
        quiet = State.PROGRESSING
    return next((state for state in State if state in LOUD and counts[state]), quiet)


def cluster_words(info: ClusterInfo, brush: Brush) -> str:
    """Who reconciles the cluster and with which version, or how far it is from being read."""
    dot = f" {brush.glyphs.separator} "
    if info.id in brush.engines:
        return brush.engines[info.id]
    if info.phase == Phase.UNREACHABLE:
        return f"unreachable {brush.age(info.lost_since)}".rstrip()
    if info.phase == Phase.DENIED:
        return one_line(info.error) or "access denied"
    if info.phase == Phase.CONNECTING:
        return "connecting"
    if info.phase == Phase.SYNCING:
        return f"reading {info.synced} of {info.kinds} kinds"
    if info.refused:
        return f"live, but refused: {one_line(info.refused)}"
    if not info.kinds:
        return "no Flux here"
    counts = ((len(info.forbidden), "forbidden"), (len(info.silent), "unreachable"))
    parts = [f"{count} kind{'s' * (count != 1)} {what}" for count, what in counts if count]
    version = ".".join(one_line(info.flux_version).split(".")[:2])
    if info.mode == Mode.EMBEDDED:
        parts.append("embedded engine")
    elif version:
        parts.append(f"flux {version}")
    if info.mode == Mode.DELEGATED:
        parts.append("delegated")
    elif info.mode == Mode.NONE:
        parts.append("no controllers")
    if info.stale_controllers:
        parts.append("leases not renewed")
    return dot.join(parts)


def badge(line: Line, marks: Collection[Ref], pending: Mapping[Ref, str], brush: Brush) -> tuple[str, Style]:
    """The first cell of a line: whether its object waits for the outcome of an action, or is marked."""
    if line.type == LineType.OBJECT and line.ref:
        if line.ref in pending:
            return brush.glyphs.pending, brush.palette.progress
        if line.ref in marks:
            return brush.glyphs.mark, brush.palette.link
    return " ", brush.palette.ink
