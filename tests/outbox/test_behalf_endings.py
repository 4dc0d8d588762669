"""Answers in another's name when the right ends, when they are stopped, and when they cannot go out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from postern.mail.access import viewing_as
from postern.mail.models import Message
from postern.mailboxes.models import Mailbox
from postern.mailboxes.readers import grant, revoke
from postern.outbox import compose
from postern.outbox.compose import ComposeError
from postern.outbox.models import Delivery, OutgoingFile
from postern.people.models import Staff

from .answering import MINE, change, seen, send, work

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
