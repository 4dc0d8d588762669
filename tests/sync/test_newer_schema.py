"""An old worker meets the tables of a newer version: it goes on, or waits without losing a letter (R-007)."""

import asyncio
import contextlib

import pytest
from django.db import connection

from postern.sync.reconcile import reconcile

from .box import USER, letter
from .test_supervisor import supervising, wait_until
from .test_watcher import in_sync, until

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-007")]


@contextlib.contextmanager
def newer(acting_as, change, back):
    """What a migration of a newer version did to a table, until it is undone."""

    def alter(what):
        with acting_as("superuser", everywhere=False), connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE mail_message {what}")

    alter(change)
    try:
        yield
    finally:
        alter(back)


def test_a_column_more_disturbs_nobody(box, dovecot, acting_as):
    box.visit()
    with newer(acting_as, "ADD COLUMN newer int NOT NULL DEFAULT 7", "DROP COLUMN newer"):
        dovecot.deliver(USER, letter("one"))
        box.visit()
        assert box.subjects() == ["one"]


@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("ADD COLUMN newer int NOT NULL", "DROP COLUMN newer"),
        ("RENAME COLUMN subject TO title", "RENAME COLUMN title TO subject"),
    ],
)
def test_what_an_old_worker_cannot_store_waits_at_the_server(
    box, dovecot, acting_as, monkeypatch, change, back
):
    monkeypatch.setattr("postern.sync.backoff.FIRST_SECONDS", 0.2)
    box.change(mark_as_read=True)

    def meanwhile():
        with newer(acting_as, change, back):
            dovecot.deliver(USER, letter("one"))
            wait_until(lambda: box.health.state not in ("in_sync", "first_sync"))
            (uid,) = dovecot.uids(USER)
            assert dovecot.flags(USER, "INBOX", uid) == set()
            assert box.folder().next_uid == uid and box.ledger() == {}

    async def story():
        async with supervising():
            await until(in_sync(box))
            await asyncio.to_thread(meanwhile)
            await until(lambda: box.subjects() == ["one"] and not box.errands())
            await until(in_sync(box))

    asyncio.run(story())
    assert dovecot.flags(USER, "INBOX", dovecot.uids(USER)[0]) == {"\\Seen"}
    assert reconcile(box.mailbox.pk).complete
