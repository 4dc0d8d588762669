"""INTERNALDATE in odd zones, in the future and long ago, and a Date that says something else (R-021)."""

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest

from postern.sync.reconcile import reconcile

from .box import USER, letter

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-021")]


def zone(hours):
    return timezone(timedelta(hours=hours))


def dated(subject, words):
    return letter(subject).replace(b"Mon, 23 Nov 2026 10:31:00 +0000", words.encode())


def test_what_counts_is_the_day_of_arrival_in_the_servers_words_whatever_date_says(box, dovecot):
    since = date.today() - timedelta(days=10)
    day = datetime(since.year, since.month, since.day, tzinfo=UTC)
    arrived = {
        "in: first second": day,
        "in: zone far west": datetime.combine(since, time(11, 30), UTC).astimezone(zone(-12)),
        "in: the future": datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC),
        "out: last second": day - timedelta(seconds=1),
        "out: zone far east": (day - timedelta(hours=13, minutes=30)).astimezone(zone(14)),
        "out: long ago": datetime(1971, 1, 1, tzinfo=UTC),
    }
    dates = ["Fri, 31 Dec 2049 23:59:59 +1400", "Thu, 01 Jan 1970 00:00:00 -1200", "yesterday"]
    for number, (subject, moment) in enumerate(arrived.items()):
        dovecot.append(USER, "INBOX", dated(subject, dates[number % 3]), date=moment)
    told = {dovecot.internaldate(USER, "INBOX", uid).tzinfo.utcoffset(None) for uid in dovecot.uids(USER)}
    assert told == {timedelta(0)}, "the days above are those of a server in UTC"
    box.change(historic=True, historic_since=since)
    box.visit()
    assert sorted(box.subjects()) == sorted(subject for subject in arrived if subject.startswith("in"))
    assert reconcile(box.mailbox.pk).complete


def test_what_comes_after_the_first_visit_is_new_whatever_its_dates(box, dovecot):
    box.change(historic=True, historic_since=date.today() - timedelta(days=10))
    box.visit()
    moments = (datetime(1971, 1, 1, tzinfo=zone(14)), datetime(2049, 12, 31, tzinfo=zone(-12)))
    for number, moment in enumerate(moments):
        dovecot.append(USER, "INBOX", dated(f"new {number}", "Sat, 32 Foo 0000 99:99 +9959"), date=moment)
    box.visit()
    assert sorted(box.subjects()) == ["new 0", "new 1"]
    assert reconcile(box.mailbox.pk).complete
