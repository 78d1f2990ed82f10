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
_DONE = "Succeeded"
"""How the reasons of Flux's controllers end when a reconcile came out well."""


def events(happenings: Sequence[Happening], ref: Ref, brush: Brush, *, whole: bool = True) -> list[Paragraph]:
    """One paragraph an event; empty when there is none yet. `whole`: messages of several lines keep them, else they
    are folded to one."""
    return [_event(found, ref, brush, whole=whole) for found in reversed(happenings)]


def none_yet(brush: Brush, *, loading: bool, unanswered: str = "") -> list[Paragraph]:
    """What to say without events; `unanswered` is why the cluster does not answer, if it does not."""
    if loading and unanswered:
        return [sentence(unanswered, brush, brush.palette.warning)]
    words = "Asking for events…" if loading else "No events in the last hour: Kubernetes keeps them no longer."
    return [sentence(words, brush)]


def _event(found: Happening, ref: Ref, brush: Brush, *, whole: bool) -> Paragraph:
    palette = brush.palette
    text = Text(moment(found.time, brush), palette.muted)
    done = State.READY if found.reason.endswith(_DONE) else State.PROGRESSING
    state = State.FAILED if found.warning else done
    text.append(f" {brush.glyph(state)} ", brush.state(state))
    text.append(found.reason, palette.ink)
    if found.count > 1:
        text.append(f" {brush.glyphs.times}{found.count}", palette.muted)
    if not found.is_about(ref):
        text.append(f"  {found.kind} {found.name}", palette.muted)
    style = palette.error if found.warning else palette.ink
    parts = [brief(line) for line in found.message.splitlines()] if whole else [brief(found.message)]
    parts = [part for part in parts if part]
    if len(parts) == 1:
        text.append(f"  {parts[0]}", style)
    for part in parts if len(parts) > 1 else ():
        text.append(f"\n{part}", style)
    return Paragraph(text, indent=INDENT)


def moment(seconds: float, brush: Brush) -> str:
    """The time of day, or how many days ago; eight cells either way."""
    now = brush.mirror.clock()
    if not seconds:
        return " " * 8
    if now - seconds >= 86400:
        return f"{span(now - seconds)} ago".rjust(8)
    return clock(datetime.fromtimestamp(seconds, UTC))
