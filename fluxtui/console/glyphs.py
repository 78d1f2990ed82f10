"""The characters the console draws with besides words: one set for good terminals, one of plain ASCII."""

from __future__ import annotations

import msgspec


class Glyphs(msgspec.Struct, frozen=True):
    """Single-cell characters (the ellipsis and the arrow may take more); none has an emoji presentation."""

    opened: str
    closed: str
    ellipsis: str
    separator: str
    live: str
    arrow: str
    mark: str
    pending: str
    times: str


UNICODE = Glyphs(
    opened="▾", closed="▸", ellipsis="…", separator="·", live="●", arrow="→", mark="•", pending="»", times="×"
)
ASCII = Glyphs(
    opened="v", closed=">", ellipsis="...", separator="-", live="*", arrow="->", mark="+", pending="}", times="x"
)


def glyphs(*, ascii_only: bool) -> Glyphs:
    """The set to draw with."""
    return ASCII if ascii_only else UNICODE
