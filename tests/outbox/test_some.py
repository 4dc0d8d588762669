"""A letter that some have and others do not: who has it never gets it twice, the others are tried by themselves (R-046, I3)."""

from datetime import timedelta
from unittest import mock

import pytest
from django.db import connection
from django.utils import timezone

from postern.mail.access import at_mailbox, viewing_as
from postern.mail.models import Errand, Message
from postern.mailboxes.save import save_mailbox
from postern.outbox import compose, deliver, fate
from postern.outbox.behalf import seen_by
from postern.outbox.models import Delivery
from tests.web.browser import Browser

from .conftest import arrive
from .server import DROP
from .test_compose import jobs
from .test_tasks import run_worker
from .test_unknown import Killed

pytestmark = pytest.mark.rule("R-046")
A, B, C = "a@a.example", "b@b.example", "c@c.example"
GREY = "451 4.7.1 Greylisted, try again"
NOBODY = "550 5.1.1 no such user"


def part(outbox, server, **changes) -> Delivery:
    """A letter that A has and B is refused for now."""
    server.says = {f"RCPT {B}": GREY}
    return outbox.work(outbox.queue(**({"to": f"{A}, {B}"} | changes)))


def page(staff, path) -> str:
    browser = Browser()
    browser.force_login(staff)
    answer = browser.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def got(server) -> list[list[str]]:
    return [one.recipients for one in server.taken]


@pytest.mark.rule("R-043")
def test_who_is_refused_for_now_is_tried_again_alone(outbox, server, marta):
    row = part(outbox, server)
    assert (row.state, row.accepted, row.code) == ("queued", [A], "recipients_refused")
    assert row.deferred == [[B, 451, "4.7.1 Greylisted, try again"]] and row.refused == []
    assert B in row.problem and A not in row.problem and "by itself" in row.advice
    assert timedelta(seconds=50) < row.send_at - timezone.now() < timedelta(seconds=70)
    sent, first = row.sent_id, row.accepted_at
    server.says = {}
    assert outbox.work(row).state == "queued", "not before its time"
    row = outbox.work_later(row)
    assert (row.state, row.accepted, row.attempts) == ("accepted", [A, B], 2)
    assert (row.refused, row.deferred, row.problem, row.code, row.raw) == ([], [], "", "", None)
    assert (row.sent_id, row.accepted_at) == (sent, first) and got(server) == [[A], [B]]
    assert len({one.data for one in server.taken}) == 1, "the same bytes"
    assert outbox.work(row).state == "accepted" and len(server.taken) == 2
    with viewing_as(marta):
        assert Message.objects.count() == 1


@pytest.mark.rule("R-043")
@pytest.mark.rule("R-044")
def test_refused_for_good_at_the_second_attempt(outbox, server):
    row = part(outbox, server)
    server.says = {f"RCPT {B}": NOBODY}
    row = outbox.work_later(row)
    assert (row.state, row.accepted, row.code) == ("accepted", [A], "recipients_refused")
    assert (row.refused, row.deferred) == ([[B, 550, "5.1.1 no such user"]], [])
    assert row.problem == f"The server refused {B}." and "Everybody else was accepted" in row.advice
    assert not row.editable and row.raw is None and got(server) == [[A]]


def test_refused_for_good_is_listed_at_once_and_not_asked_again(outbox, server):
    server.says = {f"RCPT {B}": GREY, f"RCPT {C}": NOBODY}
    row = outbox.work(outbox.queue(to=f"{A}, {B}", cc=C))
    assert row.state == "queued" and [one[0] for one in row.refused] == [C]
    assert row.problem.startswith(f"The server refused {C}. ")
    server.says, server.heard[:] = {}, []
    row = outbox.work_later(row)
    assert (row.state, row.accepted, row.problem) == ("accepted", [A, B], f"The server refused {C}.")
    assert [one for one in server.heard if one.startswith("RCPT")] == [f"RCPT TO:<{B}>"]


@pytest.mark.rule("R-043")
def test_a_letter_nobody_has_asks_for_the_refused_ones_no_more(outbox, server):
    server.says = {f"RCPT {B}": GREY, f"RCPT {C}": NOBODY}
    row = outbox.work(outbox.queue(to=f"{B}, {C}"))
    assert (row.state, row.accepted) == ("queued", []) and [one[0] for one in row.refused] == [C]
    server.says = {f"RCPT {B}": NOBODY}
    row = outbox.work_later(row)
    assert row.state == "failed" and row.editable and [one[0] for one in row.refused] == [C, B]
    assert NOBODY[4:] in page(outbox.marta, f"/compose/{row.pk}/")


@pytest.mark.rule("R-043")
def test_at_the_deadline_it_gives_up_on_them_and_says_why(outbox, server):
    row = part(outbox, server)
    for attempt in (2, 3):
        row = outbox.work_later(row)
        assert (row.state, row.attempts) == ("queued", attempt)
        assert row.send_at - timezone.now() > fate.wait_before(attempt) - timedelta(seconds=10)
    with outbox.acting_as("send"), at_mailbox(outbox.mailbox.pk):
        Delivery.objects.filter(pk=row.pk).update(give_up_at=timezone.now())
    row = outbox.work_later(row)
    assert (row.state, row.accepted, row.raw) == ("accepted", [A], None) and not row.editable
    assert (
        row.server_text == GREY
        and row.problem == f"Postern tried for a day and gave up. It was not sent to {B}."
    )
    assert row.deferred == [[B, 451, "4.7.1 Greylisted, try again"]]
    told = page(outbox.marta, f"/compose/{row.pk}/")
    assert f"{B} was not reached: 451" in told and told.count("Greylisted") == 1
    told = page(outbox.marta, f"/messages/sent/{row.sent_id}/")
    assert row.problem in told and f"/compose/{row.pk}/" in told
    server.says = {}
    assert outbox.work(row).state == "accepted" and got(server) == [[A]]


@pytest.mark.rule("R-040")
def test_cut_after_the_final_dot_of_the_second_attempt_leaves_the_first_as_it_was(
    outbox, server, marta, acting_as
):
    row = part(outbox, server)
    arrive(outbox.mailbox, acting_as, server.taken[0].data, role="sent")
    server.says = {"DOT": DROP}
    row = outbox.work_later(row)
    assert (row.state, row.code, row.accepted, row.deferred) == ("unknown", "unknown_outcome", [A], [])
    assert f"Nobody knows whether {B} got it." in row.problem and A not in row.problem
    server.says = {}
    with acting_as("send"):
        deliver.recover_interrupted()
    waiting = len(jobs(acting_as))
    for _ in range(3):
        assert outbox.work(row).state == "unknown", "the copy in the sent folder is of the first attempt"
    assert len(jobs(acting_as)) == waiting, "there is nothing to look for"
    assert got(server) == [[A], [B]]
    told = page(marta, f"/compose/{row.pk}/")
    assert "Sent to some, unknown for others" in told and f"send it to {B} again" in told


@pytest.mark.rule("R-040")
@pytest.mark.parametrize("arrived", [True, False])
def test_the_author_says_whether_the_second_attempt_arrived(outbox, server, marta, acting_as, arrived):
    row = part(outbox, server)
    server.says = {"DOT": DROP}
    row = outbox.work_later(row)
    sent = row.sent_id
    with viewing_as(marta):
        compose.settle(delivery=row, arrived=arrived)
    server.says = {}
    run_worker(acting_as)
    row = outbox.look(row)
    assert (row.state, row.accepted, row.problem, row.sent_id) == ("accepted", [A, B], "", sent)
    assert got(server) == ([[A], [B]] if arrived else [[A], [B], [B]])


@pytest.mark.rule("R-040")
def test_cut_after_the_dot_when_some_were_refused_for_now(outbox, server, marta, acting_as):
    """Whoever was refused certainly did not get it; when the letter turns up, they alone are tried again."""
    server.says = {f"RCPT {B}": GREY, f"RCPT {C}": NOBODY, "DOT": DROP}
    row = outbox.work(outbox.queue(to=f"{A}, {B}, {C}"))
    assert (row.state, row.accepted) == ("unknown", [])
    assert [one[0] for one in row.deferred] == [B] and [one[0] for one in row.refused] == [C]
    copy = arrive(outbox.mailbox, acting_as, server.taken[0].data, role="sent")
    row = outbox.work(row)
    assert (row.state, row.accepted, row.sent_id) == ("queued", [A], copy.pk)
    server.says = {}
    row = outbox.work_later(row)
    assert (row.state, row.accepted) == ("accepted", [A, B]) and got(server) == [[A], [B]]


@pytest.mark.rule("R-040")
@pytest.mark.parametrize(("where", "sent"), [("_hand_over", 1), ("_keep", 2), ("_write", 2)])
def test_killed_at_the_second_attempt(outbox, server, acting_as, where, sent):
    row = part(outbox, server)
    arrive(outbox.mailbox, acting_as, server.taken[0].data, role="sent")
    server.says = {}
    with mock.patch.object(deliver, where, side_effect=Killed), pytest.raises(Killed):
        outbox.work_later(row)
    assert outbox.look(row).state == "sending"
    outbox.age(row)
    row = outbox.work(row)
    assert (row.state, row.accepted, row.deferred) == ("unknown", [A], []) and B in row.problem
    outbox.age(row)
    assert outbox.work(row).state == "unknown" and len(server.taken) == sent
    assert [one for one in got(server) if A in one] == [[A]]


@pytest.mark.rule("R-040")
def test_killed_before_the_second_attempt_began_loses_nothing(outbox, server):
    row = part(outbox, server)
    server.says = {}
    with mock.patch.object(deliver, "_start", side_effect=Killed), pytest.raises(Killed):
        outbox.work_later(row)
    assert outbox.work(row).state == "accepted" and got(server) == [[A], [B]]


@pytest.mark.rule("R-043")
@pytest.mark.parametrize("stage", ["CONNECT", "EHLO", "AUTH", "MAIL", "DATA", "DOT"])
def test_a_busy_server_at_the_second_attempt_is_tried_a_third_time(outbox, server, stage):
    row = part(outbox, server)
    server.says = {stage: "451 busy"}
    row = outbox.work_later(row)
    assert (row.state, row.accepted, row.attempts) == ("queued", [A], 2)
    assert f"It still waits for {B}." in row.problem
    server.says = {}
    row = outbox.work_later(row)
    assert (row.state, row.accepted) == ("accepted", [A, B]) and got(server) == [[A], [B]]


@pytest.mark.rule("R-044")
@pytest.mark.parametrize(
    "says", [{"AUTH": "535 5.7.8 no"}, {"MAIL": "550 5.7.1 not your address"}, {"DOT": "554 5.6.0 spam"}]
)
def test_the_letter_refused_for_good_at_the_second_attempt_is_never_a_draft_again(outbox, server, says):
    row = part(outbox, server)
    server.says = says
    row = outbox.work_later(row)
    assert (row.state, row.accepted) == ("accepted", [A]) and not row.editable
    assert f"It was not sent to {B}." in row.problem and row.server_text == next(iter(says.values()))
    with viewing_as(outbox.marta), pytest.raises(compose.ComposeError):
        compose.send(delivery=row)


@pytest.mark.rule("R-038")
def test_a_limit_waits_as_long_as_it_takes(outbox, server):
    server.says = {f"RCPT {B}": "550 5.4.5 Daily user sending limit exceeded."}
    row = outbox.work(outbox.queue(to=f"{A}, {B}"))
    assert (row.state, row.code, row.refused) == ("queued", "sending_limit", [])
    assert "daily limit" in row.problem and f"It still waits for {B}." in row.problem
    assert timedelta(minutes=119) < row.send_at - timezone.now() < timedelta(minutes=121)
    assert row.give_up_at - row.date > timedelta(hours=25), "it does not use up the letter's day"
    server.says = {}
    assert outbox.work_later(row).accepted == [A, B] and got(server) == [[A], [B]]


def test_stop_trying_is_heeded_at_once(outbox, server, marta, acting_as):
    row = part(outbox, server)
    assert "Stop trying" in page(marta, f"/compose/{row.pk}/") and "Undo send" not in page(
        marta, f"/compose/{row.pk}/"
    )
    with viewing_as(marta):
        stopped = compose.undo_send(delivery=row)
        (seen,) = seen_by(marta, [stopped])
    assert not seen.can_take_back and not stopped.editable and stopped.next_attempt is None
    server.says = {}
    run_worker(acting_as)
    row = outbox.look(row)
    assert (row.state, row.code, row.accepted) == ("accepted", "stopped", [A]) and B in row.problem
    assert row.raw is None and outbox.work_later(row).state == "accepted" and got(server) == [[A]]
    with viewing_as(marta), pytest.raises(compose.ComposeError, match="too late"):
        compose.undo_send(delivery=row)


@pytest.mark.rule("R-049")
@pytest.mark.parametrize("change", [{"sending": "off"}, {"address": "other@northlink.example"}])
def test_settings_changed_end_it_rather_than_give_it_back(outbox, server, marta, change):
    row = part(outbox, server)
    with viewing_as(marta):
        save_mailbox(staff=marta, mailbox=outbox.mailbox, data=change)
    server.says = {}
    row = outbox.work_later(row)
    assert (row.state, row.code, row.accepted) == ("accepted", "held", [A]) and not row.editable
    assert f"It was not sent to {B}." in row.problem and got(server) == [[A]]


@pytest.mark.story("30")
@pytest.mark.rule("R-047")
def test_the_copy_for_the_sent_folder_is_owed_once(outbox, server, marta):
    data = {"imap_host": "imap.northlink.example", "imap_password": "x", "sent_folder": "Sent"}
    with viewing_as(marta):
        save_mailbox(staff=marta, mailbox=outbox.mailbox, data=data)
    row = part(outbox, server)

    def owed():
        with viewing_as(marta):
            return list(Errand.objects.values_list("kind", "message"))

    assert owed() == [("append", row.sent_id)], "after the first acceptance"
    with outbox.acting_as("sync"), at_mailbox(outbox.mailbox.pk):
        Errand.objects.all().delete()  # done
    server.says = {}
    assert outbox.work_later(row).state == "accepted" and owed() == []


def test_a_message_deleted_meanwhile_is_not_made_again(outbox, server, marta):
    row = part(outbox, server)
    with outbox.acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_delivery SET sent_id = NULL")
    server.says = {}
    row = outbox.work_later(row)
    assert (row.state, row.accepted, row.sent_id) == ("accepted", [A, B], None)


def test_who_answers_for_another_reads_who_waits_but_not_what_is_said_of_the_account(
    outbox, server, petra, draft, marta
):
    server.says = {"RCPT paul@hoffmann.example": "550 5.4.5 Daily user sending limit exceeded."}
    with viewing_as(petra):
        both = [*draft.to, ["Paul", "paul@hoffmann.example"]]
        row = compose.send(delivery=compose.save(delivery=draft, to=both, text="Hello"), undo_seconds=0)
    with outbox.acting_as("send"):
        deliver.deliver(mailbox_id=outbox.mailbox.pk, delivery_id=row.pk)
    with viewing_as(petra):
        (told,) = seen_by(petra, Delivery.objects.of(petra).filter(pk=row.pk))
    assert (told.row.state, told.row.code, told.row.server_text) == ("queued", "sending_limit", "")
    assert told.row.deferred == [["paul@hoffmann.example", 550, ""]]
    with viewing_as(marta):
        compose.undo_send(delivery=Delivery.objects.of(marta).get(pk=row.pk), staff=marta)
    with outbox.acting_as("send"):
        deliver.deliver(mailbox_id=outbox.mailbox.pk, delivery_id=row.pk)
    row = outbox.look(row)
    assert (row.state, row.code, row.author_id) == ("accepted", "stopped", petra.pk)
