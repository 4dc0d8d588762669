"""Answers in another's name: who may write them, and who sees what of them."""

from __future__ import annotations

import email
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from postern.mail.access import viewing_as
from postern.mail.models import Bcc, Message
from postern.mailboxes.models import Mailbox
from postern.outbox import behalf, compose
from postern.outbox.behalf import Standing
from postern.outbox.compose import ComposeError
from postern.outbox.models import Delivery, OutgoingFile
from postern.outbox.quoting import own_words

from .answering import MINE, change, seen, send, work
from .conftest import arrive

STRANGER = (
    b"From: nobody@elsewhere.example\r\nTo: marta@northlink.example\r\nSubject: Who are you\r\n"
    b"Message-ID: <x@elsewhere.example>\r\n\r\nHello\r\n"
)
SENT = (
    b"From: marta@northlink.example\r\nTo: daniel@hoffmann.example\r\nSubject: Sent before\r\n"
    b"Message-ID: <sent@northlink.example>\r\n\r\nHello\r\n"
)


def test_a_draft_is_its_authors_alone(draft, petra, rosa, marta, mailbox):
    assert (draft.mailbox, draft.author) == (mailbox, petra)
    mine = seen(petra, draft)
    assert (mine.standing, mine.on_behalf_of, mine.from_address) == (
        Standing.ANSWERING,
        "Marta Lindqvist",
        "marta@northlink.example",
    )
    assert mine.can_edit and "We move" in mine.row.html and [f.name for f in mine.files] == ["logo.png"]
    for other in (marta, rosa):
        assert seen(other, draft) is None
        with viewing_as(other):  # the second lock alone
            assert not Delivery.objects.filter(pk=draft.pk).exists()
            assert not OutgoingFile.objects.filter(delivery=draft.pk).exists()


def test_the_query_layer_alone_says_the_same(draft, petra, rosa, marta, acting_as):
    """Without the row policies: each of the two locks holds by itself."""

    def told(staff):
        with acting_as("superuser"):
            rows = Delivery.objects.filter(pk=draft.pk)
            return rows.of(staff).exists(), rows.current(staff).exists()

    def become(state):
        with acting_as("superuser"):
            Delivery.objects.filter(pk=draft.pk).update(state=state)

    assert [told(who) for who in (petra, marta, rosa)] == [(True, True), (False, False), (False, False)]
    become("queued")
    assert [told(who) for who in (petra, marta, rosa)] == [(True, True), (True, True), (False, False)]
    change(petra, may_reply=False)(acting_as)
    assert [told(who) for who in (petra, marta, rosa)] == [(True, False), (True, True), (False, False)]
    become("accepted")
    assert [told(who) for who in (petra, marta, rosa)] == [(False, False), (True, True), (False, False)]


@pytest.mark.rule("S-064")
def test_s064_it_goes_out_as_the_owners_own_and_is_noted_under_both_names(
    draft, petra, rosa, marta, server, acting_as, caplog
):
    caplog.set_level("INFO", "postern.outbox")
    with viewing_as(petra):
        compose.save(
            delivery=draft,
            to=draft.to,
            bcc="quiet@h.example",
            subject=draft.subject,
            html=draft.html,
        )
    row = work(acting_as, send(petra, draft))
    assert row.state == "accepted"
    taken = server.taken[0]
    letter = email.message_from_bytes(taken.data)
    assert taken.sender == "marta@northlink.example" and "Marta" in letter["From"]
    assert letter["In-Reply-To"] == "<second@hoffmann.example>" and letter["Sender"] is None
    assert b"petra" not in taken.data.lower() and b"Petra" not in taken.data
    assert f"written by staff {petra.pk} for staff {marta.pk}" in caplog.text

    hers, his, others = (seen(who, row) for who in (marta, petra, rosa))
    assert (hers.standing, hers.written_by) == (Standing.OWNER, "Petra")
    assert his.standing is Standing.ANSWERING and his.row.sent_id == row.sent_id and others is None
    assert not hers.can_edit and not hers.can_discard
    for who, told in ((marta, "Petra"), (petra, "you"), (rosa, None)):
        with viewing_as(who):
            message = Message.objects.visible_to(who).get(pk=row.sent_id)
            assert behalf.authors_of(who, [message]).get(message.pk) == told
            assert Bcc.objects.exists() is (who == marta)
    assert [entry[1] for entry in hers.row.bcc] == ["quiet@h.example"] == [entry[1] for entry in his.row.bcc]


NARROWINGS = [
    ({}, {"known", "stranger", "sent"}),
    ({"incoming_only": True}, {"known", "stranger"}),
    ({"customers_only": True}, {"known", "sent"}),
    ({"incoming_only": True, "customers_only": True}, {"known"}),
    ({"may_reply": False}, set()),
    ({"ends_at": timezone.now() - timedelta(seconds=1)}, set()),
]


@pytest.mark.parametrize(("scope", "answerable"), NARROWINGS)
def test_only_what_the_grant_covers_can_be_answered(
    petra, marta, mailbox, customer, message, acting_as, scope, answerable
):
    mail = {
        "known": message,
        "stranger": arrive(mailbox, acting_as, STRANGER, uid=2),
        "sent": arrive(mailbox, acting_as, SENT, role="sent", uid=3),
    }
    with acting_as("superuser"):
        Message.objects.filter(pk__in=[mail["known"].pk, mail["sent"].pk]).update(owner_party=True)
    change(petra, **scope)(acting_as)
    with viewing_as(petra):
        for name, one in mail.items():
            if name in answerable:
                assert compose.reply(staff=petra, message=one).author == petra
            else:
                with pytest.raises(Message.DoesNotExist):
                    compose.reply(staff=petra, message=one)


def test_a_reader_without_a_mailbox_of_their_own_answers_nothing(petra, message, acting_as):
    with acting_as("superuser"):
        Mailbox.objects.filter(owner=petra).update(has_imap_secret=False)
    with viewing_as(petra), pytest.raises(Message.DoesNotExist):
        compose.reply(staff=petra, message=message)


def test_nobody_forwards_anothers_mail(petra, rosa, message):
    for who in (petra, rosa):
        with viewing_as(who), pytest.raises(Message.DoesNotExist):
            compose.forward(staff=who, message=message)
    with viewing_as(rosa), pytest.raises(Message.DoesNotExist):
        compose.reply(staff=rosa, message=message)


def test_it_stays_in_the_owners_mailbox_and_in_the_conversation(draft, petra):
    with viewing_as(petra):
        own = Mailbox.objects.get(owner=petra)
        with pytest.raises(ComposeError, match="from their mailbox"):
            compose.save(delivery=draft, to=draft.to, mailbox=own)
        compose.save(delivery=draft, to="anybody@else.example", subject="Hello", html=MINE)
    with viewing_as(petra), pytest.raises(ComposeError) as caught:
        compose.send(delivery=draft)
    assert set(caught.value.fields) == {"to"} and "only answer" in str(caught.value)
    with viewing_as(petra):
        compose.save(
            delivery=draft, to="paul@hoffmann.example, extra@else.example", subject="Hello", html=MINE
        )
    assert send(petra, draft).state == "queued"


WRITES = {
    "a new letter": {"answers": None},
    "a forward": {"forward": True},
    "in the owner's name": {"author": "marta"},
    "from a mailbox that is not shared": {"mailbox": "rosa"},
}


@pytest.mark.rule("S-073")
@pytest.mark.parametrize("what", WRITES)
def test_s073_the_row_policy_takes_nothing_but_an_answer(draft, petra, rosa, marta, mailbox, message, what):
    with viewing_as(rosa):
        boxes = {"rosa": Mailbox.objects.get(owner=rosa)}
    fields = {"mailbox": mailbox, "author": petra, "answers": message, "forward": False} | WRITES[what]
    fields = {k: {"marta": marta, **boxes}.get(v, v) if isinstance(v, str) else v for k, v in fields.items()}
    with viewing_as(petra), pytest.raises(DatabaseError), transaction.atomic():
        Delivery.objects.create(**fields, subject="forged")
    with viewing_as(petra), pytest.raises(DatabaseError), transaction.atomic():
        Delivery.objects.filter(pk=draft.pk).update(**fields)
    with viewing_as(petra):
        assert Delivery.objects.create(mailbox=mailbox, author=petra, answers=message).pk


@pytest.mark.rule("S-073")
def test_s073_readers_without_that_right_write_no_row(draft, petra, rosa, marta, mailbox, message, acting_as):
    with viewing_as(rosa), pytest.raises(DatabaseError), transaction.atomic():
        Delivery.objects.create(mailbox=mailbox, author=rosa, answers=message)
    with viewing_as(rosa), pytest.raises(DatabaseError), transaction.atomic():
        OutgoingFile.objects.create(
            delivery_id=draft.pk, mailbox=mailbox, name="x", content_type="text/plain", size=1, data=b"x"
        )
    change(petra, may_reply=False)(acting_as)
    with viewing_as(petra), pytest.raises(DatabaseError), transaction.atomic():
        Delivery.objects.create(mailbox=mailbox, author=petra, answers=message)
    with viewing_as(petra):
        assert Delivery.objects.filter(pk=draft.pk).update(subject="changed") == 0
        with connection.cursor() as cursor:
            cursor.execute("UPDATE outbox_outgoingfile SET name = 'changed'")
            assert cursor.rowcount == 0
    with viewing_as(marta):  # nor does the owner write into a reader's draft
        assert Delivery.objects.filter(pk=draft.pk).update(subject="changed") == 0


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("", ""),
        ("Hello.\n\nOn 23 November 2026 at 10:31, Greta <g@x.example> wrote:\n\n> Hi\n>\n> Greta", "Hello."),
        ("> Hi\n\nAbove you said so.\n\n> Greta\n\nAnd below.", "Above you said so.\n\nAnd below."),
        ("On 23 November 2026 at 10:31, Greta <g@x.example> wrote:\n> Hi", ""),
        ("On Monday I wrote: this.", "On Monday I wrote: this."),
        ("Mine.\n\n> one\x0cquoted\n> two\u2028quoted\n> three\x85quoted", "Mine."),
        ("Mine.\r\n\r\n> Hi\r\nAnd mine.", "Mine.\n\nAnd mine."),
    ],
)
def test_own_words(text, own):
    assert own_words(text) == own
