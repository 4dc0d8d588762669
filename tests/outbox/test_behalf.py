"""Answers in another's name: who may write them, who sees what of them, and what happens when the right ends."""

from __future__ import annotations

import email
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from postern.mail.access import viewing_as
from postern.mail.models import Bcc, Message
from postern.mailboxes.models import Mailbox, Reader
from postern.mailboxes.readers import grant, revoke
from postern.outbox import behalf, compose, deliver
from postern.outbox.behalf import Standing
from postern.outbox.compose import ComposeError
from postern.outbox.models import Delivery, OutgoingFile
from postern.outbox.quoting import own_words
from postern.people.models import Staff

from .conftest import arrive

MINE = "<p>We come on Tuesday.</p>"
STRANGER = (
    b"From: nobody@elsewhere.example\r\nTo: marta@northlink.example\r\nSubject: Who are you\r\n"
    b"Message-ID: <x@elsewhere.example>\r\n\r\nHello\r\n"
)
SENT = (
    b"From: marta@northlink.example\r\nTo: daniel@hoffmann.example\r\nSubject: Sent before\r\n"
    b"Message-ID: <sent@northlink.example>\r\n\r\nHello\r\n"
)


def person(name: str, *, own_mailbox: bool = True) -> Staff:
    staff = Staff.objects.create_staff(email=f"{name}@northlink.example", name=name.title(), password=None)
    if own_mailbox:
        with viewing_as(staff):
            Mailbox.objects.create(
                owner=staff,
                address=staff.email,
                imap_host="imap.example",
                imap_username=name,
                has_imap_secret=True,
            )
    return staff


@pytest.fixture
def petra(marta, mailbox):
    """Reads Marta's mail and may answer it."""
    found = person("petra")
    with viewing_as(marta):
        grant(staff=marta, mailbox=mailbox, reader=found, may_reply=True)
    return found


@pytest.fixture
def rosa(marta, mailbox):
    """Reads Marta's mail, no more."""
    found = person("rosa")
    with viewing_as(marta):
        grant(staff=marta, mailbox=mailbox, reader=found)
    return found


@pytest.fixture
def draft(petra, customer, message):
    with viewing_as(petra):
        row = compose.reply(staff=petra, message=message)
        return compose.save(delivery=row, to=row.to, subject=row.subject, html=MINE + row.html)


def change(staff, **fields):
    """Change a grant behind everybody's back."""

    def now(acting_as):
        with acting_as("superuser"):
            Reader.objects.filter(staff=staff).update(**fields)

    return now


def seen(staff, row):
    with viewing_as(staff):
        rows = Delivery.objects.of(staff).filter(pk=row.pk).prefetch_related("files")
        found = behalf.seen_by(staff, rows)
    return found[0] if found else None


def send(staff, row, **options):
    with viewing_as(staff):
        return compose.send(delivery=row, **({"undo_seconds": 0} | options))


def work(acting_as, row):
    with acting_as("send"):
        deliver.deliver(mailbox_id=row.mailbox_id, delivery_id=row.pk)
    with acting_as("superuser"):
        return Delivery.objects.get(pk=row.pk)


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


ENDINGS = {
    "taken back": None,
    "ended": {"ends_at": timezone.now() - timedelta(seconds=1)},
    "only reading left": {"may_reply": False},
    "the message no longer covered": {"customers_only": True},
}


def end(how, petra, marta, mailbox, acting_as):
    if ENDINGS[how] is None:
        with viewing_as(marta):
            revoke(staff=marta, mailbox=mailbox, reader=petra)
    else:
        change(petra, **ENDINGS[how])(acting_as)


@pytest.mark.rule("S-062")
@pytest.mark.parametrize("how", ENDINGS)
def test_s062_when_the_right_ends_the_draft_cannot_be_sent_and_own_words_remain(
    draft, petra, marta, mailbox, acting_as, how
):
    with acting_as("superuser"):
        Message.objects.update(owner_party=False)
        OutgoingFile.objects.create(
            delivery=draft, mailbox=mailbox, name="mine.txt", content_type="text/plain", size=1, data=b"x"
        )
    end(how, petra, marta, mailbox, acting_as)
    asked = [
        lambda: compose.save(delivery=draft, to="daniel@hoffmann.example", html=MINE),
        lambda: compose.send(delivery=draft),
        lambda: compose.attach(delivery=draft, name="a", content_type="text/plain", data=b"a"),
        lambda: compose.detach(delivery=draft, file_id=1),
        lambda: compose.undo_send(delivery=draft, staff=petra),
    ]
    for ask in asked:
        with viewing_as(petra), pytest.raises(ComposeError) as caught:
            ask()
        assert caught.value.code == "access_ended" and "What you wrote yourself is kept" in str(caught.value)
    kept = seen(petra, draft)
    assert kept.ended and not kept.can_edit and kept.can_discard
    assert kept.row.text == "We come on Tuesday." and [f.name for f in kept.files] == ["mine.txt"]
    assert (kept.row.html, kept.row.subject, kept.row.to, kept.row.answers_id) == ("", "", [], None)
    with viewing_as(petra):
        assert not Delivery.objects.current(petra).exists()
        compose.discard(delivery=draft)
        assert not Delivery.objects.of(petra).exists()


@pytest.mark.rule("S-062")
@pytest.mark.parametrize("how", ENDINGS)
def test_s062_a_queued_answer_is_held_at_the_moment_of_sending(
    draft, petra, marta, mailbox, server, acting_as, how
):
    queued = send(petra, draft)
    with acting_as("superuser"):
        Message.objects.update(owner_party=False)
    end(how, petra, marta, mailbox, acting_as)
    row = work(acting_as, queued)
    assert (row.state, row.code, server.taken) == ("held", "access_ended", [])
    assert "ended before the message was sent" in row.problem and "We come on Tuesday" in row.text
    assert seen(petra, row).row.text == "We come on Tuesday." and seen(marta, row).row.state == "held"

    with viewing_as(marta):
        grant(staff=marta, mailbox=mailbox, reader=petra, may_reply=True)
    assert seen(petra, row).can_edit
    assert work(acting_as, send(petra, row)).state == "accepted" and len(server.taken) == 1


@pytest.mark.parametrize("state", ["accepted", "sending", "unknown"])
def test_of_what_was_sent_nothing_stays_with_who_may_no_longer_answer(
    draft, petra, marta, mailbox, server, acting_as, state
):
    row = work(acting_as, send(petra, draft))
    with acting_as("superuser"):
        Delivery.objects.filter(pk=row.pk).update(state=state)
    end("taken back", petra, marta, mailbox, acting_as)
    assert seen(petra, row) is None and seen(marta, row).written_by == "Petra"
    with viewing_as(petra):
        assert not Delivery.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("who", ["petra", "marta"])
def test_a_disabled_person_writes_and_lends_no_name(draft, petra, marta, server, acting_as, who):
    queued = send(petra, draft)
    with acting_as("superuser"):
        Staff.objects.filter(name__istartswith=who).update(is_active=False)
    assert work(acting_as, queued).state == "held" and server.taken == []


def test_the_owner_stops_it_and_its_author_can_go_on(draft, petra, marta, server, acting_as):
    queued = send(petra, draft, undo_seconds=60)
    assert seen(marta, queued).can_take_back
    with viewing_as(marta):
        compose.undo_send(delivery=queued, staff=marta)
    assert work(acting_as, queued).state == "held" and server.taken == []
    told = seen(petra, queued)
    assert told.can_edit and told.row.problem.startswith("Marta Lindqvist, in whose name")
    assert seen(marta, queued).row.code == "stopped"
    assert send(petra, queued).state == "queued"


def test_its_author_takes_it_back_as_a_draft(draft, petra, marta):
    queued = send(petra, draft, undo_seconds=60)
    with viewing_as(petra):
        assert compose.undo_send(delivery=queued, staff=petra).state == "draft"
    assert seen(marta, queued) is None


@pytest.mark.parametrize(("arrived", "state"), [(True, "unknown"), (False, "held")])
def test_the_owner_may_say_what_became_of_it(draft, petra, marta, acting_as, arrived, state):
    queued = send(petra, draft, undo_seconds=60)
    with acting_as("superuser"):
        Delivery.objects.filter(pk=queued.pk).update(state="unknown")
    with viewing_as(marta):
        assert compose.settle(delivery=queued, arrived=arrived, staff=marta).state == state


def test_the_author_learns_nothing_of_the_owners_server(draft, petra, marta, server, acting_as):
    server.says = {"AUTH": "535 5.7.8 user marta unknown at mail.secret-host.example"}
    row = work(acting_as, send(petra, draft))
    told, own = seen(petra, row).row, seen(marta, row).row
    assert row.state == "failed" and "secret-host" in own.server_text
    words = f"{told.problem} {told.advice} {told.server_text} {told.code}"
    assert "secret-host" not in words and "password" not in words and "127.0.0.1" not in words
    assert "Marta Lindqvist sees the reason" in told.advice


def test_the_author_is_told_what_is_wrong_with_the_letter(draft, petra, server, acting_as):
    server.says = {"RCPT": "550 5.1.1 no such user"}
    row = work(acting_as, send(petra, draft))
    told = seen(petra, row).row
    assert told.state == "failed" and told.refused and "no such user" in str(told.refused)


@pytest.mark.parametrize("setting", [{"sending": False}, {"smtp_host": ""}, {"has_smtp_secret": False}])
def test_a_mailbox_that_cannot_send_says_no_more(draft, petra, mailbox, acting_as, setting):
    with acting_as("superuser"):
        Mailbox.objects.filter(pk=mailbox.pk).update(**setting)
    with viewing_as(petra), pytest.raises(ComposeError) as caught:
        compose.send(delivery=draft)
    assert caught.value.code == "sending_disabled" and "Marta Lindqvist can change that" in str(caught.value)
    assert "SMTP" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("", ""),
        ("Hello.\n\nOn 23 November 2026 at 10:31, Greta <g@x.example> wrote:\n\n> Hi\n>\n> Greta", "Hello."),
        ("> Hi\n\nAbove you said so.\n\n> Greta\n\nAnd below.", "Above you said so.\n\nAnd below."),
        ("On 23 November 2026 at 10:31, Greta <g@x.example> wrote:\n> Hi", ""),
        ("On Monday I wrote: this.", "On Monday I wrote: this."),
    ],
)
def test_own_words(text, own):
    assert own_words(text) == own
