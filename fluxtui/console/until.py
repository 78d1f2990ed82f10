"""The end of a suspension as people type it: `2h`, `3d`, `18:00`, `2026-12-01`, `2026-12-01 18:00`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_SPAN = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?")
_FORMS = ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
EXAMPLES = "2h, 3d, 18:00 or 2026-12-01"


def parse_until(text: str, now: datetime) -> datetime | None:
    """The moment a text means, in UTC; None for an empty text.

    Args:
        text: a span from now on, a time of day (today, else tomorrow) or a date, both in the zone of `now`.
        now: an aware moment.

    Raises ValueError, with words for the user, for anything else and for the past.
    """
    text = text.strip()
    if not text:
        return None
    found = _moment(text, now)
    if found is None:
        raise ValueError(f"{text!r} is no time: {EXAMPLES}")
    if found <= now:
        raise ValueError(f"{text!r} is past")
    return found.astimezone(UTC)


def _moment(text: str, now: datetime) -> datetime | None:
    span = _SPAN.fullmatch(text)
    if span:
        weeks, days, hours, minutes = (int(part or 0) for part in span.groups())
        try:
            return now + timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)
        except OverflowError:
            return None
    try:
        time = datetime.strptime(text, "%H:%M").time()
    except ValueError:
        pass
    else:
        today = datetime.combine(now.date(), time, now.tzinfo)
        return today if today > now else today + timedelta(days=1)
    for form in _FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=now.tzinfo)
        except ValueError:
            continue
    return None
