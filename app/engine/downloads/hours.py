"""The hours of the day in which downloads run by themselves."""

import re
from datetime import datetime, timedelta

_TEXT = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)")
_DAY_MINUTES = 24 * 60


def local_time() -> datetime:
    """Return the time that the clock of this computer shows."""
    return datetime.now().astimezone()


def opens_at(text: str, now: datetime) -> datetime | None:
    """Return when the hours begin next; None while downloads may run.

    text: like `22:00-07:00`, also over midnight; empty or equal times are the whole day. now: the
    time of this place.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        return None
    hours = [int(part) for part in match.groups()]
    start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    minute = now.hour * 60 + now.minute
    if start == end or (minute - start) % _DAY_MINUTES < (end - start) % _DAY_MINUTES:
        return None
    opening = now.replace(hour=hours[0], minute=hours[1], second=0, microsecond=0)
    return opening if opening > now else opening + timedelta(days=1)
