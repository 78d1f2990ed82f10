"""Plain data as the types of this library: the leniency that kustomize has, and sentences about mistakes."""

from __future__ import annotations

import difflib
import functools
import re
import threading
import types
import typing
from typing import Any, TypeVar

import msgspec

from fluxtui.kustomize.errors import FieldError

_T = TypeVar("_T")
_PREPARED: set[type] = set()
_PREPARING = threading.Lock()
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`(?: - at `\$(?P<path>.*)`)?")
_AT = re.compile(r"(?P<problem>.*?) - at `\$(?P<path>.*)`", re.DOTALL)


def prepare(kind: type) -> None:
    """Let msgspec look at a type before it is used: the first look must not happen in two threads at once."""
    if kind not in _PREPARED:
        with _PREPARING:
            msgspec.json.Decoder(kind)
            _PREPARED.add(kind)


def converted(value: Any, kind: type[_T], source: str, *, strict: bool = True) -> _T:
    """Plain data as a type. Raises FieldError that names `source`, the field, and a near miss.

    The case of field names does not count, a null is the same as nothing. Unless strict, numbers and booleans become
    text where text is expected, and unknown fields are passed over.
    """
    prepare(kind)
    try:
        return msgspec.convert(_shaped(value, kind, strict), kind)
    except msgspec.ValidationError as error:
        raise FieldError(f"{source}: {_sentence(str(error), kind)}") from error


def _shaped(value: Any, kind: Any, strict: bool) -> Any:
    """Plain data with the field names, nulls and texts that a type wants."""
    if kind is str and not strict and isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, dict | list):
        return value
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _shaped_fields(value, kind, strict) if isinstance(value, dict) else value
    arguments = [argument for argument in typing.get_args(kind) if argument not in (type(None), ...)]
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return _shaped(value, arguments[0], strict)
    if isinstance(value, list):
        return [_shaped(item, arguments[0] if arguments else None, strict) for item in value]
    if arguments[-1:] == [str]:
        return {key: "" if item is None else _shaped(item, str, strict) for key, item in value.items()}
    return value


def _shaped_fields(value: dict[str, Any], kind: type[msgspec.Struct], strict: bool) -> dict[str, Any]:
    names = {name.lower(): (name, field_type) for name, field_type in _types(kind)}
    shaped = {}
    for key, item in value.items():
        if not strict and key.lower() not in names:
            continue
        name, field_type = names.get(key.lower(), (key, None))
        if item is not None and (name == key or name not in value):
            shaped[name] = _shaped(item, field_type, strict)
    return shaped


@functools.cache
def _types(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    return tuple((field.encode_name, field.type) for field in msgspec.structs.fields(kind))


def _sentence(message: str, kind: type) -> str:
    if found := _UNKNOWN.match(message):
        near = _near_miss(found["field"], _fields_at(kind, found["path"] or ""))
        hint = f' (did you mean "{near}"?)' if near else ""
        place = f" in {_path(found['path'])}" if found["path"] else ""
        return f'unknown field "{found["field"]}"{place}{hint}'
    if found := _AT.match(message):
        return f"field {_path(found['path'])}: {found['problem'][:1].lower()}{found['problem'][1:]}"
    return message


def _near_miss(name: str, fields: list[str]) -> str:
    """The field that was probably meant: one that looks alike, or has the name within its own; empty without one."""
    near = difflib.get_close_matches(name, fields, 1, 0.6)
    return near[0] if near else next((field for field in fields if name.lower() in field.lower()), "")


def _path(path: str) -> str:
    return path.lstrip(".").replace("[...]", "") or "the whole"


def _fields_at(kind: Any, path: str) -> list[str]:
    """Names of the fields at a path in a type, none where it has no fixed fields."""
    for part in path.replace("[", ".[").split("."):
        if part:
            kind = _inner(kind, part)
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [field.encode_name for field in msgspec.structs.fields(kind)]
    return []


def _inner(kind: Any, part: str) -> Any:
    """The type of a field, or of the values of a list or map."""
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return next((field.type for field in msgspec.structs.fields(kind) if field.encode_name == part), None)
    arguments = [argument for argument in typing.get_args(kind) if argument is not ...]
    return arguments[-1] if arguments else None


def _bare(kind: Any) -> Any:
    """A type without `| None`."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return next(argument for argument in typing.get_args(kind) if argument is not type(None))
    return kind
