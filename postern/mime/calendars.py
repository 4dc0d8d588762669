"""Invitations, answers and cancellations inside a letter (text/calendar: RFC 5545, RFC 5546), as far as people read them."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from postern.mime.addresses import Mailaddr
from postern.mime.charset import storable
from postern.mime.words import one_line
from postern.mime.zones import zone_of

MAX_BYTES = 1_000_000
MAX_EVENTS = 50
MAX_LINES = 20_000
_FOLD = re.compile(r"\r?\n[ \t]")
_LINE = re.compile(r"""([A-Za-z0-9-]{1,60}+)((?:;(?:"[^"]*+"|[^":;]++)*+)*+):(.*+)""", re.DOTALL)
_PARAMETER = re.compile(r""";([A-Za-z0-9-]{1,60}+)=("[^"]*+"|[^";]*+)""")
_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)?(Z)?)?")
_DURATION = re.compile(
    r"(-)?\+?P(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?"
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KINDS = {
    "REQUEST": "Invitation",
    "CANCEL": "Cancelled",
    "COUNTER": "New time proposed",
    "REFRESH": "Please send again",
}
_ANSWERS = {
    "ACCEPTED": "accepted",
    "DECLINED": "declined",
    "TENTATIVE": "accepted tentatively",
    "DELEGATED": "delegated",
}


@dataclass(frozen=True)
class Event:
    """One meeting. start and end carry a zone; without one they are local wherever one is. All strings are one line."""

    method: str  # REQUEST, REPLY, CANCEL, PUBLISH ...; '' when not said
    title: str
    start: datetime | date | None = None  # a date: all day
    end: datetime | date | None = None
    zone: str = ""  # the zone's name; '' for local time
    place: str = ""
    organiser: Mailaddr | None = None
    attendees: tuple[tuple[Mailaddr, str], ...] = ()  # with ACCEPTED, DECLINED ...
    repeats: bool = False
    uid: str = ""

    def heading(self) -> str:
        """What the letter says about the meeting: `Invitation: Title`, `Ann accepted: Title`."""
        if self.method == "REPLY" and self.attendees:
            person, answer = self.attendees[0]
            return f"{person.name or person.address} {_ANSWERS.get(answer, 'answered')}: {self.title}"
        return f"{_KINDS.get(self.method, 'Event')}: {self.title}"

    def when(self) -> str:
        """The time in words, with its zone; '' when there is none."""
        if self.start is None:
            return ""
        first = self.start.strftime("%A, %-d %B %Y")
        if not isinstance(self.start, datetime):
            last = self.end - timedelta(days=1) if self.end else self.start  # the end is not part of it
            text = first if last <= self.start else f"{first} – {last.strftime('%A, %-d %B %Y')}"
        else:
            text = f"{first}, {self.start:%H:%M}"
            if isinstance(self.end, datetime) and self.end != self.start:
                same = self.end.date() == self.start.date()
                text += f" – {self.end:%H:%M}" if same else f" – {self.end.strftime('%A, %-d %B %Y, %H:%M')}"
            text += f" ({self.zone})" if self.zone else ""
        return text + (", repeated" if self.repeats else "")

    def text(self) -> str:
        """The meeting as a few lines."""
        lines = [self.heading()]
        if self.when():
            lines.append(f"When: {self.when()}")
        if self.place:
            lines.append(f"Where: {self.place}")
        if self.organiser:
            name, address = self.organiser.name, self.organiser.address
            lines.append(f"Organiser: {f'{name} <{address}>' if name else address}")
        return "\n".join(lines)


def read_events(calendar: str) -> list[Event]:
    """The meetings of an iCalendar text. Never raises; what cannot be read is left out. Linear."""
    text = _FOLD.sub("", calendar[:MAX_BYTES])
    method, current, found = "", None, []
    depth = 0
    for line in text.splitlines()[:MAX_LINES]:
        match = _LINE.fullmatch(line[:20_000])
        if not match:
            continue
        name, value = match[1].upper(), match[3]
        if name == "BEGIN":
            depth += 1
            if value.strip().upper() == "VEVENT":
                current, depth = _Reading(), 0
        elif name == "END" and current and value.strip().upper() == "VEVENT":
            found.append(current)
            current = None
            if len(found) >= MAX_EVENTS:
                break
        elif name == "END":
            depth -= 1
        elif current and depth == 0:  # deeper is an alarm
            current.take(name, match[2], value)
        elif name == "METHOD" and not current:
            method = one_line(value).upper()[:20]
    return [one.event(method) for one in found]


class _Reading:
    """One VEVENT on its way to an Event; the first of each property counts."""

    def __init__(self) -> None:
        self.fields: dict[str, tuple[str, str]] = {}
        self.attendees: list[tuple[Mailaddr, str]] = []

    def take(self, name: str, parameters: str, value: str) -> None:
        if name == "ATTENDEE" and len(self.attendees) < 200:
            given = _parameters(parameters)
            self.attendees.append((_person(given, value), given.get("PARTSTAT", "").upper()[:20]))
        else:
            self.fields.setdefault(name, (parameters, value))

    def event(self, method: str) -> Event:
        start, zone = self._moment("DTSTART")
        end, _ = self._moment("DTEND")
        if end is None and start is not None and "DURATION" in self.fields:
            end = _later(start, self.fields["DURATION"][1])
        if start is not None and end is not None and not _comparable(start, end):
            end = None
        organiser = None
        if "ORGANIZER" in self.fields:
            parameters, value = self.fields["ORGANIZER"]
            organiser = _person(_parameters(parameters), value)
        return Event(
            method="CANCEL" if self._text("STATUS").upper() == "CANCELLED" else method,
            title=self._text("SUMMARY")[:1000] or "(no title)",
            start=start,
            end=end,
            zone=zone,
            place=self._text("LOCATION")[:1000],
            organiser=organiser,
            attendees=tuple(self.attendees),
            repeats="RRULE" in self.fields or "RDATE" in self.fields,
            uid=self._text("UID")[:500],
        )

    def _text(self, name: str) -> str:
        value = self.fields.get(name, ("", ""))[1]
        return one_line(storable(_ESCAPE.sub(lambda sign: " " if sign[1] in "nN" else sign[1], value)))

    def _moment(self, name: str) -> tuple[datetime | date | None, str]:
        parameters, value = self.fields.get(name, ("", ""))
        found = _MOMENT.match(value.strip())
        if not found:
            return None, ""
        if not 1900 <= int(found[1]) <= 9990:
            return None, ""
        try:
            day = date(int(found[1]), int(found[2]), int(found[3]))
            if found[4] is None:
                return day, ""
            clock = datetime(
                day.year, day.month, day.day, int(found[4]), int(found[5]), min(int(found[6] or 0), 59)
            )
        except ValueError:
            return None, ""
        zone, label = _zone(_parameters(parameters).get("TZID", ""), utc=bool(found[7]))
        return clock.replace(tzinfo=zone), label


def _zone(name: str, *, utc: bool) -> tuple[tzinfo | None, str]:
    """(zone, its name for people); a zone that nobody knows keeps its name, and the time stays as written."""
    if utc:
        return UTC, "UTC"
    zone = zone_of(name) if name else None
    return zone, (zone.key if zone else one_line(name)[:60])


def _comparable(start: datetime | date, end: datetime | date) -> bool:
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return isinstance(start, datetime) == isinstance(end, datetime)
    return (start.tzinfo is None) == (end.tzinfo is None)


def _later(start: datetime | date, duration: str) -> datetime | date | None:
    found = _DURATION.fullmatch(duration.strip())
    if not found or found[1]:
        return None
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[1:])
    try:
        return start + timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        return None


def _parameters(text: str) -> dict[str, str]:
    return {name.upper(): value.strip('"') for name, value in _PARAMETER.findall(text)}


def _person(parameters: dict[str, str], value: str) -> Mailaddr:
    address = one_line(value).strip()
    if address[:7].lower() == "mailto:":
        address = address[7:]
    return Mailaddr(one_line(parameters.get("CN", ""))[:200], address[:320])
