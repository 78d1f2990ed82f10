"""The Logs tab: lines about the object from its controller or its pods, the newest last."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.style import Style
from rich.text import Text

from fluxtui.console.columns import Brush
from fluxtui.console.tabs.layout import sentence
from fluxtui.console.text import clock
from fluxtui.console.widgets.document import Paragraph
from fluxtui.fleet.logs import LogLine

MOST_LINES = 5000
"""Lines kept; older ones go."""
_BAD_LEVELS = frozenset({"error", "fatal", "panic", "warning", "warn"})


class LogText:
    """Lines as they come, one paragraph each; where lines come from is said when there are several origins.

    A paragraph is made once: a pod that talks fast must not have thousands of them made anew for each line.
    """

    def __init__(self) -> None:
        self._lines: deque[LogLine] = deque(maxlen=MOST_LINES)
        self._made: deque[Paragraph] = deque(maxlen=MOST_LINES)
        self._fresh: list[LogLine] = []
        self._origins: dict[str, None] = {}
        self._made_for: tuple[object, ...] = ()

    def add(self, lines: Sequence[LogLine]) -> None:
        """Newer lines; the oldest go."""
        self._fresh += lines
        del self._fresh[:-MOST_LINES]

    def paragraphs(self, brush: Brush) -> list[Paragraph]:
        """What there is, the newest last."""
        self._origins |= dict.fromkeys(line.source for line in self._fresh if line.source)
        made_for = (tuple(self._origins), brush.palette)
        self._lines += self._fresh
        if made_for != self._made_for:
            self._made.clear()
            self._made_for = made_for
            self._fresh = list(self._lines)
        origins = list(self._origins)
        names = _short_names(origins) if len(origins) > 1 else {}
        colours = {origin: _colour(index, brush) for index, origin in enumerate(origins)}
        self._made += [_line(line, names, colours, brush) for line in self._fresh]
        self._fresh = []
        return list(self._made)


def none_yet(brush: Brush) -> list[Paragraph]:
    """What to say without lines."""
    return [sentence("Waiting for lines about this object…", brush)]


def _line(line: LogLine, names: dict[str, str], colours: dict[str, Style], brush: Brush) -> Paragraph:
    palette = brush.palette
    text = Text(f"{clock(datetime.fromtimestamp(line.time, UTC))} " if line.time else "", palette.muted)
    if line.source in names:
        text.append(f"{names[line.source]} ", colours[line.source])
    text.append(line.text, palette.error if line.level in _BAD_LEVELS else palette.ink)
    return Paragraph(text, indent=9 if line.time else 2)


def _colour(index: int, brush: Brush) -> Style:
    palette = brush.palette
    return (palette.link, palette.accent, palette.progress, palette.success, palette.warning)[index % 5]


def _short_names(origins: Sequence[str]) -> dict[str, str]:
    """`api-6d9f7c-x2kqp/api` → `x2kqp/api`: enough to tell the origins apart, padded to one width."""
    short = {origin: _tail(origin) for origin in origins}
    if len(set(short.values())) < len(short):
        short = {origin: origin for origin in origins}
    width = max(map(len, short.values()))
    return {origin: name.ljust(width) for origin, name in short.items()}


def _tail(origin: str) -> str:
    pod, slash, container = origin.partition("/")
    return f"{pod.rpartition('-')[2]}/{container}" if slash else pod
