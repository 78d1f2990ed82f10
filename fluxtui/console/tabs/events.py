"""The Events tab: what was reported about the object and what it owns, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.text import Text

from fluxtui.console.columns import Brush
from fluxtui.console.tabs.layout import sentence
from fluxtui.console.text import clock
from fluxtui.console.widgets.document import Paragraph
from fluxtui.fleet.happenings import Happening
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.states import State
from fluxtui.fleet.text import brief, span

INDENT = 11
"""Continuation lines stand under the reason."""


def events(happenings: Sequence[Happening], ref: Ref, brush: Brush) -> list[Paragraph]:
    """One paragraph an event; empty when there is none yet."""
    return [_event(found, ref, brush) for found in reversed(happenings)]


def none_yet(brush: Brush, *, loading: bool) -> list[Paragraph]:
    """What to say without events."""
    words = "Asking for events…" if loading else "No events in the last hour: Kubernetes keeps them no longer."
    return [sentence(words, brush)]


def _event(found: Happening, ref: Ref, brush: Brush) -> Paragraph:
    palette = brush.palette
    text = Text(moment(found.time, brush), palette.muted)
    state = State.FAILED if found.warning else State.PROGRESSING
    text.append(f" {brush.glyph(state)} ", palette.error if found.warning else palette.progress)
    text.append(found.reason, palette.ink)
    if found.count > 1:
        text.append(f" {brush.glyphs.times}{found.count}", palette.muted)
    if not found.is_about(ref):
        text.append(f"  {found.kind} {found.name}", palette.muted)
    message = brief(found.message)
    if message:
        text.append(f"  {message}", palette.error if found.warning else palette.ink)
    return Paragraph(text, indent=INDENT)


def moment(seconds: float, brush: Brush) -> str:
    """The time of day, or how many days ago; eight cells either way."""
    now = brush.mirror.clock()
    if not seconds:
        return " " * 8
    if now - seconds >= 86400:
        return f"{span(now - seconds)} ago".rjust(8)
    return clock(datetime.fromtimestamp(seconds, UTC))
