"""Words on the screen: what a cluster sent made harmless, cut to width, ages and times in few cells.

Nothing from a cluster is trusted. Text becomes plain characters here and Rich segments later; it is never parsed as
markup, so brackets stay brackets, and no escape sequence reaches the terminal.
"""

from __future__ import annotations

import re
from datetime import datetime

from rich.cells import cell_len

_TERMINAL_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|[ -/]*[0-~])?"
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|[\x90\x98\x9d-\x9f][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
)
"""CSI, OSC, DCS and the shorter sequences of ECMA-48, complete or cut off, in their 7-bit and 8-bit forms."""

_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
"""Control characters and what changes the direction or presence of text without being seen."""

_SPACES = re.compile(r"\s+")


def clean(text: str) -> str:
    """Text of several lines without terminal sequences, control and invisible characters; tabs become four spaces."""
    if text.isascii() and text.isprintable():
        return text
    text = _TERMINAL_SEQUENCE.sub("", text.replace("\r\n", "\n"))
    return _INVISIBLE.sub("", text).replace("\t", "    ")


def one_line(text: str) -> str:
    """Text as `clean`, folded to a single line."""
    return _SPACES.sub(" ", clean(text)).strip()


def cut(text: str, width: int, ellipsis: str = "…") -> str:
    """Text cut to at most `width` cells, with an ellipsis when something was cut."""
    if len(text) <= width and text.isascii():
        return text
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    room = width - cell_len(ellipsis)
    if room <= 0:
        return ellipsis[:width]
    used = 0
    for index, character in enumerate(text):
        used += cell_len(character)
        if used > room:
            return text[:index].rstrip() + ellipsis
    return text


def span(seconds: float) -> str:
    """A duration in at most four cells: `12s`, `4m`, `3h`, `9d`, `400d`, `12y`."""
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m"
    if seconds < 86400:
        return f"{seconds // 3600}h"
    days = seconds // 86400
    return f"{days}d" if days < 1000 else f"{days // 365}y"


def long_span(seconds: float) -> str:
    """A duration of two units: `4m 12s`, `3h 5m`, `9d 4h`."""
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds}s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}m {rest}s" if rest else f"{minutes}m"
    hours, rest = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {rest}m" if rest else f"{hours}h"
    days, rest = divmod(hours, 24)
    return f"{days}d {rest}h" if rest else f"{days}d"


def clock(moment: datetime) -> str:
    """The time of day in the user's zone: `12:03:14`."""
    return moment.astimezone().strftime("%H:%M:%S")
