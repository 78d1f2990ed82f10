"""ConfigMaps and Secrets: their keys, their base64, and what a Secret of a known type must have.

Source: the API reference of both kinds, and the messages that a server answers with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fluxtui.sandbox.metadata import invalid
from fluxtui.sandbox.validation import Cause

Object = dict[str, Any]

MAX_BYTES = 1 << 20
"""Of all data of one object."""
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
    f"(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '{_KEY.pattern}')"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/]")
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_BASIC = ("username", "password")


class EncodingError(Exception):
    """A value is no base64; the text says where it ends to be."""


def check_encoding(obj: Object, fields: tuple[str, ...]) -> None:
    """Raise EncodingError when a value of one of some fields is no base64."""
    for field in fields:
        for value in (obj.get(field) or {}).values():
            _check_base64(value)


def check_keys(obj: Object) -> Iterator[Cause]:
    """What is wrong with the keys and the size of a ConfigMap or Secret."""
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            size += len(value)
            for problem in _key_problems(key):
                yield invalid(f"{field}[{key}]", key, problem)
            if field == "data" and key in (obj.get("binaryData") or {}):
                yield invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    if size > MAX_BYTES * 4 // 3:
        message = f"Too long: may not be more than {MAX_BYTES} bytes"
        yield {"reason": "FieldValueTooLong", "message": message, "field": "data"}


def check_type(secret: Object) -> Iterator[Cause]:
    """What a Secret of a known type lacks."""
    data = secret.get("data") or {}
    needed = _NEEDED.get(secret.get("type", ""), ())
    if secret.get("type") == "kubernetes.io/basic-auth" and not any(name in data for name in _BASIC):
        needed = _BASIC
    for name in needed:
        if name not in data:
            yield {"reason": "FieldValueRequired", "message": "Required value", "field": f"data[{name}]"}


def _key_problems(key: str) -> list[str]:
    if len(key) > 253:
        return ["must be no more than 253 characters"]
    if not _KEY.fullmatch(key):
        return [_KEY_TEXT]
    if key in (".", ".."):
        return [f"must not be '{key}'"]
    return ["must not start with '..'"] if key.startswith("..") else []


def _check_base64(text: str) -> None:
    bare = text.rstrip("=")
    wrong = next((index for index, letter in enumerate(bare) if not _BASE64.match(letter) and letter not in "\r\n"), -1)
    if wrong < 0 and len(text.replace("\n", "").replace("\r", "")) % 4:
        wrong = len(text) - len(text) % 4
    if wrong >= 0:
        raise EncodingError(f"illegal base64 data at input byte {wrong}")
