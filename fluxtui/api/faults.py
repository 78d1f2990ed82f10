"""What msgspec finds wrong with an object, as a sentence that names the field first."""

from __future__ import annotations

import re

import msgspec

_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<where>.*)`)?", re.DOTALL)
_PATTERN = re.compile(r"expected str matching regex (?P<pattern>.*)")
_DURATION = "(ms|s|m"
"""In the patterns of durations and of nothing else."""


def sentence(error: msgspec.ValidationError) -> str:
    """`spec.prune: expected bool, got int`; without a field when the whole is meant."""
    found = _MESSAGE.fullmatch(str(error))
    assert found is not None, "the pattern fits any text"
    what = found["what"].replace("`", "")
    what = what[:1].lower() + what[1:]
    pattern = _PATTERN.fullmatch(what)
    if pattern is not None:
        text = pattern["pattern"]
        what = "expected a duration such as 30s, 10m or 1h30m" if _DURATION in text else f"expected to match {text}"
    return f"{found['where']}: {what}" if found["where"] else what
