"""Row security itself: who is looking is known for one transaction, in one connection, and to nobody after."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.http import HttpRequest, HttpResponse

from postern.mail import models as mail
from postern.mail.access import ViewerMiddleware, WallMiddleware, at_mailbox, set_viewer, viewing_as
from postern.mail.models import Message
from postern.people.models import Staff
from postern.project.database import libpq
from tests.privacy.pooled import PROGRAM, pgbouncer
from tests.world import World, arrive, letter, make_world


@pytest.fixture
def world(db, acting_as) -> World:
    world = make_world(acting_as)
    arrive(acting_as, world.inbox, letter(subject="secret"))
    return world


def seen() -> list[str]:
    """What the policies alone show at this moment."""
    return list(Message.objects.values_list("subject", flat=True))


GARBAGE = ["", " ", "0", "-1", "1.0", "1e3", "x", "NULL", "1 OR 1=1", "{1}", "٣", "9" * 30, "1\n"]


@pytest.mark.rule("S-069")
@pytest.mark.parametrize("context", GARBAGE)
def test_s069_without_a_good_context_nothing_is_there_and_nothing_can_be_written(world, context, acting_as):
    for setting, role in (("app.staff_id", "web"), ("app.mailbox_id", "sync"), ("app.mailbox_id", "send")):
        with acting_as(role), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, true)", [setting, context])
            for table in ("mail_message", "mail_body", "mail_raw", "mail_messagesearch", "outbox_delivery"):
                cursor.execute(f"SELECT count(*) FROM {table}")
                assert cursor.fetchone() == (0,), (role, table)
            cursor.execute("UPDATE mail_message SET known = true")
            assert cursor.rowcount == 0
    with pytest.raises(DatabaseError), transaction.atomic():
        set_viewer(None)
        connection.cursor().execute("SELECT set_config('app.staff_id', %s, true)", [context])
        mail.MessageRead.objects.create(staff=world.owner, message_id=1, mailbox=world.mailbox)


@pytest.mark.rule("S-066")
def test_s066_who_may_no_longer_sign_in_is_nobody_to_the_policies(world, acting_as):
    """Whatever of theirs is still there: their own mailbox and settings too."""
    tables = (
        "mail_message",
        "mail_conversation",
        "mailboxes_mailbox",
        "mailboxes_folder",
        "mailboxes_reader",
    )
    for active in (True, False):
        with acting_as("superuser"):
            Staff.objects.filter(pk=world.owner.pk).update(is_active=active)
        with viewing_as(world.owner), connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"SELECT EXISTS (SELECT FROM {table})")
                assert cursor.fetchone() == (active,), table
            cursor.execute("UPDATE mailboxes_mailbox SET reply_to = 'x@y.example'")
            assert (cursor.rowcount > 0) == active


def _raise(owner: Staff) -> None:
    with viewing_as(owner):
        assert seen() == ["secret"]
        raise KeyError


def _savepoint(owner: Staff) -> None:
    with viewing_as(owner), contextlib.suppress(KeyError), transaction.atomic():
        assert seen() == ["secret"]
        raise KeyError


def _error_in_sql(owner: Staff) -> None:
    with viewing_as(owner):
        connection.cursor().execute("SELECT 1/0")


def _inner_viewer(owner: Staff) -> None:
    """A savepoint that names somebody and is rolled back names nobody."""
    with transaction.atomic():
        set_viewer(None)
        with contextlib.suppress(KeyError), transaction.atomic():
            set_viewer(owner.pk)
            assert seen() == ["secret"]
            raise KeyError
        assert seen() == []


def _on_commit(owner: Staff) -> None:
    found: list[list[str]] = []
    with viewing_as(owner):
        transaction.on_commit(lambda: found.append(seen()))
    assert found == [[]]


def _cancelled(owner: Staff) -> None:
    async def looking() -> None:
        with viewing_as(owner):
            await asyncio.sleep(30)

    async def run() -> None:
        task = asyncio.create_task(looking())
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    with _unsafe_async():
        asyncio.run(run())


@contextlib.contextmanager
def _unsafe_async() -> Iterator[None]:
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        yield
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def _request(owner: Staff, view: Callable[[HttpRequest], HttpResponse]) -> HttpResponse:
    request = HttpRequest()
    request.user = owner
    return WallMiddleware(ViewerMiddleware(view))(request)


def _answered(owner: Staff) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(",".join(seen()))

    assert _request(owner, view).content == b"secret"


def _failed_request(owner: Staff) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        assert seen() == ["secret"]
        raise KeyError

    _request(owner, view)


def _server_error(owner: Staff) -> None:
    assert _request(owner, lambda request: HttpResponse(status=500)).status_code == 500


ENDINGS = [
    _raise,
    _savepoint,
    _error_in_sql,
    _inner_viewer,
    _on_commit,
    _cancelled,
    _answered,
    _failed_request,
    _server_error,
]


@pytest.mark.rule("S-070")
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda one: one.__name__.strip("_"))
def test_s070_however_one_persons_work_ends_the_next_on_the_same_connection_is_nobody(world, ending):
    backend = _backend()
    with contextlib.suppress(KeyError, DatabaseError):
        ending(world.owner)
    assert _backend() == backend, "the connection was not used again, so this shows nothing"
    assert seen() == []
    with viewing_as(world.colleague):
        assert seen() == []
    with viewing_as(world.owner):
        assert seen() == ["secret"]


def _backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.mark.rule("S-070")
def test_s070_another_thread_and_a_stream_that_outlives_its_request_see_nothing(world):
    found = []

    def elsewhere() -> None:
        found.append(seen())
        connections.close_all()

    def late():
        yield ",".join(seen())

    with viewing_as(world.owner):
        stream = late()
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(10)
    assert found == [[]]
    assert list(stream) == [""]


@pytest.mark.rule("S-070")
@pytest.mark.skipif(
    not PROGRAM, reason="PGBOUNCER IS NOT INSTALLED (apt-get install pgbouncer): pooling is untested"
)
def test_s070_through_pgbouncer_in_transaction_mode_nobody_inherits_a_viewer(world):
    """One connection to the server serves everybody in turn; who is looking ends with each transaction."""
    name = "SELECT set_config('app.staff_id', %s, true)"
    look = "SELECT coalesce(string_agg(subject, ','), '-') FROM mail_message"
    with pgbouncer(libpq("superuser")) as pool:
        one, two = (psycopg.connect(**pool, autocommit=True, prepare_threshold=None) for _ in "ab")
        with one, two:
            asked = {one: world.owner.pk, two: world.colleague.pk}
            for turn in range(6):
                who = (one, two)[turn % 2]
                with who.transaction(force_rollback=turn > 3):
                    who.execute(name, [str(asked[who])])
                    assert who.execute(look).fetchone() == ("secret" if who is one else "-",)
                for other in (one, two):
                    assert other.execute(look).fetchone() == ("-",)
            with pytest.raises(psycopg.Error), one.transaction():
                one.execute(name, [str(world.owner.pk)])
                one.execute("SELECT 1/0")
            assert two.execute(look).fetchone() == ("-",)
            assert len({c.execute("SELECT pg_backend_pid()").fetchone() for c in (one, two)}) == 1
            one.execute("BEGIN")
            one.execute(name, [str(world.owner.pk)])
            one.pgconn.finish()  # the program dies in the middle
            assert two.execute(look).fetchone() == ("-",)


@pytest.mark.rule("S-071")
def test_s071_outside_a_transaction_naming_somebody_lasts_one_statement(world, acting_as):
    assert connection.get_autocommit()
    set_viewer(world.owner.pk)
    assert seen() == []
    for role in ("sync", "send"):
        with acting_as(role):
            assert seen() == []
            with at_mailbox(world.colleague_mailbox.pk):
                assert seen() == []
            assert seen() == []


@pytest.mark.rule("S-071")
def test_s071_there_is_one_database_alias_and_every_request_is_one_transaction():
    from django.conf import settings

    assert set(settings.DATABASES) == {"default"}
    wall = settings.MIDDLEWARE.index("postern.mail.access.WallMiddleware")
    others = [
        n for n, name in enumerate(settings.MIDDLEWARE) if "Session" in name or "Authentication" in name
    ]
    assert wall < min(others) < settings.MIDDLEWARE.index("postern.mail.access.ViewerMiddleware")
