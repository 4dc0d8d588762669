"""The daily digest of the reader log: once, to the mailbox itself, by the owner's own server, and not read in again."""

from __future__ import annotations

import email
from datetime import UTC, date, datetime, timedelta
from email import policy
from zoneinfo import ZoneInfo

import pytest
from django.db import DatabaseError, connection, transaction

from postern.mail import clock
from postern.mail.access import at_mailbox, viewing_as
from postern.mail.digest import choose, digest_of, due
from postern.mail.digestwords import MOST_MESSAGES, plain, words
from postern.mail.models import Digest, Message, Opening, Sighting
from postern.mail.readerlog import note
from postern.mailboxes.models import Mailbox
from postern.mailboxes.readers import grant
from postern.mailboxes.save import save_mailbox, save_system_email
from postern.outbox import digest
from postern.people.models import Staff
from tests.roles import hire

from .conftest import arrive
from .server import DROP
from .test_tasks import run_worker

BERLIN, NOON = ZoneInfo("Europe/Berlin"), datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def elena(db, mailbox, marta):
    """A colleague with a mailbox of her own, who reads Marta's."""
    staff = hire(email="elena@northlink.example", name="Elena Ruiz", password=None)
    data = {"address": staff.email, "imap_username": "e", "imap_password": "y", "imap_host": "127.0.0.1"}
    with viewing_as(staff):
        save_mailbox(staff=staff, mailbox=None, data=data)
    with viewing_as(marta):
        save_mailbox(
            staff=marta, mailbox=mailbox, data={"imap_host": "127.0.0.1", "imap_password": "correct horse"}
        )
        grant(staff=marta, mailbox=mailbox, reader=staff)
    return staff


@pytest.fixture
def wanted(mailbox, marta, elena, message):
    with viewing_as(marta):
        return choose(staff=marta, mailbox=mailbox, wanted=True, zone="Europe/Berlin")


def opens(staff, message, what=Opening.What.BODY, door=Opening.Door.PAGE, **more):
    with viewing_as(staff):
        row = Message.objects.select_related("mailbox").get(pk=message.pk)
        note(staff=staff, messages=[row], what=what, door=door, **more)


@pytest.fixture
def at(monkeypatch, acting_as):
    """Let the send process look at a moment of the database's clock."""

    def look(moment: datetime) -> int:
        monkeypatch.setattr(clock, "now", lambda: moment)
        with acting_as("send"):
            return digest.send_due()

    return look


def letter_of(taken) -> tuple[str, str]:
    read = email.message_from_bytes(taken.data, policy=policy.default)
    return read["Subject"], read.get_body().get_content().replace("\r\n", "\n")


def test_who_opened_what_goes_to_the_mailbox_itself_once_a_day(wanted, elena, message, mailbox, server, at):
    opens(elena, message)
    opens(elena, message, Opening.What.FILE, part=3, part_name="plan.pdf")
    opens(elena, message, door=Opening.Door.API)
    assert at(NOON) == 1 and at(NOON) == 0 and at(NOON + 8 * HOUR) == 0
    [taken] = server.taken
    assert (taken.recipients, taken.sender) == ([mailbox.address], mailbox.address)
    subject, text = letter_of(taken)
    assert subject == "Reader log: 1 message opened by one person"
    assert "Elena Ruiz: 1 message, on pages and by the API\n  through: Incoming and sent mail\n" in text
    assert "  - RE: Re: New office (from Daniel Hoffmann; " in text and "attachment “plan.pdf”" in text
    opens(elena, message, Opening.What.SOURCE)
    assert at(NOON + 8 * HOUR) == 0 and at(NOON + DAY) == 1
    assert "source)" in letter_of(server.taken[1])[1] and "plan.pdf" not in letter_of(server.taken[1])[1]
    assert at(NOON + 2 * DAY) == 0 and len(server.taken) == 2


def test_nobody_opened_anything_or_nobody_asked_and_nothing_is_sent(
    wanted, marta, elena, mailbox, message, server, at
):
    assert at(NOON) == 0
    with viewing_as(marta):
        choose(staff=marta, mailbox=mailbox, wanted=False)
    opens(elena, message)
    assert at(NOON + DAY) == 0
    with viewing_as(marta):  # from now on: what was opened before is in the log alone
        row = choose(staff=marta, mailbox=mailbox, wanted=True, zone="Nowhere/Such")
        assert row.zone == "Europe/Berlin"
    assert at(NOON + 2 * DAY) == 0 and server.taken == []


def test_it_is_off_unless_chosen_and_the_owners_alone(mailbox, marta, elena, message, server, at, acting_as):
    opens(elena, message)
    assert at(NOON) == 0 and server.taken == []
    with viewing_as(marta):
        assert not digest_of(marta, mailbox).wanted
        choose(staff=marta, mailbox=mailbox, wanted=True)
    with viewing_as(elena):
        assert not Digest.objects.exists()
        with pytest.raises(Mailbox.DoesNotExist):
            choose(staff=elena, mailbox=mailbox, wanted=False)
        assert Digest.objects.update(wanted=False) == 0
    for role in ("web", "sync"):
        with acting_as(role), pytest.raises(DatabaseError, match="permission denied"), at_mailbox(mailbox.pk):
            connection.cursor().execute("SELECT app.openings_since(0, 10)")
    with acting_as("send"), transaction.atomic(), connection.cursor() as cursor:  # at no mailbox
        cursor.execute("SELECT count(*) FROM app.openings_since(0, 10)")
        assert cursor.fetchone() == (0,)


def test_two_jobs_at_once_send_it_once(wanted, elena, message, mailbox, server, at, acting_as):
    """The second looks while the first is with the server."""
    opens(elena, message)
    second = []
    server.on_dot = lambda: second.append(at(NOON))
    assert at(NOON) == 1
    assert second == [0] and len(server.taken) == 1


def test_killed_while_sending_it_is_not_sent_again(wanted, elena, message, mailbox, server, at, monkeypatch):
    opens(elena, message)

    def killed(going):
        raise SystemExit

    monkeypatch.setattr(digest, "_hand_over", killed)
    with pytest.raises(SystemExit):
        at(NOON)
    monkeypatch.undo()
    assert at(NOON) == at(NOON + DAY) == 0 and server.taken == []
    with viewing_as(Staff.objects.get(name="Marta Lindqvist")):
        assert Opening.objects.count() == 1  # the log has it


@pytest.mark.parametrize(
    ("says", "later", "tomorrow"),
    [
        ({"DOT": DROP}, 0, 0),  # it may have arrived
        ({"MAIL": "451 not now"}, 1, 0),
        ({"DATA": "554 never"}, 0, 1),
        ({"AUTH": "535 wrong"}, 0, 1),  # one try a day with a password that does not work
    ],
    ids=str,
)
def test_what_a_server_did_not_take_is_told_again_unless_it_may_have_arrived(
    wanted, elena, message, mailbox, server, at, says, later, tomorrow
):
    opens(elena, message)
    server.says = says
    assert at(NOON) == 0
    taken = len(server.taken)
    server.says = {}
    assert at(NOON + HOUR) == later and at(NOON + DAY) == tomorrow
    assert len(server.taken) == taken + later + tomorrow


def test_a_clock_that_goes_back_or_leaps_tells_nothing_twice(wanted, elena, message, mailbox, server, at):
    opens(elena, message)
    assert at(NOON) == 1
    for moment in (NOON - DAY, NOON - 400 * DAY, NOON + 400 * DAY, NOON):
        assert at(moment) == 0
    opens(elena, message, Opening.What.SOURCE)
    assert at(NOON + DAY) == 1 and len(server.taken) == 2


@pytest.mark.parametrize(
    ("now", "zone", "last", "expected"),
    [
        ("2026-11-24T05:59:00", "Europe/Berlin", None, None),
        ("2026-11-24T06:00:00", "Europe/Berlin", None, "2026-11-24"),
        ("2026-07-24T05:00:00", "Europe/Berlin", None, "2026-07-24"),  # summer time
        ("2026-11-24T06:00:00", "Europe/Berlin", "2026-11-23", "2026-11-24"),
        ("2026-11-24T22:00:00", "Europe/Berlin", "2026-11-24", None),
        ("2026-10-25T06:00:00", "Europe/Berlin", "2026-10-24", "2026-10-25"),  # the night with an hour more
        ("2026-10-25T05:30:00", "Europe/Berlin", "2026-10-24", None),
        ("2026-03-29T05:00:00", "Europe/Berlin", "2026-03-28", "2026-03-29"),  # and with one less
        ("2026-11-23T22:00:00", "Pacific/Auckland", "2026-11-23", "2026-11-24"),
        ("2026-11-24T18:00:00", "Pacific/Honolulu", "2026-11-25", None),  # the owner flew west
        ("2026-11-24T12:00:00", "UTC", "2028-01-01", "2026-11-24"),  # a clock that was years ahead
    ],
)
def test_whose_day_it_is(now, zone, last, expected):
    found = due(
        datetime.fromisoformat(now).replace(tzinfo=UTC),
        ZoneInfo(zone),
        date.fromisoformat(last) if last else None,
    )
    assert (found.isoformat() if found else None) == expected


def test_who_left_gets_none_and_neither_does_a_mailbox_that_cannot_send(
    wanted, marta, elena, message, mailbox, server, at, acting_as
):
    opens(elena, message)
    with viewing_as(marta):
        save_mailbox(staff=marta, mailbox=mailbox, data={"sending": ""})
    assert at(NOON) == 0
    with viewing_as(marta):
        save_mailbox(staff=marta, mailbox=mailbox, data={"sending": "on"})
    with acting_as("superuser"):
        Staff.objects.filter(pk=marta.pk).update(is_active=False)
    assert at(NOON + DAY) == 0
    with acting_as("superuser"):
        Staff.objects.filter(pk=marta.pk).update(is_active=True)
    assert at(NOON + DAY) == 1


def test_subjects_do_not_pass_the_companys_server_unless_the_owners_letters_do(
    wanted, marta, elena, message, mailbox, server, at, acting_as
):
    boss = hire(email="ruth@northlink.example", name="Ruth", password=None, role="super")
    data = {"sender_email": "office@northlink.example", "smtp_host": "127.0.0.1", "smtp_port": server.port}
    with viewing_as(boss):
        save_system_email(
            staff=boss, data=data | {"smtp_security": "none", "smtp_auth": "none", "sending": "on"}
        )
    opens(elena, message)
    assert at(NOON) == 1 and server.taken[0].sender == mailbox.address and server.taken[0].login
    with viewing_as(marta):
        save_mailbox(staff=marta, mailbox=mailbox, data={"use_system_smtp": "on"})
    opens(elena, message, Opening.What.SOURCE)
    assert at(NOON + DAY) == 1 and server.taken[1].sender == "office@northlink.example"
    assert server.taken[1].recipients == [mailbox.address]


@pytest.mark.parametrize("folder", ["inbox", "sent"])
def test_read_from_the_mailbox_it_is_a_line_of_the_ledger_that_no_reader_sees(
    wanted, marta, elena, message, mailbox, server, at, acting_as, folder
):
    """As it is, and as a server that writes a Message-ID of its own hands it over."""
    opens(elena, message)
    assert at(NOON) == 1
    raw = server.taken[0].data
    other = raw.replace(b"Message-ID: <", b"Message-ID: <rewritten.")
    assert other != raw
    for uid, one in ((70, raw), (71, other)):
        assert arrive(mailbox, acting_as, one, folder, uid=uid) is None
    with viewing_as(marta):
        rows = Sighting.objects.filter(uid__in=(70, 71)).values_list("outcome", "message_id")
        assert list(rows) == [("skipped", None)] * 2
        assert Message.objects.count() == 1
    # What only says that it is one, or comes from a person who answers it, is mail like any other.
    forged = raw.replace(wanted.mark.encode(), b"0" * 32)
    answer = raw.replace(b"Auto-Submitted: auto-generated\r\n", b"").replace(
        b"X-Auto-Response-Suppress: All\r\n", b""
    )
    for uid, one in ((72, forged), (73, answer)):
        assert arrive(mailbox, acting_as, one, folder, uid=uid) is not None
    with viewing_as(elena):
        assert arrive_elsewhere(elena, acting_as, raw) is not None  # in another's mailbox it is not theirs


def arrive_elsewhere(staff, acting_as, raw):
    with acting_as("superuser"):
        box = Mailbox.objects.get(owner=staff)
    return arrive(box, acting_as, raw, uid=9)


def test_the_worker_does_it(wanted, elena, message, mailbox, server, acting_as, monkeypatch):
    opens(elena, message)
    monkeypatch.setattr(clock, "now", lambda: NOON)
    with acting_as("send"), connection.cursor() as cursor:
        cursor.execute(
            "SELECT procrastinate_defer_periodic_job_v2('digest', NULL, 'digest', 'digest', 0, '', 1, '{\"timestamp\": 1}')"
        )
    run_worker(acting_as)
    assert len(server.taken) == 1


def line(pk, subject="Hello", reader=1, **more):
    values = {
        "reader_name": f"Reader {reader}",
        "what": "body",
        "door": "page",
        "author": "Greta",
        "outgoing": False,
    }
    return Opening(pk=pk, message_id=pk, reader_id=reader, subject=subject, at=NOON, **(values | more))


def test_a_long_day_is_told_briefly_and_strangers_words_stay_on_their_line():
    many = [line(pk, reader=1 + pk % 2) for pk in range(1, 101)]
    subject, text = words(many, address="m@x.example", zone=BERLIN)
    assert subject == "Reader log: 100 messages opened by 2 people"
    assert text.count("  - Hello") == 2 * MOST_MESSAGES and text.count("  and 30 more") == 2
    assert "24 Nov 13:00" in text and text.index("Reader 1: 50") < text.index("Reader 2: 50")
    assert plain("a\r\n\nBcc: x\u202e\u2028y\0z") == "a Bcc: x y z" and len(plain("x" * 500)) == 121
    _, text = words([line(1, "", outgoing=True, author="")], address="m@x.example", zone=BERLIN)
    assert "(no subject)" in text and "access that has ended since" in text
