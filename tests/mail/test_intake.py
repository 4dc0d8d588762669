"""Intake: each letter once, denied mail leaves only its ledger line, our own mail is recognised."""

from dataclasses import replace
from datetime import timedelta

import pytest

from postern.mail.access import at_mailbox, viewing_as
from postern.mail.intake import Arrival, record_sent, take_in
from postern.mail.models import Bcc, Errand, Message, Raw, Sighting
from postern.mailboxes.models import DenyEntry, Folder
from tests.world import NOON, World, arrive, letter, make_folder, make_world


@pytest.fixture
def world(db, acting_as) -> World:
    return make_world(acting_as)


def ledger(acting_as, world: World) -> list[tuple[str, str]]:
    with acting_as("superuser"):
        return list(Sighting.objects.order_by("pk").values_list("outcome", "reason"))


def test_a_letter_from_a_customer_is_filed_and_kept_byte_for_byte(world, acting_as):
    raw = letter(subject="Packet loss in the mornings")
    (message,) = arrive(acting_as, world.inbox, raw)
    with viewing_as(world.owner):
        row = Message.objects.visible_to(world.owner).get()
        assert (row.subject, row.known, row.owner_party) == ("Packet loss in the mornings", True, True)
        assert row.parties.get().customer == world.customer
        assert Raw.objects.get(message=message).letter() == raw


def test_a_stranger_is_author_not_found(world, acting_as):
    arrive(acting_as, world.inbox, letter(sender="who@else.example"))
    with viewing_as(world.owner):
        assert not Message.objects.visible_to(world.owner).get().known


def test_the_same_uid_again_changes_nothing(world, acting_as):
    one = Arrival(5, frozenset(), NOON, letter())
    for _ in range(2):
        with acting_as("sync"):
            take_in(folder=world.inbox, uidvalidity=7, arrivals=[one], next_uid=6)
    assert len(ledger(acting_as, world)) == 1
    with acting_as("superuser"):
        assert Message.objects.count() == 1
        assert Folder.objects.get(pk=world.inbox.pk).next_uid == 6


def test_the_same_bytes_under_two_uids_are_one_message_with_two_sightings(world, acting_as):
    raw = letter()
    arrive(acting_as, world.inbox, raw, raw)
    with acting_as("superuser"):
        assert Message.objects.get().sightings.count() == 2


def test_two_letters_with_one_message_id_are_two_messages(world, acting_as):
    arrive(
        acting_as, world.inbox, letter(mid="same@x.example"), letter(mid="same@x.example", body="Other\r\n")
    )
    with acting_as("superuser"):
        assert Message.objects.count() == 2
        assert Message.objects.values("conversation").distinct().count() == 1


@pytest.mark.parametrize(
    ("pattern", "denied"),
    [
        ("greta@brandt-bakery.example", True),
        ("brandt-bakery.example", True),
        ("example", True),
        ("bakery.example", False),
        ("other@brandt-bakery.example", False),
    ],
)
def test_the_deny_list_looks_at_the_sender_and_covers_subdomains(world, acting_as, pattern, denied):
    with acting_as("superuser"):
        DenyEntry.objects.create(mailbox=world.mailbox, pattern=pattern)
    stored = arrive(acting_as, world.inbox, letter())
    assert (stored == []) is denied
    if denied:
        assert ledger(acting_as, world) == [("denied", pattern)]
        with acting_as("superuser"):
            assert not Raw.objects.exists()


def test_a_denied_recipient_is_no_reason_to_deny(world, acting_as):
    with acting_as("superuser"):
        DenyEntry.objects.create(mailbox=world.mailbox, pattern="owner@isp.example")
    assert len(arrive(acting_as, world.inbox, letter())) == 1


def test_sent_mail_is_always_read_and_filed_by_its_recipients(world, acting_as):
    with acting_as("superuser"):
        DenyEntry.objects.create(mailbox=world.mailbox, pattern="owner@isp.example")
    arrive(acting_as, world.sent, letter(sender="owner@isp.example", to="greta@brandt-bakery.example"))
    with viewing_as(world.owner):
        row = Message.objects.visible_to(world.owner).get()
        assert (row.outgoing, row.known) == (True, True)


def test_our_own_delivery_comes_back_as_a_sighting_only(world, acting_as):
    raw = letter(sender="owner@isp.example", to="greta@brandt-bakery.example", mid="d1@isp.example")
    with acting_as("send"), at_mailbox(world.mailbox.pk):
        mine = record_sent(mailbox=world.mailbox, raw=raw, sent_at=NOON, bcc=[["", "b@x.example"]])
    assert arrive(acting_as, world.sent, raw.replace(b"Subject", b"X-Server: 1\r\nSubject")) == []
    with acting_as("superuser"):
        assert Message.objects.get().pk == mine.pk
        assert Sighting.objects.get().message_id == mine.pk
        assert Bcc.objects.get().addresses == [["", "b@x.example"]]


def test_another_letter_with_our_message_id_but_other_recipients_is_not_ours(world, acting_as):
    raw = letter(sender="owner@isp.example", to="greta@brandt-bakery.example", mid="d2@isp.example")
    with acting_as("send"), at_mailbox(world.mailbox.pk):
        record_sent(mailbox=world.mailbox, raw=raw, sent_at=NOON, bcc=[])
    assert len(arrive(acting_as, world.sent, raw.replace(b"To: greta", b"To: gerta"))) == 1


def test_mark_as_read_makes_an_errand_for_unseen_incoming_mail_only(world, acting_as):
    with acting_as("superuser"):
        world.mailbox.mark_as_read = True
        world.mailbox.save()
    arrive(acting_as, world.inbox, letter(subject="unseen"))
    arrive(acting_as, world.inbox, letter(subject="seen"), flags=frozenset({"\\Seen"}))
    arrive(acting_as, world.sent, letter(subject="sent"))
    with acting_as("superuser"):
        assert [e.message.subject for e in Errand.objects.filter(kind="seen")] == ["unseen"]


def test_skipped_letters_are_in_the_ledger_with_the_reason(world, acting_as):
    arrive(acting_as, world.inbox, skipped=[(9, "Read elsewhere before it was met here")])
    assert ledger(acting_as, world) == [("skipped", "Read elsewhere before it was met here")]


def test_a_letter_that_cannot_be_stored_is_quarantined_and_the_others_arrive(world, acting_as, monkeypatch):
    import postern.mail.intake as intake

    real = intake.prepare

    def broken(arrival, *, outgoing):
        one = real(arrival, outgoing=outgoing)
        return replace(one, from_address="x" * 400) if one.subject == "Broken" else one

    monkeypatch.setattr(intake, "prepare", broken)
    raw = letter(subject="Broken")
    arrive(acting_as, world.inbox, letter(subject="One"), raw, letter(subject="Two"))
    with acting_as("superuser"):
        assert set(Message.objects.values_list("subject", flat=True)) == {
            "One",
            "Two",
            "This message could not be read",
        }
        assert Raw.objects.get(message__subject="This message could not be read").letter() == raw
    assert [outcome for outcome, _ in ledger(acting_as, world)] == ["imported", "quarantined", "imported"]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_threads_are_the_same_in_whatever_order_they_arrive(world, acting_as, order):
    raws = [
        letter(mid="a@x.example"),
        letter(mid="b@x.example", headers="In-Reply-To: <a@x.example>\r\nReferences: <a@x.example>\r\n"),
        letter(mid="c@x.example", headers="References: <a@x.example> <b@x.example>\r\n"),
        letter(mid="z@x.example"),
    ]
    for index in order:
        arrive(acting_as, world.inbox, raws[index], at=NOON + timedelta(minutes=index))
    with acting_as("superuser"):
        groups: dict[int, set[str]] = {}
        for message in Message.objects.all():
            groups.setdefault(message.conversation_id, set()).add(message.message_id[0])
    assert sorted(map(sorted, groups.values())) == [["a", "b", "c"], ["z"]]


def test_a_forged_reference_never_joins_another_mailbox(world, acting_as):
    with acting_as("superuser"):
        other = make_folder(world.colleague_mailbox)
    arrive(acting_as, world.inbox, letter(mid="private@x.example"))
    arrive(acting_as, other, letter(mid="spy@x.example", headers="References: <private@x.example>\r\n"))
    with acting_as("superuser"):
        assert Message.objects.values("conversation").distinct().count() == 2


def test_a_letter_rendered_anew_after_a_new_uidvalidity_is_the_same_message(world, acting_as):
    raw = letter(mid="again@x.example", subject="again")
    (message,) = arrive(acting_as, world.inbox, raw)
    with acting_as("superuser"):
        Sighting.objects.update(message=None)
    assert arrive(acting_as, world.inbox, raw.replace(b"Subject", b"X-Rendered: 1\r\nSubject")) == []
    other = raw.replace(b"greta@", b"gerta@")
    assert len(arrive(acting_as, world.inbox, other)) == 1, (
        "another author's letter with that Message-ID is another"
    )
    with acting_as("superuser"):
        assert Message.objects.get(from_address="greta@brandt-bakery.example").pk == message.pk


def test_a_letter_that_cannot_even_be_read_is_quarantined(world, acting_as, monkeypatch):
    import postern.mail.preparing as preparing

    real = preparing.read

    def fragile(raw):
        if b"Poison" in raw:
            raise RecursionError("deep")
        return real(raw)

    monkeypatch.setattr(preparing, "read", fragile)
    arrive(acting_as, world.inbox, letter(subject="Poison"), letter(subject="Fine"))
    assert [outcome for outcome, _ in ledger(acting_as, world)] == ["quarantined", "imported"], (
        "in their order"
    )


def test_a_database_in_trouble_stores_nothing_and_moves_no_cursor(world, acting_as, monkeypatch):
    from django.db import OperationalError

    import postern.mail.intake as intake

    def full(*_, **__):
        raise OperationalError("No space left on device")

    monkeypatch.setattr(intake, "create_all", full)
    with pytest.raises(OperationalError):
        arrive(acting_as, world.inbox, letter(), next_uid=99)
    assert ledger(acting_as, world) == []
    with acting_as("superuser"):
        assert Folder.objects.get(pk=world.inbox.pk).next_uid == 1


def test_the_number_of_statements_does_not_grow_with_the_batch(world, acting_as):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counted = []
    for size in (2, 40):
        with CaptureQueriesContext(connection) as queries:
            arrive(acting_as, world.inbox, *(letter() for _ in range(size)))
        counted.append(len(queries))
    assert counted[1] <= counted[0] + 2


def test_blind_copies_of_a_letter_sent_elsewhere_are_the_owners_alone(world, acting_as):
    raw = letter(sender="owner@isp.example", to="a@b.example", headers="Bcc: Boss <boss@isp.example>\r\n")
    arrive(acting_as, world.sent, raw)
    with viewing_as(world.owner):
        assert Bcc.objects.get().addresses == [["Boss", "boss@isp.example"]]
    with viewing_as(world.reader):
        assert not Bcc.objects.exists()
