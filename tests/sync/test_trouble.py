"""A database that goes away, and neighbours who have too much mail: nothing is lost, doubled or late for it."""

import asyncio
import time
from datetime import date, timedelta

import pytest

from postern.mail.access import at_mailbox
from postern.mail.models import Message
from postern.mailboxes.models import Mailbox
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


MANY = 1200


@pytest.mark.rule("R-033")
def test_a_huge_mailbox_beside_it_does_not_keep_a_small_one_waiting(box, dovecot, acting_as):
    for n in range(MANY):
        dovecot.deliver("tom@example.test", letter(f"number {n}", body="x" * 6000))
    huge = second_mailbox(box, dovecot, acting_as)
    Mailbox.objects.filter(pk=huge.pk).update(historic=True, historic_since=date.today() - timedelta(days=2))

    def done():
        with at_mailbox(huge.pk):
            return Message.objects.filter(mailbox=huge.pk).count()

    async def story():
        waits = []
        async with supervising():
            await until(lambda: done() > 0, 30)
            await until(in_sync(box), 30)
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
