"""One conversation shared with one colleague by name: what it shows, to whom and for how long (S-060, S-062)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from postern.mail import sharing
from postern.mail.access import at_mailbox, viewing_as
from postern.mail.models import (
    Bcc,
    Body,
    Conversation,
    ConversationShare,
    Message,
    MessageSearch,
)
from postern.mail.raw import letter_for
from postern.mailboxes.cleaning import SettingsError
from postern.mailboxes.models import Mailbox, Reader
from postern.people.models import Staff
from tests.mail.shared import (
    PAUL,
    PRIVATE,
    THREAD,
    behind,
    conversation_of,
    found,
    mail,
    share,
    shared_world,
    take_back,
)
from tests.world import World, arrive, make_mailbox, subjects


@pytest.fixture
def world(db, acting_as) -> World:
    """See shared.py."""
    return shared_world(acting_as)


@pytest.mark.rule("S-060")
def test_a_share_shows_that_conversation_and_nothing_else(world):
    share(world)
    assert subjects(world.colleague) == behind(world.colleague) == THREAD
    assert subjects(world.owner) == subjects(world.reader) == THREAD | PRIVATE
    assert subjects(world.reader_without_imap) == subjects(world.boss) == set()
    assert found(world.colleague, "hello") == {"a", "b"}
    with viewing_as(world.colleague):
        assert Body.objects.count() == 3 and not Bcc.objects.exists()
        assert MessageSearch.objects.count() == 3
        assert Conversation.objects.count() == 1
        assert [box.owner for box in Mailbox.objects.exclude(owner=world.colleague)] == [world.owner]
        row = Message.objects.select_related("mailbox").get(subject="c")
        assert b"secret@else.example" not in letter_for(staff=world.colleague, message=row)
    with viewing_as(world.owner):
        row = Message.objects.select_related("mailbox").get(subject="c")
        assert b"secret@else.example" in letter_for(staff=world.owner, message=row)


@pytest.mark.rule("S-060")
def test_the_same_letter_in_the_colleagues_own_mailbox_stays_theirs(world, acting_as):
    from tests.world import make_folder

    with acting_as("superuser"):
        folder = make_folder(world.colleague_mailbox)
    arrive(acting_as, folder, mail("a"), mail("x", "a", sender=PAUL))
    share(world)
    with viewing_as(world.colleague):
        rows = Message.objects.values_list("subject", "mailbox__owner__name").order_by("pk")
        assert sorted(rows) == [
            ("a", "Colleague"),
            ("a", "Owner"),
            ("b", "Owner"),
            ("c", "Owner"),
            ("x", "Colleague"),
        ]
    assert subjects(world.owner) == THREAD | PRIVATE
    take_back(world)
    assert subjects(world.colleague) == {"a", "x"}


@pytest.mark.rule("S-062")
def test_taken_back_it_shows_nothing_and_everything_is_as_before(world, acting_as):
    with acting_as("superuser"):
        before = dict(Message.objects.values_list("pk", "wall_key"))
    share(world)
    share(world, world.reader_without_imap)
    take_back(world)
    assert subjects(world.colleague) == behind(world.colleague) == set()
    with acting_as("superuser"):
        assert set(Message.objects.filter(shared=True).values_list("subject", flat=True)) == THREAD
    take_back(world, world.reader_without_imap)
    assert subjects(world.owner) == subjects(world.reader) == THREAD | PRIVATE
    with acting_as("superuser"):
        assert dict(Message.objects.values_list("pk", "wall_key")) == before
        assert dict(MessageSearch.objects.values_list("pk", "wall_key")) == before


@pytest.mark.rule("S-133")
def test_s133_what_joined_a_conversation_since_its_owner_looked_is_not_shared_with_it(world, acting_as):
    """Until it is shared, forged references join private letters to it."""
    forged = mail("z", "a", "p", sender="Mallory <m@evil.example>")
    arrive(acting_as, world.inbox, forged)
    with pytest.raises(SettingsError) as refused:
        share(world, messages=len(THREAD))
    assert refused.value.fields == {
        "messages": ["It has 6 messages by now, 3 when you looked. Look at it again, then share it."]
    }
    assert subjects(world.colleague) == set()
    share(world, messages=6)
    assert subjects(world.colleague) == THREAD | PRIVATE | {"z"}


@pytest.mark.rule("S-062")
def test_only_the_owner_shares_and_takes_back(world):
    conversation = conversation_of(world, "a")
    share(world, world.reader)
    for person in (world.reader, world.colleague, world.boss):
        with viewing_as(person), pytest.raises(Message.DoesNotExist):
            sharing.share(staff=person, conversation=conversation, colleague=world.boss)
        with viewing_as(person), pytest.raises(ConversationShare.DoesNotExist):
            sharing.take_back(staff=person, conversation=conversation, colleague=world.reader.pk)
        own = Mailbox.objects.none()
        with viewing_as(person):
            own = list(Mailbox.objects.filter(owner=person).values_list("pk", flat=True))
        for box in (world.mailbox.pk, *own):
            with pytest.raises(DatabaseError, match="row-level security"), viewing_as(person):
                ConversationShare.objects.create(mailbox_id=box, conversation_id=conversation, staff=person)
        with viewing_as(person):
            assert (
                ConversationShare.objects.update(ends_at=None)
                == ConversationShare.objects.all().delete()[0]
                == 0
            )
    with viewing_as(world.reader):
        assert ConversationShare.objects.count() == 1  # their own row, to read
    with viewing_as(world.boss):
        assert ConversationShare.objects.count() == 0


@pytest.mark.rule("S-062")
def test_no_row_names_another_mailbox_than_the_conversations(world, acting_as):
    """Not even one that the policies did not look at."""
    share(world)
    for box in (world.colleague_mailbox, world.reader_mailbox):
        with (
            acting_as("superuser"),
            pytest.raises(DatabaseError, match="another mailbox"),
            transaction.atomic(),
        ):
            ConversationShare.objects.create(
                mailbox=box, conversation_id=conversation_of(world, "a"), staff=world.boss
            )


def test_who_cannot_be_shared_with(world, acting_as):
    with acting_as("superuser"):
        Staff.objects.filter(pk=world.boss.pk).update(is_active=False)
    world.boss.refresh_from_db()
    past = datetime.now(UTC) - timedelta(seconds=1)
    for field, who, end in (
        ("colleague", world.owner, None),
        ("colleague", world.boss, None),
        ("ends_at", world.colleague, past),
    ):
        with pytest.raises(SettingsError) as refused:
            share(world, who, ends_at=end)
        assert list(refused.value.fields) == [field]
    with acting_as("superuser"):
        assert not ConversationShare.objects.exists() and not Message.objects.filter(shared=True).exists()


@pytest.mark.rule("S-062")
def test_it_waits_for_an_own_mailbox_and_ends_with_its_day_and_its_owner(world, acting_as):
    row = share(world, world.reader_without_imap, ends_at=datetime.now(UTC) + timedelta(days=1))
    with acting_as("superuser"):
        Reader.objects.all().delete()
    assert subjects(world.reader_without_imap) == set()
    with acting_as("superuser"):
        make_mailbox(world.reader_without_imap)
    assert subjects(world.reader_without_imap) == THREAD
    with acting_as("superuser"):
        ConversationShare.objects.filter(pk=row.pk).update(ends_at=datetime.now(UTC) - timedelta(seconds=1))
    assert subjects(world.reader_without_imap) == set()
    assert subjects(world.owner) == THREAD | PRIVATE
    share(world, world.reader_without_imap)  # given again, without an end
    assert subjects(world.reader_without_imap) == THREAD
    with acting_as("superuser"):
        Staff.objects.filter(pk=world.owner.pk).update(is_active=False)
    assert subjects(world.reader_without_imap) == set()


@pytest.mark.rule("S-066")
@pytest.mark.parametrize("who", ["owner", "colleague"])
def test_who_is_disabled_shares_nothing_and_has_nothing_shared_with_them(world, acting_as, who):
    share(world)
    share(world, world.reader_without_imap)
    with viewing_as(world.boss):
        connection.cursor().execute("SELECT app.offboard(%s)", [getattr(world, who).pk])
    with acting_as("superuser"):
        left = {row.staff.name for row in ConversationShare.objects.select_related("staff")}
        assert left == ({"Noimap"} if who == "colleague" else set())
        assert Message.objects.filter(shared=True).exists() == bool(left)
    assert subjects(world.colleague) == set()
    assert subjects(world.owner) == (THREAD | PRIVATE if who == "colleague" else set())


def test_what_has_ended_is_tidied_away_and_the_letters_are_the_mailboxs_again(world, acting_as):
    row = share(world)
    share(world, world.boss, of="p")
    with acting_as("superuser"):
        ConversationShare.objects.filter(pk=row.pk).update(ends_at=datetime.now(UTC) - timedelta(seconds=1))
    with acting_as("send"), transaction.atomic():
        connection.cursor().execute("SELECT app.tidy()")
    with acting_as("superuser"):
        assert ConversationShare.objects.get().staff == world.boss
        assert set(Message.objects.filter(shared=True).values_list("subject", flat=True)) == PRIVATE


@pytest.mark.rule("S-062")
def test_taking_back_does_not_wait_for_a_mailbox_that_is_read_anew(world, acting_as):
    from concurrent.futures import ThreadPoolExecutor

    share(world)

    def in_between() -> set[str]:
        try:
            take_back(world)
            return subjects(world.colleague)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(7009, %s::int)", [world.mailbox.pk])
        assert other.submit(in_between).result(20) == set()
    assert subjects(world.owner) == THREAD | PRIVATE


@pytest.mark.parametrize(
    ("narrow", "expected"),
    [
        ({"incoming_only": True}, {"a", "b", "p", "q"}),
        ({"customers_only": True}, {"a", "b", "c"}),
        ({"incoming_only": True, "customers_only": True}, {"a", "b"}),
    ],
)
def test_a_reader_of_the_mailbox_sees_a_shared_conversation_as_far_as_their_grant_goes(
    world, acting_as, narrow, expected
):
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).update(may_reply=True, **narrow)
    share(world)
    share(world, of="p")
    assert subjects(world.reader) == expected
    with viewing_as(world.reader), connection.cursor() as cursor:
        cursor.execute("SELECT subject FROM mail_message WHERE wall_key = ANY (app.answerable())")
        assert {subject for (subject,) in cursor.fetchall()} == expected
    with viewing_as(world.colleague), connection.cursor() as cursor:
        cursor.execute("SELECT app.answerable()")
        assert cursor.fetchone() == ([],)  # to read is not to answer


def test_the_worker_at_one_mailbox_reaches_the_search_rows_of_its_shared_conversations_and_no_others(
    world, acting_as
):
    share(world)
    with acting_as("sync"):
        with at_mailbox(world.mailbox.pk):
            assert MessageSearch.objects.count() == 5
        with at_mailbox(world.colleague_mailbox.pk):
            assert MessageSearch.objects.count() == 0
