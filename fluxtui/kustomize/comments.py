"""Comments of YAML: taken from a text, and put into the text that has come of it.

Where they go is what go-yaml does: above what they stand directly above, below what they end, or behind a value; empty
lines remain where a comment would belong to something else without them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

_LINE = re.compile(r"\s*(#.*)")
_BEHIND_BLOCK = re.compile(r"[|>][-+0-9]*\s+(#.*)")
_BEHIND_COLON = re.compile(r"\s*:\s+(#.*)")
_Event = Any
Path = tuple[str | int, ...]


class _Entry(NamedTuple):
    """A key with its value, or an item of a list."""

    path: Path
    line: int
    column: int
    """Of the key or the dash."""
    place: tuple[int, int]
    """Line and column behind which a comment on the same line stands."""
    value: _Event


class _Block(NamedTuple):
    """Lines of comments that belong together."""

    lines: list[str]
    column: int
    gap_above: bool
    gap_below: bool


def restored(text: str, source: str) -> str:
    """A text with the comments that another, of which it has come, has."""
    if "#" not in source:
        return text
    old, new = list(_entries(source)), {entry.path: entry for entry in _entries(text)}
    if not old:
        return text
    source_lines, lines = source.split("\n"), text.split("\n")
    for entry in old:
        comment = _behind(entry, source_lines)
        if comment and entry.path in new:
            place = new[entry.path].place[0]
            lines[place] = f"{lines[place]} {comment}"
    above: dict[int, list[str]] = {}
    for before, after in itertools.pairwise([None, *old, None]):
        blocks = list(_blocks(source_lines, before, after))
        if blocks:
            end = new.get(after.path) if after else None
            above.setdefault(end.line if end else len(lines), []).extend(_placed(blocks, before, after, old, new))
    result = []
    for number, line in enumerate([*lines, None]):
        result += above.get(number, [])
        if line is not None:
            result.append(line)
    return "\n".join(result)


def _entries(text: str) -> Iterator[_Entry]:
    """The entries of the first document that are written in block style, in order."""
    events = yaml.parse(text, Loader=yaml.CSafeLoader)
    lines = text.split("\n")
    for event in events:
        if isinstance(event, yaml.NodeEvent):
            yield from _below(event, (), events, lines)
            return


def _below(event: _Event, path: Path, events: Iterator[_Event], lines: list[str]) -> Iterator[_Entry]:
    """The entries of a collection of which the first event has been read."""
    if not isinstance(event, yaml.CollectionStartEvent):
        return
    is_map = isinstance(event, yaml.MappingStartEvent)
    index = 0
    for first in events:
        if isinstance(first, yaml.CollectionEndEvent):
            return
        start = first.start_mark
        if not is_map:
            dash = lines[start.line].rfind("-", 0, start.column) if start.line < len(lines) else -1
            inner, value, column = (*path, index), first, dash if dash >= 0 else start.column
            index += 1
        else:
            key = getattr(first, "value", None)
            skipped = list(_below(first, (), events, lines))
            if skipped or key is None:
                key = f"\0{start.line}"
            inner, value, column = (*path, key), next(events), start.column
        ends_line, ends_column = first.end_mark.line, first.end_mark.column
        children: list[_Entry] = []
        if isinstance(value, yaml.CollectionStartEvent) and value.flow_style:
            end = _end_of_flow(events)
            ends_line, ends_column = end.end_mark.line, end.end_mark.column
        elif isinstance(value, yaml.CollectionStartEvent):
            children = list(_below(value, inner, events, lines))
        elif _is_block(value):
            ends_line, ends_column = value.start_mark.line, value.start_mark.column
        elif not is_map or value.end_mark.line != value.start_mark.line or _is_written(value):
            ends_line, ends_column = value.end_mark.line, value.end_mark.column
        yield _Entry(inner, start.line, column, (ends_line, ends_column), value)
        yield from children


def _is_written(value: _Event) -> bool:
    return not isinstance(value, yaml.ScalarEvent) or bool(value.value or value.style)


def _is_line(value: _Event) -> bool:
    """Whether a value is written, and not as a block."""
    return _is_written(value) and not _is_block(value)


def _is_block(value: _Event) -> bool:
    return isinstance(value, yaml.ScalarEvent) and value.style in ("|", ">")


def _end_of_flow(events: Iterator[_Event]) -> _Event:
    depth = 1
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if not depth:
            return event
    raise AssertionError("a collection ends")


def _behind(entry: _Entry, lines: list[str]) -> str:
    """The comment on the line of a value, empty without one."""
    line, column = entry.place
    rest = lines[line][column:] if line < len(lines) else ""
    pattern = _BEHIND_BLOCK if _is_block(entry.value) else _LINE
    found = pattern.match(rest) or _BEHIND_COLON.match(rest)
    return found[1].rstrip() if found else ""


def _blocks(lines: list[str], before: _Entry | None, after: _Entry | None) -> Iterator[_Block]:
    """The comments between two entries that have lines of their own."""
    first = 0
    if before is not None:
        value = before.value
        first = _end_of_block(lines, value) if _is_block(value) else before.place[0] + 1
    block: list[str] = []
    column, gap, start_gap = 0, False, False
    for line in lines[first : after.line if after else len(lines)]:
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if block and (not text.startswith("#") or indent != column):
            yield _Block(block, column, start_gap, not text)
            block = []
        if text.startswith("#"):
            if not block:
                column, start_gap = indent, gap
            block.append(text)
        gap = not text
    if block:
        yield _Block(block, column, start_gap, False)


def _end_of_block(lines: list[str], value: _Event) -> int:
    """The line behind a block of text: the first that is not empty and indented less than the text is."""
    at: int = value.start_mark.line + 1
    indents = [len(line) - len(line.lstrip()) for line in lines[at:] if line.strip()]
    least = indents[0] if indents else 0
    while at < len(lines) and (not lines[at].strip() or len(lines[at]) - len(lines[at].lstrip()) >= least > 0):
        at += 1
    return at


def _placed(
    blocks: list[_Block], before: _Entry | None, after: _Entry | None, old: list[_Entry], new: dict[Path, _Entry]
) -> Iterator[str]:
    """The lines that blocks of comments between two entries become."""
    end = new[after.path].column if after and after.path in new else 0
    owners = [_owner(block, before, after, old, new) for block in blocks]
    columns = [end if owner is None else new[owner.path].column for owner in owners]
    for number, (block, column) in enumerate(zip(blocks, columns, strict=True)):
        if after is None and block.gap_above:
            yield ""
        yield from (" " * column + line for line in block.lines)
        if after is None:
            continue
        if number + 1 < len(blocks):
            if columns[number + 1] == column:
                yield ""
        elif before is None:
            if block.gap_below:
                yield ""
        elif column == end and (owners[number] or (number == 0 and _ends(block, before, after))):
            yield ""


def _ends(block: _Block, before: _Entry, after: _Entry) -> bool:
    """Whether a block belongs to what is above it, and that has nothing more below."""
    if block.gap_above or not block.gap_below or after.path[: len(before.path)] == before.path:
        return False
    return _is_line(before.value)


def _owner(
    block: _Block, before: _Entry | None, after: _Entry | None, old: list[_Entry], new: dict[Path, _Entry]
) -> _Entry | None:
    """The innermost entry that a block may end, if that is deeper than what follows."""
    if before is None:
        return None
    least = after.column if after else -1
    above = [entry for entry in old if entry.path == before.path[: len(entry.path)] and entry.path in new]
    fitting = [entry for entry in above if least < entry.column <= block.column]
    return fitting[-1] if fitting else None
