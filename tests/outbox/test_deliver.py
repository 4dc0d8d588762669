"""What becomes of a letter: accepted, tried again, refused, unknown; and never sent twice."""

import email
import json
from datetime import timedelta
from unittest import mock

import psycopg
import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from postern.mail.access import at_mailbox, viewing_as
from postern.mail.models import Bcc, Errand, Message, Party, Raw
from postern.mailboxes.models import Mailbox, SystemEmail
from postern.mailboxes.save import save_mailbox, save_system_email
from postern.outbox import compose, deliver, fate
from postern.outbox.models import Delivery, OutgoingFile
from postern.people.models import Staff
from postern.wire.errors import MailError

from .conftest import arrive
from .server import DROP
from .test_compose import jobs


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def outbox(marta, mailbox, acting_as):
    return Outbox(marta, mailbox, acting_as)


class Outbox:
    """Writes letters as Marta and works them off as the worker."""

    def __init__(self, marta, mailbox, acting_as) -> None:
        self.marta, self.mailbox, self.acting_as = marta, mailbox, acting_as

    def queue(self, *, customer=None, undo_seconds=0, **changes) -> Delivery:
        with viewing_as(self.marta):
            draft = compose.new(staff=self.marta, mailbox=self.mailbox, customer=customer)
            content = {"to": "daniel@hoffmann.example", "subject": "Hello", "html": "<p>How are you?</p>"}
            draft = compose.save(delivery=draft, **(content | changes))
            return compose.send(delivery=draft, undo_seconds=undo_seconds)

    def work(self, row) -> Delivery:
        with self.acting_as("send"):
            deliver.deliver(mailbox_id=self.mailbox.pk, delivery_id=row.pk)
        return self.look(row)

    def work_later(self, row) -> Delivery:
        """Work when the next attempt is due."""
        with self.acting_as("send"), at_mailbox(self.mailbox.pk):
            Delivery.objects.filter(pk=row.pk).update(send_at=timezone.now())
        return self.work(row)

    def look(self, row) -> Delivery:
        with self.acting_as("web"), viewing_as(self.marta):
            return Delivery.objects.get(pk=row.pk)

    def age(self, row, **fields) -> None:
        """Pretend that the worker took the row long ago."""
        with self.acting_as("send"), at_mailbox(self.mailbox.pk):
            past = timezone.now() - timedelta(minutes=10)
            Delivery.objects.filter(pk=row.pk).update(**({"updated_at": past} | fields))


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
    elena = Staff.objects.create_staff(email="elena@northlink.example", name="Elena", password=None)
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


@pytest.mark.rule("R-046")
def test_one_of_three_refused(outbox, server):
    server.says = {"RCPT b@b.example": "550 5.1.1 no such user"}
    row = outbox.work(outbox.queue(to="a@a.example, b@b.example", bcc="c@c.example"))
    assert row.state == "accepted" and row.accepted == ["a@a.example", "c@c.example"]
    assert row.refused == [["b@b.example", 550, "5.1.1 no such user"]]
    assert "b@b.example" in row.problem
    assert len(server.taken) == 1
    assert outbox.work(row).state == "accepted" and len(server.taken) == 1


@pytest.mark.rule("R-040")
def test_cut_after_the_final_dot_is_unknown_and_never_sent_again(outbox, server, acting_as):
    server.says = {"DOT": DROP}
    row = outbox.work(outbox.queue())
    assert (row.state, row.code) == ("unknown", "unknown_outcome") and "before sending it again" in row.advice
    server.says = {}
    for _ in range(3):
        assert outbox.work(row).state == "unknown"
    with acting_as("send"):
        deliver.recover_interrupted()
    assert len(server.taken) == 1


@pytest.mark.rule("R-040")
def test_found_in_the_sent_folder_it_was_sent(outbox, server, acting_as, marta):
    server.says = {"DOT": DROP}
    row = outbox.work(outbox.queue(bcc="c@c.example"))
    message = arrive(outbox.mailbox, acting_as, server.taken[0].data, role="sent")
    row = outbox.work(row)
    assert row.state == "accepted" and row.sent_id == message.pk and row.problem == ""
    with viewing_as(marta):
        assert Bcc.objects.get().addresses == [["", "c@c.example"]]
        assert Message.objects.count() == 1


def test_a_strangers_copy_of_the_message_id_proves_nothing(outbox, server, acting_as):
    server.says = {"DOT": DROP}
    row = outbox.work(outbox.queue())
    arrive(outbox.mailbox, acting_as, server.taken[0].data, role="inbox")
    assert outbox.work(row).state == "unknown"


def test_the_author_settles_what_is_unknown(outbox, server, marta):
    server.says = {"DOT": DROP}
    arrived, lost = outbox.work(outbox.queue()), outbox.work(outbox.queue())
    with viewing_as(marta):
        compose.settle(delivery=arrived, arrived=True)
        compose.settle(delivery=lost, arrived=False)
        with pytest.raises(compose.ComposeError):
            compose.settle(delivery=lost, arrived=True)
    server.says = {}
    assert outbox.work(arrived).state == "accepted" and outbox.work(lost).state == "draft"
    assert len(server.taken) == 2
    with viewing_as(marta):
        assert Message.objects.count() == 1


@pytest.mark.rule("R-040")
@pytest.mark.parametrize(
    ("where", "sent"),
    [("_hand_over", 0), ("_keep", 1), ("_write", 1)],
)
def test_killed_between_states(outbox, server, where, sent):
    row = outbox.queue()
    with mock.patch.object(deliver, where, side_effect=Killed), pytest.raises(Killed):
        outbox.work(row)
    assert outbox.look(row).state == "sending"
    assert outbox.work(row).state == "sending", "another worker may still be at it"
    outbox.age(row)
    assert outbox.work(row).state == "unknown"
    outbox.age(row)
    assert outbox.work(row).state == "unknown"
    assert len(server.taken) == sent


def test_killed_before_it_began_loses_nothing(outbox, server):
    row = outbox.queue()
    with mock.patch.object(deliver, "_start", side_effect=Killed), pytest.raises(Killed):
        outbox.work(row)
    assert outbox.work(row).state == "accepted" and len(server.taken) == 1


@pytest.mark.rule("R-040")
def test_killed_after_the_copy_came_back_it_was_sent(outbox, server, acting_as):
    row = outbox.queue()
    with mock.patch.object(deliver, "_keep", side_effect=Killed), pytest.raises(Killed):
        outbox.work(row)
    arrive(outbox.mailbox, acting_as, server.taken[0].data, role="sent")
    outbox.age(row)
    assert outbox.work(row).state == "accepted" and len(server.taken) == 1


def test_a_worker_given_up_for_dead_still_tells_what_it_knows(outbox, server):
    row = outbox.queue()
    with outbox.acting_as("send"):
        attempt = deliver._begin(outbox.mailbox.pk, row.pk)
        outcome = deliver._hand_over(attempt)
        outbox.age(row)
        assert outbox.work(row).state == "unknown"
        deliver._keep(attempt, outcome)
    assert outbox.look(row).state == "accepted" and len(server.taken) == 1


def test_and_does_not_overrule_its_author(outbox, server, marta):
    row = outbox.queue()
    with outbox.acting_as("send"):
        attempt = deliver._begin(outbox.mailbox.pk, row.pk)
        outbox.age(row)
        outbox.work(row)
    with viewing_as(marta):
        compose.settle(delivery=row, arrived=False)
    with outbox.acting_as("send"):
        deliver._keep(attempt, MailError("server_busy", "later", temporary=True))
    assert outbox.look(row).state == "draft"


def test_the_state_is_committed_before_the_first_byte(outbox, server, marta):
    from postern.project.database import libpq

    seen = []

    def look() -> None:
        with psycopg.connect(**libpq("superuser")) as db:
            seen.extend(db.execute("SELECT state FROM outbox_delivery").fetchall())

    server.on_dot = look
    outbox.work(outbox.queue())
    assert seen == [("sending",)]


@pytest.mark.rule("R-045")
def test_a_bug_of_ours_is_not_the_servers_refusal(outbox, server):
    row = outbox.queue()
    with mock.patch("postern.outbox.deliver.smtp.send", side_effect=RuntimeError("ours")):
        row = outbox.work(row)
    assert (row.state, row.code, row.server_text) == ("queued", "internal", "")
    assert outbox.work_later(row).state == "accepted"


@pytest.mark.rule("R-045")
def test_a_bug_of_ours_after_the_letter_may_be_out_is_unknown(outbox, server):
    from postern.wire.smtp.session import Session

    with mock.patch.object(Session, "deliver", side_effect=RuntimeError("ours")):
        row = outbox.work(outbox.queue())
    assert (row.state, row.code) == ("unknown", "unknown_outcome")


def test_a_database_away_for_a_moment_does_not_lose_the_outcome(outbox, server, monkeypatch):
    real, calls = deliver._write, []

    def shaky(attempt, outcome):
        calls.append(1)
        if len(calls) < 3:
            raise OperationalError("the server closed the connection")
        real(attempt, outcome)

    monkeypatch.setattr(deliver, "_write", shaky)
    monkeypatch.setattr(deliver, "_PAUSES", (0, 0, 0, 0))
    assert outbox.work(outbox.queue()).state == "accepted" and len(calls) == 3


def test_a_copy_that_cannot_be_stored_does_not_unsend_the_letter(outbox, server):
    with mock.patch.object(fate, "record_sent", side_effect=ValueError("unreadable")):
        row = outbox.work(outbox.queue())
    assert row.state == "accepted" and row.sent is None and row.raw is not None


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
    with acting_as("sync"):
        Mailbox.objects.filter(pk=outbox.mailbox.pk).update(smtp_username="somebody")
    row = outbox.work(row)
    assert (row.state, row.code) == ("failed", "secret_unreadable") and server.heard == []


def use_system(outbox, server, **changes):
    sue = Staff.objects.create_staff(email="sue@northlink.example", name="Sue", password=None, role="super")
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
    with acting_as("sync"):
        SystemEmail.objects.update(hour_began_at=timezone.now() - timedelta(hours=1))
    assert outbox.work_later(late).state == "accepted"


def test_letters_no_job_cares_for_get_one(outbox, server, acting_as):
    queued, sending, done = outbox.queue(), outbox.queue(), outbox.work(outbox.queue())
    outbox.age(sending, state="sending")
    with acting_as("send"):
        assert deliver.recover_interrupted() == 0, "each has its job"
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    with acting_as("send"):
        assert deliver.recover_interrupted() == 2
    found = [args["delivery_id"] for _, args, _, _ in jobs(acting_as)]
    assert sorted(found) == sorted([queued.pk, sending.pk]) and done.pk not in found


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
