"""The Trace tab: from the furthest source to the last dependent, each step with its state; Enter goes there."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from fluxtui.console.columns import Brush
from fluxtui.console.tabs.layout import BLANK, heading, sentence
from fluxtui.console.widgets.document import Paragraph
from fluxtui.fleet.branches import Child
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.text import short_revision
from fluxtui.fleet.trace import Role, Step, trace

_TITLES = {
    Role.SOURCE: "source",
    Role.OWNER: "applied by",
    Role.DEPENDENCY: "waits for",
    Role.SELF: "this object",
    Role.OWNED: "applies",
    Role.CONSUMER: "feeds",
    Role.DEPENDENT: "awaited by",
}


def tracing(ref: Ref, brush: Brush, child: Child | None = None) -> list[Paragraph]:
    """The steps by role, in the order in which things flow."""
    found = trace(brush.mirror, ref, child)
    paragraphs: list[Paragraph] = []
    if found.cause:
        paragraphs += [Paragraph(Text(found.cause, brush.palette.error), indent=2), BLANK]
    for role in Role:
        steps = found.of(role)
        if steps:
            paragraphs += [heading(_TITLES[role], brush), *_steps(steps, brush), BLANK]
    if len(found.steps) == 1:
        paragraphs.append(sentence("Nothing leads here and nothing hangs on it.", brush))
    return paragraphs


def _steps(steps: tuple[Step, ...], brush: Brush) -> Iterator[Paragraph]:
    """Each step is set in from the one that it comes from, so that all lines read as things flow: downwards."""
    palette = brush.palette
    furthest = max(step.depth for step in steps)
    for step in steps:
        leads_here = step.role in (Role.SOURCE, Role.OWNER, Role.DEPENDENCY)
        inset = "  " * max(0, furthest - step.depth if leads_here else step.depth - 1)
        text = Text(f"  {inset}{brush.glyph(step.state)} ", brush.state(step.state))
        text.append(f"{step.ref.word} ", palette.muted)
        text.append(step.ref.path, palette.strong if step.role is Role.SELF else palette.ink)
        if step.revision:
            text.append(f"  {short_revision(step.revision)}", palette.link)
        if step.message:
            text.append(f"  {step.message}", brush.state(step.state) if step.state.is_trouble else palette.muted)
        # A missing object is nowhere to go to; the traced one is where we are.
        target = None if step.missing or step.role is Role.SELF else step.ref
        yield Paragraph(text, target=target, indent=6 + len(inset))
