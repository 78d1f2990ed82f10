"""The objects looked at, in order, as a browser keeps pages."""

from __future__ import annotations

from fluxtui.fleet.refs import Ref

LONGEST = 100


class History:
    """A path of visits with a place on it; a visit forgets what lay ahead."""

    def __init__(self) -> None:
        self._path: list[Ref] = []
        self._place = -1

    def visit(self, ref: Ref) -> None:
        """Note that an object is looked at; looking at the same one again is no step."""
        if 0 <= self._place < len(self._path) and self._path[self._place] == ref:
            return
        self._path = [*self._path[: self._place + 1], ref][-LONGEST:]
        self._place = len(self._path) - 1

    def step(self, direction: int) -> Ref | None:
        """Go back (-1) or forward (1); None at the end of the path."""
        place = self._place + direction
        if not 0 <= place < len(self._path):
            return None
        self._place = place
        return self._path[place]

    def last(self) -> Ref | None:
        """The object before this one, as a visit of its own: calling it again comes back."""
        if self._place < 1:
            return None
        ref = self._path[self._place - 1]
        self.visit(ref)
        return ref
