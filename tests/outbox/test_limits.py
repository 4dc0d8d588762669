"""A provider's limit of sending: the letter waits, says why and until when, and goes out once (R-038)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from postern.mail.access import viewing_as
from postern.outbox import compose
from postern.outbox.behalf import seen_by
from postern.outbox.deliver import deliver
from postern.outbox.models import Delivery
from tests.web.browser import Browser

pytestmark = pytest.mark.rule("R-038")
TODAY = "550 5.4.5 Daily user sending limit exceeded."
BUSY = "421 4.4.2 Message submission rate for this client has exceeded the configured limit"


def page(staff, path):
    browser = Browser()
    browser.force_login(staff)
    answer = browser.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


@pytest.mark.parametrize(
    ("stage", "reply", "least", "most"),
    [
        (
            "CONNECT",
            "421 4.3.2 The maximum number of concurrent server connections has exceeded a limit",
            1,
            2,
        ),
        ("MAIL", BUSY, 1, 2),
        ("MAIL", TODAY, 120, 121),
        ("RCPT", "450 Requested mail action not taken: mailbox unavailable Mail send limit exceeded.", 1, 2),
        (
            "RCPT",
            "550 Domain n.example has exceeded the max emails per hour (200/200 (100%)) allowed.",
            60,
            61,
        ),
        ("RCPT", TODAY, 120, 121),
        ("DATA", BUSY, 1, 2),
        ("DOT", "432 4.3.2 Concurrent connections limit exceeded", 1, 2),
        ("DOT", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", 120, 121),
        ("DOT", "451 4.7.1 too many messages, try again in 20 minutes", 20, 21),
    ],
)
def test_it_waits_as_long_as_the_limit_and_goes_out_once(outbox, server, marta, stage, reply, least, most):
    server.says = {stage: reply}
    queued = outbox.queue(to="a@a.example, b@b.example")
    row = outbox.work(queued)
    assert (row.state, row.code, row.attempts) == ("queued", "sending_limit", 1)
    wait = row.send_at - timezone.now()
    assert timedelta(minutes=least, seconds=-30) < wait < timedelta(minutes=most)
    assert row.server_text == reply and server.taken == []
    assert row.advice == "Nothing needs to be done; Postern tries again by itself."
    for elsewhere in ("Asia/Kolkata", "America/New_York"):
        with timezone.override(elsewhere):
            shown, drafts = page(marta, f"/compose/{row.pk}/"), page(marta, "/messages/drafts/")
            again = f"{timezone.localtime(row.send_at):%H:%M}</time>"
        assert row.problem in shown and row.advice in shown and reply.partition(" ")[2] in shown
        assert row.problem in drafts and again in shown and again in drafts
    server.says = {}
    assert outbox.work(row).state == "queued" and server.taken == [], "not before its time"
    row = outbox.work_later(row)
    assert (row.state, row.problem, row.attempts) == ("accepted", "", 2)
    assert outbox.work(row).state == "accepted"
    assert [one.data for one in server.taken] == [bytes(queued.raw)], "once, the same bytes"
    assert server.taken[0].recipients == ["a@a.example", "b@b.example"]


def test_waiting_for_a_day_does_not_use_up_the_letters_day_but_four_days_are_enough(outbox, server):
    server.says = {"MAIL": TODAY}
    row = outbox.work(outbox.queue())
    for _ in range(20):
        past = {name: getattr(row, name) - timedelta(hours=2) for name in ("date", "give_up_at")}
        with outbox.acting_as("superuser"):
            Delivery.objects.filter(pk=row.pk).update(**past)
        row = outbox.work_later(row)
    assert row.state == "queued", "after 40 hours"
    with outbox.acting_as("superuser"):
        Delivery.objects.filter(pk=row.pk).update(date=timezone.now() - timedelta(hours=95))
    row = outbox.work_later(row)
    assert (row.state, row.code) == ("failed", "sending_limit") and row.editable
    assert "tried for 4 days and gave up" in row.advice and row.server_text == TODAY
    server.says = {}
    assert outbox.work(row).state == "failed" and server.taken == []


def test_it_can_be_taken_back_while_it_waits(outbox, server, marta):
    server.says = {"DOT": TODAY}
    row = outbox.work(outbox.queue())
    with viewing_as(marta):
        compose.undo_send(delivery=row)
    server.says = {}
    assert outbox.work_later(row).state == "draft" and server.taken == []


def test_who_writes_in_anothers_name_reads_why_it_waits_but_not_the_servers_words(
    outbox, server, petra, draft, marta
):
    server.says = {"MAIL": TODAY}
    with viewing_as(petra):
        row = compose.send(delivery=compose.save(delivery=draft, to=draft.to, text="Hello"), undo_seconds=0)
    with outbox.acting_as("send"):
        deliver(mailbox_id=outbox.mailbox.pk, delivery_id=row.pk)
    with viewing_as(petra):
        (told,) = seen_by(petra, Delivery.objects.of(petra).filter(pk=row.pk))
    seen = told.row
    assert (seen.state, seen.code, seen.server_text) == ("queued", "sending_limit", "")
    assert "daily limit" in seen.problem and "tries again by itself" in seen.advice
