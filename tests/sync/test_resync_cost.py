"""What a look costs grows with what changed, never with how many letters lie there or ever lay there."""

import asyncio

import pytest
from django.db import connection, transaction

from postern.mail.access import at_mailbox
from postern.mail.models import Sighting
from postern.sync import store
from postern.sync.changes import gaps
from postern.sync.plan import Remembered
from postern.sync.store import Store
from postern.sync.visit import open_visit
from postern.wire.imap import UidSet, open_session
from tests.roles import acting_as

from .box import USER, letter

pytestmark = pytest.mark.dovecot

LADDERS = {
    "qresync": frozenset[str](),
    "condstore+esearch": frozenset({"QRESYNC"}),
    "condstore": frozenset({"QRESYNC", "ESEARCH"}),
}


async def called(box, hidden) -> list[str]:
    """Connect, and read INBOX; which functions of the store the reading itself called."""
    keeper, names = Store(1), []
    account = await keeper.run(store.load, box.mailbox.pk)
    session = await open_session(account.endpoint, account.policy, account.login)
    session.connection.learn(session.connection.capabilities - hidden)
    session.connection.enabled -= hidden
    try:
        inbox = (await open_visit(session, keeper, account.mailbox)).readings[0]
        run = keeper.run

        def noted(function, *arguments, **options):
            names.append(function.__name__)
            return run(function, *arguments, **options)

        keeper.run = noted
        while await inbox.read():
            pass
        return names
    finally:
        await session.logout()
        keeper.close()


@pytest.mark.parametrize("ladder", LADDERS)
def test_nothing_changed_asks_the_database_nothing(box, dovecot, ladder):
    box.visit()
    for n in range(3):
        dovecot.deliver(USER, letter(f"number {n}"))
    assert "keep" in asyncio.run(called(box, LADDERS[ladder]))
    assert asyncio.run(called(box, LADDERS[ladder])) == []
    assert len(box.subjects()) == 3


def left(box, letters: int, here: int) -> Remembered:
    """The ledger of an INBOX in which so many letters once lay, of which the last `here` are there."""
    folder = box.folder()
    with at_mailbox(box.mailbox.pk), connection.cursor() as cursor:
        Sighting.objects.filter(folder=folder).delete()
        cursor.execute(
            "INSERT INTO mail_sighting (mailbox_id, folder_id, uidvalidity, uid, outcome, reason, gone_at)"
            " SELECT %s, %s, 7, uid, 'imported', '', CASE WHEN uid <= %s THEN now() END"
            " FROM generate_series(1, %s) uid",
            [box.mailbox.pk, folder.pk, letters - here, letters],
        )
    with acting_as("superuser", everywhere=False), connection.cursor() as cursor:
        cursor.execute("ANALYZE mail_sighting")  # or the statistics are of a table that the test before left
    return Remembered(7, letters + 1, 1, exists=here)


def rows(function, *arguments) -> tuple[int, object]:
    """How many rows PostgreSQL looked at for a function of the store, and what the function said."""

    def so_far() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)"
                " FROM pg_stat_xact_user_tables WHERE relname = 'mail_sighting'"
            )
            return int(cursor.fetchone()[0])

    with transaction.atomic():
        before = so_far()
        said = function(*arguments)
        return so_far() - before, said


def test_who_left_is_found_without_a_look_at_all_who_ever_left(box):
    """An INBOX that is emptied every day: ten letters lie there, thousands once did."""
    box.visit()
    folder, read = box.folder(), {}
    for letters in (2000, 8000):
        state = left(box, letters, here=10)
        listed = UidSet([(letters - 8, letters)])
        missing, gone = rows(store.here_among, folder, 7, gaps(state, listed).ranges())
        told, same = rows(store.here_among, folder, 7, [(1, letters - 9)])
        newest, low = rows(store.window, folder, 7, 200)
        assert gone == same == ([letters - 9], True) and low == letters - 9
        read[letters] = missing, told, newest
    assert read[2000] == read[8000]
    assert max(read[8000]) <= 25
