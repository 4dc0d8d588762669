"""What becomes of a letter: accepted, tried again, refused, unknown; and never sent twice."""

import email
import json
import socket
from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from postern.mail.access import at_mailbox, viewing_as
from postern.mail.models import Bcc, Errand, Message, Party, Raw
from postern.mailboxes.models import Mailbox, SystemEmail
from postern.mailboxes.save import save_mailbox, save_system_email
from postern.outbox import compose, deliver, fate
from postern.outbox.letter import ComposeError
from postern.outbox.models import Delivery, OutgoingFile
from postern.people.models import Staff
from tests.roles import allow_unchecked, hire

from .conftest import arrive


def test_accepted(outbox, server, marta, customer):
    row = outbox.work(outbox.queue(customer=customer, cc="Paul <paul@p.example>"))
    assert row.state == "accepted" and row.accepted == ["daniel@hoffmann.example", "paul@p.example"]
    assert (row.problem, row.refused, row.raw) == ("", [], None) and row.server_text == "250 taken"
    taken = server.taken[0]
    assert taken.sender == "marta@northlink.example" and taken.recipients == row.accepted
    assert taken.login.startswith("AUTH PLAIN ")
    with viewing_as(marta):
        message = Message.objects.visible_to(marta).get()
        assert message == row.sent and message.outgoing and message.message_id == row.message_id
        assert Raw.objects.get(message=message).letter() == taken.data
        assert Party.objects.get(message=message).customer == customer
        assert not OutgoingFile.objects.exists()


def test_without_imap_nothing_is_owed_to_the_server(outbox, server, marta):
    outbox.work(outbox.queue())
    with viewing_as(marta):
        assert not Errand.objects.exists()


@pytest.mark.story("30")
def test_with_a_sent_folder_a_copy_is_owed(outbox, server, marta, acting_as):
    data = {"imap_host": "imap.northlink.example", "imap_password": "x", "sent_folder": "Sent"}
    with viewing_as(marta):
        save_mailbox(staff=marta, mailbox=outbox.mailbox, data=data)
    row = outbox.work(outbox.queue())
    with viewing_as(marta):
        errand = Errand.objects.get()
        assert (errand.kind, errand.message) == ("append", row.sent)
    again = arrive(outbox.mailbox, acting_as, server.taken[0].data, role="sent")
    assert again is None, "its copy from the sent folder is the same message"


def test_a_customer_who_gets_no_copy_is_not_filed_under(outbox, server, marta, customer):
    row = outbox.work(outbox.queue(customer=customer, to="somebody@else.example"))
    with viewing_as(marta):
        assert row.sent is not None and not Party.objects.exists()


@pytest.mark.rule("S-047")
def test_bcc_is_nowhere_but_with_its_owner(outbox, server, marta, acting_as):
    row = outbox.work(outbox.queue(bcc="Hidden <hidden@h.example>"))
    assert "hidden@h.example" in server.taken[0].recipients
    assert b"hidden" not in server.taken[0].data.lower() and b"bcc:" not in server.taken[0].data.lower()
    with viewing_as(marta):
        assert Bcc.objects.get().addresses == [["Hidden", "hidden@h.example"]]
        assert b"hidden" not in Raw.objects.get(message=row.sent).letter().lower()
        assert "hidden" not in json.dumps([row.sent.to, row.sent.cc])
    elena = hire(email="elena@northlink.example", name="Elena", password=None)
    with viewing_as(elena):
        assert not Bcc.objects.exists() and not Delivery.objects.exists()


@pytest.mark.rule("R-043")
@pytest.mark.parametrize("stage", ["CONNECT", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "DOT"])
def test_a_temporary_refusal_is_tried_again_with_the_same_bytes(outbox, server, stage):
    server.says = {stage: "451 4.7.1 Greylisted, try again"}
    queued = outbox.queue()
    row = outbox.work(queued)
    assert row.state == "queued" and row.attempts == 1 and server.taken == []
    assert row.problem and row.send_at > timezone.now() + timedelta(seconds=50)
    server.says = {}
    assert outbox.work(row).state == "queued", "not before its time"
    row = outbox.work_later(row)
    assert row.state == "accepted" and row.attempts == 2 and row.problem == ""
    assert len(server.taken) == 1
    assert server.taken[0].data == bytes(queued.raw)


@pytest.mark.rule("R-043")
def test_after_a_day_it_gives_up(outbox, server):
    server.says = {"MAIL": "451 busy"}
    row = outbox.work(outbox.queue())
    with outbox.acting_as("send"), at_mailbox(outbox.mailbox.pk):
        Delivery.objects.filter(pk=row.pk).update(give_up_at=timezone.now())
    row = outbox.work_later(row)
    assert (
        row.state == "failed" and "gave up" in row.advice and row.editable and row.server_text == "451 busy"
    )


@pytest.mark.rule("R-043")
def test_nobody_listening_is_temporary(outbox, server):
    server.__exit__()
    assert outbox.work(outbox.queue()).state == "queued"


@pytest.mark.rule("R-031")
def test_a_servers_name_that_vanishes_is_waited_for_and_one_that_never_was_is_not(
    outbox, server, monkeypatch
):
    first, second = outbox.queue(), outbox.queue()
    real = socket.getaddrinfo

    def nobody(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with monkeypatch.context() as away:
        away.setattr("postern.wire.endpoint.socket.getaddrinfo", nobody)
        row = outbox.work(first)
        assert (row.state, row.code) == ("failed", "host_not_found") and "spelling" in row.advice
    assert socket.getaddrinfo is real and outbox.work(second).state == "accepted"
    third = outbox.queue()
    with monkeypatch.context() as away:
        away.setattr("postern.wire.endpoint.socket.getaddrinfo", nobody)
        row = outbox.work(third)
        assert (row.state, row.code) == ("queued", "host_not_found")
        assert "cannot be found at the moment" in row.problem
    assert outbox.work_later(row).state == "accepted"


@pytest.mark.rule("S-039")
def test_a_letter_is_held_where_the_certificate_may_no_longer_go_unchecked(outbox, server, acting_as):
    allow_unchecked()
    waiting = outbox.queue()
    with acting_as("superuser"):
        Mailbox.objects.filter(pk=outbox.mailbox.pk).update(smtp_skip_validation=True, smtp_security="ssl")
        outbox.mailbox.refresh_from_db()
    allow_unchecked(False)
    row = outbox.work(waiting)
    assert row.state == "held" and "certificate is not checked" in row.problem
    assert server.taken == []
    with pytest.raises(ComposeError) as refused:
        outbox.queue()
    assert refused.value.code == "unchecked_refused"
    with acting_as("superuser"):
        Mailbox.objects.filter(pk=outbox.mailbox.pk).update(smtp_skip_validation=False, smtp_security="none")
        outbox.mailbox.refresh_from_db()
    assert outbox.work(outbox.queue()).state == "accepted"


def test_waits_grow_and_stay_bounded():
    waits = [fate.wait_before(n) for n in range(1, 60)]
    assert waits == sorted(waits) and waits[0] == timedelta(minutes=1) and waits[-1] == timedelta(minutes=30)


@pytest.mark.rule("R-044")
@pytest.mark.parametrize(
    ("says", "code"),
    [
        ({"AUTH": "535 5.7.8 authentication failed"}, "password_rejected"),
        ({"MAIL": "550 5.7.1 not your address"}, "server_refused"),
        ({"RCPT": "550 5.1.1 no such user"}, "recipients_refused"),
        ({"DATA": "554 no"}, "message_refused"),
        ({"DOT": "554 5.6.0 looks like spam"}, "message_refused"),
        ({"DOT": "552 5.3.4 too big"}, "too_large"),
    ],
)
def test_a_permanent_refusal_shows_the_servers_words(outbox, server, says, code):
    server.says = says
    row = outbox.work(outbox.queue())
    assert (row.state, row.code) == ("failed", code)
    assert row.server_text == next(iter(says.values())) and row.problem and row.advice
    server.says = {}
    assert outbox.work(row).state == "failed", "it is not tried again by itself"
    with viewing_as(outbox.marta):
        changed = compose.save(delivery=row, to="other@o.example", subject="Hello", text="Again")
        changed = compose.send(delivery=changed, undo_seconds=0)
    assert outbox.work(changed).state == "accepted"
    assert [t.recipients for t in server.taken] == [["other@o.example"]]


@pytest.mark.rule("R-036")
def test_a_token_that_ended_is_tried_once_and_the_letter_is_kept(outbox, server):
    server.says = {"EHLO": "250-here\r\n250 AUTH XOAUTH2", "AUTH": "535 5.7.8 token expired"}
    row = outbox.queue()
    with outbox.acting_as("owner"):
        Mailbox.objects.filter(pk=outbox.mailbox.pk).update(smtp_auth="xoauth2")
    row = outbox.work(row)
    assert (row.state, row.code) == ("failed", "token_rejected") and "new access token" in row.advice
    server.says["AUTH"] = "235 welcome"
    assert outbox.work(row).state == "failed", "it is not tried again by itself"
    with viewing_as(outbox.marta):
        again = compose.send(
            delivery=compose.save(delivery=row, to="a@a.example", text="Again"), undo_seconds=0
        )
    assert outbox.work(again).state == "accepted" and len(server.taken) == 1


@pytest.mark.rule("R-046")
def test_one_of_three_refused(outbox, server):
    server.says = {"RCPT b@b.example": "550 5.1.1 no such user"}
    row = outbox.work(outbox.queue(to="a@a.example, b@b.example", bcc="c@c.example"))
    assert row.state == "accepted" and row.accepted == ["a@a.example", "c@c.example"]
    assert row.refused == [["b@b.example", 550, "5.1.1 no such user"]]
    assert "b@b.example" in row.problem
    assert len(server.taken) == 1
    assert outbox.work(row).state == "accepted" and len(server.taken) == 1


@pytest.mark.rule("R-049")
def test_undo_and_the_worker_have_one_outcome(outbox, server, marta, acting_as):
    row = outbox.queue(undo_seconds=10)
    assert outbox.work(row).state == "queued", "the window is open"
    with viewing_as(marta):
        compose.undo_send(delivery=row)
    assert outbox.work_later(row).state == "draft"
    assert server.taken == []
    with viewing_as(marta):
        compose.send(delivery=row, undo_seconds=0)
    for _ in range(3):
        assert outbox.work(row).state == "accepted"
    assert len(server.taken) == 1


@pytest.mark.rule("R-049")
@pytest.mark.parametrize(
    "change",
    [{"sending": "off"}, {"address": "other@northlink.example"}, {"smtp_host": ""}],
)
def test_settings_changed_while_queued_hold_the_letter(outbox, server, marta, change):
    row = outbox.queue()
    with viewing_as(marta):
        save_mailbox(staff=marta, mailbox=outbox.mailbox, data=change)
    row = outbox.work(row)
    assert row.state == "held" and row.problem and row.editable
    assert server.taken == [] and server.heard == []


@pytest.mark.rule("S-066")
def test_a_disabled_persons_mail_is_held(outbox, server, marta, acting_as):
    row = outbox.queue()
    with acting_as("superuser"):
        Staff.objects.filter(pk=marta.pk).update(is_active=False)
    with acting_as("send"):
        deliver.deliver(mailbox_id=outbox.mailbox.pk, delivery_id=row.pk)
        with at_mailbox(outbox.mailbox.pk):
            assert Delivery.objects.get().state == "held"
    assert server.heard == []


@pytest.mark.rule("S-029")
def test_a_host_changed_under_the_password_gets_neither_it_nor_the_letter(outbox, server, acting_as):
    row = outbox.queue()
    with acting_as("superuser"):
        Mailbox.objects.filter(pk=outbox.mailbox.pk).update(smtp_username="somebody")
    row = outbox.work(row)
    assert (row.state, row.code) == ("failed", "secret_unreadable") and server.heard == []


def use_system(outbox, server, **changes):
    sue = hire(email="sue@northlink.example", name="Sue", password=None, role="super")
    data = {
        "sender_email": "office@northlink.example",
        "smtp_host": "127.0.0.1",
        "smtp_port": server.port,
        "smtp_security": "none",
        "smtp_username": "login-name",
        "smtp_password": "company",
        "sending": "on",
    }
    with viewing_as(sue):
        save_system_email(staff=sue, data=data | changes)
    with viewing_as(outbox.marta):
        save_mailbox(staff=outbox.marta, mailbox=outbox.mailbox, data={"use_system_smtp": "on"})


@pytest.mark.story("16")
def test_through_the_companys_server(outbox, server):
    import base64

    use_system(outbox, server)
    assert outbox.work(outbox.queue()).state == "accepted"
    taken = server.taken[0]
    letter = email.message_from_bytes(taken.data)
    assert taken.sender == "office@northlink.example"
    assert letter["From"] == "Marta Lindqvist <office@northlink.example>"
    assert letter["Reply-To"] == "Marta Lindqvist <marta@northlink.example>"
    assert base64.b64decode(taken.login.split()[-1]) == b"\0login-name\0company"


def test_the_hourly_limit_waits_and_says_so(outbox, server, acting_as):
    use_system(outbox, server, hourly_limit=2)
    rows = [outbox.work(outbox.queue()) for _ in range(3)]
    assert [row.state for row in rows] == ["accepted", "accepted", "queued"]
    late = rows[2]
    assert late.code == "hourly_limit" and late.attempts == 0 and "goes out by itself" in late.advice
    assert late.send_at > timezone.now() + timedelta(minutes=59)
    assert late.give_up_at > timezone.now() + timedelta(hours=24, minutes=59)
    with acting_as("superuser"):
        SystemEmail.objects.update(hour_began_at=timezone.now() - timedelta(hours=1))
    assert outbox.work_later(late).state == "accepted"


def test_those_who_look_are_told(outbox, server):
    from postern.project.database import libpq

    with psycopg.connect(**libpq("superuser"), autocommit=True) as listener:
        listener.execute("LISTEN postern_events")
        row = outbox.work(outbox.queue())
        heard = [json.loads(n.payload) for n in listener.notifies(timeout=1)]
    told = [event for event in heard if event["kind"] == "delivery"]
    assert len(told) == 3, "queued, sending, accepted"
    assert all(event == {"kind": "delivery", "mailbox": outbox.mailbox.pk, "id": row.pk} for event in told)


def test_another_mailboxs_job_finds_nothing(outbox, server, acting_as):
    row = outbox.queue()
    with acting_as("send"):
        deliver.deliver(mailbox_id=outbox.mailbox.pk + 1, delivery_id=row.pk)
        deliver.deliver(mailbox_id=outbox.mailbox.pk, delivery_id=row.pk + 1)
    assert outbox.look(row).state == "queued" and server.heard == []


def test_a_discarded_draft_is_gone_and_its_job_does_nothing(outbox, server, marta):
    row = outbox.queue(undo_seconds=10)
    with viewing_as(marta):
        compose.discard(delivery=compose.undo_send(delivery=row))
    with outbox.acting_as("send"):
        deliver.deliver(mailbox_id=outbox.mailbox.pk, delivery_id=row.pk)
    assert server.heard == []


@pytest.mark.rule("S-092")
def test_the_password_is_in_no_delivery(outbox, server, acting_as):
    server.says = {"AUTH": "535 5.7.8 no"}
    row = outbox.work(outbox.queue())
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute(
            "SELECT d::text FROM outbox_delivery d UNION ALL SELECT j::text FROM procrastinate_jobs j"
        )
        assert all("correct horse" not in text for (text,) in cursor.fetchall())
    assert row.state == "failed"
