"""Words in cells: text cut to a width, spans of two units, the time of day.

What comes from a cluster is made harmless in `fluxtui.fleet.text`; here and in the painters it becomes Rich segments
and is never parsed as markup, so brackets stay brackets.
"""

from __future__ import annotations

from datetime import datetime

from rich.cells import cell_len


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
