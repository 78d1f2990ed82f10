"""Widgets that paint every cell of their lines themselves.

Textual puts border, padding, hatch, tint and opacity around each line that a widget paints, which takes longer than the
painting even where there is none of them.
"""

from __future__ import annotations

from rich.style import Style
from textual.color import Color
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Plain(Widget):
    """A widget whose `render_line` gives its whole lines, or lines without the cells of the scroll bar.

    Where its styles want more around them, it is painted as any widget is. What lies beneath it changes with themes and
    classes only, not with inline styles of the widgets around it.
    """

    _beneath: tuple[Color, Style] | None = None
    """The background, where nothing has to be put around the lines."""
    _is_known = False

    def notify_style_update(self) -> None:
        self._is_known = False
        super().notify_style_update()

    def render_lines(self, crop: Region) -> list[Strip]:
        """As the base: the lines of a region within the widget."""
        if not self._is_known:
            self._is_known = True
            colour = self.background_colors[1]
            self._beneath = (colour, Style(bgcolor=colour.rich_color)) if self._is_plain() else None
        # What can be clicked looks otherwise under the mouse.
        if self._beneath is None or self.hover_style.link_id:
            return super().render_lines(crop)
        colour, blank = self._beneath
        width, filters = self.outer_size.width, self.get_line_filters()
        strips = []
        for y in crop.line_range:
            strip = self.render_line(y).adjust_cell_length(width, blank)
            for each in filters:
                strip = strip.apply_filter(each, colour)
            strips.append(strip if crop.width == width else strip.crop(*crop.column_span))
        return strips

    def _is_plain(self) -> bool:
        styles = self.styles
        effects = styles.tint.a or styles.has_rule("hatch") or styles.text_opacity != 1 or self.opacity != 1
        return not (any(styles.gutter) or effects)
