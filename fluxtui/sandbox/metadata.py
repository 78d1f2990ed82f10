"""What every object's metadata must be like: names, labels, annotations, finalizers, owners.

Source: the API conventions, and the messages that a server answers with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from fluxtui.sandbox.kinds import Kind
from fluxtui.sandbox.validation import Cause

Object = dict[str, Any]

MAX_ANNOTATIONS = 256 << 10
"""Bytes of all annotations together."""
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_PART = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_ENDS = "must start and end with an alphanumeric character"
_PART_TEXT = (
    f"must consist of alphanumeric characters, '-', '_' or '.', and {_ENDS} "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_PART.pattern}')"
)
_NAME_TEXT = (
    f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and {_ENDS} "
    f"(e.g. 'example.com', regex used for validation is '{_NAME.pattern}')"
)
_LABEL_TEXT = (
    f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and {_ENDS} "
    f"(e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL.pattern}')"
)
_SERVICE_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character "
    f"(e.g. 'my-name',  or 'abc-123', regex used for validation is '{_SERVICE.pattern}')"
)
_VALUE_TEXT = (
    f"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and {_ENDS} "
    f"(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '({_PART.pattern})?')"
)
_PATH_NAMES = frozenset({"clusterroles", "clusterrolebindings", "roles", "rolebindings"})
_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


def check_metadata(kind: Kind, metadata: Object) -> list[Cause]:
    """What is wrong with an object's metadata."""
    return [
        *_name(kind, str(metadata.get("name", ""))),
        *_labels(metadata.get("labels") or {}),
        *_annotations(metadata.get("annotations") or {}),
        *_owners(metadata.get("ownerReferences") or []),
        *_finalizers(kind, metadata.get("finalizers") or []),
    ]


def check_kept(metadata: Object, old: Object) -> list[Cause]:
    """Which fields of the metadata that is sent are not what they were, though the server alone sets them."""
    causes = [
        invalid(f"metadata.{field}", metadata[field], "field is immutable")
        for field in ("uid", "deletionTimestamp")
        if metadata.get(field) and metadata[field] != old.get(field)
    ]
    added = sorted(set(metadata.get("finalizers") or ()) - set(old.get("finalizers") or ()))
    if added and old.get("deletionTimestamp"):
        listed = ", ".join(f'"{name}"' for name in added)
        message = (
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
            f"[]string{{{listed}}}"
        )
        causes.append({"reason": "FieldValueForbidden", "message": message, "field": "metadata.finalizers"})
    return causes


def key_problems(key: str) -> list[str]:
    """What is wrong with the key of a label: an optional prefix and a name."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        return [f"a valid label key {_PART_TEXT} with an optional DNS subdomain prefix and '/' "
                "(e.g. 'example.com/MyName')"]  # fmt: skip
    found = []
    if slash and not prefix:
        found.append("prefix part must be non-empty")
    elif slash and not _NAME.fullmatch(prefix):
        found.append(f"prefix part {_NAME_TEXT}")
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > 63:
        found.append("name part must be no more than 63 bytes")
    if not _PART.fullmatch(name):
        found.append(f"name part {_PART_TEXT}")
    return found


def value_problems(value: str) -> list[str]:
    """What is wrong with the value of a label."""
    found = ["must be no more than 63 bytes"] if len(value) > 63 else []
    return found if not value or _PART.fullmatch(value) else [*found, _VALUE_TEXT]


def invalid(field: str, value: Any, problem: str) -> Cause:
    """A cause that names a value."""
    return {"reason": "FieldValueInvalid", "message": f"Invalid value: {json.dumps(value)}: {problem}", "field": field}


def _name(kind: Kind, name: str) -> Iterator[Cause]:
    if kind.plural in _PATH_NAMES and not kind.custom:
        problems = [f"may not contain '{part}'" for part in "/%" if part in name]
    elif kind.plural == "namespaces":
        problems = ["must not contain dots"] if "." in name else _fits(name, _LABEL, 63, _LABEL_TEXT)
    elif kind.plural == "services" and not kind.custom:
        problems = _fits(name, _SERVICE, 63, _SERVICE_TEXT)
    else:
        problems = _fits(name, _NAME, 253, _NAME_TEXT)
    yield from (invalid("metadata.name", name, problem) for problem in problems)


def _fits(name: str, pattern: re.Pattern[str], limit: int, text: str) -> list[str]:
    if len(name) > limit:
        return [f"must be no more than {limit} characters"]
    return [] if pattern.fullmatch(name) else [text]


def _labels(labels: Object) -> Iterator[Cause]:
    for key, value in labels.items():
        for problem in key_problems(key):
            yield invalid("metadata.labels", key, problem)
        for problem in value_problems(value):
            yield invalid("metadata.labels", value, problem)


def _annotations(annotations: Object) -> Iterator[Cause]:
    for key in annotations:
        for problem in key_problems(key.lower()):
            yield invalid("metadata.annotations", key, problem)
    if sum(len(key.encode()) + len(str(value).encode()) for key, value in annotations.items()) > MAX_ANNOTATIONS:
        message = f"Too long: may not be more than {MAX_ANNOTATIONS} bytes"
        yield {"reason": "FieldValueTooLong", "message": message, "field": "metadata.annotations"}


def _owners(references: list[Object]) -> Iterator[Cause]:
    for reference in references:
        if not reference.get("apiVersion"):
            yield invalid("metadata.ownerReferences.apiVersion", "", "version must not be empty")
        for field in ("kind", "name", "uid"):
            if not reference.get(field):
                yield invalid(f"metadata.ownerReferences.{field}", "", "must not be empty")
    controllers = [f"{item.get('kind')}/{item.get('name')}" for item in references if item.get("controller")]
    if len(controllers) > 1:
        text = json.dumps(references, separators=(",", ":"))
        message = (
            f"Invalid value: {text}: Only one reference can have Controller set to true. "
            f'Found "true" in references for {controllers[0]} and {controllers[1]}'
        )
        yield {"reason": "FieldValueInvalid", "message": message, "field": "metadata.ownerReferences"}


def _finalizers(kind: Kind, finalizers: list[str]) -> Iterator[Cause]:
    for name in finalizers:
        for problem in key_problems(name):
            yield invalid("metadata.finalizers", name, problem)
    if kind.custom or kind.group == "apiextensions.k8s.io":
        return
    for index, name in enumerate(finalizers):
        if "/" not in name and name not in _FINALIZERS:
            problem = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid(f"metadata.finalizers[{index}]", name, problem)
