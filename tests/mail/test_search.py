"""Search finds what the old filter promised, whatever the case and the accents, and only what the person may read."""

from datetime import timedelta

import pytest

from postern.mail import lists, search
from postern.mail.access import viewing_as
from postern.mail.bulk import ask, column
from postern.mail.filing import refile
from postern.mail.models import Message, MessageSearch
from postern.mail.words import query, vector, words
from postern.mailboxes.models import Reader
from postern.people.models import Address
from tests.world import NOON, World, arrive, letter, make_world


@pytest.fixture
def world(db, acting_as) -> World:
    return make_world(acting_as)


def found(person, text: str, **more) -> list[str]:
    with viewing_as(person):
        wanted = lists.Filter(text=text, **more)
        page = [m.subject for m in lists.inbox_page(person, wanted).messages]
        rows = lists.inbox(person, wanted).order_by("-received_at", "-pk")
        assert page == [m.subject for m in rows], "the page and the whole list agree"
    return page


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Gröbming", {"grobming"}),
        ("GRÖBMING GROBMING", {"grobming"}),
        ("greta@brandt-bakery.example", {"greta", "brandt", "bakery", "example"}),
        ("first_last+tag", {"first", "last", "tag"}),
        ("Straße ŁÓDŹ Ærø", {"strasse", "lodz", "aero"}),
        ("ｆｕｌｌ ﬁne", {"full", "fine"}),
        ("東京駅", {"東", "京", "駅"}),
        ("一" * 99 + "駅", {"一", "駅"}),  # nobody writes blanks in a sentence
        ("Москва", {"москва"}),
        ("--- !!! ()", set()),
        ("x" * 500, {"x" * 60}),
        ("½ ①", {"1", "2"}),
    ],
)
def test_words_are_folded_alike_on_both_sides(text, expected):
    assert {word.decode() for word in words(text)} == expected


def test_a_query_is_made_of_letters_and_digits_only():
    assert query("it's; DROP 'x' & !y | (z:*)") == "'it':* & 's':* & 'drop':* & 'x':* & 'y':* & 'z':*"
    assert query("' & | ! \\") == ""
    assert query(" ".join(f"w{n}" for n in range(50))).count("&") == 7


@pytest.mark.parametrize("word", ["word{:056}", "\U0001d5ba" * 50 + "{}", "w{}"])
def test_a_vector_of_a_huge_text_is_what_postgresql_takes(db, word):
    body = " ".join(word.format(number) for number in range(60_000))
    huge = vector(subject="subject " * 900, people=["who " * 9000], body=body)
    ((found, size),) = ask(
        "SELECT v @@ %s::tsquery, length(v) FROM unnest(%s::tsvector[]) v",
        query("subject who"),
        column("tsvector", [huge]),
    )
    assert found
    assert size > 3000
    assert len(huge) < 1_100_000


@pytest.mark.parametrize(
    ("typed", "there"),
    [
        ("packet", True),
        ("PACK", True),
        ("loss packet", True),
        ("packet gain", False),
        ("Gröbming", True),
        ("grobming", True),
        ("brandt", True),
        ("greta@brandt-bakery.example", True),
        ("Brandt bakery", True),
        ("morning", True),
        ("owner@isp.example", False),
        ("!!!", False),
        ("", True),
    ],
)
def test_subject_author_and_text_are_looked_through(world, acting_as, typed, there):
    arrive(acting_as, world.inbox, letter(subject="Packet loss in Gröbming", body="Every morning.\r\n"))
    assert bool(found(world.owner, typed)) is there


def test_nobody_finds_what_they_may_not_read(world, acting_as):
    arrive(acting_as, world.inbox, letter(subject="secret plan"))
    assert found(world.owner, "secret") == found(world.reader, "secret") == ["secret plan"]
    for nobody in (world.reader_without_imap, world.colleague, world.boss):
        assert found(nobody, "secret") == []
        with viewing_as(nobody):
            assert search.hits("secret", before=None, most=10) == []
            assert not MessageSearch.objects.exists()
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).delete()
    assert found(world.reader, "secret") == []


def test_a_search_row_follows_its_message_out_of_a_narrowed_grant(world, acting_as):
    arrive(acting_as, world.inbox, letter(subject="private talk"))
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).update(customers_only=True)
    assert found(world.reader, "private") == ["private talk"]
    with viewing_as(world.owner):
        Address.objects.all().delete()
        refile(customer_ids=[world.customer.pk], mailbox=world.mailbox, by_owner=True)
        Message.objects.update(owner_party=False)
    assert found(world.reader, "private") == []
    assert found(world.owner, "private") == ["private talk"]
    with acting_as("superuser"):
        assert MessageSearch.objects.get().wall_key == Message.objects.get().wall_key


def test_pages_of_a_search_hold_every_hit_once_also_when_few_pass_the_other_filters(world, acting_as):
    for number in range(30):
        sender = "greta@brandt-bakery.example" if number % 10 == 0 else f"n{number}@else.example"
        raw = letter(subject=f"fibre {number}", sender=sender)
        arrive(acting_as, world.inbox, raw, at=NOON + timedelta(minutes=number))
    with viewing_as(world.owner):
        seen, cursor = [], ""
        while True:
            page = lists.inbox_page(world.owner, lists.Filter(text="fibre"), cursor, 7)
            seen += [m.subject for m in page.messages]
            if not (cursor := page.next_cursor):
                break
        assert seen == [f"fibre {n}" for n in reversed(range(30))]
        few = lists.inbox_page(world.owner, lists.Filter(text="fibre", show="customers"), "", 1)
        assert [m.subject for m in few.messages] == ["fibre 20"]
        rest = lists.inbox_page(world.owner, lists.Filter(text="fibre", show="customers"), few.next_cursor, 1)
        assert [m.subject for m in rest.messages] == ["fibre 10"]


def test_sent_mail_and_deleted_mail_are_not_in_the_inbox_search(world, acting_as):
    arrive(acting_as, world.sent, letter(sender="owner@isp.example", subject="fibre sent"))
    arrive(acting_as, world.inbox, letter(subject="fibre here"))
    assert found(world.owner, "fibre") == ["fibre here"]
    with viewing_as(world.owner):
        assert len(search.hits("fibre", before=None, most=10, incoming=False)) == 2
        Message.objects.filter(outgoing=False).update(deleted_at=NOON)
    assert found(world.owner, "fibre") == []
