"""However the same letters are cut into batches, and in whatever order they come, the same is here in the end."""

import json
import os
from collections.abc import Sequence
from datetime import timedelta
from itertools import count, pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from postern.mail.intake import Arrival, take_in
from postern.mail.models import Body, Errand, Message, MessageRead, MessageSearch, Party, Sighting
from postern.mailboxes.models import DenyEntry, Folder
from postern.people.models import Address, Customer, Staff
from tests.world import NOON, World, letter, make_folder, make_mailbox, make_world

EXAMPLES = 400 if os.environ.get("POSTERN_SOAK") else 12
_numbers = count(1)


def raws() -> list[bytes]:
    """Threads that grow together, the same bytes twice, one Message-ID twice, customers, strangers, denied senders."""

    def one(mid: str, *references: str, **more: str) -> bytes:
        line = f"References: {' '.join(f'<{r}@x.example>' for r in references)}\r\n" if references else ""
        return letter(mid=f"{mid}@x.example", headers=line, subject=more.pop("subject", mid), **more)

    return [
        one("a"),
        one("b", "a"),
        one("c", "ghost", "b"),
        one("d", "ghost", sender="Both <both@shop.example>"),
        one("e", sender="stranger@else.example"),
        one("f", "e", "a2"),
        one("a2"),
        one("a"),
        one("a2", subject="the same id, another letter"),
        one("spam", "a", sender="x@denied.example"),
        one("g", "spam"),
        letter(mid="", subject="no id"),
    ]


@pytest.fixture
def world(db, acting_as) -> World:
    world = make_world(acting_as)
    with acting_as("superuser"):
        row = Address.objects.create(customer=Customer.objects.create(name="Shop"), email="both@shop.example")
        Address.objects.filter(pk=row.pk).update(created_at=NOON - timedelta(days=9))
    return world


def fresh_folder(acting_as) -> Folder:
    """An INBOX of a mailbox nobody had before, with a deny list and "mark as read"."""
    with acting_as("superuser"):
        number = next(_numbers)
        owner = Staff.objects.create_staff(email=f"b{number}@isp.example", name="B", password=None)
        mailbox = make_mailbox(owner)
        type(mailbox).objects.filter(pk=mailbox.pk).update(mark_as_read=True)
        DenyEntry.objects.create(mailbox=mailbox, pattern="denied.example")
        return make_folder(mailbox)


def state(acting_as, folder: Folder) -> dict[str, object]:
    """All that intake leaves behind, without its own numbers."""
    with acting_as("superuser"):
        messages = {m.pk: m for m in Message.objects.filter(mailbox=folder.mailbox_id)}
        threads: dict[int, set[bytes]] = {}
        for message in messages.values():
            threads.setdefault(message.conversation_id, set()).add(bytes(message.sha256))
        name = {pk: bytes(m.sha256) for pk, m in messages.items()}
        return {
            "threads": {frozenset(group) for group in threads.values()},
            "messages": {
                (name[m.pk], m.subject, m.preview, m.known, m.owner_party) for m in messages.values()
            },
            "parties": {
                (name[p.message_id], p.customer_id) for p in Party.objects.filter(message__in=messages)
            },
            "texts": {(name[b.message_id], b.text) for b in Body.objects.filter(message__in=messages)},
            "ledger": {
                (s.uid, s.outcome, s.message_id and name[s.message_id])
                for s in Sighting.objects.filter(folder=folder)
            },
            "errands": {name[e.message_id] for e in Errand.objects.filter(mailbox=folder.mailbox_id)},
            "read": {name[r.message_id] for r in MessageRead.objects.filter(mailbox=folder.mailbox_id)},
            "words": {
                name[s.message_id]
                for s in MessageSearch.objects.filter(message__in=messages)
                if s.wall_key == messages[s.message_id].wall_key
            },
        }


def take(acting_as, folder: Folder, arrivals: Sequence[Arrival]) -> None:
    """One batch, as the worker takes it in."""
    with acting_as("sync"):
        take_in(folder=folder, uidvalidity=7, arrivals=arrivals)


def arrivals() -> list[Arrival]:
    """The letters, each with its UID; every third was read on the server."""
    return [
        Arrival(uid, frozenset({"\\Seen"} if uid % 3 == 0 else ()), NOON + timedelta(minutes=uid), raw)
        for uid, raw in enumerate(raws(), 1)
    ]


def test_any_split_in_any_order_ends_in_the_same_state(world, acting_as):
    letters = arrivals()
    # The same bytes twice are one message, with the date and read mark of whichever came first: one of a kind here.
    letters = [*letters[:7], *letters[8:]]
    folder = fresh_folder(acting_as)
    take(acting_as, folder, letters)
    expected = state(acting_as, folder)
    assert len(expected["threads"]) == 4  # type: ignore[arg-type]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=EXAMPLES < 100,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(some.permutations(range(len(letters))), some.sets(some.integers(1, len(letters) - 1)))
    def same_end(order: list[int], cuts: set[int]) -> None:
        folder = fresh_folder(acting_as)
        edges = [0, *sorted(cuts), len(letters)]
        for begin, end in pairwise(edges):
            take(acting_as, folder, [letters[n] for n in order[begin:end]])
            take(acting_as, folder, [letters[n] for n in order[begin:end]][:2])  # a crash means a refetch
        assert state(acting_as, folder) == expected

    same_end()


def test_the_same_bytes_in_one_batch_or_in_two_are_one_message(world, acting_as):
    letters = arrivals()
    together, apart = fresh_folder(acting_as), fresh_folder(acting_as)
    take(acting_as, together, letters)
    for one in letters:
        take(acting_as, apart, [one])
    assert state(acting_as, together) == state(acting_as, apart)


def test_a_batch_takes_the_same_statements_whatever_its_size(world, acting_as):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counted = []
    for size in (3, 60, 200):
        folder = fresh_folder(acting_as)
        batch = [
            Arrival(n, frozenset({"\\Seen"} if n % 2 else ()), NOON, letter(mid=f"{size}.{n}@y.example"))
            for n in range(1, size + 1)
        ]
        with CaptureQueriesContext(connection) as queries:
            take(acting_as, folder, batch)
        counted.append(len(queries))
    assert counted[0] == counted[1] == counted[2] < 40


def rows_read(acting_as, folder: Folder, first: int) -> int:
    """How many rows of mail PostgreSQL looked at to take a batch of fifty answers in, each to another letter."""
    from django.db import connection, transaction

    batch = [
        Arrival(
            n,
            frozenset(),
            NOON,
            letter(mid=f"{n}@z.example", headers=f"References: <{n % 7}@z.example>\r\n"),
        )
        for n in range(first, first + 50)
    ]

    def read() -> int:
        cursor.execute(
            "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
            " WHERE relname IN ('mail_message', 'mail_sighting', 'mail_reference', 'mail_conversation')"
        )
        return int(cursor.fetchone()[0])

    with acting_as("sync"), transaction.atomic(), connection.cursor() as cursor:
        before = read()
        take_in(folder=folder, uidvalidity=7, arrivals=batch)
        return read() - before


def forget_sizes() -> None:
    """Let the database be as on the first day: no statistics, and none taken yet."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM pg_statistic USING pg_class c WHERE c.oid = starelid AND c.relname LIKE 'mail_%'"
        )
        cursor.execute("SELECT pg_stat_reset_single_table_counters('mail_message'::regclass)")


@pytest.mark.parametrize("known", ["nothing", "another mailbox"])
def test_a_batch_reads_no_more_rows_the_more_letters_are_here_whatever_the_database_knows_of_sizes(
    world, acting_as, known
):
    from django.db import connection

    from postern.sync.store import letters as sync_letters

    with acting_as("superuser"):
        forget_sizes()
    sync_letters._take_stock.cache_clear()
    if known == "another mailbox":  # then nothing is known of ours: it is no frequent value
        other = fresh_folder(acting_as)
        for first in range(10_000, 10_300, 50):
            rows_read(acting_as, other, first)
        with acting_as("superuser"), connection.cursor() as cursor:
            cursor.execute("ANALYZE mail_message, mail_sighting, mail_reference, mail_conversation")
    folder = fresh_folder(acting_as)
    with acting_as("sync"):
        arrived = [Arrival(n, frozenset(), NOON, letter(mid=f"{n}@z.example")) for n in range(1, 26)]
        sync_letters.keep(folder, 7, arrived)
    early = rows_read(acting_as, folder, 100)
    for first in range(200, 1200, 50):
        rows_read(acting_as, folder, first)
    assert rows_read(acting_as, folder, 5000) <= 1.2 * early


def test_letters_that_come_back_take_the_same_statements_however_many(world, acting_as):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counted = []
    for size in (3, 60):
        folder = fresh_folder(acting_as)
        letters = [letter(mid=f"back{size}.{n}@y.example") for n in range(size)]
        take(acting_as, folder, [Arrival(n, frozenset(), NOON, raw) for n, raw in enumerate(letters, 1)])
        with acting_as("superuser"):
            Message.objects.filter(mailbox=folder.mailbox_id).update(gone_at=NOON)
        with CaptureQueriesContext(connection) as queries:
            take(
                acting_as, folder, [Arrival(n, frozenset(), NOON, raw) for n, raw in enumerate(letters, 1000)]
            )
        counted.append(len(queries))
        with acting_as("superuser"):
            assert not Message.objects.filter(mailbox=folder.mailbox_id).exclude(gone_at=None).exists()
    assert counted[0] == counted[1]


def test_a_quarantined_letter_that_is_met_again_is_the_same_message(world, acting_as, monkeypatch):
    import postern.mail.preparing as preparing

    def unreadable(raw: bytes) -> None:
        raise RecursionError("deep")

    folder = fresh_folder(acting_as)
    monkeypatch.setattr(preparing, "read", unreadable)
    raw = letter(subject="odd")
    for uid in (1, 2):
        take(acting_as, folder, [Arrival(uid, frozenset(), NOON, raw)])
    with acting_as("superuser"):
        assert list(
            Sighting.objects.filter(folder=folder).order_by("uid").values_list("outcome", flat=True)
        ) == [
            "quarantined",
            "imported",
        ]
        assert Message.objects.filter(mailbox=folder.mailbox_id).count() == 1


def test_listeners_hear_of_each_message_at_commit_and_not_before(world, acting_as):
    import psycopg
    from django.db import connection, transaction

    from postern.mail.access import at_mailbox

    folder = fresh_folder(acting_as)
    with acting_as("superuser"):
        connection.ensure_connection()
        parameters = {
            k: v
            for k, v in connection.get_connection_params().items()
            if k in ("host", "port", "user", "password", "dbname")
        }
    with psycopg.connect(**parameters, autocommit=True) as listener:
        listener.execute("LISTEN postern_events")
        with acting_as("sync"), transaction.atomic(), at_mailbox(folder.mailbox_id):
            take_in(folder=folder, uidvalidity=7, arrivals=arrivals())
            assert not list(listener.notifies(timeout=0.2))
        told = [json.loads(notice.payload) for notice in listener.notifies(timeout=5, stop_after=10)]
    with acting_as("superuser"):
        ids = set(Message.objects.filter(mailbox=folder.mailbox_id).values_list("pk", flat=True))
    assert {one["id"] for one in told} == ids
    assert {(one["kind"], one["mailbox"]) for one in told} == {("message", folder.mailbox_id)}
