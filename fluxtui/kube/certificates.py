"""How long a certificate is good: API servers say only "Unauthorized" of one that has expired.

Source of the structure: RFC 5280 §4.1, in the encoding of X.690 (DER).
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x17, 0x18, 0xA0


def not_after(pem: bytes) -> datetime | None:
    """The moment from which on the first certificate of a PEM text is not valid; None for what can't be read."""
    found = _PEM.search(pem)
    if found is None:
        return None
    try:
        return _not_after(base64.b64decode(found[1]))
    except (binascii.Error, IndexError, ValueError):
        return None


def expiry(pem: bytes, now: datetime) -> str:
    """`expired 3 days ago`; "" for one that is still good, or can't be read."""
    until = not_after(pem)
    if until is None or until > now:
        return ""
    seconds = (now - until).total_seconds()
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        count = int(seconds // size)
        if count:
            return f"expired {count} {unit}{'s' * (count != 1)} ago"
    return "has just expired"


def _not_after(der: bytes) -> datetime:
    to_be_signed = _content(_content(der, _SEQUENCE), _SEQUENCE)
    if to_be_signed[0] == _VERSION:
        to_be_signed = _rest(to_be_signed)
    # Serial number, algorithm and issuer stand before the validity.
    validity = _content(_rest(_rest(_rest(to_be_signed))), _SEQUENCE)
    moment = _rest(validity)
    text = _content(moment, moment[0]).decode("ascii")
    if moment[0] == _UTC_TIME:
        # Two digits of the year: from 50 on they are of the 20th century.
        text = f"{'19' if text[:2] >= '50' else '20'}{text}"
    elif moment[0] != _GENERALIZED_TIME:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _bounds(der: bytes) -> tuple[int, int]:
    """Where the content of the first element begins and ends."""
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    if start + length > len(der):
        raise ValueError("cut off")
    return start, start + length


def _content(der: bytes, tag: int) -> bytes:
    if der[0] != tag:
        raise ValueError("another element")
    start, end = _bounds(der)
    return der[start:end]


def _rest(der: bytes) -> bytes:
    return der[_bounds(der)[1] :]
