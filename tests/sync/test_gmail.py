"""Gmail shows one letter in several folders: one message, its bytes downloaded once (R-019)."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.conf import settings

from postern.mail.access import at_mailbox, viewing_as
from postern.mail.models import Message, Sighting
from postern.mailboxes.save import save_mailbox
from tests.servers.gmail import Gmail

from .box import USER, letter, make_box

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-019")]
THEN = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
OWN = {"sender": USER}  # a letter to oneself lies in INBOX and in the sent folder


@pytest.fixture
def gmail(dovecot, operator, monkeypatch):
    with Gmail(dovecot, USER) as front:
        monkeypatch.setattr(settings, "MAIL_HOSTS", f"{settings.MAIL_HOSTS},localhost:{front.port}")
        yield front


@pytest.fixture
def box(db, dovecot, gmail, acting_as):
    made = make_box(dovecot, port=gmail.port)
    with acting_as("sync"):
        yield made


def both(box, raw, at=THEN):
    for folder in ("INBOX", "Sent"):
        box.server.append(USER, folder, raw, date=at)


def sightings(box, **narrow):
    """(folder, message) of what lies on the server."""
    with at_mailbox(box.mailbox.pk):
        rows = Sighting.objects.filter(gone_at=None, outcome="imported", **narrow).order_by("pk")
        return list(rows.values_list("folder__name", "message_id"))


def messages(box):
    with at_mailbox(box.mailbox.pk):
        return list(Message.objects.order_by("pk").values_list("pk", flat=True))


@pytest.mark.parametrize("old", [False, True], ids=["new mail", "history"])
def test_one_letter_in_two_folders_is_one_message_and_downloaded_once(box, gmail, old):
    if old:
        box.change(historic=True, historic_since=date(2026, 11, 1))
    else:
        box.visit()
    both(box, letter("To myself", **OWN))
    both(box, letter("And again", **OWN))
    box.server.append(USER, "Sent", letter("Only sent", **OWN), date=THEN)
    box.visit()
    one, two, three = messages(box)
    assert sorted(sightings(box)) == sorted(
        [("INBOX", one), ("INBOX", two), ("Sent", one), ("Sent", two), ("Sent", three)]
    )
    assert [(folder, uids.count(":") + uids.count(",") + 1) for folder, uids in gmail.bodies] == [
        ("INBOX", 2),
        ("Sent", 1),
    ], "two of INBOX, one of Sent"
    asked = len(gmail.bodies)
    box.visit()
    assert len(gmail.bodies) == asked
    assert box.ledger("Sent") == dict.fromkeys(box.server.uids(USER, "Sent"), "imported")


def test_a_folder_that_is_numbered_anew_is_matched_without_its_bytes(box, gmail):
    box.visit()
    for subject in ("one", "two", "three"):
        box.server.append(USER, "INBOX", letter(subject), date=THEN)
    box.visit()
    before, asked = messages(box), len(gmail.bodies)
    box.server.set_uidvalidity(USER, "INBOX", 4711)
    box.visit()
    assert messages(box) == before and len(gmail.bodies) == asked
    assert sorted(message for _, message in sightings(box, uidvalidity=4711)) == before


def test_a_letter_that_left_and_comes_back_is_the_same_message(box, gmail):
    box.visit()
    raw = letter("Archived")
    box.server.append(USER, "INBOX", raw, date=THEN)
    box.server.append(USER, "INBOX", letter("Stays"), date=THEN)
    box.visit()
    box.server.expunge(USER, "INBOX", box.server.uids(USER)[0])
    box.visit()
    assert box.subjects(gone_at=None) == ["Stays"]
    asked = len(gmail.bodies)
    box.server.append(USER, "INBOX", raw, date=THEN)
    box.visit()
    assert box.subjects(gone_at=None) == ["Archived", "Stays"] and len(messages(box)) == 2
    assert len(gmail.bodies) == asked


def test_flags_are_each_places_own(box, gmail):
    box.visit()
    raw = letter("Half read", **OWN)
    box.server.append(USER, "INBOX", raw, date=THEN)
    box.server.append(USER, "Sent", raw, date=THEN, flags=["\\Seen"])
    box.visit()
    with at_mailbox(box.mailbox.pk):
        assert dict(Sighting.objects.values_list("folder__name", "flags")) == {"INBOX": "", "Sent": "S"}


def test_two_letters_with_one_message_id_stay_two(box, gmail):
    box.visit()
    first = letter("Same id", body="first")
    box.server.append(USER, "INBOX", first, date=THEN)
    box.server.append(USER, "Sent", first.replace(b"first", b"other"), date=THEN)
    box.visit()
    assert len(messages(box)) == 2 and len(gmail.bodies) == 2


@pytest.mark.parametrize("differs", ["bytes", "arrival"])
def test_a_name_alone_is_not_believed(box, gmail, differs):
    """The mailbox was moved to another account, whose names may be the same: no letter is lost for that."""
    first, other = letter("First"), letter("Another letter")
    if differs == "arrival":
        other = letter("Other")  # as long as the first
        assert len(other) == len(first)
    gmail.msgids = {first: 4711, other: 4711}
    box.visit()
    box.server.append(USER, "INBOX", first, date=THEN)
    box.visit()
    later = THEN + timedelta(seconds=1) if differs == "arrival" else THEN
    box.server.append(USER, "Sent", other, date=later)
    box.visit()
    assert len(messages(box)) == 2 and len(gmail.bodies) == 2


def test_a_letter_of_which_only_the_header_is_here_is_not_taken_for_the_whole(box, gmail, monkeypatch):
    box.visit()
    raw = letter("Large", body="x" * 3000)
    with monkeypatch.context() as before:
        before.setattr("postern.sync.plan.MAX_LETTER_BYTES", 2000)
        box.server.append(USER, "INBOX", raw, date=THEN)
        box.visit()
    assert box.subjects(withheld="") == [] and gmail.bodies == []
    box.server.append(USER, "Sent", raw, date=THEN)
    box.visit()
    assert box.subjects(withheld="") == ["Large"] and len(gmail.bodies) == 1


def test_where_there_is_a_deny_list_each_letter_of_inbox_is_judged(box, gmail, acting_as):
    box.visit()
    raw = letter("Denied", sender="noise@noise.example")
    box.server.append(USER, "Sent", raw, date=THEN)
    box.visit()
    with acting_as("web"), viewing_as(box.owner):
        save_mailbox(staff=box.owner, mailbox=box.mailbox, data={"deny_list": "noise.example"})
    box.server.append(USER, "INBOX", raw, date=THEN)
    box.visit()
    assert list(box.ledger().values()) == ["denied"]


def test_elsewhere_no_name_is_believed(db, dovecot, operator, acting_as):
    """A server that is not Gmail: still one message, by its bytes, which are read in each folder."""
    plain = make_box(dovecot)
    with acting_as("sync"):
        plain.visit()
        both(plain, letter("To myself", **OWN))
        plain.visit()
        (one,) = messages(plain)
        assert sightings(plain) == [("INBOX", one), ("Sent", one)]
        with at_mailbox(plain.mailbox.pk):
            assert list(Message.objects.values_list("emailid", flat=True)) == [""]
