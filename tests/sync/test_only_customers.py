"""A mailbox that stores only customers' mail, on a real Dovecot: strangers leave a header, for a while."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F

from postern.mail.access import at_mailbox, viewing_as
from postern.mail.completing import FORGOTTEN, forget_strangers
from postern.mail.models import Body, Errand, Message, Party, Sighting
from postern.mail.pairing import add_address, file_mail
from postern.mail.rebuild import rebuild
from postern.mail.withholding import STRANGER
from postern.people.models import Customer
from postern.sync.reconcile import reconcile
from postern.wire.imap import Session

from .box import USER, letter

pytestmark = pytest.mark.dovecot
SECRET = "the body of a stranger"


@pytest.fixture
def greta(box, acting_as):
    """A customer."""
    with acting_as("web"), viewing_as(box.owner):
        customer = Customer.objects.create(name="Brandt Bakery", number="1001")
        add_address(staff=box.owner, customer=customer, email="greta@brandt.example")
    return customer


@pytest.fixture
def met(box, dovecot, greta):
    """The mailbox after its first visit."""
    box.change(only_customers=True)
    box.visit()
    return box


def stranger(subject="from a stranger"):
    return letter(subject, body=SECRET, sender="nobody@elsewhere.example")


def rows(box):
    with at_mailbox(box.mailbox.pk):
        return {m.subject: m for m in Message.objects.select_related("body", "raw").order_by("pk")}


def paired(box, acting_as, customer, email="nobody@elsewhere.example"):
    with acting_as("web"), viewing_as(box.owner):
        add_address(staff=box.owner, customer=customer, email=email)


def aged(box, days):
    with at_mailbox(box.mailbox.pk):
        Message.objects.update(stored_at=F("stored_at") - timedelta(days=days))


def test_of_strangers_only_the_header_is_fetched_and_stored(met, dovecot):
    raw = stranger()
    dovecot.append(USER, "INBOX", raw)
    dovecot.append(USER, "INBOX", letter("from Greta"))
    met.change(mark_as_read=True)
    met.visit()
    found = rows(met)
    assert (found["from a stranger"].withheld, found["from Greta"].withheld) == (STRANGER, "")
    assert found["from a stranger"].raw.letter() == raw[: raw.index(b"\r\n\r\n") + 4]
    assert found["from a stranger"].size == len(raw)
    assert found["from a stranger"].from_address == "nobody@elsewhere.example"
    assert not found["from a stranger"].known
    assert "Hello." in found["from Greta"].body.text
    with connection.cursor() as cursor, at_mailbox(met.mailbox.pk):
        cursor.execute("SELECT count(*) FROM mail_messagesearch WHERE tsv @@ 'body'::tsquery")
        assert cursor.fetchone() == (0,)
    # What was not stored here is not marked as read there.
    flags = [dovecot.flags(USER, "INBOX", uid) for uid in dovecot.uids(USER)]
    assert flags == [set(), {"\\Seen"}]


@pytest.mark.parametrize("room", [None, 300])
def test_each_header_is_fetched_once_as_far_as_there_is_room(met, dovecot, monkeypatch, room):
    asked = []
    real = Session.uid_fetch_beginnings

    async def counted(session, uids):
        asked.extend(uids)
        return await real(session, uids)

    monkeypatch.setattr(Session, "uid_fetch_beginnings", counted)
    if room:
        monkeypatch.setattr("postern.sync.bringing.MOST_HEADERS", room)  # one of three
    raws = [stranger(f"number {n}") for n in range(3)]
    for raw in raws:
        dovecot.append(USER, "INBOX", raw)
    dovecot.append(USER, "INBOX", letter("from Greta"))
    met.visit()
    assert set(asked) == set(dovecot.uids(USER))
    assert len(asked) == (6 if room else 4)
    found = rows(met)
    for n, raw in enumerate(raws):
        assert found[f"number {n}"].raw.letter() == raw[: raw.index(b"\r\n\r\n") + 4]


def test_pairing_the_sender_brings_the_whole_letter_in(met, dovecot, greta, acting_as):
    raw = stranger()
    dovecot.append(USER, "INBOX", raw)
    met.visit()
    before = rows(met)["from a stranger"]
    paired(met, acting_as, greta)
    assert [errand.kind for errand in met.errands()] == [Errand.Kind.FETCH]
    met.visit()
    after = rows(met)["from a stranger"]
    assert (after.pk, after.conversation_id, after.received_at) == (
        before.pk,
        before.conversation_id,
        before.received_at,
    )
    assert (after.withheld, after.known, after.raw.letter()) == ("", True, raw)
    assert SECRET in after.body.text
    assert after.preview.startswith(SECRET)
    assert met.errands() == []
    assert list(met.ledger().values()) == ["imported"]
    assert dovecot.flags(USER, "INBOX", dovecot.uids(USER)[0]) == set()
    # And it is the same message whatever comes: a new look, new numbers, everything made anew.
    dovecot.set_uidvalidity(USER, "INBOX", dovecot.status(USER)["UIDVALIDITY"] + 1)
    met.visit()
    rebuild(met.mailbox.pk)
    assert [m.pk for m in rows(met).values()] == [after.pk]
    assert SECRET in rows(met)["from a stranger"].body.text
    assert reconcile(met.mailbox.pk).complete


def test_somebody_else_pairs_and_the_job_brings_it_in(met, dovecot, greta, acting_as):
    dovecot.append(USER, "INBOX", stranger())
    met.visit()
    with acting_as("web"), viewing_as(met.owner):
        greta.addresses.create(email="nobody@elsewhere.example")
    with acting_as("send"):
        file_mail([greta.pk])
    met.visit()
    assert rows(met)["from a stranger"].withheld == ""


def test_a_letter_that_left_meanwhile_stays_a_header_and_says_why(met, dovecot, greta, acting_as):
    dovecot.append(USER, "INBOX", stranger())
    met.visit()
    dovecot.expunge(USER, "INBOX", dovecot.uids(USER)[0])
    met.visit()
    paired(met, acting_as, greta)
    met.visit()
    assert rows(met)["from a stranger"].withheld == STRANGER
    (errand,) = met.errands()
    assert errand.failed_at is not None
    assert "no longer" in errand.error


def test_what_nobody_wanted_is_forgotten_and_never_fetched_again(met, dovecot):
    dovecot.append(USER, "INBOX", stranger())
    dovecot.append(USER, "INBOX", letter("from Greta"))
    met.visit()
    aged(met, 29)
    assert forget_strangers() == 0
    aged(met, 2)
    assert forget_strangers() == 1
    assert list(rows(met)) == ["from Greta"]
    met.visit()
    assert list(rows(met)) == ["from Greta"]
    assert list(met.ledger().values()) == ["skipped", "imported"]
    with at_mailbox(met.mailbox.pk):
        assert Sighting.objects.get(message=None).reason == FORGOTTEN
        assert Body.objects.count() == 1
    assert reconcile(met.mailbox.pk).complete


def test_one_that_was_filed_by_hand_is_not_forgotten(met, dovecot, greta):
    dovecot.append(USER, "INBOX", stranger())
    met.visit()
    with at_mailbox(met.mailbox.pk):
        message = Message.objects.get()
        Party.objects.create(message=message, mailbox=met.mailbox, customer=greta, by_hand=True)
        Message.objects.update(known=True)
    aged(met, 60)
    assert forget_strangers() == 0


def test_the_days_are_the_owners(met, dovecot):
    met.change(stranger_days=90)
    dovecot.append(USER, "INBOX", stranger())
    met.visit()
    aged(met, 60)
    assert forget_strangers() == 0
    aged(met, 31)
    assert forget_strangers() == 1


def test_switched_off_the_rest_is_brought_in(met, dovecot):
    dovecot.append(USER, "INBOX", stranger())
    met.visit()
    met.change(only_customers=False)
    assert forget_strangers() == 0
    met.visit()
    assert SECRET in rows(met)["from a stranger"].body.text


def test_sent_mail_counts_by_whom_it_is_to(met, dovecot):
    mine = letter("to Greta", sender=USER).replace(f"To: {USER}".encode(), b"To: greta@brandt.example")
    other = letter("to a stranger", sender=USER, body=SECRET).replace(
        f"To: {USER}".encode(), b"To: nobody@elsewhere.example"
    )
    dovecot.append(USER, "Sent", mine)
    dovecot.append(USER, "Sent", other)
    met.visit()
    found = rows(met)
    assert (found["to Greta"].withheld, found["to a stranger"].withheld) == ("", STRANGER)
    assert SECRET not in found["to a stranger"].body.text
