"""A database that goes away, and neighbours who have too much mail: nothing is lost, doubled or late for it."""

import asyncio
import contextlib
import time
from dataclasses import replace
from datetime import date, timedelta

import psycopg
import pytest

from postern.mail.access import at_mailbox
from postern.mail.models import Message
from postern.mailboxes.models import Folder
from postern.sync.reconcile import reconcile

from .box import USER, letter
from .test_leases import second_mailbox
from .test_supervisor import supervising
from .test_watcher import in_sync, until

pytestmark = pytest.mark.dovecot


def on_a_new_connection(work):
    """Do something whose old connection may have been ended."""
    from django.db import connection

    connection.close()
    return work()


def end_connections(acting_as):
    """What an operator or a crash does to every session but our own."""
    from django.db import connection

    with acting_as("superuser", everywhere=False):
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        connection.close()


@pytest.mark.rule("R-008")
def test_database_sessions_that_are_ended_again_and_again_cost_no_letter(
    box, dovecot, acting_as, monkeypatch
):
    monkeypatch.setattr("postern.sync.backoff.FIRST_SECONDS", 0.2)
    box.change(mark_as_read=True)
    subjects = [f"number {n}" for n in range(24)]

    def all_here():
        return on_a_new_connection(lambda: sorted(box.subjects()) == sorted(subjects) and not box.errands())

    async def story():
        async with supervising():
            await until(in_sync(box))
            for n, subject in enumerate(subjects):
                dovecot.deliver(USER, letter(subject))
                if n % 4 == 3:
                    await asyncio.to_thread(end_connections, acting_as)
                await asyncio.sleep(0.15)
            await until(all_here, 60)

    asyncio.run(story())
    assert on_a_new_connection(lambda: len(box.ledger())) == len(subjects)
    assert all(dovecot.flags(USER, "INBOX", uid) == {"\\Seen"} for uid in dovecot.uids(USER))
    assert reconcile(box.mailbox.pk).complete


@contextlib.contextmanager
def nobody_gets_in():
    """The database ends every session and takes no new one, as while it is started anew or moved."""
    from postern.project.database import libpq

    address = libpq("superuser")
    name = address["dbname"]
    with psycopg.connect(**address | {"dbname": "postgres"}, autocommit=True) as outside:
        outside.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        try:
            outside.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            yield
        finally:
            outside.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@pytest.mark.rule("R-008")
@pytest.mark.parametrize("seconds", [2.0, pytest.param(60.0, marks=pytest.mark.soak)])
def test_a_database_that_is_gone_costs_no_letter_and_doubles_none(box, dovecot, monkeypatch, seconds):
    """Letters come before, during and after; what we owe the server is done once it is back."""
    if seconds < 10:
        monkeypatch.setattr("postern.sync.backoff.FIRST_SECONDS", 0.2)
    monkeypatch.setattr("postern.sync.listening.AGAIN_SECONDS", 0.2)
    box.change(mark_as_read=True)
    subjects = [f"number {n}" for n in range(12)]

    def all_here():
        return on_a_new_connection(lambda: sorted(box.subjects()) == sorted(subjects) and not box.errands())

    def gone():
        with nobody_gets_in():
            for subject in subjects[4:8]:
                dovecot.deliver(USER, letter(subject))
                time.sleep(seconds / 4)

    async def story():
        async with supervising():
            await until(in_sync(box))
            for subject in subjects[:4]:
                dovecot.deliver(USER, letter(subject))
            await asyncio.to_thread(gone)
            for subject in subjects[8:]:
                dovecot.deliver(USER, letter(subject))
            await until(all_here, 30 + 2 * seconds)
            await until(lambda: on_a_new_connection(in_sync(box)), 30)

    asyncio.run(story())
    assert on_a_new_connection(lambda: len(box.ledger())) == len(subjects)
    assert all(dovecot.flags(USER, "INBOX", uid) == {"\\Seen"} for uid in dovecot.uids(USER))
    assert reconcile(box.mailbox.pk).complete


@pytest.mark.rule("R-009")
def test_a_full_disk_is_told_keeps_the_cursor_and_heals(box, dovecot, monkeypatch, tmp_path):
    from django.conf import settings

    from postern.mail.letterstore import LetterStoreDown
    from postern.mail.letterstore.files import Files

    monkeypatch.setattr("postern.sync.backoff.FIRST_SECONDS", 0.2)
    monkeypatch.setattr(settings, "LETTERS", f"files:{tmp_path}")
    full, put = True, Files.put

    def put_if_there_is_room(self, name, packed):
        if full:
            raise LetterStoreDown("no letter can be written: No space left on device")
        put(self, name, packed)

    monkeypatch.setattr(Files, "put", put_if_there_is_room)

    def cursor():
        return Folder.objects.get(mailbox=box.mailbox, role=Folder.Role.INBOX).next_uid

    async def story():
        nonlocal full
        async with supervising():
            await until(in_sync(box))
            before = await asyncio.to_thread(cursor)
            dovecot.deliver(USER, letter("too much"))
            await until(lambda: box.health.code == "store_failed", 30)
            assert "No space left on device" in (await asyncio.to_thread(lambda: box.health.message))
            assert (await asyncio.to_thread(box.subjects), await asyncio.to_thread(cursor)) == ([], before)
            full = False
            await until(lambda: box.subjects() == ["too much"], 30)
            await until(in_sync(box))

    asyncio.run(story())
    assert len(list(tmp_path.glob("*/*/*.zst"))) == 1


MANY = 4000


@pytest.mark.rule("R-033")
def test_a_huge_mailbox_beside_it_does_not_keep_a_small_one_waiting(box, dovecot, acting_as):
    for n in range(MANY):
        dovecot.deliver("tom@example.test", letter(f"number {n}", body="x" * 6000))
    box.visit()  # from here on its letters are news
    huge = second_mailbox(box, dovecot, acting_as)
    replace(box, mailbox=huge).change(historic=True, historic_since=date.today() - timedelta(days=2))

    def done():
        with at_mailbox(huge.pk):
            return Message.objects.filter(mailbox=huge.pk).count()

    async def story():
        waits = []
        async with supervising():
            await until(lambda: done() > 0, 30)
            for n in range(5):
                begun = time.monotonic()
                dovecot.deliver(USER, letter(f"small {n}"))
                await until(lambda n=n: f"small {n}" in box.subjects(), 60)
                waits.append((await asyncio.to_thread(done), time.monotonic() - begun))
                if waits[-1][0] == MANY:
                    break
        return waits

    waits = asyncio.run(story())
    assert waits[0][0] < MANY, "the huge mailbox was done before the small one had news"
    assert max(seconds for _, seconds in waits) < 15
