"""Printing plain data as kustomize prints resources: block style, lists not indented, lines of plain text folded.

Quotes are put around every text that a reader of YAML 1.1 or 1.2 could take for something else. Source of the rules:
go-yaml v2's encoder.
"""

from __future__ import annotations

import functools
import io
import math
import re
from typing import Any

import yaml
from yaml._yaml import CEmitter

from fluxtui.kustomize.scalars import float_text

_WIDTH = 80
_WORDS = frozenset(
    word
    for words in ("y", "yes", "true", "on", "n", "no", "false", "off", "null", ".nan", ".inf", "+.inf", "-.inf")
    for word in (words, words.title(), words.upper())
) | {"~", ".NaN"} - {".Nan"}
_NUMBER_FIRST = frozenset("+-.0123456789")
_NUMBER = re.compile(
    r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|\d+"
    r"|(?:\.\d+|\d+(?:\.\d*)?)(?P<power>[eE][-+]?\d+)?)\Z",
    re.ASCII,
)
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z")
_DATE = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}(?:[Tt]\d{1,2}:\d{1,2}:\d{1,2}(?:[.,]\d+)?(?:Z|[-+]\d\d:\d\d)"
    r"| \d{1,2}:\d{1,2}:\d{1,2}(?:[.,]\d+)?)?\Z",
    re.ASCII,
)
_INDENTED_QUOTE = re.compile("([\u2028\u2029]) *'$", re.MULTILINE)
_IMPLICIT = (True, True)


def document(value: Any) -> str:
    """One document without a marker. Keys are sorted, numbers in them by value."""
    stream = io.StringIO()
    emitter = CEmitter(stream, width=_WIDTH, allow_unicode=True)
    emitter.emit(yaml.StreamStartEvent())
    emitter.emit(yaml.DocumentStartEvent(explicit=False))
    _Printer(emitter).value(value)
    emitter.emit(yaml.DocumentEndEvent(explicit=False))
    emitter.emit(yaml.StreamEndEvent())
    emitter.dispose()
    text = unmarked(stream.getvalue())
    if "\u2028" in text or "\u2029" in text:
        # libyaml indents the quote that ends such a text, go-yaml does not. A block may happen to look like that.
        shorter = _INDENTED_QUOTE.sub(r"\1'", text)
        if yaml.load(shorter, yaml.CBaseLoader) == yaml.load(text, yaml.CBaseLoader):
            return shorter
    return text


def unmarked(text: str) -> str:
    """What an emitter wrote without the marker of the document's end: that has a line of its own, text may end so."""
    return text[:-4] if text.endswith("\n...\n") else text


def is_ambiguous(text: str) -> bool:
    """Whether a reader could take a text without quotes for a number, a date, a boolean or nothing."""
    if not text or text in _WORDS:
        return True
    if text[0] not in _NUMBER_FIRST:
        return False
    if found := _NUMBER.match(digits := text.replace("_", "")):
        # What is too large for a float is text for go-yaml.
        return found["power"] is None or not math.isinf(float(digits))
    return bool(_BASE_60.match(text) or _DATE.match(text))


class _Printer:
    """Emits the events of values."""

    def __init__(self, emitter: CEmitter) -> None:
        self._emit = emitter.emit
        self._map = yaml.MappingStartEvent(None, None, True, flow_style=False)
        self._no_map = yaml.MappingStartEvent(None, None, True, flow_style=True)
        self._list = yaml.SequenceStartEvent(None, None, True, flow_style=False)
        self._no_list = yaml.SequenceStartEvent(None, None, True, flow_style=True)
        self._end_map = yaml.MappingEndEvent()
        self._end_list = yaml.SequenceEndEvent()

    def value(self, value: Any) -> None:
        if isinstance(value, str):
            self._emit(_text(value))
        elif isinstance(value, dict):
            self._emit(self._map if value else self._no_map)
            for key in sorted_keys(value):
                self._emit(_text(key))
                self.value(value[key])
            self._emit(self._end_map)
        elif isinstance(value, list):
            self._emit(self._list if value else self._no_list)
            for item in value:
                self.value(item)
            self._emit(self._end_list)
        else:
            self._emit(yaml.ScalarEvent(None, None, _IMPLICIT, _spelled(value)))


def _text(text: str) -> yaml.ScalarEvent:
    style = "|" if "\n" in text else '"' if is_ambiguous(text) else None
    return yaml.ScalarEvent(None, None, _IMPLICIT, text, style=style)


def _spelled(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    return str(value)


def sorted_keys(mapping: dict[str, Any]) -> list[str]:
    """Keys in the order of the output: letters after everything else, numbers by value."""
    keys = sorted(mapping)
    if all(key.isalpha() for key in keys):
        return keys
    return sorted(keys, key=functools.cmp_to_key(_compare))


def _compare(a: str, b: str) -> int:
    for at, (left, right) in enumerate(zip(a, b, strict=False)):
        if left == right:
            continue
        if left.isalpha() or right.isalpha():
            if left.isalpha() and right.isalpha():
                return -1 if left < right else 1
            return -1 if right.isalpha() else 1
        return _compare_numbers(a, b, at)
    return len(a) - len(b)


def _compare_numbers(a: str, b: str, at: int) -> int:
    lead = 0
    if a[at] == "0" or b[at] == "0":
        before = at
        while before and a[before - 1].isdecimal():
            before -= 1
        lead = 1 if a[before:at].strip("0") else 0
    first, first_end = _number(a, at, lead)
    second, second_end = _number(b, at, lead)
    if first != second:
        return -1 if first < second else 1
    if first_end != second_end:
        return first_end - second_end
    return -1 if a[at] < b[at] else 1


def _number(text: str, at: int, lead: int) -> tuple[int, int]:
    """The digits from a place as a number of 64 bits that overflows, and where they end.

    Digits of other scripts count by their distance from ASCII's, as they do in go-yaml.
    """
    while at < len(text) and text[at].isdecimal():
        lead = lead * 10 + ord(text[at]) - ord("0")
        at += 1
    return (lead + (1 << 63)) % (1 << 64) - (1 << 63), at
