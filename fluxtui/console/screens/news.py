"""News of the fleet become paint: what changed at once, what is counted now and then, ages once a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fluxtui.console import columns
from fluxtui.console.backlog import has_backlog
from fluxtui.console.headline import rate_of_news
from fluxtui.console.pulse import Pulse, Ticks

if TYPE_CHECKING:
    from fluxtui.console.screens.board import Board

FLATTEN_PAUSE = 0.22
"""Seconds between two flattenings that only news ask for."""
SUMS_RATE = 4
"""Repaints of counts a second, above and in the tree, that only news ask for: faster than that nobody reads them."""
LINES_A_BEAT = 5
"""Lines after which news wait for another pause: the more of the screen changes, the rarer it does."""
UNSEEN = -0.7
"""By how much of it a pause is longer after news of nothing in sight: they cost nothing, and the next may be seen."""
SAVED_RATE = 1
"""Repaints of news a second on a slow line."""
TICK = 1
"""Seconds between looks at clock and ages."""
SAVED_TICK = 10
"""The same on a slow line."""


class News:
    """Listens to the mirror of a board's fleet until it is stopped."""

    def __init__(self, board: Board) -> None:
        """What the mirror has seen until now is taken as known."""
        self._board = board
        self._mirror = board.fleet.mirror
        self._events = (0.0, 0)
        console, saving = board.settings.console, board.settings.console.saver
        self._ticks = Ticks(self.tick, SAVED_TICK if saving else TICK)
        self._ticks.start()
        rate = min(SAVED_RATE, console.frames_per_second) if saving else console.frames_per_second
        self._pulse = Pulse(self._beat, rate, self._is_behind)
        self._sums = Pulse(self._sum_up, min(rate, SUMS_RATE), self._is_behind)
        self._late = Pulse(board.flatten, SAVED_RATE if saving else 1 / FLATTEN_PAUSE, self._is_behind)
        self._mirror.on_change = self._pulse.kick
        self._mirror.drain()

    def stop(self) -> None:
        """No more news, as the screen is gone."""
        for each in (self._pulse, self._sums, self._late, self._ticks):
            each.stop()
        self._mirror.on_change = _nothing

    def _is_behind(self) -> bool:
        """Whether the terminal is still busy with what was painted before: news can wait, keys can't."""
        return has_backlog(self._board.app)

    def _beat(self) -> float:
        """Take in what changed since the last beat and repaint the lines that show it; how many pauses that costs."""
        board, changes = self._board, self._mirror.drain()
        if changes.structure or (changes.rows and board.brush.tree.depends_on_states(board.shape)):
            self._late.kick()
        self._sums.kick()
        painted = board.fleet_tree.check(lambda line: line.ref in changes.rows or line.ref in changes.branches)
        board.details.news(changes)
        return painted / LINES_A_BEAT if painted else UNSEEN

    def _sum_up(self) -> None:
        """Repaint what is counted: the header, lines that stand for many objects, and those that hide some."""
        self._board.fleet_tree.check(lambda line: line.ref is None or (line.opens and not line.opened))
        self._board.title_line.show()

    def tick(self) -> None:
        """Repaint what time changes: the clock, ages, and the rate of news."""
        board, now, count = self._board, self._mirror.clock(), self._mirror.events
        before, known = self._events
        rate = rate_of_news((count - known) / (now - before) if before and now > before else 0.0)
        self._events = (now, count)
        board.fleet_tree.check(lambda line: columns.ages(line, board.brush, before))
        board.title_line.tick(rate)
        board.details.tick()


def _nothing() -> None:
    """A screen that is gone wants no news."""
