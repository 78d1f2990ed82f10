"""One-line fields: for texts in dialogs, and for filters and searches."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.widgets import Input

from fluxtui.console import keys


class TextField(Input):
    """A field in which keys act in the order in which they were typed.

    Textual inserts a letter at once, but runs the bindings of a widget only when the key has come up to the app: on a
    slow line, where keys come in bunches, a letter behind a Backspace would be there before it and be taken away.
    """

    async def on_key(self, event: events.Key) -> None:
        if event.is_printable:
            return
        active = self.screen.active_bindings.get(event.key)
        if active is not None and active.enabled and active.node is self:
            event.stop()
            event.prevent_default()
            await self.run_action(active.binding.action)


class SearchField(TextField):
    """Enter and the arrows leave the field and keep its text; Escape empties it first."""

    BINDINGS: ClassVar[list[BindingType]] = [*keys.SEARCH]

    def action_close(self) -> None:
        self.value = ""
        self.action_leave_down()

    def action_leave_down(self) -> None:
        self.post_message(self.Submitted(self, self.value))
