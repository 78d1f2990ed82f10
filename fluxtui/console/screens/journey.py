"""Where the user has been on the board, and the ways back."""

from __future__ import annotations

from fluxtui.console.history import History
from fluxtui.console.screens.board import Board
from fluxtui.fleet.refs import Ref


class Journey:
    """The cursor's way over objects of one board."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._history = History()

    def visit(self) -> None:
        """Note that the object under the cursor is looked at."""
        line = self._board.fleet_tree.current
        if line and line.ref:
            self._history.visit(line.ref)

    def go_to(self, ref: Ref) -> None:
        """Put the cursor on an object, noting where we were; says so when it has no line."""
        self.visit()
        if self._board.find(ref):
            self._history.visit(ref)
        else:
            self._board.notify(str(ref), title="Not in sight", severity="warning", markup=False)

    def step(self, direction: int) -> None:
        """Go back (-1) or forward (1)."""
        self._find(self._history.step(direction))

    def swap(self) -> None:
        """Go to the object before this one; once more comes back."""
        self.visit()
        self._find(self._history.last())

    def _find(self, ref: Ref | None) -> None:
        if ref is not None:
            self._board.find(ref)
