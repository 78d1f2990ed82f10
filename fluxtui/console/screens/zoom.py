"""Zoom: the tree or the pane alone on the screen. Where the focus turns, the zoom goes along."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fluxtui.console.screens.board import Board

TREE, PANE = "-zoom-tree", "-zoom-pane"


class Zoom:
    """Which side is alone, as a class of the screen; the style sheet does the rest."""

    def __init__(self, board: Board) -> None:
        self._board = board

    @property
    def is_on(self) -> bool:
        """Whether one side is alone."""
        return self._board.has_class(TREE) or self._board.has_class(PANE)

    def toggle(self) -> None:
        """The side that has the focus alone, or both again."""
        if self.is_on:
            self.leave()
        else:
            self._board.add_class(TREE if self._board.fleet_tree.has_focus else PANE)

    def leave(self) -> None:
        """Both sides again."""
        self._board.remove_class(TREE, PANE)

    def turn(self, *, to_pane: bool) -> None:
        """Focus the tree, or the text of the pane."""
        if self.is_on:
            self._board.set_class(to_pane, PANE)
            self._board.set_class(not to_pane, TREE)
        self._board.set_focus(self._board.pane.document if to_pane else self._board.fleet_tree)
