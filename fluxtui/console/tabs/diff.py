"""The Diff tab: what applying now would change, object by object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.style import Style
from rich.text import Text

from fluxtui.console.columns import Brush
from fluxtui.console.tabs.layout import BLANK, sentence, words
from fluxtui.console.text import clock
from fluxtui.console.widgets.document import Paragraph
from fluxtui.fleet.comparison import Change, Comparison
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.text import lines, one_line, short_revision

_ACTIONS = ("created", "changed", "deleted", "skipped", "unchanged")
"""In the order in which they are counted."""
_SIGNS = {"created": "+", "changed": "~", "deleted": "-", "skipped": "!"}
_INDENT = 4


def diff(found: Comparison, ref: Ref, brush: Brush) -> list[Paragraph]:
    """What would become of the object, or of all that a Kustomization applies."""
    palette = brush.palette
    changes = found.of(ref)
    telling = [change for change in changes if change.action != "unchanged"]
    text = Text(short_revision(found.revision), palette.link)
    text.append(f"  compared at {clock(datetime.fromtimestamp(found.at, UTC))}", palette.muted)
    paragraphs = [Paragraph(text)]
    if ref != found.subject:
        paragraphs.append(sentence(f"by {found.subject.kind} {found.subject.path}, which applies it", brush))
    paragraphs += [Paragraph(Text(problem, palette.error), indent=2) for problem in found.problems]
    if telling:
        paragraphs += [_counted(changes, brush), *_changes(telling, ref, brush)]
    elif changes:
        paragraphs.append(Paragraph(Text("Applying it now would change nothing.", palette.success)))
    elif not found.problems:
        paragraphs.append(sentence("It is not among what would be applied.", brush))
    return paragraphs


def under_way(brush: Brush) -> list[Paragraph]:
    """What to say before the answer."""
    return [sentence("Building it, and having the server try it…", brush)]


def _counted(changes: Sequence[Change], brush: Brush) -> Paragraph:
    counts = Counter(change.action for change in changes)
    parts = [(f"{counts[action]} {action}", _style(action, brush)) for action in _ACTIONS if counts[action]]
    return Paragraph(words(parts))


def _changes(changes: Sequence[Change], ref: Ref, brush: Brush) -> Iterator[Paragraph]:
    for change in changes:
        other = Ref(ref.cluster, change.group, change.kind, change.namespace, change.name)
        style = _style(change.action, brush)
        text = Text(f"{_SIGNS.get(change.action, ' ')} ", style).append(
            f"{one_line(change.kind)} ", brush.palette.muted
        )
        text.append(one_line(other.path), brush.palette.ink).append(f"  {one_line(change.action)}", style)
        yield BLANK
        yield Paragraph(text, target=None if other == ref or change.action == "created" else other, indent=2)
        for line in lines(change.diff).splitlines():
            yield Paragraph(Text(f"  {line}", _line_style(line, brush)), indent=_INDENT)


def _style(action: str, brush: Brush) -> Style:
    palette = brush.palette
    return {"created": palette.success, "changed": palette.warning, "deleted": palette.error}.get(action, palette.muted)


def _line_style(line: str, brush: Brush) -> Style:
    palette = brush.palette
    return {"+": palette.success, "-": palette.error, "@": palette.progress}.get(line[:1], palette.ink)
