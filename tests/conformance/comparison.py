"""Objects and events of two clusters, reduced to what has to be the same."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec
import yaml

Object = dict[str, Any]

OWN_WORDS = (
    *("bad-include", "no-include", "no-secret", "no-sparse", "unverifiable", "bad-patch", "broken", "foreign"),
    *(
        "missing-path",
        "no-component",
        "no-kubeconfig",
        "outside",
        "patched",
        "twice",
        "unset",
        "unsourced",
        "vanishing",
    ),
)
"""Of these the engine says the same with other words, which name the file, or hide where it keeps its own."""
RACING = ("crd", "expressions")
"""What is applied right behind its CRD may come before the API server serves its kind: who meets that fails once, says
so, and tries again."""


def seen(objects: Iterable[Object]) -> dict[str, str]:
    """`Kind/namespace/name` → YAML of each object."""
    return {"/".join(_identity(obj)): yaml.safe_dump(_reduced(obj), width=1000) for obj in objects}


def differences(upstream: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """What differs, as a diff; empty when nothing does."""
    lines: list[str] = []
    for name in sorted({*upstream, *ours}):
        sides = (upstream.get(name, "").splitlines(), ours.get(name, "").splitlines())
        lines += difflib.unified_diff(*sides, f"{name} of upstream", f"{name} of ours", lineterm="", n=2)
    return "\n".join(lines)


def told(event: Object) -> str:
    """An event as a line; empty for one that depends on who came first."""
    about, reason = event["involvedObject"], event["reason"]
    if reason in ("NoArtifact", "DependencyNotReady", "NotFound"):
        return ""
    if about["name"] in RACING and event["type"] == "Warning":
        return ""
    line = f"{about['kind']}/{about['name']} {event['type']} {reason}"
    if about["name"] in OWN_WORDS:
        # The same words again are counted, and keep the annotations of the first.
        return line
    annotations = sorted((event["metadata"].get("annotations") or {}).items())
    known = [(name, value) for name, value in annotations if not name.endswith("/digest")]
    return f"{line} {known} {_neutral(event['message'])}"


def _identity(obj: Object) -> tuple[str, str, str]:
    metadata = obj["metadata"]
    return obj["kind"], metadata.get("namespace", ""), metadata["name"]


def _reduced(obj: Object) -> Object:
    """An object without what differs between any two clusters, and without the differences that are meant."""
    copy: Object = msgspec.json.decode(msgspec.json.encode(obj))
    metadata, status, spec = copy["metadata"], copy.get("status") or {}, copy.get("spec") or {}
    for field in ("uid", "creationTimestamp", "resourceVersion"):
        metadata.pop(field, None)
    for entry in metadata.get("managedFields", []):
        entry.pop("time", None)
    for artifact in (status.get("artifact") or {}, *(status.get("includedArtifacts") or ())):
        # Go compresses to other bytes, and an engine serves the artifacts of many clusters.
        for field in ("digest", "size", "url"):
            artifact.pop(field, None)
    if metadata["name"] in RACING and "history" in status:
        status["history"] = status["history"][:1]
    for snapshot in status.get("history") or ():
        # A source that is ready in the moment its Kustomization begins to run has it run again.
        snapshot.pop("totalReconciliations")
    for condition in status.get("conditions") or ():
        if metadata["name"] in OWN_WORDS:
            condition.pop("message")
    for field in ("clusterIP", "clusterIPs"):
        spec.pop(field, None)
    return cast("Object", _timeless(copy))


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_timeless(item) for item in value]
    return _neutral(value) if isinstance(value, str) else value


def _neutral(value: str) -> str:
    """Text without moments and durations."""
    value = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME", value)
    return re.sub(r"\b(\d+(\.\d+)?(h|ms|µs|m|s))+\b", "DURATION", value)
