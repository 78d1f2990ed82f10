"""A screen whose first frame is styled, laid out and painted once, and which needs not wait for a frame.

Textual's own screen does so two to five times before it comes to rest: it styles what was styled when it was mounted,
hears of its size from the app and from itself, and paints before its widgets have made anything of their sizes. It
stands on internals of Textual, as `compositing` does.
"""

from __future__ import annotations

from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget


class ThriftyScreen(Screen[None], inherit_bindings=False):
    """As the base, but it does nothing twice."""

    def paint(self, widget: Widget) -> None:
        """Paint at once what the widget wants painted: for the next frame a console at rest would wake once more."""
        widget._repaint_required = False
        self._dirty_widgets.add(widget)
        self._on_timer_update()

    def update_node_styles(self, animate: bool = True) -> None:
        """As the base, but nothing before the first layout: each widget was styled when it was mounted, just before."""
        if self.app._dom_ready:
            super().update_node_styles(animate)

    def _screen_resized(self, size: Size) -> None:
        """As the base, but nothing where everything is laid out in that size already."""
        if size != self._compositor.size:
            super()._screen_resized(size)

    def _compositor_refresh(self) -> None:
        """As the base, but nothing for the first layout: widgets learn their sizes from it and are laid out again."""
        if not self.app._dom_ready:
            return
        if self.size.region in self._compositor._dirty_regions:
            # All of it is painted now, whatever else wanted that.
            self._repaint_required = False
        super()._compositor_refresh()
