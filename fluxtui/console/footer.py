"""The footer: the keys that matter where the focus is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.text import Text
from textual.binding import Binding

from fluxtui.console import keys
from fluxtui.console.themes import Palette
from fluxtui.console.widgets.chrome import Bit
from fluxtui.console.widgets.strips import clickable

ALWAYS = ("commands", "help")
"""Bindings that stay when the line is narrow: they lead to all others."""


def footer(bindings: Iterable[Binding], keymap: Mapping[str, str], palette: Palette) -> list[Bit]:
    """A bit for each binding, in order; the first ones and those of `ALWAYS` are kept longest. A click is the key."""
    bits = []
    for number, binding in enumerate(bindings):
        bound = keymap.get(binding.id or "", binding.key)
        text = Text.assemble((keys.shown_first(bound), palette.key), (f" {binding.description}", palette.muted))
        bits.append(
            Bit(clickable(text, f"screen.press({keys.split(bound)[0]!r})"), 90 if binding.id in ALWAYS else 80 - number)
        )
    return bits
