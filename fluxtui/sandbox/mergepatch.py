"""JSON Merge Patch, RFC 7386."""

from __future__ import annotations

import copy
from typing import Any


def merge_patch(obj: Any, patch: Any) -> Any:
    """The document after the patch; `obj` is left alone. A null removes, a list replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(obj) if isinstance(obj, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
