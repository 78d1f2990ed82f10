"""Small pieces that the tabs are set with: labelled lines, states, times."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text

from fluxtui.console.columns import Brush
from fluxtui.console.widgets.document import Paragraph
from fluxtui.fleet.states import State

LABEL_WIDTH = 8

BLANK = Paragraph(Text())


def labelled(label: str, text: Text, brush: Brush) -> Paragraph:
    """`path    ./apps`: a quiet label in a column of its own, continuation lines under the text."""
    head = Text(label.ljust(LABEL_WIDTH), brush.palette.muted)
    return Paragraph(head.append_text(text), indent=LABEL_WIDTH)


def state_text(state: State, brush: Brush) -> Text:
    """`✗ Failed` in the state's colour."""
    return Text(f"{brush.glyph(state)} {state.word}", brush.state(state))


def words(parts: Sequence[tuple[str, Style]], gap: str = "  ") -> Text:
    """Parts with gaps between them."""
    return Text(gap).join(Text(text, style) for text, style in parts)


def heading(text: str, brush: Brush) -> Paragraph:
    return Paragraph(Text(text, brush.palette.heading))


def sentence(text: str, brush: Brush, style: Style | None = None) -> Paragraph:
    """A line of plain words, muted unless a style is given."""
    return Paragraph(Text(text, style or brush.palette.muted), indent=2)
