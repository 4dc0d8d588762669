"""Letters whose fate is not known: cut connections, killed workers, faults of our own; never sent twice."""

from unittest import mock

import psycopg
import pytest
from django.db import OperationalError, connection

from postern.mail.access import viewing_as
from postern.mail.models import Bcc, Message
from postern.outbox import compose, deliver, fate
from postern.wire.errors import MailError

from .conftest import arrive
from .server import DROP
from .test_compose import jobs


class Killed(BaseException):
    """The process ends here."""


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
