"""The header's words: how many clusters and objects, their states, news per second, whether all is live, the time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.text import Text

from fluxtui.console.columns import Brush, state_cells
from fluxtui.console.widgets.chrome import Bit
from fluxtui.console.widgets.strips import clickable
from fluxtui.fleet.clusters import ClusterInfo
from fluxtui.fleet.lines import Order
from fluxtui.fleet.states import State

_ORDERS = {Order.STATE: "sorted by state", Order.CHANGE: "sorted by change"}
ROOMY = 100
"""From this width on the header spells things out."""


def header(
    brush: Brush,
    width: int,
    rate: str,
    *,
    order: Order = Order.NAME,
    read_only: bool = False,
    marks: int = 0,
) -> tuple[list[Bit], list[Bit]]:
    """The bits of the header from the left and from the right, for a screen of `width` cells; the clock follows the
    last of them. A click on a count filters by that state.

    Args:
        rate: `14 ev/s`, or nothing.
        order: how objects are sorted, said unless it is by name.
        marks: how many objects are marked: keys act on those, wherever the cursor is.
    """
    palette, mirror = brush.palette, brush.mirror
    clusters = len(mirror.clusters)
    counts = mirror.counts()
    left = [
        Bit(Text("fluxtui", palette.key), 90),
        Bit(_counted(clusters, "cluster", brush, lead=" "), 80),
    ]
    if width >= ROOMY:
        left.append(Bit(_counted(sum(counts), "object", brush, quiet=True), 10))
    for index, (state, text, style) in enumerate(state_cells(counts, brush)):
        cell = clickable(Text(text, style), f"screen.only({f'state={state.word.lower()}'!r})")
        left.append(Bit(Text(" " if index == 0 else "").append_text(cell), 70 - index))
    right = []
    if marks:
        right.append(Bit(Text(f"{marks} marked", palette.key), 88))
    if order in _ORDERS:
        right.append(Bit(Text(_ORDERS[order], palette.muted), 30))
    if read_only:
        right.append(Bit(Text("read-only", palette.warning), 75))
    if width >= ROOMY and rate:
        right.append(Bit(Text(rate, palette.muted), 20))
    right.append(Bit(_liveness(list(mirror.clusters.values()), brush, roomy=width >= ROOMY), 85))
    return left, right


def rate_of_news(rate: float) -> str:
    """`14 ev/s`; nothing for hardly any news a second."""
    return f"{rate:.0f} ev/s" if rate >= 0.5 else ""


def clock(brush: Brush, width: int, *, seconds: bool) -> Text:
    """`12:03:14`, with the seconds if they are wanted and the screen of `width` cells has room for them."""
    moment = datetime.fromtimestamp(brush.mirror.clock(), UTC).astimezone()
    return Text(moment.strftime("%H:%M:%S" if width >= ROOMY and seconds else "%H:%M"), brush.palette.ink)


def _counted(count: int, noun: str, brush: Brush, *, lead: str = "", quiet: bool = False) -> Text:
    palette = brush.palette
    words = f" {noun}" if count == 1 else f" {noun}s"
    return Text.assemble(lead, (str(count), palette.ink), (words, palette.muted if quiet else palette.ink))


def _liveness(clusters: Sequence[ClusterInfo], brush: Brush, *, roomy: bool) -> Text:
    """`● live  `: a dot whose colour says it, and the words where there is room."""
    palette, dot = brush.palette, brush.glyphs.live
    lost = sum(info.is_lost or bool(info.refused) for info in clusters)
    settled = sum(info.is_settled for info in clusters)
    if not clusters:
        style, words = palette.muted, "no clusters"
    elif settled < len(clusters):
        style, words = palette.progress, f"reading {settled}/{len(clusters)}"
    elif lost:
        style, words = palette.warning, f"{len(clusters) - lost}/{len(clusters)} live"
    else:
        style, words = palette.success, "live"
    text = Text.assemble((dot, style), " ")
    if roomy or words != "live":
        text.append(f"{words}  ", palette.muted)
    return text


def worst(brush: Brush) -> State:
    """The state of the fleet that wants attention most, for the terminal's title."""
    counts = brush.mirror.counts()
    return next((state for state in State if counts[state]), State.READY)
