"""The reader log: written by whoever opens, read by the owner alone, changed by nobody."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from postern.mail.access import viewing_as
from postern.mail.models import ConversationShare, Message, Opening
from postern.mail.readerlog import Wanted, latest, lines, note
from postern.mail.visibility import scope_in_words
from postern.mailboxes.models import Mailbox, Reader
from postern.people.models import Customer, Staff
from tests.world import World, arrive, letter, make_world

What, PAGE, API = Opening.What, Opening.Door.PAGE, Opening.Door.API


@pytest.fixture
def world(db, acting_as) -> World:
    world = make_world(acting_as)
    arrive(acting_as, world.inbox, letter(subject="known"), letter(sender="a@b.example", subject="unknown"))
    return world


def open_it(staff: Staff, subject: str = "known", what: What = What.BODY, **options) -> None:
    with viewing_as(staff):
        rows = Message.objects.visible_to(staff).select_related("mailbox").filter(subject=subject)
        note(staff=staff, messages=list(rows), what=what, **{"door": PAGE} | options)


def told(owner: Staff, wanted: Wanted | None = None) -> list[Opening]:
    with viewing_as(owner):
        return list(lines(owner, wanted or Wanted()).order_by("pk"))


def later(acting_as, minutes: int) -> None:
    """Make all lines older."""
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("UPDATE mail_opening SET at = at - make_interval(mins => %s)", [minutes])


def test_a_readers_opening_is_a_line_and_the_owners_is_none(world):
    open_it(world.owner)
    open_it(world.reader)
    [line] = told(world.owner)
    assert (line.reader_id, line.reader_name, line.subject, line.author) == (
        world.reader.pk,
        "Reader",
        "known",
        "Greta Brandt",
    )
    assert (line.what, line.door, line.mailbox_id) == ("body", "page", world.mailbox.pk)
    assert line.customers == [world.customer.pk]
    assert abs(line.at - datetime.now(UTC)) < timedelta(minutes=1)


def test_it_names_the_grant_as_it_was(world, acting_as):
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).update(incoming_only=True, may_reply=True)
        grant = Reader.objects.get(staff=world.reader)
    open_it(world.reader)
    with acting_as("superuser"):
        Reader.objects.filter(pk=grant.pk).delete()
    [line] = told(world.owner)
    assert (line.grant_id, line.granted_at, line.by_share) == (grant.pk, grant.created_at, False)
    assert scope_in_words(line) == "Incoming mail, may answer"


def test_an_opening_through_a_conversation_shared_by_name_says_so(world, acting_as):
    with acting_as("superuser"):
        message = Message.objects.get(subject="known")
        ConversationShare.objects.create(
            mailbox=world.mailbox, conversation_id=message.conversation_id, staff=world.colleague
        )
    open_it(world.colleague)
    [line] = told(world.owner)
    assert (line.reader_id, line.by_share) == (world.colleague.pk, True)
    assert scope_in_words(line) == "This conversation, shared by name"


def test_again_within_minutes_is_one_line_and_other_things_are_not(world, acting_as):
    for _ in range(3):
        open_it(world.reader)
    open_it(world.reader, what=What.CONVERSATION)
    assert len(told(world.owner)) in (1, 2)  # two where the clock passed the end of ten minutes in between
    before = len(told(world.owner))
    open_it(world.reader, what=What.SOURCE)
    open_it(world.reader, what=What.FILE, part=1, part_name="a.txt")
    open_it(world.reader, what=What.FILE, part=2, part_name="b.txt")
    open_it(world.reader, door=API)
    open_it(world.reader, "unknown")
    assert len(told(world.owner)) == before + 5
    later(acting_as, 11)
    open_it(world.reader)
    assert len(told(world.owner)) == before + 6


def test_one_statement_for_a_whole_conversation(world, acting_as, django_assert_statements):
    with viewing_as(world.reader):
        rows = list(Message.objects.visible_to(world.reader).select_related("mailbox"))
        with django_assert_statements(1):
            note(staff=world.reader, messages=rows, what=What.CONVERSATION, door=PAGE)
        with django_assert_statements(0):
            note(staff=world.owner, messages=rows, what=What.CONVERSATION, door=PAGE)
    assert len(told(world.owner)) == 2


@pytest.fixture
def django_assert_statements():
    from contextlib import contextmanager

    from django.test.utils import CaptureQueriesContext

    @contextmanager
    def counted(number: int):
        with CaptureQueriesContext(connection) as queries:
            yield
        assert len(queries) == number, [query["sql"] for query in queries]

    return counted


def test_the_line_and_the_answer_are_one_transaction(world):
    with pytest.raises(RuntimeError), viewing_as(world.reader):
        rows = list(Message.objects.visible_to(world.reader).select_related("mailbox"))
        note(staff=world.reader, messages=rows, what=What.BODY, door=PAGE)
        raise RuntimeError
    assert told(world.owner) == []


@pytest.mark.rule("S-056")
def test_nobody_but_the_owner_reads_it(world):
    open_it(world.reader)
    for staff in world.everybody:
        expected = 1 if staff == world.owner else 0
        with viewing_as(staff):
            assert Opening.objects.count() == expected
            assert lines(staff, Wanted()).count() == expected
            assert len(latest(staff, Message.objects.select_related("mailbox"))) == expected


@pytest.mark.parametrize("statement", ["UPDATE mail_opening SET subject = ''", "DELETE FROM mail_opening"])
@pytest.mark.parametrize("role", ["web", "sync", "send"])
def test_nobody_changes_or_removes_a_line(world, acting_as, statement, role):
    open_it(world.reader)
    for staff in (world.owner, world.reader, world.boss):
        with (
            acting_as(role),
            pytest.raises(DatabaseError, match="permission denied"),
            viewing_as(staff),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
    assert len(told(world.owner)) == 1


INSERT = """INSERT INTO mail_opening (at, mailbox_id, message_id, conversation_id, reader_id, reader_name, what, part_name,
  door, subject, author, outgoing, received_at, customers, by_share, incoming_only, customers_only, may_reply)
  VALUES (now() - make_interval(mins => %(ago)s), %(mailbox)s, %(message)s, 1, %(reader)s, 'x', 'body', '', 'page',
  '', '', false, now(), '[]', false, false, false, false)"""


@pytest.mark.rule("S-073")
@pytest.mark.parametrize("wrong", ["nothing", "reader", "ago", "mailbox", "message", "own", "outsider"])
def test_a_line_can_only_be_about_oneself_now_and_mail_one_sees(world, acting_as, wrong):
    with acting_as("superuser"):
        message = Message.objects.get(subject="known")
    values = {"ago": 0, "mailbox": world.mailbox.pk, "message": message.pk, "reader": world.reader.pk}
    changed = {
        "reader": {"reader": world.colleague.pk},
        "ago": {"ago": 5},
        "mailbox": {"mailbox": world.reader_mailbox.pk},
        "message": {"message": 999_999},
        "own": {"reader": world.owner.pk},
        "outsider": {"reader": world.colleague.pk},
    }.get(wrong, {})
    me = {"own": world.owner, "outsider": world.colleague}.get(wrong, world.reader)

    def write() -> None:
        with viewing_as(me), connection.cursor() as cursor:
            cursor.execute(INSERT, values | changed)

    if wrong == "nothing":
        write()
        assert len(told(world.owner)) == 1
        return
    with pytest.raises(DatabaseError, match="row-level security"):
        write()
    with acting_as("superuser"):
        assert Opening.objects.count() == 0


def test_a_line_outlives_the_message_the_grant_and_the_readers_account(world, acting_as):
    open_it(world.reader)
    with acting_as("superuser"):
        Reader.objects.all().delete()
        Staff.objects.filter(pk=world.reader.pk).update(is_active=False)
        Message.objects.filter(subject="known").delete()
    [line] = told(world.owner)
    assert (line.subject, line.reader_name) == ("known", "Reader")


def test_it_is_narrowed_by_person_mailbox_message_day_and_customer(world, acting_as):
    open_it(world.reader)
    open_it(world.reader, "unknown")
    with acting_as("superuser"):
        known = Message.objects.get(subject="known").pk
        other = Customer.objects.create(name="Other")
    today = date.today()
    day = timedelta(days=1)
    for wanted, number in (
        (Wanted(reader=world.reader.pk), 2),
        (Wanted(reader=world.colleague.pk), 0),
        (Wanted(mailbox=world.mailbox.pk), 2),
        (Wanted(mailbox=world.reader_mailbox.pk), 0),
        (Wanted(message=known), 1),
        (Wanted(since=today - day, until=today + day), 2),
        (Wanted(since=today + 2 * day), 0),
        (Wanted(until=today - 2 * day), 0),
        (Wanted(customers=(world.customer.pk,)), 1),
        (Wanted(customers=(other.pk, world.customer.pk)), 1),
        (Wanted(customers=(other.pk,)), 0),
        (Wanted(customers=()), 0),
    ):
        assert len(told(world.owner, wanted)) == number, wanted


def test_old_lines_go_after_two_years(world, acting_as):
    open_it(world.reader)
    later(acting_as, 60 * 24 * 729)
    tidy(acting_as)
    assert len(told(world.owner)) == 1
    later(acting_as, 60 * 24 * 3)
    tidy(acting_as)
    assert told(world.owner) == []


def tidy(acting_as) -> None:
    with acting_as("send"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT app.tidy()")


def test_the_log_of_one_owner_is_not_anothers(world, acting_as):
    with acting_as("superuser"):
        Reader.objects.create(mailbox=world.colleague_mailbox, staff=world.owner)
        assert Mailbox.objects.count() == 3
    open_it(world.reader)
    assert told(world.colleague) == []
    assert len(told(world.owner)) == 1
