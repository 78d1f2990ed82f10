"""Secrets kept out of messages and diffs.

Source of the marks: fluxcd/pkg `ssa` (sanitize).
"""

from __future__ import annotations

import base64
import binascii
from copy import deepcopy

from fluxtui.kube.identity import Object
from fluxtui.kube.normalize import is_secret

MASK = "***"
_BEFORE = "*** (before)"
_AFTER = "*** (after)"
_SHORTEST = 3
_FIELDS = ("data", "stringData")


def masked_message(obj: Object, message: str) -> str:
    """A server's message about an object, without the values of a Secret it may quote."""
    if not is_secret(obj):
        return message
    for value in sorted(_values(obj), key=len, reverse=True):
        message = message.replace(value, MASK)
    return message


def masked_pair(before: Object | None, after: Object | None) -> tuple[Object | None, Object | None]:
    """Two states of an object for a diff: values of a Secret only tell whether they differ."""
    if not any(obj is not None and is_secret(obj) for obj in (before, after)):
        return before, after
    old, new = deepcopy(before), deepcopy(after)
    for field in _FIELDS:
        olds, news = (old or {}).get(field) or {}, (new or {}).get(field) or {}
        for key in {*olds, *news}:
            differ = key in olds and key in news and olds[key] != news[key]
            if key in olds:
                olds[key] = _BEFORE if differ else MASK
            if key in news:
                news[key] = _AFTER if differ else MASK
    return old, new


def _values(secret: Object) -> set[str]:
    found: set[str] = set()
    for field in _FIELDS:
        values = secret.get(field)
        for value in values.values() if isinstance(values, dict) else ():
            text = str(value)
            found |= {text, base64.b64encode(text.encode()).decode()}
            try:
                found.add(base64.b64decode(text, validate=True).decode())
            except (binascii.Error, ValueError):
                continue
    return {value for value in found if len(value) >= _SHORTEST}
