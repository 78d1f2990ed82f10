"""The one-line field for filters and searches."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.widgets import Input

from fluxtui.console import keys


class SearchField(Input):
    """Enter and the arrows leave the field and keep its text; Escape empties it first."""

    BINDINGS: ClassVar[list[BindingType]] = [*keys.SEARCH]

    def action_close(self) -> None:
        self.value = ""
        self.action_leave_down()

    def action_leave_down(self) -> None:
        self.post_message(self.Submitted(self, self.value))
