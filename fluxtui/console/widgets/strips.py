"""Rich text as the segments of one line."""

from __future__ import annotations

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text


def segments(text: Text, console: Console) -> list[Segment]:
    """The segments of a text of one line, its own style included.

    `Text.render` leaves the text's style to its caller when no part has a style of its own.
    """
    style = text.style
    base = style if isinstance(style, Style) else None
    return list(Segment.apply_style(text.render(console, end=""), base))
