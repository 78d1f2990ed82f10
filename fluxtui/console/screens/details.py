"""What the pane shows and where it comes from: loads, follows, and never lets a late answer onto a newer screen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from textual.screen import Screen

from fluxtui.console.columns import Brush
from fluxtui.console.pulse import Lull, Pulse
from fluxtui.console.tabs import diff, events, history, layout, logs, manifest, overview, tracing
from fluxtui.console.widgets.document import Paragraph
from fluxtui.console.widgets.pane import DIFF, EVENTS, HISTORY, LOGS, OVERVIEW, TRACE, YAML, DetailPane, Wish, tabs_of
from fluxtui.console.working import in_worker
from fluxtui.fleet.comparison import Comparison, ComparisonError
from fluxtui.fleet.fleet import Fleet
from fluxtui.fleet.happenings import Happening
from fluxtui.fleet.lines import Line
from fluxtui.fleet.logs import LogLine
from fluxtui.fleet.mirror import Changes
from fluxtui.fleet.text import one_line
from fluxtui.kube.errors import Forbidden, KubeError

SETTLE = 0.12
"""Seconds the cursor must rest on a line before its cluster is asked anything."""
GROUP = "details"
DELIBERATE = 0.5
"""Seconds it must rest before a process is started for it."""
_OF_THE_OBJECT = (OVERVIEW, HISTORY, YAML)
"""Tabs that are drawn from the object itself."""
_OF_THE_OBJECT_ALONE = (HISTORY, YAML)
TURNS = 8
"""How often a second the pane turns to another line while the cursor moves on and on."""
RATE = 10
"""How often a second lines and events that come in may be drawn."""
RENEWALS = 2
"""How often a second the object's own news may change what is shown of it."""


class Details:
    """Follows the cursor: one target and one tab at a time, each change of them a new ticket."""

    def __init__(self, screen: Screen[Any], pane: DetailPane, fleet: Fleet, brush: Brush) -> None:
        self._screen = screen
        self._pane = pane
        self._fleet = fleet
        self._brush = brush
        self._ticket = 0
        self.line: Line | None = None
        self.tab = OVERVIEW
        self.reveals = False
        self.managed_fields = False
        self._object: dict[str, Any] | None = None
        self._is_kept = False
        """Whether the object is as its watch brought it last, and not asked for."""
        self._text = ""
        self._manifest: Sequence[Paragraph] = ()
        self._happenings: tuple[Happening, ...] | None = None
        self._comparison: Comparison | None = None
        self._log = logs.LogText()
        self._problem = ""
        self._unanswered = ""
        """Why the line's cluster does not answer at the moment, if it does not."""
        self._shown: Sequence[Paragraph] = ()
        self._wanted: Line | None = None
        self._turning = Pulse(self._turn, TURNS)
        self._resting = Lull(self._ask)
        self._drawing = Pulse(self.draw, RATE)
        self._renewing = Pulse(self._renew, RENEWALS)
        self._is_outdated = False

    def stop(self) -> None:
        """The screen is gone: nothing is drawn or asked for any more."""
        for each in (self._turning, self._resting, self._drawing, self._renewing):
            each.stop()

    def follow(self, line: Line | None) -> None:
        """The cursor is on a line: turn to it, at once or a little later."""
        self._wanted = line
        self._turning.kick()

    def _turn(self) -> None:
        self.show(self._wanted)

    def show(self, line: Line | None, tab: str = "") -> None:
        """Turn to a line, a tab, or both; to ask for a tab again is to try again what failed, and to compare anew."""
        self._wanted = line
        again = bool(tab) and tab == self.tab and (tab == DIFF or bool(self._problem))
        tab = tab or self.tab
        same = line is not None and self.line is not None and line.key == self.line.key
        if same and tab == self.tab and line == self.line and not again:
            return
        turned = not same or tab != self.tab or again
        self.line, self.tab = line, tab
        self._pane.set_title(line)
        self._pane.set_tabs(tabs_of(line), tab)
        if not same:
            self._object, self._is_kept, self.reveals = None, False, False
            self._unanswered = _unanswered(line, self._brush)
        if turned:
            self._restart(top=True, same=same)
        else:
            # Its state or its branch changed: what is followed goes on.
            self.draw()
            self.reload()

    def _restart(self, *, top: bool, same: bool = True) -> None:
        """A new ticket: whatever was asked for before is of no interest. `same`: of the same line."""
        self._ticket += 1
        self._manifest, self._happenings, self._comparison, self._problem = (), None, None, ""
        self._log = logs.LogText()
        self._pane.document.follows = self.shown_tab == LOGS
        self.draw(top=top)
        self._resting.stop()
        self._screen.workers.cancel_group(self._screen, GROUP)
        if self.shown_tab != TRACE:
            # What is kept asks nothing of a cluster; only a cursor that moves on and on leaves no time to write it all.
            at_once = same and self.shown_tab in _OF_THE_OBJECT_ALONE and self._fleet.mirror.manifests is not None
            self._resting.begin(0.0 if at_once else DELIBERATE if self.shown_tab == DIFF else SETTLE)

    def _ask(self) -> None:
        """The cursor has rested: ask the cluster, instead of what was asked before."""
        if self.line is not None and self.line.ref is not None:
            work = partial(self._load, self._ticket, self.line, self.shown_tab)
            in_worker(self._screen, work, GROUP, exclusive=True)

    @property
    def shown_tab(self) -> str:
        """The tab in sight: the wanted one where the line has it."""
        return self.tab if self.tab in dict(tabs_of(self.line)) else OVERVIEW

    def news(self, changes: Changes) -> None:
        """The mirror changed. What concerns the object itself shows at once, what concerns its relatives with the next
        tick: their states are looked up in the whole fleet, which is not done for each burst of news."""
        line = self.line
        if line is None:
            return
        if line.cluster in changes.clusters:
            before, self._unanswered = self._unanswered, _unanswered(line, self._brush)
            if before and not self._unanswered and (self._problem or self.shown_tab == LOGS):
                self._restart(top=False)
            elif before != self._unanswered:
                self.draw()
        if line.ref not in changes.rows and line.ref not in changes.branches:
            return
        self._is_outdated = self._is_outdated or line.ref in changes.rows
        self._renewing.kick()

    def _renew(self) -> None:
        self.tick()
        if self._is_outdated:
            self._is_outdated = False
            self.reload()

    def tick(self) -> None:
        """A second passed: what is drawn from the mirror or tells its age is drawn anew, if it differs."""
        if self.shown_tab in (OVERVIEW, TRACE) or (self._unanswered and self.shown_tab in _OF_THE_OBJECT_ALONE):
            self.draw()

    def reload(self) -> None:
        """Fetch the object again for the tabs that show it."""
        if self.shown_tab in _OF_THE_OBJECT:
            self._resting.begin(SETTLE)

    def redraw(self) -> None:
        """Set the same text again in other colours."""
        if self.shown_tab == YAML and self._text:
            self._manifest = manifest.paragraphs(self._text, self._brush.palette)
        self._pane.set_title(self.line)
        self._shown = ()
        self.draw()

    def grant(self, wish: Wish) -> None:
        """What the user wants to see otherwise in the active tab; says so when there is nothing to it."""
        self._turn()
        if wish is Wish.REVEAL and not self._is_secret:
            self._refuse("Only the data of a Secret are masked.", "Nothing to reveal")
            return
        if wish is Wish.FOLLOW and self.shown_tab != LOGS:
            self._refuse("Only logs are followed; l shows them.", "Nothing to follow")
            return
        if wish is Wish.REVEAL:
            self.reveals = not self.reveals
        elif wish is Wish.MANAGED_FIELDS:
            self.managed_fields = not self.managed_fields
        elif wish is Wish.FOLLOW:
            document = self._pane.document
            document.follows = not document.follows
            self.draw()
            self._screen.notify("Following" if document.follows else "Paused", markup=False, timeout=1.5)
        elif wish is Wish.COPY:
            self._screen.app.copy_to_clipboard("\n".join(each.text.plain for each in self._shown))
            self._screen.notify(f"{len(self._shown)} lines", title="Copied", markup=False, timeout=2)
        if wish in (Wish.REVEAL, Wish.MANAGED_FIELDS):
            if self.shown_tab == YAML:
                self.reload()
            else:
                self.show(self.line, YAML)

    @property
    def _is_secret(self) -> bool:
        ref = self.line.ref if self.line else None
        kinds = (ref.kind if ref else "", (self._object or {}).get("kind"))
        return "Secret" in kinds

    def _refuse(self, why: str, title: str) -> None:
        self._screen.notify(why, title=title, severity="warning", markup=False)

    # Loading

    async def _load(self, ticket: int, line: Line, tab: str) -> None:
        assert line.ref is not None
        try:
            if tab in _OF_THE_OBJECT:
                await self._load_object(ticket, line, tab)
            if tab in (OVERVIEW, EVENTS):
                await self._fleet.events(line.ref, lambda found: self._take_events(ticket, found))
            elif tab == LOGS:
                await self._fleet.logs(line.ref, lambda found: self._take_logs(ticket, found))
            elif tab == DIFF:
                self._take_comparison(ticket, await self._fleet.comparison(line.ref))
        except* (KubeError, ComparisonError) as errors:
            # An overview is one without events, too.
            if tab != OVERVIEW or self._object is None or errors.subgroup(Forbidden) is None:
                self._fail(ticket, _words(errors))

    async def _load_object(self, ticket: int, line: Line, tab: str) -> None:
        assert line.ref is not None
        kept = self._fleet.kept(line.ref)
        obj = kept if kept is not None else await self._fleet.object(line.ref)
        reveals, managed_fields = self.reveals, self.managed_fields
        text = ""
        if tab == YAML:
            text = await asyncio.to_thread(manifest.to_yaml, obj, reveal=reveals, managed_fields=managed_fields)
        if ticket != self._ticket:
            return
        self._object, self._is_kept, self._problem = obj, kept is not None, ""
        if tab == YAML:
            self._text = text
            self._manifest = manifest.paragraphs(text, self._brush.palette)
        self.draw()

    def _take_events(self, ticket: int, found: tuple[Happening, ...]) -> None:
        if ticket == self._ticket:
            self._happenings = found
            self._drawing.kick()

    def _take_comparison(self, ticket: int, found: Comparison) -> None:
        if ticket == self._ticket:
            self._comparison = found
            self.draw()

    def _take_logs(self, ticket: int, found: list[LogLine]) -> None:
        if ticket == self._ticket:
            self._log.add(found)
            self._drawing.kick()

    def _fail(self, ticket: int, problem: str) -> None:
        if ticket == self._ticket:
            self._problem = one_line(problem)
            self.draw()

    # Drawing

    def draw(self, *, top: bool = False) -> None:
        """Put the text of the tab into the pane, unless it is there already. An answer may come while all closes."""
        if not self._pane.document.is_attached:
            return
        shown = self._paragraphs()
        if top or shown != self._shown:
            self._shown = shown
            self._pane.set_text(shown, top=top)

    def _paragraphs(self) -> Sequence[Paragraph]:
        line, brush = self.line, self._brush
        if line is None:
            return ()
        text = list(self._tab_text(line))
        if self._problem:
            text = [layout.sentence(self._problem, brush, brush.palette.warning), layout.BLANK, *text]
        return text

    def _tab_text(self, line: Line) -> Sequence[Paragraph]:
        brush = self._brush
        if self.shown_tab == OVERVIEW or line.ref is None:
            return overview.overview(line, brush, self._object, self._happenings or ())
        if self.shown_tab == TRACE:
            return tracing.tracing(line.ref, brush, line.child)
        if self._problem:
            return ()
        if self.shown_tab == EVENTS:
            found = self._happenings
            if found:
                return events.events(found, line.ref, brush)
            return events.none_yet(brush, loading=found is None, unanswered=self._unanswered)
        if self.shown_tab == LOGS:
            return self._log.paragraphs(brush) or logs.none_yet(brush)
        if self.shown_tab == DIFF:
            return diff.diff(self._comparison, line.ref, brush) if self._comparison else diff.under_way(brush)
        since = self._fleet.lost_since(line.ref) if self._is_kept else 0.0
        age = manifest.age(self._object or {}, since, self._unanswered, brush)
        if self.shown_tab == HISTORY and self._object:
            return [*age, *history.history(self._object, brush)]
        return [*age, *self._manifest] if self._manifest else [layout.sentence("Reading the object…", brush)]


def _unanswered(line: Line | None, brush: Brush) -> str:
    info = brush.mirror.clusters.get(line.cluster) if line else None
    return one_line(info.unanswered) if info else ""


def _words(errors: BaseExceptionGroup[BaseException]) -> str:
    """The sentence of the first error in a group of groups."""
    first = errors.exceptions[0]
    return _words(first) if isinstance(first, BaseExceptionGroup) else str(first)
