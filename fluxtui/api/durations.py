"""Durations as Go and Kubernetes write them: `10m`, `1h30m`, `500ms`, `1m0.5s`."""

from __future__ import annotations

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|ns|h|m|s)")


def parse(text: str) -> float:
    """Seconds of a Go duration; "0" is zero.

    Raises ValueError that names the text when it is no duration.
    """
    body = text.removeprefix("+")
    if body == "0":
        return 0.0
    seconds, end = 0.0, 0
    for match in _PART.finditer(body):
        if match.start() != end:
            break
        seconds += float(match[1]) * _UNITS[match[2]]
        end = match.end()
    if not body or end != len(body):
        raise ValueError(f"{text!r} is not a duration such as 30s, 10m or 1h30m")
    return seconds


def text(seconds: float) -> str:
    """A duration as Go prints it: `10m0s`, `1h0m0s`, `1.5s`, `250ms`, `0s`."""
    if seconds == 0:
        return "0s"
    if seconds < 1:
        return f"{_number(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = f"{_number(rest)}s"
    if hours or minutes:
        parts = f"{minutes}m{parts}"
    return f"{hours}h{parts}" if hours else parts


def _number(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")
