"""YAML as Kubernetes reads it, from bytes to trees (see `scalars`) or plain data; and back to text.

A key given twice, a key that is no text and an infinite number are errors; aliases and merge keys are expanded, within
bounds; an anchor ends with its document.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml._yaml import CParser

from fluxtui.kustomize import output
from fluxtui.kustomize.errors import LoadError
from fluxtui.kustomize.scalars import NotJson, OddKey, Plain, Quoted, Tree, copied, finished, resolved, text_of

MAX_BYTES = 64 << 20
MAX_NODES = 2_000_000
"""Nodes of one document, aliases expanded."""
MAX_DEPTH = 200

_TAG = "tag:yaml.org,2002:"
_SEPARATOR = re.compile(r"\n---(?=[^\n]*\n)[ \t\r]*[^\s#][^\n]*")
_SEPARATING = re.compile(r"\n---[^\n]*\n")
_MARKED = re.compile(r"^(?:\.\.\.|%)", re.MULTILINE)
"""The end of a document that is said, or a directive."""
_TRUE_WORDS = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"))
_FALSE_WORDS = frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF"))
_Event = Any
"""An event of PyYAML, whose stubs know less of it than its types."""


def read_all(data: bytes | str, source: str) -> list[Any]:
    """The documents of a stream as plain data, without empty ones. Raises LoadError that begins with `source`."""
    reader = Reader(source)
    return [_finished(tree, reader) for tree in _trees(data, reader)]


def read(data: bytes | str, source: str) -> Any:
    """The only document of a stream as plain data, None when it is empty. Raises LoadError."""
    found = read_all(data, source)
    if len(found) > 1:
        raise LoadError(f"{source}: one document is expected, there are {len(found)}")
    return found[0] if found else None


def read_trees(data: bytes | str, source: str) -> list[Tree]:
    """The documents of a stream as trees, without empty ones. Raises LoadError that begins with `source`."""
    return list(_trees(data, Reader(source)))


def _trees(data: bytes | str, reader: Reader) -> Iterator[Tree]:
    text = decoded(data, reader.source).replace("\r\n", "\n")
    wrong = _SEPARATOR.search(text) if "\n---" in text else None
    if wrong:
        raise LoadError(f"{reader.source}: invalid document separator: {wrong.group().strip()}")
    return _firsts(text, reader) if _MARKED.search(text) else documents(text, reader)


def _firsts(text: str, reader: Reader) -> Iterator[Tree]:
    """What stands first between separators: kustomize takes a stream apart at them before it looks for documents."""
    for part in _SEPARATING.split(text):
        yield from itertools.islice(documents(part, reader), 1)


def read_settings(data: bytes | str, source: str) -> Any:
    """The first document as plain data, as kustomize reads its own files: `yes` and `on` are true, dates are text, of a
    key given twice the last one counts, keys that are numbers become text. Raises LoadError.
    """
    reader = SettingsReader(source)
    return _finished(next(documents(decoded(data, source), reader), None), reader)


def write(value: Any) -> str:
    """A document: block style, sorted keys, lists not indented, quotes where a reader could take text for more."""
    return output.document(value)


def decoded(data: bytes | str, source: str) -> str:
    """Bytes as text. Raises LoadError when they are too many or not UTF-8."""
    if len(data) > MAX_BYTES:
        raise LoadError(f"{source}: larger than {MAX_BYTES} bytes")
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LoadError(f"{source}: not UTF-8: {error.reason} at byte {error.start}") from error


def documents(text: str, reader: Reader) -> Iterator[Tree]:
    """The trees that a reader makes of a stream. Raises LoadError."""
    try:
        yield from reader.documents(text)
    except yaml.YAMLError as error:
        raise LoadError(f"{reader.source}: {_problem(error)}") from error


def _finished(tree: Tree, reader: Reader) -> Any:
    try:
        return finished(tree)
    except NotJson as error:
        where = f"line {reader.odd_line}: " if reader.odd_line else ""
        raise LoadError(f"{reader.source}: {where}{error}") from error


class Reader:
    """Makes trees of the events of a parser."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.odd_line = 0
        """The line of the last number that JSON does not have."""
        self._left = MAX_NODES
        self._anchors: dict[str, Tree] = {}

    def documents(self, text: str) -> Iterator[Tree]:
        parser = CParser(text)
        try:
            self._next = parser.get_event
            while True:
                event = self._next()
                if type(event) is yaml.StreamEndEvent:
                    return
                if type(event) is yaml.DocumentStartEvent:
                    self._left = MAX_NODES
                    self._anchors = {}
                    tree = self._tree(self._next(), 0)
                    if tree is not None and not (type(tree) is Plain and tree.value is None):
                        yield tree
        finally:
            parser.dispose()

    def _tree(self, event: _Event, depth: int) -> Tree:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise self._error(event, "the document is too large or too deep once its aliases are expanded")
        kind = type(event)
        if kind is yaml.ScalarEvent:
            tree = self._scalar(event)
        elif kind is yaml.MappingStartEvent:
            tree = self._map(depth)
        elif kind is yaml.SequenceStartEvent:
            tree = []
            event_of_item = self._next()
            while type(event_of_item) is not yaml.SequenceEndEvent:
                tree.append(self._tree(event_of_item, depth + 1))
                event_of_item = self._next()
        else:
            return self._alias(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = tree
        return tree

    def _alias(self, event: Any) -> Tree:
        if event.anchor not in self._anchors:
            raise self._error(event, f"unknown anchor '{event.anchor}' referenced")
        tree = self._anchors[event.anchor]
        if isinstance(tree, dict | list):
            self._left -= _size(tree)
            if self._left < 0:
                raise self._error(event, "the document is too large once its aliases are expanded")
        return copied(tree)

    def _map(self, depth: int) -> dict[str, Tree]:
        tree: dict[str, Tree] = {}
        merged: list[Tree] = []
        event: Any = self._next()
        while type(event) is not yaml.MappingEndEvent:
            if type(event) is yaml.ScalarEvent and event.value == "<<" and event.implicit[0]:
                merged += self._merged(event, self._tree(self._next(), depth + 1))
            else:
                key = self._key(event)
                if key in tree:
                    self._repeated(event, key)
                tree[key] = self._tree(self._next(), depth + 1)
            event = self._next()
        for source in merged:
            for key, value in source.items():
                tree.setdefault(key, value)
        return tree

    def _merged(self, event: _Event, value: Tree) -> list[Tree]:
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, dict) for source in sources):
            raise self._error(event, "map merge requires map or sequence of maps as the value")
        return sources

    def _repeated(self, event: _Event, key: str) -> None:
        raise self._error(event, f"mapping key {key!r} already defined")

    def _key(self, event: Any) -> str:
        key = self._tree(event, 0)
        if isinstance(key, dict | list):
            raise self._error(event, "a key must be text")
        return str(key) if isinstance(key, str) else OddKey(text_of(key))

    def _scalar(self, event: Any) -> Tree:
        if event.implicit[0]:
            tree = resolved(event.value)
            if type(tree) is Plain and tree.value == math.inf:
                self.odd_line = event.start_mark.line + 1
            return tree
        tag = event.tag
        if tag is None or tag == f"{_TAG}str" or not tag.startswith(_TAG):
            return Quoted(event.value)
        found = resolved(event.value)
        return Quoted(event.value) if isinstance(found, str) else found

    def _error(self, event: _Event, problem: str) -> LoadError:
        return LoadError(f"{self.source}: line {event.start_mark.line + 1}: {problem}")


class SettingsReader(Reader):
    """Reads as kustomize reads kustomizations and other files of its own."""

    def _repeated(self, event: _Event, key: str) -> None:
        return

    def _key(self, event: Any) -> str:
        if type(event) is not yaml.ScalarEvent:
            raise self._error(event, "a key must be text")
        key = self._scalar(event)
        if isinstance(key, str):
            return str(key)
        value = finished(key)
        if value is None:
            raise self._error(event, "a key must be text")
        return str(value).lower() if isinstance(value, bool) else str(value)

    def _scalar(self, event: Any) -> Tree:
        if event.implicit[0]:
            if event.value in _TRUE_WORDS:
                return True
            if event.value in _FALSE_WORDS:
                return False
        tree = super()._scalar(event)
        return tree.text if type(tree) is Plain and isinstance(tree.value, str) else tree


def _size(tree: Tree) -> int:
    if isinstance(tree, dict):
        return 1 + sum(_size(value) for value in tree.values())
    if isinstance(tree, list):
        return 1 + sum(_size(value) for value in tree)
    return 1


def _problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not valid YAML"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)
