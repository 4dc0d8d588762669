"""Pitfall 10: invitations, answers and cancellations inside letters (RFC 5545, RFC 5546)."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.mime.addresses import Mailaddr
from postern.mime.calendars import Event, read_events
from postern.mime.read import read
from postern.mime.zones import zone_of

INVITATION = """BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VTIMEZONE
TZID:W. Europe Standard Time
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETTO:+0100
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:1@example.net
ORGANIZER;CN="Müller, Zoë":mailto:zoe@example.net
ATTENDEE;PARTSTAT=NEEDS-ACTION;CN=Ann;X-NUM="a;b:c":MAILTO:ann@example.org
SUMMARY;LANGUAGE=de:Fibre\\, in
  the cellar
DTSTART;TZID=W. Europe Standard Time:20261124T100000
DTEND;TZID=W. Europe Standard Time:20261124T113000
LOCATION:House 1\\nCellar
BEGIN:VALARM
SUMMARY:not this
TRIGGER:-PT15M
END:VALARM
END:VEVENT
END:VCALENDAR
"""
BERLIN = ZoneInfo("Europe/Berlin")


def events(*lines: str, method: str = "REQUEST") -> list[Event]:
    inside = "\r\n".join(lines)
    return read_events(
        f"BEGIN:VCALENDAR\r\nMETHOD:{method}\r\nBEGIN:VEVENT\r\n{inside}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def test_10_an_invitation() -> None:
    (event,) = read_events(INVITATION)
    assert event == Event(
        method="REQUEST",
        title="Fibre, in the cellar",
        start=datetime(2026, 11, 24, 10, 0, tzinfo=BERLIN),
        end=datetime(2026, 11, 24, 11, 30, tzinfo=BERLIN),
        zone="Europe/Berlin",
        place="House 1 Cellar",
        organiser=Mailaddr("Müller, Zoë", "zoe@example.net"),
        attendees=((Mailaddr("Ann", "ann@example.org"), "NEEDS-ACTION"),),
        uid="1@example.net",
    )
    assert event.text() == (
        "Invitation: Fibre, in the cellar\n"
        "When: Tuesday, 24 November 2026, 10:00 – 11:30 (Europe/Berlin)\n"
        "Where: House 1 Cellar\n"
        "Organiser: Müller, Zoë <zoe@example.net>"
    )


TIMES = [
    (("DTSTART:20261124T100000Z",), "Tuesday, 24 November 2026, 10:00 (UTC)"),
    (("DTSTART:20261124T100000",), "Tuesday, 24 November 2026, 10:00"),
    (("DTSTART:20261124T1000",), "Tuesday, 24 November 2026, 10:00"),
    (("DTSTART:20261124T100000Z", "DURATION:PT90M"), "Tuesday, 24 November 2026, 10:00 – 11:30 (UTC)"),
    (
        ("DTSTART:20261124T230000Z", "DTEND:20261125T010000Z"),
        "Tuesday, 24 November 2026, 23:00 – Wednesday, 25 November 2026, 01:00 (UTC)",
    ),
    (("DTSTART;VALUE=DATE:20261124",), "Tuesday, 24 November 2026"),
    (("DTSTART;VALUE=DATE:20261124", "DTEND;VALUE=DATE:20261125"), "Tuesday, 24 November 2026"),
    (
        ("DTSTART;VALUE=DATE:20261124", "DTEND;VALUE=DATE:20261126"),
        "Tuesday, 24 November 2026 – Wednesday, 25 November 2026",
    ),
    (("DTSTART;TZID=Moon/Crater:20261124T100000",), "Tuesday, 24 November 2026, 10:00 (Moon/Crater)"),
    (("DTSTART:20261124T100000Z", "RRULE:FREQ=DAILY"), "Tuesday, 24 November 2026, 10:00 (UTC), repeated"),
    # an end that cannot be compared, or makes no sense, is left out
    (("DTSTART:20261124T100000Z", "DTEND:20261124T110000"), "Tuesday, 24 November 2026, 10:00 (UTC)"),
    (("DTSTART:20261124T100000Z", "DURATION:-PT1H"), "Tuesday, 24 November 2026, 10:00 (UTC)"),
    (("DTSTART:20261399T100000Z",), ""),
    (("DTSTART:00010101T000000Z",), ""),
    (("DTSTART:tomorrow",), ""),
    ((), ""),
]


@pytest.mark.parametrize(("lines", "expected"), TIMES)
def test_10_times(lines: tuple[str, ...], expected: str) -> None:
    assert events("SUMMARY:x", *lines)[0].when() == expected


ZONES = [
    ("Europe/Vienna", "Europe/Vienna"),
    ("/softwarestudio.org/Olson_20011030_5/Europe/Vienna", "Europe/Vienna"),
    ("W. Europe Standard Time", "Europe/Berlin"),
    ('"Eastern Standard Time"', "America/New_York"),
    ("America/Indiana/Knox", "America/Indiana/Knox"),
    ("../../etc/passwd", None),
    ("", None),
    ("x" * 5000, None),
    ("My own zone", None),
]


@pytest.mark.parametrize(("name", "expected"), ZONES)
def test_10_zones(name: str, expected: str | None) -> None:
    zone = zone_of(name)
    assert (zone.key if zone else None) == expected


HEADINGS = [
    ("REPLY", ("ATTENDEE;CN=Ann;PARTSTAT=ACCEPTED:mailto:ann@x.org",), "Ann accepted: Visit"),
    ("REPLY", ("ATTENDEE;PARTSTAT=DECLINED:mailto:ann@x.org",), "ann@x.org declined: Visit"),
    ("REPLY", ("ATTENDEE:mailto:ann@x.org",), "ann@x.org answered: Visit"),
    ("CANCEL", (), "Cancelled: Visit"),
    ("REQUEST", ("STATUS:CANCELLED",), "Cancelled: Visit"),
    ("PUBLISH", (), "Event: Visit"),
]


@pytest.mark.parametrize(("method", "lines", "expected"), HEADINGS)
def test_10_what_the_letter_says(method: str, lines: tuple[str, ...], expected: str) -> None:
    assert events("SUMMARY:Visit", *lines, method=method)[0].heading() == expected


def test_10_an_answer_without_text_is_text() -> None:
    calendar = (
        "BEGIN:VCALENDAR\nMETHOD:REPLY\nBEGIN:VEVENT\nSUMMARY:Visit\nDTSTART:20261124T100000Z\n"
        "ATTENDEE;CN=Ann;PARTSTAT=ACCEPTED:mailto:a@x.org\nEND:VEVENT\nEND:VCALENDAR\n"
    )
    found = read(f"Content-Type: text/calendar; method=REPLY; charset=utf-8\n\n{calendar}".encode())
    assert found.text == "Ann accepted: Visit\nWhen: Tuesday, 24 November 2026, 10:00 (UTC)"
    assert [part.content_type for part in found.parts] == ["text/calendar"]


def test_10_the_same_meeting_twice_is_one() -> None:
    part = "--b\nContent-Type: {}\n\n" + INVITATION
    raw = (
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nPlease come\n"
        + part.format("text/calendar; charset=utf-8")
        + part.format("application/ics; name=invite.ics")
        + "--b--\n"
    )
    found = read(raw.encode())
    assert found.text == "Please come"
    assert [event.title for event in found.events] == ["Fibre, in the cellar"]
    assert [part.filename for part in found.parts] == ["", "invite.ics"]


def test_10_hostile_values_are_one_line() -> None:
    (event,) = events(
        "SUMMARY:a\\nb\0\x1b[2J\u2028c", "ORGANIZER;CN=x\x00y:mailto:a@b.org\x07", "LOCATION:" + "z" * 30_000
    )
    for text in (event.title, event.place, event.organiser.name if event.organiser else "", event.heading()):
        assert not set(text) & set("\r\n\0\x1b\u2028")
    assert len(event.place) <= 1000
    assert read_events("BEGIN:VEVENT\n" * 5000 + "END:VEVENT\n" * 5000)[0].start is None
    assert len(read_events("BEGIN:VEVENT\nEND:VEVENT\n" * 5000)) == 50


def test_10_a_moment_is_in_its_zone() -> None:
    (event,) = events("DTSTART;TZID=Eastern Standard Time:20260701T120000")
    assert isinstance(event.start, datetime) and event.start.astimezone(UTC).hour == 16
    (day,) = events("DTSTART;VALUE=DATE:20260701")
    assert day.start == date(2026, 7, 1)


LINES = st.sampled_from(
    "BEGIN:VEVENT END:VEVENT BEGIN:VALARM METHOD:REPLY DTSTART:20261124 DTSTART:99991231T235959Z DTEND:00000000 "  # noqa: SIM905
    "DTEND:20261124T0000 DURATION:P9999W DURATION:P99999DT999999H RRULE:x ATTENDEE;CN=x:y ORGANIZER:: SUMMARY:\\ ;;:: "
    "DTSTART;TZID=Etc:19000101T000000 DTSTART;TZID=:20261124T100000 STATUS:CANCELLED".split()
)


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES | st.text(max_size=20), max_size=20))
def test_10_any_calendar(lines: list[str]) -> None:
    for event in read_events("\n".join(lines)):
        event.text().encode()
