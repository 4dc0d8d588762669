"""One conversation shared with one colleague by name (S-060, S-062), which never grows by itself (S-133)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from postern.mail import lists, sharing
from postern.mail.access import at_mailbox, viewing_as
from postern.mail.apart import Joining, sort_out
from postern.mail.models import (
    Aside,
    Attachment,
    Bcc,
    Body,
    Conversation,
    ConversationShare,
    Message,
    MessageSearch,
    Reference,
)
from postern.mail.raw import letter_for
from postern.mail.rebuild import rebuild
from postern.mailboxes.cleaning import SettingsError
from postern.mailboxes.models import Mailbox, Reader
from postern.people.models import Staff
from tests.world import World, arrive, letter, make_mailbox, make_world, subjects

GRETA, PAUL = "Greta Brandt <greta@brandt-bakery.example>", "Paul <paul@else.example>"


def mail(mid: str, *references: str, **more: str) -> bytes:
    """A letter with a known Message-ID that refers to others."""
    line = f"References: {' '.join(f'<{one}@x.example>' for one in references)}\r\n" if references else ""
    return letter(mid=f"{mid}@x.example", subject=mid, headers=line + more.pop("headers", ""), **more)


@pytest.fixture
def world(db, acting_as) -> World:
    """The owner has a thread with Greta (a, b, the answer c) and a private one with Paul (p, q)."""
    world = make_world(acting_as)
    blind = "Bcc: secret@else.example\r\n"
    arrive(
        acting_as, world.inbox, mail("a"), mail("b", "a"), mail("p", sender=PAUL), mail("q", "p", sender=PAUL)
    )
    arrive(
        acting_as,
        world.sent,
        mail("c", "a", "b", sender="owner@isp.example", to="greta@brandt-bakery.example", headers=blind),
    )
    return world


THREAD, PRIVATE = {"a", "b", "c"}, {"p", "q"}


def conversation_of(world: World, subject: str) -> int:
    with viewing_as(world.owner):
        return Message.objects.get(subject=subject).conversation_id


def share(world: World, who: Staff | None = None, of: str = "a", **more: object) -> ConversationShare:
    with viewing_as(world.owner):
        return sharing.share(
            staff=world.owner,
            conversation=conversation_of(world, of),
            colleague=who or world.colleague,
            **more,  # type: ignore[arg-type]
        )


def take_back(world: World, who: Staff | None = None) -> None:
    with viewing_as(world.owner):
        colleague = (who or world.colleague).pk
        sharing.take_back(staff=world.owner, conversation=conversation_of(world, "a"), colleague=colleague)


def behind(viewer: Staff) -> set[str]:
    """What the row policies alone show."""
    with viewing_as(viewer):
        return set(Message.objects.values_list("subject", flat=True))


def found(viewer: Staff, word: str) -> set[str]:
    with viewing_as(viewer):
        page = lists.inbox_page(viewer, lists.Filter(text=word))
        return {message.subject for message in page.messages}


def threads(world: World) -> set[frozenset[str]]:
    groups: dict[int, set[str]] = {}
    with viewing_as(world.owner):
        for subject, conversation in Message.objects.values_list("subject", "conversation_id"):
            groups.setdefault(conversation, set()).add(subject)
    return {frozenset(group) for group in groups.values()}


def hint(world: World, subject: str, viewer: Staff | None = None) -> sharing.StandsAside | None:
    viewer = viewer or world.owner
    with viewing_as(viewer):
        messages = list(Message.objects.filter(subject=subject))
        return next(iter(sharing.stand_aside(viewer, messages).values()), None)


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


# What grows and what does not (S-133)


@pytest.mark.rule("S-133")
def test_a_forged_reference_pulls_nothing_into_a_shared_conversation(world, acting_as):
    share(world)
    arrive(acting_as, world.inbox, mail("forged", "b", "p"))
    assert threads(world) == {frozenset(THREAD), frozenset(PRIVATE | {"forged"})}
    assert subjects(world.colleague) == THREAD
    arrive(acting_as, world.inbox, mail("later", "forged", "q", "c", sender=PAUL))
    assert subjects(world.colleague) == THREAD
    assert hint(world, "forged") == sharing.StandsAside(conversation_of(world, "a"), ("Colleague",))
    for person in (world.reader, world.colleague, world.boss):
        assert hint(world, "forged", person) is None
        with viewing_as(person):
            assert not Aside.objects.exists()


@pytest.mark.rule("S-133")
def test_an_answer_of_somebody_in_it_joins_and_the_colleague_sees_it(world, acting_as):
    share(world)
    arrive(acting_as, world.inbox, mail("d", "a", "b", "c"))
    arrive(
        acting_as,
        world.sent,
        mail("e", "c", "d", sender="owner@isp.example", to="greta@brandt-bakery.example"),
    )
    assert subjects(world.colleague) == behind(world.colleague) == THREAD | {"d", "e"}
    assert found(world.colleague, "hello") == {"a", "b", "d"}
    take_back(world)
    assert threads(world) == {frozenset(THREAD | {"d", "e"}), frozenset(PRIVATE)}
    assert subjects(world.colleague) == set()


@pytest.mark.rule("S-133")
@pytest.mark.parametrize(
    "raw",
    [
        mail("s", "a", "c", sender=PAUL),
        mail("s", "a", "unheard-of"),
        mail("s", "a", "p"),
        mail("s", "unheard-of", "c"),
    ],
    ids=["another author", "an unknown reference", "a private reference", "an unknown one first"],
)
def test_every_other_letter_stands_aside_until_the_owner_adds_it(world, acting_as, raw):
    share(world)
    arrive(acting_as, world.inbox, raw)
    assert subjects(world.colleague) == THREAD
    assert hint(world, "s") == sharing.StandsAside(conversation_of(world, "a"), ("Colleague",))
    for person in (world.reader, world.colleague):
        with viewing_as(person), pytest.raises((Aside.DoesNotExist, Message.DoesNotExist)):
            sharing.add_aside(staff=person, message=Message.objects.get(subject="s"))
    for person in (world.reader, world.colleague, world.boss):
        with pytest.raises(DatabaseError, match="not allowed"), viewing_as(person):
            connection.cursor().execute("SELECT app.add_aside(%s)", [max_id()])
    with viewing_as(world.owner):
        there = sharing.add_aside(staff=world.owner, message=Message.objects.get(subject="s"))
    assert there == conversation_of(world, "s") == conversation_of(world, "a")
    assert subjects(world.colleague) == behind(world.colleague) == THREAD | {"s"}
    assert "s" in found(world.colleague, "hello")
    assert hint(world, "s") == sharing.StandsAside(there, ("Colleague",), added=True)
    arrive(acting_as, world.inbox, mail("t", "a", "s"))  # what answers it belongs there too
    assert subjects(world.colleague) == THREAD | {"s", "t"}


def move(world: World, how, subject: str, who: Staff | None = None) -> int:
    """Add a letter, or take it out again."""
    who = who or world.owner
    with viewing_as(who):
        return how(staff=who, message=Message.objects.get(subject=subject))


@pytest.mark.rule("S-133")
@pytest.mark.parametrize("alone", [True, False])
def test_what_was_added_is_taken_out_again_and_all_is_as_it_was(world, acting_as, alone):
    share(world)
    arrive(acting_as, world.inbox, mail("s", "a", "unheard-of", sender=PAUL))
    if not alone:
        arrive(acting_as, world.inbox, mail("t", "s", sender=PAUL))
    before = threads(world), known_ids(acting_as)
    with pytest.raises(Aside.DoesNotExist):
        move(world, sharing.take_out, "s")  # it was not added
    move(world, sharing.add_aside, "s")
    assert subjects(world.colleague) == THREAD | {"s"}
    for person in (world.reader, world.colleague):
        with pytest.raises((Aside.DoesNotExist, Message.DoesNotExist)):
            move(world, sharing.take_out, "s", person)
    for person in (world.reader, world.colleague, world.boss):
        with pytest.raises(DatabaseError, match="not allowed"), viewing_as(person):
            connection.cursor().execute("SELECT app.take_out(%s)", [max_id() - (not alone)])
    move(world, sharing.take_out, "s")
    assert (threads(world), known_ids(acting_as)) == before
    assert subjects(world.colleague) == behind(world.colleague) == THREAD
    assert found(world.colleague, "hello") == {"a", "b"}
    assert hint(world, "s") == sharing.StandsAside(conversation_of(world, "a"), ("Colleague",))
    with pytest.raises(Aside.DoesNotExist):
        move(world, sharing.take_out, "s")
    arrive(acting_as, world.inbox, mail("u", "a", "s", sender=PAUL))  # and nothing follows it there
    assert subjects(world.colleague) == THREAD
    move(world, sharing.add_aside, "s")
    assert subjects(world.colleague) == THREAD | {"s"}


def known_ids(acting_as) -> set[tuple[int, int]]:
    with acting_as("superuser"):
        return set(Reference.objects.values_list("id_hash", "conversation_id"))


@pytest.mark.rule("S-133")
def test_where_it_stood_is_shared_itself_or_is_gone_it_comes_to_stand_alone(world, acting_as):
    share(world)
    arrive(acting_as, world.inbox, mail("s", "a", "p", sender=PAUL))
    move(world, sharing.add_aside, "s")
    share(world, world.reader_without_imap, of="p")
    with acting_as("superuser"):
        make_mailbox(world.reader_without_imap)
        Reader.objects.all().delete()
    move(world, sharing.take_out, "s")
    assert threads(world) == {frozenset(THREAD), frozenset(PRIVATE), frozenset("s")}
    assert subjects(world.colleague) == THREAD and subjects(world.reader_without_imap) == PRIVATE
    move(world, sharing.add_aside, "s")
    with acting_as("superuser"):
        Aside.objects.update(stood_in=None)
    move(world, sharing.take_out, "s")
    assert threads(world) == {frozenset(THREAD), frozenset(PRIVATE), frozenset("s")}


@pytest.mark.rule("S-133")
def test_an_id_that_came_along_and_is_a_letters_there_by_now_stays(world, acting_as):
    share(world)
    arrive(acting_as, world.inbox, mail("s", "a", "late", sender=PAUL))
    move(world, sharing.add_aside, "s")
    arrive(acting_as, world.inbox, mail("late", "a"))
    assert subjects(world.colleague) == THREAD | {"s", "late"}
    move(world, sharing.take_out, "s")
    arrive(acting_as, world.inbox, mail("v", "late"))
    assert subjects(world.colleague) == THREAD | {"late", "v"}


@pytest.mark.rule("S-133")
def test_no_other_letter_is_taken_out_and_none_by_anybody_else(world, acting_as):
    """The database lets out, and in, only what its owner moves, at the moment they do."""
    share(world)
    arrive(acting_as, world.inbox, mail("s", "a", sender=PAUL), mail("x", "a", sender=PAUL))
    move(world, sharing.add_aside, "s")
    with viewing_as(world.owner), connection.cursor() as cursor:
        for subject in ("a", "x", "p"):
            cursor.execute("SELECT app.take_out(%s)", [Message.objects.get(subject=subject).pk])
            assert cursor.fetchone() == (None,)
    with acting_as("superuser"):
        stood, there = Aside.objects.get(message__subject="s").stood_in_id, conversation_of(world, "a")
    for role in ("superuser", "owner", "sync"):
        for subject, place in (("s", stood), ("a", stood), ("x", there)):
            with (
                acting_as(role),
                pytest.raises(DatabaseError, match="does not grow by itself"),
                at_mailbox(world.mailbox.pk),
            ):
                Message.objects.filter(subject=subject).update(conversation_id=place)
    assert subjects(world.colleague) == THREAD | {"s"}


def max_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value FROM mail_message_id_seq")
        return int(cursor.fetchone()[0])


@pytest.mark.rule("S-133")
def test_what_the_owner_sends_to_somebody_else_stands_aside(world, acting_as):
    share(world)
    for name, to in (
        ("f", "paul@else.example"),
        ("g", "greta@brandt-bakery.example, paul@else.example"),
        ("h", ""),
    ):
        arrive(acting_as, world.sent, mail(name, "a", "c", sender="owner@isp.example", to=to))
    assert subjects(world.colleague) == THREAD
    assert threads(world) == {frozenset(THREAD), frozenset(PRIVATE), *(frozenset(one) for one in "fgh")}


@pytest.mark.rule("S-133")
def test_what_answers_a_letter_aside_goes_with_that(world, acting_as):
    share(world)
    arrive(acting_as, world.inbox, mail("s", "a", sender=PAUL))
    arrive(acting_as, world.inbox, mail("t", "a", "s", sender=PAUL))
    assert threads(world) == {frozenset(THREAD), frozenset(PRIVATE), frozenset("st")}
    with viewing_as(world.owner):
        sharing.add_aside(staff=world.owner, message=Message.objects.get(subject="s"))
    assert threads(world) == {frozenset(THREAD | {"s"}), frozenset(PRIVATE), frozenset("t")}
    assert subjects(world.colleague) == THREAD | {"s"}
    assert hint(world, "t") is not None


@pytest.mark.rule("S-133")
def test_the_database_itself_lets_no_letter_into_a_shared_conversation(world, acting_as):
    share(world)
    shared, private = conversation_of(world, "a"), conversation_of(world, "p")
    with acting_as("sync"):
        for subject, there in (("p", shared), ("a", private)):
            with pytest.raises(DatabaseError, match="does not grow"), at_mailbox(world.mailbox.pk):
                Message.objects.filter(subject=subject).update(conversation_id=there)
    with pytest.raises(DatabaseError, match="stays what it is"), viewing_as(world.owner):
        ConversationShare.objects.update(conversation_id=private)
    assert threads(world) == {frozenset(THREAD), frozenset(PRIVATE)}


@pytest.mark.rule("R-055")
def test_a_rebuild_changes_neither_shares_nor_what_they_show(world, acting_as, monkeypatch):
    share(world)
    arrive(
        acting_as, world.inbox, mail("s", "a", sender=PAUL), mail("t", "a", "unheard-of"), mail("d", "a", "c")
    )
    arrive(acting_as, world.inbox, mail("x", "a", "y"))  # the id of y is known first by x
    arrive(acting_as, world.inbox, mail("y", "a"))
    with viewing_as(world.owner):
        for subject in "sy":
            sharing.add_aside(staff=world.owner, message=Message.objects.get(subject=subject))
    monkeypatch.setattr("postern.mail.rebuild.BATCH", 1)

    def state() -> object:
        with acting_as("superuser"):
            keys = dict(Message.objects.values_list("subject", "wall_key"))
            assert dict(MessageSearch.objects.values_list("message__subject", "wall_key")) == keys
            return (
                keys,
                list(ConversationShare.objects.values_list()),
                list(Aside.objects.values_list()),
                set(Reference.objects.values_list("id_hash", "conversation_id")),
                list(Attachment.objects.values_list("message")),
            )

    before = state()
    for _ in range(2):
        with acting_as("sync"):
            rebuild(world.mailbox.pk)
        assert state() == before
    assert subjects(world.colleague) == THREAD | {"s", "d", "y"}


# The rule itself, as a table: letters as (ids, people), the first id the letter's own.
KNOWN = {1: 100, 2: 100, 5: 200, 7: 300}  # 100 and 300 are shared
PEOPLE = {100: {"greta", "owner"}, 300: {"paul"}}


@pytest.mark.parametrize(
    ("letters", "joined", "aside"),
    [
        ([((9, 1), "greta")], {0: 100}, {}),
        ([((9, 1, 2), "greta")], {0: 100}, {}),
        ([((9, 1), "paul")], {}, {0: 100}),
        ([((9, 1), "")], {}, {0: 100}),
        ([((9, 1, 5), "greta")], {}, {0: 100}),
        ([((9, 1, 8), "greta")], {}, {0: 100}),
        ([((9, 1, 7), "greta")], {}, {0: 300}),
        ([((9, 7), "paul")], {0: 300}, {}),
        ([((1,), "greta")], {0: 100}, {}),
        ([((5, 1), "greta")], {}, {0: 100}),
        ([((9,), "greta")], {}, {}),
        ([((9, 5), "greta")], {}, {}),
        ([((9, 1), "greta"), ((10, 9), "greta")], {0: 100, 1: 100}, {}),
        ([((10, 9), "greta"), ((9, 1), "greta")], {0: 100, 1: 100}, {}),
        ([((10, 9), "paul"), ((9, 1), "greta")], {1: 100}, {0: 100}),
        ([((10, 9), "greta"), ((9, 1), "paul")], {}, {1: 100}),
        ([((10, 9, 1), "greta"), ((9, 1), "paul")], {}, {0: 100, 1: 100}),
    ],
)
@pytest.mark.rule("S-133")
def test_who_joins_and_who_stands_aside(letters, joined, aside):
    def joining(number: int) -> Joining:
        ids, people = letters[number]
        return Joining(ids[0], frozenset(filter(None, [people])), frozenset())

    sorted_out = sort_out([ids for ids, _ in letters], KNOWN, PEOPLE, joining)
    assert (sorted_out.joined, sorted_out.aside) == (joined, aside)
    nobody = sort_out([ids for ids, _ in letters], KNOWN, PEOPLE, None)
    assert nobody.joined == {}
