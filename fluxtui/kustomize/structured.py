"""Replacements inside of text that holds JSON or YAML, such as a value of a ConfigMap."""

from __future__ import annotations

import io
from typing import Any

import yaml
from yaml._yaml import CEmitter

from fluxtui.kustomize import comments, documents, output
from fluxtui.kustomize.errors import BuildError, KustomizeError
from fluxtui.kustomize.fieldpaths import CREATED, lookup_place, matches, to_json
from fluxtui.kustomize.scalars import (
    NotJson,
    Quoted,
    Tree,
    Untagged,
    copied,
    finished,
    is_scalar,
    resolved,
    retyped,
    tag_of_mistyped,
    text_of,
)


def write(obj: Tree, parts: list[str], value: Tree, create: Tree) -> bool:
    """Write a value to a path that goes on inside of a text; False when the path does not, or leads nowhere there."""
    for length in range(1, len(parts)):
        try:
            place = lookup_place([obj], 0, parts[:length])
        except BuildError:
            return False
        if place is None:
            return False
        container, key = place
        if is_scalar(container[key]):
            return _write_inside(container, key, parts[length:], value, create)
    return False


def _write_inside(container: Any, key: Any, parts: list[str], value: Tree, create: Tree) -> bool:
    text = text_of(container[key])
    is_json = text.lstrip()[:1] in "{["
    try:
        holder: list[Tree] = [next(documents.documents(text, _Reader("structured data")), None)]
        places = list(matches(holder, 0, parts, create))
    except KustomizeError:
        return False
    if not places:
        return False
    for inner, name in places:
        old = inner[name]
        if isinstance(old, dict | list):
            inner[name] = copied(value)
        else:
            inner[name] = Untagged(text_of(value)) if old is CREATED else _in_place_of(old, text_of(value), is_json)
    if is_json:
        try:
            written = to_json(finished(_unstyled(holder[0])), text)
        except NotJson:
            return False
    else:
        written = comments.restored(_yaml(holder[0]), text)
    container[key] = type(container[key])(written) if isinstance(container[key], str) else Quoted(written)
    return True


def _in_place_of(old: Tree, text: str, is_json: bool) -> Tree:
    if isinstance(old, _Text):
        return _styled(text, old.style)
    return retyped(old, text, exact=not is_json)


_EXAMPLES = {
    f"tag:yaml.org,2002:{name}": text
    for name, text in (("int", "0"), ("float", "0.5"), ("bool", "true"), ("null", "null"), ("timestamp", "2000-01-01"))
}
"""Text of the types that a tag may demand of a scalar."""


class _Text(Quoted):
    """Text that was written in quotes or as a block, and in which."""

    __slots__ = ("style",)

    style: str


class _FlowMap(dict[str, Any]):
    """A map that was written in braces."""


class _FlowList(list[Any]):
    """A list that was written in brackets."""


class _Reader(documents.Reader):
    """Makes trees that know how they were written."""

    def _scalar(self, event: Any) -> Tree:
        tree = super()._scalar(event)
        if event.tag in _EXAMPLES:
            return retyped(resolved(_EXAMPLES[event.tag]), event.value, exact=True)
        return _styled(tree, event.style or '"') if type(tree) is Quoted else tree

    def _tree(self, event: Any, depth: int) -> Tree:
        tree = super()._tree(event, depth)
        if getattr(event, "flow_style", False):
            return _FlowMap(tree) if isinstance(tree, dict) else _FlowList(tree)
        return tree


def _styled(text: str, style: str) -> _Text:
    styled = _Text(text)
    styled.style = style
    return styled


def _unstyled(tree: Tree) -> Tree:
    """A tree that has forgotten how its maps and lists were written."""
    if isinstance(tree, dict):
        return {key: _unstyled(value) for key, value in tree.items()}
    return [_unstyled(item) for item in tree] if isinstance(tree, list) else tree


def _yaml(tree: Tree) -> str:
    """A tree as YAML in the order and with the quotes, braces and brackets that it has."""
    stream = io.StringIO()
    emitter = CEmitter(stream, width=1 << 30, allow_unicode=True)
    emitter.emit(yaml.StreamStartEvent())
    emitter.emit(yaml.DocumentStartEvent(explicit=False))
    _emit(emitter, tree)
    emitter.emit(yaml.DocumentEndEvent(explicit=False))
    emitter.emit(yaml.StreamEndEvent())
    emitter.dispose()
    return output.unmarked(stream.getvalue()).strip()


def _emit(emitter: CEmitter, tree: Tree) -> None:
    if isinstance(tree, dict):
        emitter.emit(yaml.MappingStartEvent(None, None, True, flow_style=not tree or isinstance(tree, _FlowMap)))
        for key, value in tree.items():
            _emit(emitter, key)
            _emit(emitter, value)
        emitter.emit(yaml.MappingEndEvent())
    elif isinstance(tree, list):
        emitter.emit(yaml.SequenceStartEvent(None, None, True, flow_style=not tree or isinstance(tree, _FlowList)))
        for item in tree:
            _emit(emitter, item)
        emitter.emit(yaml.SequenceEndEvent())
    else:
        tag = tag_of_mistyped(tree)
        emitter.emit(yaml.ScalarEvent(None, tag, (tag is None, tag is None), text_of(tree), style=_style(tree)))


def _style(tree: Tree) -> str | None:
    if isinstance(tree, _Text):
        return tree.style
    if "\n" in text_of(tree):
        return "|"
    if type(tree) is Untagged:
        return None
    odd = type(tree) is Quoted or (isinstance(tree, str) and not isinstance(resolved(tree), str))
    return '"' if odd else None
