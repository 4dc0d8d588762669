"""How a moment is written on a page (DESIGN.md section 5). Pure; the caller gives both moments in one zone."""

from datetime import datetime, time, timedelta
from typing import Literal

from django.utils import timezone
from django.utils.dateparse import parse_date

Style = Literal["row", "card", "day"]


def _days_ago(moment: datetime, now: datetime) -> int:
    return (now.date() - moment.date()).days


def day(moment: datetime, now: datetime) -> str:
    """Today, Yesterday, Fri 20 Nov, 20 Nov 2025."""
    ago = _days_ago(moment, now)
    if ago == 0:
        return "Today"
    if ago == 1:
        return "Yesterday"
    if moment.year == now.year:
        return f"{moment:%a} {moment.day} {moment:%b}"
    return f"{moment.day} {moment:%b} {moment.year}"


def when(moment: datetime, now: datetime, style: Style = "row") -> str:
    """row: 10:42 for today and yesterday (a heading says which), else the day; card: day and time."""
    if style == "day":
        return day(moment, now)
    if style == "card":
        return f"{day(moment, now)}, {moment:%H:%M}"
    return f"{moment:%H:%M}" if _days_ago(moment, now) in (0, 1) else day(moment, now)


def inside(text: str) -> str:
    """A day or moment as it stands within a sentence: today and yesterday in small letters."""
    return text[0].lower() + text[1:] if text.startswith(("Today", "Yesterday")) else text


def exact(moment: datetime) -> str:
    """To the second and with the zone, for a title: Fri 20 Nov 2026, 08:15:03 CET (UTC+01:00)."""
    offset = _offset(moment)
    zone = moment.tzname() or ""
    name = f"{zone} ({offset})" if zone and zone != offset and zone != "UTC" else offset
    return f"{moment:%a} {moment.day} {moment:%b %Y, %H:%M:%S} {name}".strip()


def _offset(moment: datetime) -> str:
    offset = moment.utcoffset() or timedelta()
    minutes = int(offset.total_seconds() // 60)
    if minutes == 0:
        return "UTC"
    sign = "+" if minutes > 0 else "-"
    return f"UTC{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def ago(moment: datetime, now: datetime) -> str:
    """now, 12 s ago, 4 min ago, 2 h 10 min ago, 3 days ago. A moment in the future is "now"."""
    seconds = int((now - moment).total_seconds())
    if seconds < 2:
        return "now"
    if seconds < 60:
        return f"{seconds} s ago"
    if seconds < 3600:
        return f"{seconds // 60} min ago"
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours < 24:
        return f"{hours} h {minutes} min ago" if minutes else f"{hours} h ago"
    days = hours // 24
    return f"{days} day{'s' if days > 1 else ''} ago"


def end_of(day: str) -> datetime | None:
    """The end of a day as typed in a form, here; '' is no end (None). Raises ValueError."""
    if not day:
        return None
    found = parse_date(day)
    if found is None:
        raise ValueError("Type the end as a date like 2026-12-31.")
    return timezone.make_aware(datetime.combine(found, time(23, 59, 59)))
