"""Frames that cost what changed in them.

Textual's own compositor asks every widget for all its lines, and cuts all rows between the first and the last that
changed, to paint two lines of a list. Here widgets are asked for the lines that changed, and the result is the same.
It stands on internals of Textual, so that pyproject.toml allows no other minor version than the one it is tested with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip

Spans = Mapping[int, list[tuple[int, int]]]
"""By row the columns that changed: first and one behind the last."""


class LineCompositor(Compositor):
    """A compositor whose partial updates render no line that did not change."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """As the base: what to write for the regions that are dirty, None when there are none."""
        dirty = self._dirty_regions.copy()
        self._dirty_regions.clear()
        screen = self.size.region
        spans = list(self._regions_to_spans(region.intersection(screen) for region in dirty))
        if not spans:
            return None
        rows: dict[int, list[tuple[int, int]]] = {}
        for y, x1, x2 in spans:
            rows.setdefault(y, []).append((x1, x2))
        cuts = self.cuts
        chops: list[dict[int, Strip | None]] = [{} for _ in cuts]
        for y in rows:
            chops[y] = dict.fromkeys(cuts[y][:-1])
        for x, end, y, strip in self._strips(rows):
            line = chops[y]
            places = [cut for cut in cuts[y] if x <= cut <= end]
            # What lies in front comes first, and keeps its place.
            for cut, part in zip(places, strip.divide([cut - x for cut in places[1:]]), strict=False):
                if line.get(cut) is None:
                    line[cut] = part
        return ChopsUpdate(chops, spans, [ends[1:] for ends in cuts])

    def _strips(self, rows: Spans) -> Iterator[tuple[int, int, int, Strip]]:
        """The lines of widgets that reach into what changed, front to back: first column, end, row, strip."""
        ordered = sorted(rows)
        for widget, (region, clip) in self.visible_widgets.items():
            x, y, width, height = region.intersection(clip)
            if not width:
                continue
            touched = (row for row in ordered if y <= row < y + height and _meets(rows[row], x, x + width))
            for start, end in _runs(touched):
                crop = Region(x - region.x, start - region.y, width, end - start)
                for row, strip in enumerate(widget.render_lines(crop), start):
                    yield x, x + width, row, strip


def _meets(spans: Iterable[tuple[int, int]], x: int, end: int) -> bool:
    return any(x1 < end and x < x2 for x1, x2 in spans)


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Rising numbers as runs without a gap: first and one behind the last."""
    start = end = -1
    for number in numbers:
        if number != end:
            if end > start:
                yield start, end
            start = number
        end = number + 1
    if end > start:
        yield start, end
