"""The header of a board: where we are, what is counted, how fast news come, and the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from fluxtui.console.headline import clock, header

if TYPE_CHECKING:
    from fluxtui.console.screens.board import Board


class Title:
    """Draws the header, whole or only what time changes of it."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._rate = ""

    def show(self) -> None:
        """All of it."""
        board = self._board
        read_only, marks = board.settings.console.read_only, len(board.fleet_tree.marks)
        left, right = header(
            board.brush, board.size.width, self._rate, read_only=read_only, marks=marks, order=board.shape.order
        )
        board.header.set_bits(left, right, self._clock())

    def tick(self, rate: str) -> None:
        """The time, and the rest if news come at another rate than before, which is given in words."""
        if rate == self._rate:
            if self._board.header.set_end(self._clock()):
                self._board.paint(self._board.header)
            return
        self._rate = rate
        self.show()

    def _clock(self) -> Text:
        board = self._board
        return clock(board.brush, board.size.width, seconds=not board.settings.console.saver)
