"""The kinds of patches that change an object that is there: JSON, merge and strategic merge."""

from __future__ import annotations

from typing import Any

from fluxtui.sandbox import statuses
from fluxtui.sandbox.jsonpatch import JsonPatchError, apply_json_patch
from fluxtui.sandbox.kinds import Kind
from fluxtui.sandbox.mergepatch import merge_patch
from fluxtui.sandbox.strategic import StrategicMergeError, strategic_merge

Object = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCHES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


def patched(kind: Kind, base: Object, content_type: str, patch: Any) -> Object:
    """A new object: `base` after a patch. Raises StatusError 400, 415 or 422."""
    _check_form(content_type, patch)
    try:
        if content_type == JSON_PATCH:
            changed = apply_json_patch(base, patch)
        elif content_type == MERGE_PATCH:
            changed = merge_patch(base, patch)
        elif kind.custom:
            raise statuses.unsupported_media_type()
        else:
            changed = strategic_merge(base, patch, kind.schema)
    except JsonPatchError as error:
        message = "the server rejected our request due to an error in our request"
        raise statuses.StatusError(422, "Invalid", message, {}) from error
    except StrategicMergeError as error:
        raise statuses.plain_error(str(error)) from error
    if not isinstance(changed, dict):
        raise statuses.invalid_patch("it leaves no object")
    return changed


def _check_form(content_type: str, patch: Any) -> None:
    wanted, name = (list, "[]handlers.jsonPatchOp") if content_type == JSON_PATCH else (dict, "map[string]interface {}")
    if not isinstance(patch, wanted):
        found = "array" if isinstance(patch, list) else "object" if isinstance(patch, dict) else "value"
        raise statuses.bad_request(f"error decoding patch: json: cannot unmarshal {found} into Go value of type {name}")
