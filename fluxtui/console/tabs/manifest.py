"""The YAML tab: an object as people read it, with managedFields folded and the data of Secrets masked."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import yaml
from rich.text import Text

from fluxtui.console.columns import Brush
from fluxtui.console.tabs.layout import BLANK, sentence
from fluxtui.console.themes import Palette
from fluxtui.console.widgets.document import Paragraph
from fluxtui.fleet.text import lines as clean_lines
from fluxtui.fleet.text import one_line

MAX_LINES = 20_000
"""Longer objects are cut, with a line that says so."""

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SECRET_FIELDS = ("data", "stringData")
_METADATA_ORDER = ("name", "generateName", "namespace", "labels", "annotations", "finalizers", "ownerReferences")
_ORDER = ("apiVersion", "kind", "metadata", "spec", "data", "stringData")


def to_yaml(obj: dict[str, Any], *, reveal: bool = False, managed_fields: bool = False) -> str:
    """The object as YAML.

    Args:
        obj: any Kubernetes object.
        reveal: show a Secret's values, decoded where they are text; otherwise only their sizes are shown.
        managed_fields: show metadata.managedFields and kubectl's copy of the object; otherwise a line stands for each.
    """
    shown = {key: obj[key] for key in sorted(obj, key=_rank)}
    if isinstance(metadata := shown.get("metadata"), dict):
        shown["metadata"] = _metadata(metadata, managed_fields=managed_fields)
    if obj.get("kind") == "Secret" and obj.get("apiVersion") == "v1":
        shown = _secret(shown, reveal=reveal)
    return yaml.dump(shown, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=4096)


def _rank(key: str) -> tuple[int, str]:
    return (_ORDER.index(key) if key in _ORDER else 90 + (key == "status"), key)


def _metadata_rank(key: str) -> tuple[int, str]:
    """What people look for first, what only the server needs last."""
    return (_METADATA_ORDER.index(key) if key in _METADATA_ORDER else 90, key)


def _metadata(metadata: dict[str, Any], *, managed_fields: bool) -> dict[str, Any]:
    shown = {key: metadata[key] for key in sorted(metadata, key=_metadata_rank)}
    annotations = shown.get("annotations")
    if isinstance(annotations, dict) and LAST_APPLIED in annotations and not managed_fields:
        shown["annotations"] = {**annotations, LAST_APPLIED: _Folded("the object as kubectl applied it")}
    fields = shown.pop("managedFields", None)
    if isinstance(fields, list) and fields:
        managers = dict.fromkeys(str(entry.get("manager", "?")) for entry in fields if isinstance(entry, dict))
        shown["managedFields"] = fields if managed_fields else _Folded(", ".join(managers))
    return shown


def _secret(shown: dict[str, Any], *, reveal: bool) -> dict[str, Any]:
    masked = dict(shown)
    for field in _SECRET_FIELDS:
        if isinstance(values := masked.get(field), dict):
            masked[field] = {
                key: _value(value, encoded=field == "data", reveal=reveal) for key, value in values.items()
            }
    metadata = masked.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if isinstance(metadata, dict) and isinstance(annotations, dict) and LAST_APPLIED in annotations and not reveal:
        # kubectl apply keeps a copy of the whole Secret here.
        masked["metadata"] = {**metadata, "annotations": {**annotations, LAST_APPLIED: _Folded("holds the data")}}
    return masked


def _value(value: Any, *, encoded: bool, reveal: bool) -> Any:
    raw = str(value).encode()
    if encoded:
        try:
            raw = base64.b64decode(raw, validate=True)
        except binascii.Error:
            return value if reveal else _Folded("not base64")
    if not reveal:
        return _Folded(f"{len(raw)} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return value


class _Folded(str):
    """A value that stands for something not shown."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, with block style for text of several lines and a mark on folded values."""


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _represent_folded(dumper: yaml.SafeDumper, value: _Folded) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", f"… {value}")


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(_Folded, _represent_folded)

_LINE = re.compile(r"^(?P<indent>\s*(?:- )*)(?P<key>[^\s:#'\"][^:]*?|'[^']*'|\"[^\"]*\"):(?P<rest>\s.*|)$")


def age(obj: dict[str, Any], since: float, why: str, brush: Brush) -> list[Paragraph]:
    """What stands above an object of which nothing is heard `since` (seconds since the epoch; 0.0: it is heard of)."""
    if not since:
        return []
    version = one_line(str((obj.get("metadata") or {}).get("resourceVersion", "?")))
    told = f"As it was {brush.age(since)} ago, at resourceVersion {version}."
    return [sentence(f"{told} {why}".rstrip(), brush, brush.palette.warning), BLANK]


def paragraphs(text: str, palette: Palette) -> list[Paragraph]:
    """YAML text as coloured lines; keys quiet, values in ink."""
    lines = clean_lines(text).splitlines()
    shown = [_paragraph(line, palette) for line in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        shown.append(Paragraph(Text(f"… {len(lines) - MAX_LINES} more lines are not shown", palette.warning)))
    return shown


def _paragraph(line: str, palette: Palette) -> Paragraph:
    found = _LINE.match(line)
    if found is None:
        indent = len(line) - len(line.lstrip())
        return Paragraph(Text(line, palette.ink), indent=indent + 2)
    rest = found["rest"]
    style = palette.faint if rest.startswith(" …") else palette.ink
    text = Text.assemble(
        (found["indent"], palette.faint), (found["key"], palette.link), (":", palette.muted), (rest, style)
    )
    return Paragraph(text, indent=len(found["indent"]) + 2)
