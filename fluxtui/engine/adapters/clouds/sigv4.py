"""AWS Signature Version 4: in the headers of a request, in its URL, or as the password of a CodeCommit repository.

Source: "AWS Signature Version 4 for API requests" of the IAM User Guide.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

_ALGORITHM = "AWS4-HMAC-SHA256"
_EMPTY = hashlib.sha256(b"").hexdigest()


class Credentials(msgspec.Struct, frozen=True):
    """Temporary or lasting credentials; the repr keeps them."""

    key: str
    secret: str
    token: str
    expires: float
    """Seconds since the epoch; infinity for lasting ones."""

    def __repr__(self) -> str:
        return f"Credentials({self.key!r})"


def signed_headers(
    method: str, url: str, owner: Credentials, region: str, service: str, at: datetime
) -> dict[str, str]:
    """The headers that sign a request without a body."""
    moment = _moment(at)
    headers = {"host": urlsplit(url).netloc, "x-amz-date": moment}
    if owner.token:
        headers["x-amz-security-token"] = owner.token
    parts = urlsplit(url)
    request = _canonical(method, parts.path or "/", parse_qsl(parts.query, keep_blank_values=True), headers, _EMPTY)
    signature = _signature(owner, region, service, moment, request)
    credential = f"{owner.key}/{_scope(moment, region, service)}"
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credential}, SignedHeaders={';'.join(sorted(headers))}, Signature={signature}"
    )
    return {name: value for name, value in headers.items() if name != "host"}


def presigned(
    url: str, owner: Credentials, region: str, service: str, at: datetime, *, headers: Mapping[str, str], seconds: int
) -> str:
    """A URL that anybody may GET with those headers for that long."""
    moment, parts = _moment(at), urlsplit(url)
    signed = {"host": parts.netloc, **{name.lower(): value for name, value in headers.items()}}
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("X-Amz-Algorithm", _ALGORITHM),
        ("X-Amz-Credential", f"{owner.key}/{_scope(moment, region, service)}"),
        ("X-Amz-Date", moment),
        ("X-Amz-Expires", str(seconds)),
        ("X-Amz-SignedHeaders", ";".join(sorted(signed))),
    ]
    if owner.token:
        query.append(("X-Amz-Security-Token", owner.token))
    request = _canonical("GET", parts.path or "/", query, signed, _EMPTY)
    query.append(("X-Amz-Signature", _signature(owner, region, service, moment, request)))
    return parts._replace(query="&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query)).geturl()


def git_password(url: str, owner: Credentials, region: str, at: datetime) -> str:
    """The password for a CodeCommit repository, good for 15 minutes.

    Source: the credential helper of git-remote-codecommit: method GIT, no time zone in the signed time, no payload.
    """
    moment, parts = at.astimezone(UTC).strftime("%Y%m%dT%H%M%S"), urlsplit(url)
    request = _canonical("GIT", parts.path, [], {"host": parts.netloc}, "")
    return f"{moment}Z{_signature(owner, region, 'codecommit', moment, request)}"


def _canonical(method: str, path: str, query: list[tuple[str, str]], headers: Mapping[str, str], payload: str) -> bytes:
    pairs = sorted((_quoted(name), _quoted(value)) for name, value in query)
    lines = [
        method,
        quote(path, safe="/-_.~"),
        "&".join(f"{name}={value}" for name, value in pairs),
        *(f"{name}:{' '.join(value.split())}" for name, value in sorted(headers.items())),
        "",
        ";".join(sorted(headers)),
        payload,
    ]
    return "\n".join(lines).encode()


def _signature(owner: Credentials, region: str, service: str, moment: str, request: bytes) -> str:
    digest = hashlib.sha256(request).hexdigest()
    text = "\n".join((_ALGORITHM, moment, _scope(moment, region, service), digest))
    key = f"AWS4{owner.secret}".encode()
    for part in (moment[:8], region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _scope(moment: str, region: str, service: str) -> str:
    return f"{moment[:8]}/{region}/{service}/aws4_request"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
