"""The e-mail of a notice (R-003): never lost to a kill, and where it may come twice it is one and the same letter."""

from __future__ import annotations

import email
from email import policy

import pytest
from django.db import DatabaseError, transaction

from postern.mail.access import viewing_as
from postern.outbox import telling
from postern.people.models import Notice, Staff
from postern.wire.errors import MailError
from tests.roles import hire

from .server import DROP
from .test_leaving import system
from .test_tasks import run_worker

pytestmark = pytest.mark.rule("R-003")


@pytest.fixture
def notice(marta, server, acting_as):
    """Marta is to be told something, and the company's server is there to do it."""
    system(hire(email="ruth@northlink.example", name="Ruth", password=None, role="super"), server)
    with acting_as("superuser"):
        return Notice.objects.create(staff=marta, text="A one-time password was made for you.")


@pytest.fixture
def tell(notice, acting_as):
    """Do the job once, as the send process does."""

    def once() -> bool:
        with acting_as("send"):
            return telling.tell(notice.pk)

    return once


@pytest.fixture
def row(notice, acting_as):
    """Look at the notice."""

    def look() -> Notice:
        with acting_as("superuser"):
            return Notice.objects.get(pk=notice.pk)

    return look


def killed(*_: object, **__: object) -> None:
    """What a process does that is killed: nothing."""
    raise SystemExit


def test_killed_before_the_first_byte_it_is_mailed_by_the_next_worker(tell, row, server, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(telling.smtp, "send", killed)
        tell()
    assert server.taken == [] and row().mailings == 1 and row().message_id
    assert tell() is True and tell() is False
    assert len(server.taken) == 1 and row().mailed_at


def test_killed_between_the_servers_yes_and_the_mark_it_goes_again_as_the_same_letter(
    tell, row, server, monkeypatch
):
    real = telling.Road.hand_over
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(telling.Road, "hand_over", lambda road, **what: (real(road, **what), killed()))
        tell()
    assert row().mailed_at is None and not row().maybe_twice
    assert tell() is True and tell() is False
    first, second = server.taken
    assert first.data == second.data and row().maybe_twice
    letter = email.message_from_bytes(first.data, policy=policy.default)
    assert letter["Message-ID"] == f"<{row().message_id}>"
    assert f"This is notice {row().pk}; should it reach you twice" in " ".join(letter.get_content().split())


def test_killed_after_the_mark_it_is_not_mailed_again(tell, row, server):
    assert tell() is True
    assert tell() is False
    assert len(server.taken) == 1 and not row().maybe_twice


def test_the_mark_is_committed_before_the_first_byte(tell, row, server):
    seen = []
    server.on_dot = lambda: seen.append((row().mailings, bool(row().message_id), row().mailed_at))
    assert tell() is True
    assert seen == [(1, True, None)]


def test_no_answer_to_the_dot_it_goes_again_and_not_for_ever(tell, row, server):
    server.says = {"DOT": DROP}
    for _ in range(telling.MOST_MAILINGS):
        with pytest.raises(MailError, match="may have taken it"):
            tell()
    assert tell() is False
    assert len(server.taken) == telling.MOST_MAILINGS and len({one.data for one in server.taken}) == 1
    assert row().mailed_at is None and row().maybe_twice


def test_no_answer_to_the_dot_and_the_next_attempt_is_the_last(tell, row, server):
    server.says = {"DOT": DROP}
    with pytest.raises(MailError):
        tell()
    server.says = {}
    assert tell() is True and tell() is False
    assert len(server.taken) == 2 and row().maybe_twice and row().mailed_at


@pytest.mark.parametrize(
    ("says", "again"),
    [({"MAIL": "451 later"}, True), ({"DATA": DROP}, True), ({"DOT": "554 never"}, False)],
    ids=str,
)
def test_what_was_certainly_not_taken_does_not_count(tell, row, server, says, again):
    server.says = says
    for _ in range(telling.MOST_MAILINGS + 1):
        if again:
            with pytest.raises(MailError):
                tell()
        else:
            assert tell() is False
    assert row().mailings == 0 and row().mailed_at is None and server.taken == []
    server.says = {}
    assert tell() is True and len(server.taken) == 1 and not row().maybe_twice


def test_two_jobs_at_the_same_moment_mail_one_and_the_same_letter(tell, row, server):
    """The second begins while the first is with the server: a worker that froze, and whoever took its job over."""
    answers = []

    def once_more() -> None:
        server.on_dot = lambda: None
        answers.append(tell())

    server.on_dot = once_more
    assert tell() is True and answers == [True]
    assert [one.data for one in server.taken] == [server.taken[0].data] * 2 and row().maybe_twice


def test_the_worker_tries_again_after_no_answer(marta, notice, row, server, acting_as):
    from django.db import connection

    server.says = {"DOT": DROP}
    with acting_as("superuser"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT app.tell(%s, 'Your mail was handed over.')", [marta.pk])
    run_worker(acting_as)
    assert len(server.taken) == 1
    server.says = {}
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE task_name = 'tell'")
    run_worker(acting_as)
    assert [one.data for one in server.taken] == [server.taken[0].data] * 2


def test_no_page_changes_what_is_known_of_the_e_mail(marta, notice, acting_as):
    with viewing_as(marta):
        assert Notice.objects.filter(pk=notice.pk).update(seen_at=notice.created_at) == 1
        for change in ({"mailings": 9}, {"mailed_at": notice.created_at}, {"message_id": "x@y"}):
            with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
                Notice.objects.filter(pk=notice.pk).update(**change)
    assert Staff.objects.filter(pk=marta.pk).exists()
