"""How the verbs print: aligned tables, colour on a terminal only, JSON and YAML of a documented shape, names.

JSON and YAML of `get`: {"items": [{"cluster": CONTEXT, "state": WORD, ...the object...}], "errors": [{"cluster",
"message"}]}. An item is the object as the cluster has it, without managedFields, plus the two keys.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click
import yaml

from fluxtui.cli.contact import Trouble
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.rows import Row
from fluxtui.fleet.states import State
from fluxtui.fleet.text import span

Object = dict[str, Any]

DELETED = "Deleted"
"""In the place of the state of what is no longer there."""
FORMATS = ("table", "wide", "json", "yaml", "name")
_COLOURS: Final[Mapping[str, dict[str, Any]]] = {
    "error": {"fg": "red"},
    "warning": {"fg": "yellow"},
    "primary": {"fg": "blue"},
    "success": {"fg": "green"},
    "muted": {"dim": True},
    "muted-accent": {"fg": "magenta", "dim": True},
}
_UNSAFE = re.compile(r"[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""What a terminal may obey, or what hides or turns text, inside JSON strings."""


def in_colour() -> bool:
    """Whether stdout is a terminal that may be coloured (NO_COLOR, TERM=dumb)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def glyphs_fit() -> bool:
    """Whether stdout is a terminal that shows the glyphs."""
    return sys.stdout.isatty() and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def sign(*, good: bool) -> str:
    """`✓` or `✗`, where stdout can write them."""
    return ("✓" if good else "✗") if (sys.stdout.encoding or "").lower().startswith("utf") else ("+" if good else "x")


def state_words(row: Row) -> str:
    """`✗ Failed` on a terminal, `Failed` in a pipe; what Suspended hides stands behind it."""
    word = row.state.word
    if row.before is not row.state:
        word += f" ({row.before.word})"
    return f"{row.state.glyph} {word}" if glyphs_fit() else word


def coloured(text: str, state: State) -> str:
    """Text in the colour of a state, where colour is wanted."""
    return click.style(text, **_COLOURS[state.token]) if in_colour() else text


class Table:
    """Rows of text under headings; the last column is never cut."""

    def __init__(self, headings: Sequence[str]) -> None:
        self.headings = list(headings)
        self.rows: list[tuple[list[str], State | None, int]] = []

    def add(self, cells: Sequence[str], state: State | None = None, column: int = -1) -> None:
        """Add a row; the cell in `column` takes the colour of `state`."""
        self.rows.append((list(cells), state, column))

    def print(self, *, headings: bool = True, widths: Sequence[int] = ()) -> list[int]:
        """Write it to stdout; returns the widths, so that later rows can stand under earlier ones."""
        every = [cells for cells, _, _ in self.rows] + ([self.headings] if headings else [])
        fitted = [max(map(width_of, column), default=0) for column in zip(*every, strict=True)] or [0] * len(
            self.headings
        )
        used = [max(pair) for pair in zip(fitted, widths, strict=True)] if widths else fitted
        lines = [_line(self.headings, used, None, -1)] if headings and self.rows else []
        lines += [_line(cells, used, state, column) for cells, state, column in self.rows]
        if lines:
            click.echo("\n".join(lines))
        return used


def width_of(text: str) -> int:
    """Cells of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _line(cells: Sequence[str], widths: Sequence[int], state: State | None, column: int) -> str:
    parts = []
    for index, (cell, width) in enumerate(zip(cells[:-1], widths[:-1], strict=True)):
        padding = " " * (width - width_of(cell))
        parts.append((coloured(cell, state) if state is not None and index == column else cell) + padding)
    last = cells[-1]
    parts.append(coloured(last, state) if state is not None and column == len(cells) - 1 else last)
    return "  ".join(parts).rstrip()


def row_table(
    rows: Iterable[Row], *, several: bool, namespaces: bool, kinds: bool, wide: bool, now: float, gone: bool = False
) -> Table:
    """The table of `get`: columns for cluster and namespace only where they differ, the kind before the name where
    several kinds were asked for. `gone`: the rows are of objects that are no longer there."""
    headings = ["CLUSTER"] * several + ["NAMESPACE"] * namespaces + ["NAME", "STATE"]
    column = len(headings) - 1
    headings += ["READY", "SUSPENDED", "INTERVAL"] * wide + ["REVISION", "AGE"]
    headings += ["SOURCE", "PATH"] * wide + ["MESSAGE"]
    table = Table(headings)
    for row in rows:
        ref = row.ref
        name = f"{ref.kind.lower()}/{ref.name}" if kinds else ref.name
        cells = [ref.cluster] * several + [ref.namespace] * namespaces + [name, DELETED if gone else state_words(row)]
        if wide:
            cells += [_ready(row), str(row.suspended), span(row.interval) if row.interval else ""]
        cells += [row.revision if wide else row.short, span(now - row.changed) if row.changed else ""]
        if wide:
            cells += [f"{row.source.word}/{row.source.name}" if row.source else "", row.detail]
        table.add([*cells, row.message], row.state, column)
    return table


def _ready(row: Row) -> str:
    return {0: "", 1: "True", 2: "False", 3: "Unknown"}[row.ready]


def item(obj: Object, row: Row) -> Object:
    """An object as an item of JSON and YAML."""
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"}
    return {"cluster": row.ref.cluster, "state": row.state.name.lower(), **obj, "metadata": metadata}


def name_of(ref: Ref, *, several: bool) -> str:
    """`kustomization/flux-system/apps`, after the context and a tab where several clusters were asked."""
    return f"{ref.cluster}\t" * several + f"{ref.kind.lower()}/{ref.path}"


def errors_of(troubles: Iterable[Trouble]) -> list[Object]:
    """Troubles as the `errors` of JSON and YAML."""
    return [{"cluster": trouble.cluster, "message": trouble.message} for trouble in troubles]


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """JSON whose strings can do nothing to a terminal."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    click.echo(_UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text.encode("utf-8", "replace").decode()))


def print_yaml(value: Any, *, separate: bool = False) -> None:
    """YAML whose strings can do nothing to a terminal."""
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    if _UNSAFE.search(text):
        text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=1000)
    click.echo(("---\n" if separate else "") + text, nl=False)


class _Dumper(yaml.CSafeDumper):
    """Plain YAML: no anchors for parts that occur twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
