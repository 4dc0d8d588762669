"""Who sees what: the owner, readers within their grant, and nobody else. Both locks, each alone."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError

from postern.mail.access import at_mailbox, viewing_as, waits_for_own_mailbox
from postern.mail.models import Message
from postern.mailboxes.models import Mailbox, Reader
from postern.people.models import Address
from tests.world import NOON, World, arrive, letter, make_world, subjects, widen


@pytest.fixture
def world(db, acting_as) -> World:
    world = make_world(acting_as)
    arrive(
        acting_as,
        world.inbox,
        letter(subject="customer in"),
        letter(sender="a@b.example", subject="stranger in"),
    )
    arrive(
        acting_as,
        world.sent,
        letter(sender="owner@isp.example", to="greta@brandt-bakery.example", subject="customer out"),
        letter(sender="owner@isp.example", to="a@b.example", subject="stranger out"),
    )
    return world


EVERYTHING = {"customer in", "stranger in", "customer out", "stranger out"}


def test_owner_and_reader_see_it_and_nobody_else(world):
    assert subjects(world.owner) == EVERYTHING
    assert subjects(world.reader) == EVERYTHING
    for nobody in (world.reader_without_imap, world.colleague, world.boss):
        assert subjects(nobody) == set()


def test_row_security_alone_holds(world):
    for person, expected in ((world.owner, 4), (world.reader, 4), (world.colleague, 0), (world.boss, 0)):
        with viewing_as(person):
            assert Message.objects.count() == expected


def test_the_query_layer_alone_holds(world, acting_as):
    with acting_as("superuser"):
        assert Message.objects.visible_to(world.owner).count() == 4
        assert Message.objects.visible_to(world.colleague).count() == 0
        assert Message.objects.visible_to(world.reader_without_imap).count() == 0


@pytest.mark.parametrize("context", ["", "0", "-1", "x", "1; drop", "99999999999999999999"])
def test_no_viewer_or_garbage_sees_nothing(world, context):
    from django.db import connection, transaction

    with transaction.atomic():
        connection.cursor().execute("SELECT set_config('app.staff_id', %s, true)", [context])
        assert Message.objects.count() == 0
        assert Mailbox.objects.count() == 0


def test_the_context_ends_with_its_transaction(world):
    with viewing_as(world.owner):
        assert Message.objects.count() == 4
    assert Message.objects.count() == 0


@pytest.mark.parametrize(
    ("narrow", "expected"),
    [
        ({"incoming_only": True}, {"customer in", "stranger in"}),
        ({"customers_only": True}, {"customer in", "customer out"}),
        ({"incoming_only": True, "customers_only": True}, {"customer in"}),
        ({"ends_at": datetime.now(UTC) + timedelta(days=1)}, EVERYTHING),
        ({"ends_at": datetime.now(UTC) - timedelta(seconds=1)}, set()),
    ],
)
def test_a_grant_shows_what_it_says(world, acting_as, narrow, expected):
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).update(**narrow)
    assert subjects(world.reader) == expected
    with viewing_as(world.reader):
        assert set(Message.objects.values_list("subject", flat=True)) == expected


def test_revoking_takes_hold_at_once(world, acting_as):
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).delete()
    assert subjects(world.reader) == set()


def test_a_reader_sees_it_as_soon_as_their_own_mailbox_is_set_up(world, acting_as):
    from tests.world import make_mailbox

    with viewing_as(world.reader_without_imap):
        assert waits_for_own_mailbox(world.reader_without_imap)
    with acting_as("superuser"):
        make_mailbox(world.reader_without_imap)
    assert subjects(world.reader_without_imap) == EVERYTHING


def test_a_disabled_owner_reads_nothing_and_shares_nothing(world, acting_as):
    with acting_as("superuser"):
        world.owner.is_active = False
        world.owner.save()
    assert subjects(world.owner) == subjects(world.reader) == set()


def test_only_the_owner_writes(world):
    for person, changed in ((world.reader, 0), (world.colleague, 0), (world.boss, 0), (world.owner, 4)):
        with viewing_as(person):
            assert Message.objects.update(known=True) == changed


def test_what_a_letter_says_is_for_nobody_at_the_pages_to_change(world):
    with pytest.raises(DatabaseError), viewing_as(world.owner):
        Message.objects.update(preview="x")


def test_nobody_grants_themselves_access_to_anothers_mailbox(world):
    for person in (world.colleague, world.boss, world.reader):
        with pytest.raises(DatabaseError), viewing_as(person):
            Reader.objects.create(mailbox=world.mailbox, staff=person)


def test_a_worker_reaches_one_mailbox_at_a_time(world, acting_as):
    with acting_as("sync"):
        assert Message.objects.count() == 0
        with at_mailbox(world.colleague_mailbox.pk):
            assert Message.objects.count() == 0
        with at_mailbox(world.mailbox.pk):
            assert Message.objects.count() == 4


def test_s132_a_reader_does_not_widen_a_customers_only_grant_by_adding_customers(world, acting_as):
    widen(world, acting_as)
    arrive(
        acting_as, world.inbox, letter(sender="a@b.example", subject="later"), at=NOON + timedelta(days=400)
    )
    assert subjects(world.reader) == {"customer in", "customer out"}
    with viewing_as(world.owner):
        assert Message.objects.visible_to(world.owner).get(subject="later").known
    with acting_as("superuser"):
        assert Address.objects.get(email="a@b.example").added_by == world.reader


@pytest.mark.parametrize("table", ["mailboxes_secret", "mailboxes_systemsecret", "mailboxes_probesecret"])
def test_web_cannot_read_a_secret(world, table):
    from django.db import connection, transaction

    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        connection.cursor().execute(f"SELECT ciphertext FROM {table}")


def test_web_cannot_read_the_job_table(world):
    from django.db import connection, transaction

    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        connection.cursor().execute("SELECT * FROM procrastinate_jobs")
