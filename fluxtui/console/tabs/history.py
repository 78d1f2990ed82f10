"""The History tab: what became of earlier revisions, the newest first, and with which of them it went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from fluxtui.console.columns import Brush
from fluxtui.console.tabs.events import INDENT, moment
from fluxtui.console.tabs.layout import BLANK, labelled, sentence
from fluxtui.console.text import long_span
from fluxtui.console.widgets.document import Paragraph
from fluxtui.fleet.past import SUCCEEDED, Run, runs, turn
from fluxtui.fleet.states import State

Object = Mapping[str, Any]

_MOST_TENTHS = 10.0
"""Seconds below which a duration is told in tenths."""


def history(obj: Object, brush: Brush) -> list[Paragraph]:
    """One paragraph an outcome, below where it went wrong."""
    found = runs(obj)
    if not found:
        return [sentence("Nothing is noted yet; Flux before 2.7 notes no history of Kustomizations.", brush)]
    return [*first_bad(obj, brush, BLANK), *(_run(run, brush) for run in found)]


def first_bad(obj: Object, brush: Brush, *behind: Paragraph) -> Iterator[Paragraph]:
    """The revision since which it goes wrong and the last good one, then `behind`; nothing when the latest is good,
    when no good one is known, or when both are the same: then no revision is to blame."""
    found = turn(runs(obj))
    if found is None or not found.bad.revision:
        return
    bad, good = found
    if good is None or good.revision == bad.revision:
        return
    palette = brush.palette
    text = Text(bad.revision, palette.link).append("  is the first bad one", palette.error)
    if bad.first:
        text.append(f", for {long_span(brush.mirror.clock() - bad.first)}", palette.muted)
    text.append("; ", palette.muted).append(good.revision, palette.link).append(" was good", palette.muted)
    yield labelled("since", text, brush)
    yield from behind


def _run(run: Run, brush: Brush) -> Paragraph:
    palette = brush.palette
    state = State.UNKNOWN if run.good is None else State.READY if run.good else State.FAILED
    text = Text(moment(run.last, brush), palette.muted)
    text.append(f" {brush.glyph(state)} ", brush.state(state)).append(run.revision or "no revision", palette.link)
    if run.number:
        text.append(f"  release {run.number}", palette.muted)
    if not (run.good and run.result == SUCCEEDED):
        text.append(f"  {run.result}", palette.error if run.good is False else palette.ink)
    if run.took:
        text.append(f"  {_duration(run.took)}", palette.muted)
    if run.count > 1:
        since = f" in {long_span(run.last - run.first)}" if run.first and run.last > run.first else ""
        text.append(f"  {brush.glyphs.times}{run.count}{since}", palette.muted)
    if run.origin:
        text.append("  of ", palette.muted).append(run.origin, palette.link)
    return Paragraph(text, indent=INDENT)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{max(1, round(seconds * 1000))}ms"
    return f"{seconds:.1f}s" if seconds < _MOST_TENTHS else long_span(seconds)
