"""Rich text as the segments of one line."""

from __future__ import annotations

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from fluxtui.fleet.text import lines


def harmless(text: str) -> str:
    """The last gate before the terminal: one line without control characters, whoever forgot to clean it before."""
    return text if text.isprintable() else lines(text).replace("\n", " ").replace("\u00a0", " ")


def segments(text: Text, console: Console) -> list[Segment]:
    """The segments of a text of one line, its own style included.

    `Text.render` leaves the text's style to its caller when no part has a style of its own.
    """
    if not text.plain.isprintable():
        text = text.copy()
        text.plain = harmless(text.plain)
    style = text.style
    base = style if isinstance(style, Style) else None
    return list(Segment.apply_style(text.render(console, end=""), base))


def clickable(text: Text, action: str) -> Text:
    """The same text; a click on it runs an action of Textual's, such as `screen.help`."""
    text.stylize(Style(meta={"@click": action}))
    return text


def as_key(text: Text, key: str) -> Text:
    """The same text; a click on it does what the key does where the focus is. `key` is in Textual's long names."""
    return clickable(text, f"app.simulate_key({key!r})")
