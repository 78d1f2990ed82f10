"""The board: header, filter and views, tree and pane, footer."""

from __future__ import annotations

import msgspec
from textual import events, getters, on
from textual.app import ComposeResult
from textual.containers import Container
from textual.reactive import Reactive
from textual.widget import Widget
from textual.widgets import Static

from fluxtui.console import folding, keys, notices
from fluxtui.console.columns import Brush
from fluxtui.console.compositing import LineCompositor
from fluxtui.console.footer import footer
from fluxtui.console.glyphs import glyphs
from fluxtui.console.screens.details import Details
from fluxtui.console.screens.news import News
from fluxtui.console.screens.thrifty import ThriftyScreen
from fluxtui.console.screens.title import Title
from fluxtui.console.start import Start
from fluxtui.console.themes import Palette
from fluxtui.console.widgets.chrome import Bar, Tabs
from fluxtui.console.widgets.filterline import FilterLine
from fluxtui.console.widgets.lines import VirtualList
from fluxtui.console.widgets.pane import DetailPane
from fluxtui.console.widgets.tree import FleetTree
from fluxtui.fleet.fleet import Fleet
from fluxtui.fleet.lines import LineType, Order, Shape, View
from fluxtui.fleet.query import Query, QueryError
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.tree import Tree

DEEPEST = 8
"""Branches that are opened at most on the way to a match."""
WIDE = 110
"""From this width on the pane stands beside the tree."""


class Board(ThriftyScreen, inherit_bindings=False):
    """Owns what is shown and how; its widgets draw it."""

    AUTO_FOCUS = "FleetTree"
    # Its widgets cover it: Textual need not style lines of it for each frame.
    BLANK = True

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As the base, but it is only widgets that look otherwise with the focus."""
    header = getters.query_one("#header", Bar)
    fleet_tree = getters.query_one(FleetTree)
    pane = getters.query_one(DetailPane)
    filter_line = getters.query_one(FilterLine)

    def __init__(self, fleet: Fleet, start: Start, palette: Palette, width: int) -> None:
        """`width` is that of the terminal. The classes that follow from it and from the settings are there from the
        beginning: to add one later is to style everything again."""
        ascii_only = start.settings.console.ascii
        super().__init__(classes=f"{'-wide' if width >= WIDE else '-narrow'}{' -ascii' * ascii_only}")
        self._compositor = LineCompositor()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]
        self.fleet = fleet
        self.start = start
        self.settings = start.settings
        console = start.settings.console
        characters = glyphs(ascii_only=ascii_only)
        tree = Tree(fleet.mirror)
        self.brush = Brush(fleet.mirror, tree, palette, characters, ascii_only=ascii_only, keymap=console.keymap)
        self.shape = Shape(view=View(console.view))
        self.filter_text = console.filter
        self._problem = ""
        self._looked = False
        self._opened: set[Ref] = set()
        self.title_line = Title(self)

    def compose(self) -> ComposeResult:
        yield Bar(self.brush.palette, id="header")
        yield FilterLine(self.brush.palette, self.filter_text, self.shape.view, id="filter")
        with Container(id="body"):
            yield FleetTree(self.brush, id="tree")
            yield Static("", id="notice")
            yield DetailPane(self.brush, id="pane")
        yield Bar(self.brush.palette, id="footer")

    def on_mount(self) -> None:
        self.details = Details(self, self.pane, self.fleet, self.brush)
        self.news = News(self)
        self.set_filter(self.filter_text)
        self.show_footer()

    def on_unmount(self) -> None:
        self.news.stop()
        self.details.stop()

    def flatten(self) -> None:
        """Compute the lines anew: at once when the user asked for it, later when `news` did."""
        mirror = self.fleet.mirror
        if not self._looked and mirror.rows:
            self._looked = True
            self.shape = folding.first_shape(self.shape, mirror)
        self.brush.with_cluster = self.shape.view in (View.SOURCE, View.FAILURE, View.FLAT)
        self.fleet_tree.nests = self.shape.view in (View.OWNERSHIP, View.SOURCE)
        lines = self.brush.tree.flatten(self.shape)
        self.fleet_tree.show(lines)
        self._keep_open({line.ref for line in lines if line.opened and line.ref})
        self._show_notice(empty=not lines)
        self.details.follow(self.fleet_tree.current)

    def _keep_open(self, opened: set[Ref]) -> None:
        """Have the fleet keep the children of open objects, and of no others."""
        for ref in opened - self._opened:
            self.fleet.open(ref)
        for ref in self._opened - opened:
            self.fleet.close(ref)
        self._opened = opened

    # Drawing

    def show_footer(self) -> None:
        in_pane = self.focused is not None and self.pane in self.focused.ancestors
        bindings = keys.footer("document" if in_pane else "tree")
        self.query_one("#footer", Bar).set_bits(footer(bindings, self.settings.console.keymap, self.brush.palette))

    def _show_notice(self, *, empty: bool) -> None:
        notice = self.query_one("#notice", Static)
        notice.display = empty
        # Never shown by force: one of them may be zoomed out of sight.
        for side in (self.fleet_tree, self.pane):
            side.styles.display = "none" if empty else None
        if empty:
            words = notices.empty_tree(self.brush, self.filter_text, self.start.origin, self._problem)
            notice.update(words)

    def use_palette(self, palette: Palette) -> None:
        """Another theme."""
        self.brush.palette = palette
        self.fleet_tree.use_palette(palette)
        self.pane.use_palette(palette)
        self.filter_line.use_palette(palette)
        for bar in self.query(Bar):
            bar.use_palette(palette)
        self.title_line.show()
        self.show_footer()
        self.details.redraw()

    def on_resize(self, event: events.Resize) -> None:
        self.title_line.show()

    def on_descendant_focus(self) -> None:
        self.show_footer()

    # The tree

    @on(FleetTree.Toggled)
    def _toggle(self, event: FleetTree.Toggled) -> None:
        if event.below:
            self.shape = folding.toggled_below(self.shape, self.brush.tree, event.line, opened=event.opened)
        else:
            self.shape = folding.toggled(self.shape, event.line, opened=event.opened)
        self.flatten()
        if event.opened:
            self.fleet_tree.show_branch()

    @on(FleetTree.Sought)
    def _seek(self, event: FleetTree.Sought) -> None:
        """Go to the next match, opening the branches on the way to it."""
        for _ in range(DEEPEST):
            folded = self.fleet_tree.seek(event.direction)
            if folded is None:
                return
            self.shape = folding.toggled(self.shape, folded, opened=True)
            self.flatten()

    @on(VirtualList.Highlighted, "#tree")
    def _highlighted(self) -> None:
        self.details.follow(self.fleet_tree.current)

    def find(self, ref: Ref) -> bool:
        """Put the cursor on an object's line, opening what leads to it; says whether there is one."""
        if self._find_line(ref):
            return True
        self.shape = folding.showing(self.shape, self.fleet.mirror, ref)
        self.flatten()
        return self._find_line(ref)

    def _find_line(self, ref: Ref) -> bool:
        wanted = (LineType.OBJECT, LineType.CHILD)
        lines = (line for line in self.fleet_tree.lines if line.ref == ref and line.type in wanted)
        found = next(lines, None)
        return found is not None and self.fleet_tree.go_to(found.key)

    # Filter and views

    @on(FilterLine.Changed)
    def _typed(self, event: FilterLine.Changed) -> None:
        if event.text != self.filter_text:
            self.set_filter(event.text)

    def set_filter(self, text: str) -> None:
        """Narrow the tree as the text says; a text with a mistake changes nothing but says so."""
        self.filter_text = text
        try:
            query = Query.parse(text) or None
        except QueryError as error:
            self._problem = str(error)
            self.filter_line.set_problem(self._problem)
            self._show_notice(empty=not self.fleet_tree.lines)
            return
        self._problem = ""
        self.filter_line.set_problem("")
        self.shape = msgspec.structs.replace(self.shape, query=query, folded=frozenset())
        self.fleet_tree.matches = query.matcher(self.fleet.mirror.clock()) if query else None
        self.flatten()

    @on(Tabs.Chosen, "#views")
    def _chose_view(self, event: Tabs.Chosen) -> None:
        self.set_view(View(event.name))

    def action_next_order(self) -> None:
        """Sort objects another way; the cursor stays on its line."""
        orders = list(Order)
        order = orders[(orders.index(self.shape.order) + 1) % len(orders)]
        self.shape = msgspec.structs.replace(self.shape, order=order)
        self.flatten()
        self.title_line.show()

    def set_view(self, view: View) -> None:
        """Arrange the tree another way; the cursor stays on its object, or on the line that stands for it there."""
        ref = self.fleet_tree.current.ref if self.fleet_tree.current else None
        self.shape = msgspec.structs.replace(self.shape, view=view)
        self.filter_line.set_view(view)
        self.flatten()
        if ref is not None and not self._find_line(ref):
            if view in (View.KIND, View.OWNERSHIP) and self.find(ref):
                return
            standing = [line for line in self.fleet_tree.lines if ref in self.brush.tree.members(line)]
            if standing:
                self.fleet_tree.go_to(standing[-1].key)

    @on(FilterLine.Left)
    def _left_filter(self) -> None:
        self.set_focus(self.fleet_tree)

    @on(DetailPane.Wished)
    def _wished(self, event: DetailPane.Wished) -> None:
        self.details.grant(event.wish)

    @on(FleetTree.Marked)
    def _marked(self) -> None:
        self.title_line.show()
