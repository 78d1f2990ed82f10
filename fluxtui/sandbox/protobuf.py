"""Bodies in Kubernetes' protobuf encoding, which Go clients prefer for built-in kinds, read as what JSON would say.

Source: the published `generated.proto` files of k8s.io/api, apimachinery, apiextensions-apiserver and kube-aggregator,
and the protocol buffers encoding document. Their numbers and names are kept in `data/protobuf.json`: `kinds`:
`group/version/Kind` (core: `version/Kind`) → message; `messages`: message → {number: "name type"}. The name `-` is that
of fields which are shown beside those around them. A type is a message or one of `s`, `y`, `b`, `i`, `d` (string,
bytes, boolean, integer, double), after `*` for a list, `%` for a map by strings, `?` for what may be absent.
"""

from __future__ import annotations

import base64
import functools
import importlib.resources
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

Object = dict[str, Any]

MAGIC = b"k8s\x00"
CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
MAX_DEPTH = 100
_ZERO: Mapping[str, Any] = {"s": "", "y": "", "b": False, "i": 0, "d": 0.0}


class ProtobufError(Exception):
    """A body is no protobuf of a known kind; the text says why."""


def decode(data: bytes, default: tuple[str, str]) -> Object:
    """The object of a body; `default` is the apiVersion and kind of one that does not say them.

    Raises ProtobufError.
    """
    if not data.startswith(MAGIC):
        listed = " ".join(str(byte) for byte in MAGIC)
        raise ProtobufError(f"provided data does not appear to be a protobuf message, expected prefix [{listed}]")
    envelope = dict(_fields(data[len(MAGIC) :]))
    said = dict(_fields(_bytes(envelope.get(1, b""))))
    api_version = _bytes(said.get(1, b"")).decode("utf-8", "replace") or default[0]
    kind = _bytes(said.get(2, b"")).decode("utf-8", "replace") or default[1]
    message = _facts()["kinds"].get(f"{api_version}/{kind}")
    if message is None:
        raise ProtobufError(f'no kind "{kind}" in version "{api_version}" is known in protobuf')
    found: Object = {"apiVersion": api_version, "kind": kind}
    try:
        found |= _message(_bytes(envelope.get(2, b"")), message, 0)
    except (UnicodeDecodeError, struct.error, OverflowError) as error:
        raise ProtobufError(f"{kind}: {error}") from error
    return found


@functools.cache
def _facts() -> dict[str, Any]:
    text = (importlib.resources.files("fluxtui.sandbox") / "data" / "protobuf.json").read_bytes()
    facts: dict[str, Any] = msgspec.json.decode(text)
    return facts


@functools.cache
def _layout(message: str) -> dict[int, tuple[str, str, str]]:
    """Number → name, `*`, `%`, `?` or nothing, and type."""
    found = {}
    for number, text in _facts()["messages"][message].items():
        name, _, code = text.rpartition(" ")
        use = code[0] if code[0] in "*%?" else ""
        found[int(number)] = (name, use, code[len(use) :])
    return found


def _message(data: bytes, message: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ProtobufError(f"more than {MAX_DEPTH} levels")
    special = _SPECIAL.get(message)
    if special is not None:
        return special(data, depth)
    layout = _layout(message)
    found: Object = {}
    for number, raw in _fields(data):
        if number not in layout:
            continue
        name, use, code = layout[number]
        if use == "*":
            items = _packed(raw) if code in "bi" and isinstance(raw, bytes) else [raw]
            found.setdefault(name, []).extend(_value(item, code, depth) for item in items)
        elif use == "%":
            entry = dict(_fields(_bytes(raw)))
            key = _bytes(entry.get(1, b"")).decode()
            found.setdefault(name, {})[key] = _value(entry[2], code, depth) if 2 in entry else _ZERO.get(code, {})
        else:
            value = _value(raw, code, depth)
            if name == "-":
                found |= value
            elif use == "?" or (value is not None and value != _ZERO.get(code)):
                # Go writes every field that is no pointer; its JSON leaves the empty ones out.
                found[name] = value
    return found


def _value(raw: int | bytes, code: str, depth: int) -> Any:
    match code:
        case "s":
            return _bytes(raw).decode()
        case "y":
            return base64.b64encode(_bytes(raw)).decode()
        case "b":
            return bool(raw)
        case "i":
            return _signed(raw)
        case "d":
            return struct.unpack("<d", _bytes(raw))[0]
    return _message(_bytes(raw), code, depth + 1)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and raw value of the fields of a message: a varint, or bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ProtobufError(f"unknown wire type {wire}")
        if at + size > len(data):
            raise ProtobufError("unexpected end of data")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ProtobufError("unexpected end of data")


def _packed(data: bytes) -> list[int | bytes]:
    """The numbers of a list that is written as one field."""
    found: list[int | bytes] = []
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(value)
    return found


def _bytes(raw: int | bytes) -> bytes:
    if isinstance(raw, int):
        raise ProtobufError("a number where a text or a message belongs")
    return raw


def _signed(raw: int | bytes) -> int:
    if isinstance(raw, bytes):
        raise ProtobufError("a text or a message where a number belongs")
    return raw - (1 << 64) if raw >> 63 else raw


def _time(data: bytes, digits: int) -> str | None:
    found = dict(_fields(data))
    if not found:
        return None
    moment = datetime.fromtimestamp(_signed(found.get(1, 0)), UTC).replace(
        microsecond=_signed(found.get(2, 0)) // 1000 if digits else 0
    )
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if digits else "%Y-%m-%dT%H:%M:%SZ")


def _int_or_string(data: bytes) -> int | str:
    found = dict(_fields(data))
    if found.get(1):
        return _bytes(found.get(3, b"")).decode()
    return _signed(found.get(2, 0))


def _json(data: bytes) -> Any:
    text = _bytes(dict(_fields(data)).get(1, b""))
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise ProtobufError(f"a part that is JSON in the protobuf: {error}") from error


def _either(data: bytes, depth: int, other: Callable[[Mapping[int, list[int | bytes]]], Any]) -> Any:
    """A schema, or what stands in its place."""
    found: dict[int, list[int | bytes]] = {}
    for number, raw in _fields(data):
        found.setdefault(number, []).append(raw)
    schema = found.get(1) if other is not _allowed else found.get(2)
    if schema and (other is not _allowed or _bytes(schema[0])):
        return _message(_bytes(schema[0]), "apiextensions.v1.JSONSchemaProps", depth + 1)
    return other(found)


def _allowed(found: Mapping[int, list[int | bytes]]) -> bool:
    return bool(found.get(1, [0])[0])


def _texts(found: Mapping[int, list[int | bytes]]) -> list[str]:
    return [_bytes(raw).decode() for raw in found.get(2, ())]


def _schemas(found: Mapping[int, list[int | bytes]]) -> list[Any]:
    return [_message(_bytes(raw), "apiextensions.v1.JSONSchemaProps", 1) for raw in found.get(2, ())]


_SPECIAL: Mapping[str, Callable[[bytes, int], Any]] = {
    "api.resource.Quantity": lambda data, _: _bytes(dict(_fields(data)).get(1, b"0")).decode(),
    "apiextensions.v1.JSON": lambda data, _: _json(data),
    "apiextensions.v1.JSONSchemaPropsOrArray": lambda data, depth: _either(data, depth, _schemas),
    "apiextensions.v1.JSONSchemaPropsOrBool": lambda data, depth: _either(data, depth, _allowed),
    "apiextensions.v1.JSONSchemaPropsOrStringArray": lambda data, depth: _either(data, depth, _texts),
    "authentication.v1.ExtraValue": lambda data, _: [_bytes(raw).decode() for _, raw in _fields(data)],
    "meta.v1.FieldsV1": lambda data, _: _json(data),
    "meta.v1.MicroTime": lambda data, _: _time(data, 6),
    "meta.v1.Time": lambda data, _: _time(data, 0),
    "pkg.runtime.RawExtension": lambda data, _: _json(data),
    "util.intstr.IntOrString": lambda data, _: _int_or_string(data),
}
"""Messages that JSON shows as something else than their fields."""
