"""The options of requests, as the query and the body of a deletion have them, checked as a server checks them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fluxtui.sandbox import statuses
from fluxtui.sandbox.operations import Deletion, Write
from fluxtui.sandbox.patches import APPLY_PATCH
from fluxtui.sandbox.validation import Cause

Object = dict[str, Any]
Query = Mapping[str, str]

GROUP = "meta.k8s.io"
MAX_MANAGER = 128
"""Bytes of a field manager's name."""
_TRUE = ("true", "1")
_VALIDATIONS = ("", "Ignore", "Strict", "Warn")
_PROPAGATIONS = ("Foreground", "Background", "Orphan")
_MATCHES = ("Exact", "NotOlderThan")


def write_options(query: Query, agent: str, options: str, *, content_type: str = "") -> Write:
    """How a write is made; `options` is the kind of its options, `agent` the User-Agent. Raises StatusError 422."""
    causes: list[Cause] = []
    dry_run, validation = query.get("dryRun", ""), query.get("fieldValidation", "")
    manager = query.get("fieldManager", "")
    if dry_run not in ("", "All"):
        causes.append(_unsupported("dryRun", f'["{dry_run}"]', ("All",)))
    if validation not in _VALIDATIONS:
        causes.append(_unsupported("fieldValidation", f'"{validation}"', _VALIDATIONS))
    if content_type == APPLY_PATCH and not manager:
        message = "Required value: is required for apply patch"
        causes.append({"reason": "FieldValueRequired", "message": message, "field": "fieldManager"})
    elif content_type and content_type != APPLY_PATCH and "force" in query:
        message = "Forbidden: may not be specified for non-apply patch"
        causes.append({"reason": "FieldValueForbidden", "message": message, "field": "force"})
    causes += _manager(manager)
    if causes:
        raise statuses.invalid("", GROUP, options, causes)
    return Write(
        manager=manager or agent.partition("/")[0][:MAX_MANAGER] or "unknown",
        dry_run=bool(dry_run),
        force=query.get("force") in _TRUE,
        validation=validation or "Warn",
    )


def delete_options(query: Query, body: Object) -> Deletion:
    """How a deletion is made; the body, if there is one, decides alone. Raises StatusError 400 or 422."""
    if not isinstance(body, dict):
        raise statuses.bad_request("the body of a deletion is no DeleteOptions")
    dry_run = list(body.get("dryRun") or ()) if body else [query["dryRun"]] if "dryRun" in query else []
    propagation = (body if body else query).get("propagationPolicy") or ""
    orphan = body.get("orphanDependents") if body else query.get("orphanDependents")
    causes: list[Cause] = []
    if propagation and orphan is not None:
        message = f'Invalid value: "{propagation}": orphanDependents and deletionPropagation cannot be both set'
        causes.append({"reason": "FieldValueInvalid", "message": message, "field": "propagationPolicy"})
    elif propagation and propagation not in _PROPAGATIONS:
        causes.append(_unsupported("propagationPolicy", f'"{propagation}"', (*_PROPAGATIONS, "nil")))
    if any(item != "All" for item in dry_run):
        causes.append(_unsupported("dryRun", str(dry_run).replace("'", '"'), ("All",)))
    if causes:
        raise statuses.invalid("", GROUP, "DeleteOptions", causes)
    if orphan in (True, *_TRUE):
        propagation = "Orphan"
    return Deletion(
        propagation=propagation or "Background", preconditions=body.get("preconditions") or {}, dry_run=bool(dry_run)
    )


class Selection(msgspec.Struct, frozen=True):
    """Which page of a list is asked for."""

    limit: int
    token: str
    version: str
    """The resourceVersion; empty for the latest state."""
    exact: bool


def list_options(query: Query) -> Selection:
    """Which part of a list is asked for. Raises StatusError 400 or 422."""
    version, match, token = query.get("resourceVersion", ""), query.get("resourceVersionMatch", ""), ""
    token = query.get("continue", "")
    causes: list[Cause] = []
    if match and not version:
        message = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        causes.append({"reason": "FieldValueForbidden", "message": message, "field": "resourceVersionMatch"})
    if match and match not in _MATCHES:
        causes.append(_unsupported("resourceVersionMatch", f'"{match}"', (*_MATCHES, "")))
    if causes:
        raise statuses.invalid("", GROUP, "ListOptions", causes)
    if token and version not in ("", "0"):
        raise statuses.bad_request("specifying resource version is not allowed when using continue")
    if version and not version.isdigit():
        raise statuses.bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{version}": strconv.ParseUint: '
            f'parsing "{version}": invalid syntax'
        )
    return Selection(max(0, number(query, "limit")), token, version, match == "Exact")


def number(query: Query, name: str) -> int:
    """A whole number of the query; 0 when it is not there. Raises StatusError 400."""
    text = query.get(name) or "0"
    try:
        return int(text)
    except ValueError as error:
        raise statuses.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


def _manager(name: str) -> list[Cause]:
    if len(name.encode()) > MAX_MANAGER:
        message = f"Too long: may not be more than {MAX_MANAGER} bytes"
        return [{"reason": "FieldValueTooLong", "message": message, "field": "fieldManager"}]
    for index, letter in enumerate(name):
        if letter != " " and unicodedata.category(letter)[0] in "CZ":
            shown = name.encode("unicode_escape").decode()
            message = f'Invalid value: "{shown}": invalid character U+{ord(letter):04X} (at position {index})'
            return [{"reason": "FieldValueInvalid", "message": message, "field": "fieldManager"}]
    return []


def _unsupported(field: str, shown: str, supported: Sequence[str]) -> Cause:
    known = ", ".join(f'"{item}"' for item in supported)
    message = f"Unsupported value: {shown}: supported values: {known}"
    return {"reason": "FieldValueNotSupported", "message": message, "field": field}
