"""What can go wrong between us and an API server.

KubeError                     base; `str()` is a sentence for users, free of secrets and of control characters
├── ConfigError               a kubeconfig or a credential's configuration is wrong; names file and field
├── AuthError                 a credential could not be had: exec plugin, token file, OIDC
├── Unreachable               connect, DNS, TLS, proxy, timeout, cut stream
│   └── Silent                a stream brought nothing for too long, though it is open
├── UnknownKind               the server does not serve this kind
└── ApiError                  the server answered with a Status ≥ 400
    ├── BadRequest 400, Unauthorized 401, Forbidden 403, NotFound 404, MethodNotAllowed 405
    ├── Conflict 409, AlreadyExists 409, Gone 410, UnsupportedMediaType 415, Invalid 422, TooManyRequests 429
    └── ServerError 5xx
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fluxtui.api.patterns import lazily

_CONTROL = lazily(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MAX_TEXT = 4096


def clean(text: str, limit: int = _MAX_TEXT) -> str:
    """`text` from outside, safe to print: control and bidirectional characters replaced, cut at `limit` characters."""
    text = _CONTROL().sub("\ufffd", text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


class KubeError(Exception):
    """Base of all errors of this package."""

    def __init__(self, message: str) -> None:
        super().__init__(clean(message))


class ConfigError(KubeError):
    """A kubeconfig or a credential's configuration is wrong; the sentence names the file and the field."""


class AuthError(KubeError):
    """A credential could not be had."""


class Unreachable(KubeError):
    """The API server did not answer: connect, DNS, TLS, proxy, timeout, cut stream."""


class Silent(Unreachable):
    """A stream brought nothing for too long, not even a bookmark; the server may still be there."""


class UnknownKind(KubeError):
    """The API server does not serve this kind."""

    def __init__(self, group: str, kind: str, version: str = "") -> None:
        self.group, self.kind, self.version = group, kind, version
        name = "/".join(part for part in (group, version) if part)
        super().__init__(f"the cluster serves no kind {kind}" + (f" in {name}" if name else ""))


class ApiError(KubeError):
    """The server refused a request."""

    def __init__(
        self,
        status: int,
        reason: str = "",
        message: str = "",
        details: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.reason = clean(reason, 200)
        """Machine-readable reason of the Status object, such as `Expired`; empty when the server gave none."""
        self.message = clean(message) or f"the server answered {status}"
        self.details = details
        """`details` of the Status object: name, group, kind, causes."""
        self.retry_after = retry_after
        """Seconds after which the server asks to try again."""
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.status, self.reason, self.message, self.details, self.retry_after)

    @property
    def causes(self) -> list[tuple[str, str, str]]:
        """(reason, field, message) of each cause, for validation errors and apply conflicts."""
        causes = (self.details or {}).get("causes") or []
        return [
            (clean(str(c.get("reason", ""))), clean(str(c.get("field", ""))), clean(str(c.get("message", ""))))
            for c in causes
            if isinstance(c, dict)
        ]


class BadRequest(ApiError):
    """400."""


class Unauthorized(ApiError):
    """401: the credentials are missing, expired or wrong."""


class Forbidden(ApiError):
    """403: known to the server, but not allowed."""


class NotFound(ApiError):
    """404: no such object, or no such kind."""


class MethodNotAllowed(ApiError):
    """405."""


class Conflict(ApiError):
    """409: the object changed meanwhile, or another field manager owns a field."""


class AlreadyExists(ApiError):
    """409 on create: an object of that name exists."""


class Gone(ApiError):
    """410: the resourceVersion or continue token is too old."""


class UnsupportedMediaType(ApiError):
    """415: the server does not take this patch type."""


class Invalid(ApiError):
    """422: the object fails validation; see `causes`."""


class TooManyRequests(ApiError):
    """429: try again after `retry_after` seconds."""


class ServerError(ApiError):
    """5xx."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    410: Gone,
    415: UnsupportedMediaType,
    422: Invalid,
    429: TooManyRequests,
}


class _Status(msgspec.Struct):
    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Status).decode


def api_error(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> ApiError:
    """The error for an answer with HTTP `status` ≥ 300, or for a Status object in a stream (`status` 0).

    Bodies that are no Status object (a proxy's HTML page) are quoted in short.
    """
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        answer = _Status()
    if answer.kind != "Status":
        text = " ".join(body[:400].decode("utf-8", "replace").split())
        answer = _Status(message=f"the server answered {status}: {text[:200]}" if text else "")
    code = status or answer.code or 500
    kind = _BY_STATUS.get(code, ServerError if code >= 500 else ApiError)
    if code == 409 and answer.reason == "AlreadyExists":
        kind = AlreadyExists
    return kind(code, answer.reason, answer.message, answer.details, _retry_after(answer, headers))


def _retry_after(answer: _Status, headers: Mapping[str, str] | None) -> float | None:
    for value in ((headers or {}).get("Retry-After"), (answer.details or {}).get("retryAfterSeconds")):
        try:
            seconds = float(str(value))
        except ValueError:
            continue
        if 0 < seconds < 3600:
            return seconds
    return None
