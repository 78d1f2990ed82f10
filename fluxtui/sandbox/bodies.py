"""The bodies of requests: JSON and YAML to values, and the fields that are in one twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from fluxtui.sandbox import protobuf, statuses
from fluxtui.sandbox.patches import APPLY_PATCH

Object = dict[str, Any]

FORMATS = ("application/json", "application/yaml", protobuf.CONTENT_TYPE)


class _Repeated(dict[str, Any]):
    """An object of JSON in which some names are there more than once."""

    names: tuple[str, ...] = ()


def decode(data: bytes, content_type: str, kind: str, api_version: str = "v1") -> tuple[Any, list[str]]:
    """The object of a body, and the paths of fields that are in it twice. Raises StatusError 400 or 415."""
    problem = f"the object provided is unrecognized (must be of type {kind})"
    if content_type == protobuf.CONTENT_TYPE:
        try:
            return protobuf.decode(data, (api_version, kind)), []
        except protobuf.ProtobufError as error:
            raise statuses.bad_request(f"{problem}: {error}") from error
    if "yaml" in content_type:
        return _yaml(data, problem), []
    if content_type not in ("application/json", "application/octet-stream"):
        raise statuses.unknown_format(FORMATS)
    if not data:
        raise statuses.bad_request(
            f"{problem}: couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"
        )
    value, repeated = _json(data, f"{problem}: couldn't get version/kind; json parse error")
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise statuses.bad_request(f"{problem}: couldn't get version/kind; json parse error: not an object")
    return value, repeated


def decode_patch(data: bytes, content_type: str) -> Any:
    """The value of a patch. Raises StatusError 400."""
    if content_type == APPLY_PATCH:
        value = _yaml(data, "error decoding YAML")
        if value is not None and not isinstance(value, dict):
            raise statuses.bad_request(
                "error decoding YAML: error unmarshaling JSON: while decoding JSON: not an object"
            )
        return value
    return _json(data, "error decoding patch")[0]


def _yaml(data: bytes, problem: str) -> Any:
    try:
        # JSON is YAML, and is read much faster as what it is.
        return json.loads(data) if data[:1] in (b"{", b"[") else yaml.load(data, yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        raise statuses.bad_request(f"{problem}: {error}") from error


def _json(data: bytes, problem: str) -> tuple[Any, list[str]]:
    seen = False

    def keep(pairs: list[tuple[str, Any]]) -> Object:
        nonlocal seen
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        seen = True
        names = [name for name, _ in pairs]
        repeated = _Repeated(found)
        repeated.names = tuple(name for name in found if names.count(name) > 1)
        return repeated

    try:
        value = json.loads(data, object_pairs_hook=keep)
    except (ValueError, RecursionError) as error:
        raise statuses.bad_request(f"{problem}: {error}") from error
    return value, list(_repeated(value, "")) if seen else []


def _repeated(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value, _Repeated):
            yield from (f"{path}.{name}" if path else name for name in value.names)
        for name, child in value.items():
            yield from _repeated(child, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _repeated(item, f"{path}[{index}]")
