"""A conversation that is shared never grows by itself: other letters stand aside until the owner adds them (S-133)."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from postern.mail import sharing
from postern.mail.access import at_mailbox, viewing_as
from postern.mail.apart import Joining, sort_out
from postern.mail.models import (
    Aside,
    Attachment,
    ConversationShare,
    Message,
    MessageSearch,
    Reference,
)
from postern.mail.rebuild import rebuild
from postern.mailboxes.models import Reader
from postern.people.models import Staff
from tests.mail.shared import (
    PAUL,
    PRIVATE,
    THREAD,
    behind,
    conversation_of,
    found,
    hint,
    mail,
    share,
    shared_world,
    take_back,
    threads,
)
from tests.world import World, arrive, make_mailbox, subjects


@pytest.fixture
def world(db, acting_as) -> World:
    """See shared.py."""
    return shared_world(acting_as)


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
    with (
        acting_as("superuser"),
        transaction.atomic(),
    ):  # in it by another way: by a merge before it was shared
        Aside.objects.update(added_at=None)
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.staff_id', %s, true)", [str(world.owner.pk)])
            cursor.execute("SELECT app.take_out(%s)", [Message.objects.get(subject="s").pk])
            assert cursor.fetchone() == (None,)
        transaction.set_rollback(True)
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
