"""Errors as the API server answers them: `metav1.Status` with a reason and a code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]


class StatusError(Exception):
    """An answer of 400 or more."""

    def __init__(
        self, code: int, reason: str, message: str, details: Object | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details
        self.headers = headers or {}

    def to_object(self) -> Object:
        """The `Status` object."""
        status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.code,
        }
        if not self.reason:
            del status["reason"]
        if self.details is not None:
            status["details"] = self.details
        return status


def _details(name: str, group: str, plural: str, **more: Any) -> Object:
    details: Object = {"name": name, "group": group, "kind": plural, **more}
    return {key: value for key, value in details.items() if value not in ("", None)}


def _resource(group: str, plural: str) -> str:
    return f"{plural}.{group}" if group else plural


def bad_request(message: str) -> StatusError:
    """400."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(name: str, group: str, plural: str, message: str) -> StatusError:
    """403."""
    what = f'{_resource(group, plural)} "{name}" is' if name else f"{_resource(group, plural)} is"
    return StatusError(403, "Forbidden", f"{what} forbidden: {message}", _details(name, group, plural))


def not_found(name: str, group: str, plural: str) -> StatusError:
    """404 for an object."""
    message = f'{_resource(group, plural)} "{name}" not found'
    return StatusError(404, "NotFound", message, _details(name, group, plural))


def no_such_path() -> StatusError:
    """404 for a path."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> StatusError:
    """405."""
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def not_acceptable(accepted: str) -> StatusError:
    """406."""
    return StatusError(406, "NotAcceptable", f"only the following media types are accepted: {accepted}")


def already_exists(name: str, group: str, plural: str) -> StatusError:
    """409 for a name that is taken."""
    message = f'{_resource(group, plural)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _details(name, group, plural))


def conflict(name: str, group: str, plural: str, message: str, causes: Sequence[Object] = ()) -> StatusError:
    """409 for a lost race, or for fields owned by others."""
    text = f'Operation cannot be fulfilled on {_resource(group, plural)} "{name}": {message}'
    return StatusError(409, "Conflict", text, _details(name, group, plural))


def apply_conflict(message: str, causes: Sequence[Object]) -> StatusError:
    """409 of a server-side apply."""
    return StatusError(409, "Conflict", message, {"causes": list(causes)})


def gone(message: str) -> StatusError:
    """410: a version that is no longer kept."""
    return StatusError(410, "Expired", message)


def unsupported_media_type() -> StatusError:
    """415 for a patch of an unknown kind."""
    return StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def unknown_format(supported: Sequence[str]) -> StatusError:
    """415 for a body."""
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(supported)
    return StatusError(415, "UnsupportedMediaType", message)


def invalid_patch(problem: str) -> StatusError:
    """422 for what a patch makes of an object."""
    cause = {"reason": "FieldValueInvalid", "message": f"Invalid value: {problem}", "field": "patch"}
    return StatusError(422, "Invalid", f' "" is invalid: patch: {cause["message"]}', {"causes": [cause]})


def invalid(name: str, group: str, kind: str, causes: Sequence[Object]) -> StatusError:
    """422 with a cause for each field."""
    lines = [f"{cause['field']}: {cause['message']}" for cause in causes]
    text = lines[0] if len(lines) == 1 else "[" + ", ".join(lines) + "]"
    what = f"{kind}.{group}" if group else kind
    details = {**_details(name, group, kind), "causes": list(causes)}
    return StatusError(422, "Invalid", f'{what} "{name}" is invalid: {text}', details)


def too_many_requests(seconds: int) -> StatusError:
    """429."""
    message = "too many requests, please try again later"
    details = {"retryAfterSeconds": seconds}
    return StatusError(429, "TooManyRequests", message, details, {"Retry-After": str(seconds)})


def internal_error(message: str) -> StatusError:
    """500."""
    return StatusError(500, "InternalError", f"Internal error occurred: {message}")


def too_large_version(version: int, latest: int) -> StatusError:
    """504: a version that is not reached yet."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    message = f"Timeout: Too large resource version: {version}, current: {latest}"
    return StatusError(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})


def plain_error(message: str) -> StatusError:
    """500 without a reason: what a server answers to mistakes it has no better answer for."""
    return StatusError(500, "", message)


def success(**more: Any) -> Object:
    """The `Status` of a request that went well."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", **more}
