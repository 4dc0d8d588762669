"""How much of a provider's daily allowance is used up: bytes by hour of the last day. Pure.

Whether a provider counts calendar days, in which zone, or the last 24 hours is known of none, so the strictest is
kept to: no 24 hours hold more than is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

_HOUR = 3600
# With the hour that has just begun 24 whole ones before it: the oldest is only over when all of it is.
_HOURS = 24

# Hour since 1970 (in words, as JSON wants keys) -> bytes.
Hours = Mapping[str, int]


def counted(hours: Hours, now: datetime, size: int) -> dict[str, int]:
    """Add `size` bytes (fewer than promised before: a negative number); what is older than a day is forgotten."""
    this = _hour(now)
    # Hours to come are of a clock that was ahead: they would hold everything up until it is theirs.
    kept = {hour: count for hour, count in hours.items() if this - _HOURS <= int(hour) <= this}
    kept[str(this)] = max(0, kept.get(str(this), 0) + size)
    return {hour: count for hour, count in kept.items() if count}


def used(hours: Hours) -> int:
    """Bytes of all hours that are kept."""
    return sum(hours.values())


def frees_at(hours: Hours, most: int) -> datetime | None:
    """Return when no more than `most` bytes will be left of the hours that are kept; None when that is so now."""
    left = used(hours)
    if left <= most:
        return None
    for hour in sorted(hours, key=int):
        left -= hours[hour]
        if left <= most:
            return datetime.fromtimestamp((int(hour) + _HOURS + 1) * _HOUR, UTC)
    raise ValueError("most is less than nothing")


def _hour(moment: datetime) -> int:
    return int(moment.timestamp()) // _HOUR
