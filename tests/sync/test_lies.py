"""Servers that lie, forget or contradict themselves: nothing is lost, doubled or given up for it (B2)."""

import asyncio
from datetime import timedelta

import pytest

from postern.mail.access import at_mailbox
from postern.mail.models import Message
from postern.mailboxes.models import Mailbox
from postern.sync import store
from postern.sync.bringing import NOT_HANDED_OVER
from postern.sync.memory import Memory
from postern.sync.plan import Wishes
from postern.sync.reading import Reading
from postern.sync.store import Store
from postern.wire.errors import MailError

from .box import letter, make_box
from .liar import TODAY, Liar


class Passwords:
    passwords = {"marta@example.test": "secret"}
    port = 143


@pytest.fixture
def box(db, acting_as):
    made = make_box(Passwords(), host="imap.example.net", imap_security="starttls", sent_folder="")
    with acting_as("sync"):
        yield made


@pytest.fixture
def liar():
    return Liar()


@pytest.fixture
def read(box, liar):
    """Read INBOX once, as after a new connection."""
    memory = Memory()

    def once():
        memory.listing_after = 0.0
        mailbox = Mailbox.objects.get(pk=box.mailbox.pk)

        async def reading():
            keeper = Store(1)
            try:
                (place,) = await keeper.run(store.places, mailbox)
                one = Reading(liar, keeper, place, Wishes(), memory=memory)
                while await one.read():
                    pass
            finally:
                keeper.close()

        asyncio.run(reading())

    return once


def numbered(*numbers):
    return [f"number {n}" for n in numbers]


@pytest.mark.rule("R-015")
def test_n_star_returning_the_old_last_letter_fetches_nothing_again(box, liar, read):
    read()
    liar.add(1, letter("number 1"))
    read()
    read()
    assert liar.fetched == [1]
    assert box.subjects() == numbered(1)


@pytest.mark.rule("R-014")
def test_a_server_without_uidnext_is_read_all_the_same(box, liar, read):
    liar.uidnext = None
    liar.add(4, letter("old"))
    read()
    assert box.folder().next_uid == 5
    liar.add(5, letter("number 5"))
    read()
    assert box.subjects() == numbered(5)


@pytest.mark.rule("R-014")
def test_uidnext_too_high_at_first_is_mended(box, liar, read):
    liar.uidnext = 1000
    read()
    assert box.folder().next_uid == 1000
    liar.uidnext = -1
    liar.add(12, letter("number 12"))
    read()
    liar.add(13, letter("number 13"))
    read()
    assert "number 13" in box.subjects()


@pytest.mark.rule("R-014")
def test_uidnext_too_high_later_does_not_carry_the_cursor_away(box, liar, read):
    read()
    liar.add(1, letter("number 1"))
    liar.uidnext = 1000
    read()
    liar.uidnext = -1
    liar.add(2, letter("number 2"))
    read()
    assert box.subjects() == numbered(1, 2)


@pytest.mark.rule("R-014")
def test_a_server_restored_from_backup_gives_uids_out_twice(box, liar, read):
    read()
    for uid in (1, 2, 3):
        liar.add(uid, letter(f"number {uid}"))
    read()
    # The backup knew only the first; then another letter got UID 2.
    del liar.letters[2], liar.letters[3]
    read()
    liar.add(2, letter("another"))
    read()
    assert box.subjects() == [*numbered(1, 2, 3), "another"]
    assert box.subjects(gone_at=None) == ["number 1", "another"]
    assert set(box.ledger()) == {1, 2}


@pytest.mark.rule("R-014")
def test_uids_below_a_uidnext_that_went_back_name_other_letters(box, liar, read):
    """Restored from a backup that knew the first letter only; two more came before we looked."""
    read()
    first, second = letter("number 1"), letter("number 2")
    liar.add(1, first)
    liar.add(2, second)
    for uid in (3, 4, 5):
        liar.add(uid, letter(f"number {uid}"))
    read()
    liar.letters = {1: first}
    liar.add(2, letter("another"), date=TODAY + timedelta(minutes=1))
    liar.add(3, second, date=TODAY + timedelta(minutes=2))
    read()
    assert box.subjects() == [*numbered(1, 2, 3, 4, 5), "another"]
    assert box.subjects(gone_at=None) == [*numbered(1, 2), "another"]
    assert set(box.ledger()) == {1, 2, 3}
    liar.add(4, letter("after all that"))
    read()
    assert "after all that" in box.subjects(gone_at=None)
    assert set(box.ledger()) == {1, 2, 3, 4}


@pytest.mark.rule("R-014")
def test_a_uidnext_that_lags_costs_no_second_download(box, liar, read):
    read()
    for uid in (1, 2, 3):
        liar.add(uid, letter(f"number {uid}"))
    read()
    del liar.letters[3]  # the last letter leaves, and UIDNEXT with it
    read()
    assert liar.fetched == [1, 2, 3]
    assert box.subjects(gone_at=None) == numbered(1, 2)


@pytest.mark.rule("R-013")
def test_an_inbox_that_never_held_a_letter_may_be_numbered_anew_at_each_look(box, liar, read):
    """Courier 5.0: the letters that come are new, also one from years ago that somebody moved here."""
    for uidvalidity in range(7, 15):  # oftener than three times a day
        liar.uidvalidity = uidvalidity
        read()
    liar.uidvalidity = 15
    liar.add(1, letter("number 1"), date=TODAY - timedelta(days=4000))
    liar.add(2, letter("number 2"))
    read()
    assert box.subjects() == numbered(1, 2)
    liar.uidvalidity = 16
    read()
    assert box.subjects() == box.subjects(gone_at=None) == numbered(1, 2)


@pytest.mark.rule("R-013")
def test_an_emptied_inbox_that_is_numbered_anew_is_matched_from_its_beginning_only(box, liar, read):
    """It held letters before: what an administrator restores from years ago is no news."""
    read()
    liar.add(1, letter("number 1"))
    read()
    del liar.letters[1]
    liar.uidnext = 2
    read()
    read()
    liar.uidvalidity, liar.uidnext = 8, -1
    liar.add(1, letter("from years ago"), date=TODAY - timedelta(days=4000))
    read()
    assert box.subjects() == numbered(1)


@pytest.mark.rule("I7")
def test_a_listing_that_contradicts_the_count_marks_nothing(box, liar, read):
    read()
    for uid in (1, 2, 3):
        liar.add(uid, letter(f"number {uid}"))
    read()
    liar.listing, liar.exists = [], 2
    read()
    read()
    liar.listing, liar.exists = [1], 2
    read()
    assert box.subjects(gone_at=None) == numbered(1, 2, 3)
    liar.listing = liar.exists = None
    read()
    assert box.subjects(gone_at=None) == numbered(1, 2, 3)


@pytest.mark.rule("I7")
def test_an_empty_answer_once_marks_nothing_and_is_forgotten(box, liar, read):
    read()
    for uid in (1, 2):
        liar.add(uid, letter(f"number {uid}"))
    read()
    liar.listing, liar.exists, liar.uidnext = [], 0, 3
    read()
    liar.listing = liar.exists = None
    read()
    assert box.subjects(gone_at=None) == numbered(1, 2)
    liar.listing, liar.exists = [], 0
    read()
    assert box.subjects(gone_at=None) == numbered(1, 2)
    read()
    assert box.subjects(gone_at=None) == []
    liar.listing = liar.exists = None
    read()
    assert box.subjects(gone_at=None) == numbered(1, 2)


@pytest.mark.rule("R-015")
def test_a_letter_that_fetch_leaves_out_is_found_by_the_count(box, liar, read):
    read()
    for uid in (1, 2, 3):
        liar.add(uid, letter(f"number {uid}"))
    liar.hides = {2}
    read()
    assert box.subjects() == numbered(1, 3)
    liar.hides = set()
    read()
    assert box.subjects() == numbered(1, 3, 2)


@pytest.mark.rule("R-022")
@pytest.mark.parametrize("header_too", [False, True], ids=["its header comes", "not even its header"])
def test_a_letter_that_breaks_the_connection_does_not_block_the_mailbox(box, liar, read, header_too):
    read()
    for uid in (1, 2, 3):
        liar.add(uid, letter(f"number {uid}"))
    liar.breaks_at, liar.breaks_header = 2, header_too
    for _ in range(4 if header_too else 2):
        with pytest.raises(MailError):
            read()
    read()
    assert sorted(box.subjects()) == (numbered(1, 3) if header_too else numbered(1, 2, 3))
    fate = "skipped" if header_too else "imported"
    assert box.ledger() == {1: "imported", 2: fate, 3: "imported"}
    assert box.subjects(withheld=NOT_HANDED_OVER) == ([] if header_too else numbered(2))
    read()
    assert len(box.subjects()) == (2 if header_too else 3)


@pytest.mark.rule("R-022")
def test_a_letter_larger_than_its_server_said_comes_as_its_header(box, liar, read, monkeypatch):
    monkeypatch.setattr("postern.sync.plan.MAX_LETTER_BYTES", 2000)
    read()
    huge = letter("number 1", body="x" * 3000)
    liar.add(1, huge)
    liar.add(2, letter("number 2"))
    liar.sizes[1] = 100
    read()
    assert liar.fetched == [1, 2]
    assert sorted(box.subjects()) == numbered(1, 2)
    with at_mailbox(box.mailbox.pk):
        short = Message.objects.get(subject="number 1")
        assert short.size == len(huge)
        assert short.withheld.startswith("Too large: ")
        assert short.raw.letter() == huge.partition(b"xxx")[0]


def test_a_network_that_breaks_a_few_times_costs_no_letter(box, liar, read):
    read()
    for uid in (1, 2, 3):
        liar.add(uid, letter(f"number {uid}"))
    liar.breaks_at, liar.break_code = 2, "connection_lost"
    for _ in range(4):
        with pytest.raises(MailError):
            read()
    liar.breaks_at = 0
    read()
    assert sorted(box.subjects()) == numbered(1, 2, 3)


@pytest.mark.rule("R-026")
def test_a_line_that_breaks_after_each_letter_brings_them_home_bit_by_bit(box, liar, read):
    read()
    for uid in range(1, 6):
        liar.add(uid, letter(f"number {uid}"))
    liar.break_code = "connection_lost"
    for uid in (2, 3, 4, 5):
        liar.breaks_at = uid
        with pytest.raises(MailError):
            read()
    liar.breaks_at = 0
    read()
    assert box.subjects() == numbered(1, 2, 3, 4, 5)
    assert liar.fetched == [1, 2, 3, 4, 5]


def test_a_letter_that_leaves_between_search_and_fetch_is_passed_over(box, liar, read):
    read()
    liar.add(1, letter("number 1"))
    liar.hides = {1}
    read()
    assert box.folder().next_uid == 2
    del liar.letters[1]
    liar.uidnext = 2
    liar.add(2, letter("number 2"))
    liar.uidnext = -1
    read()
    assert box.subjects() == numbered(2)


@pytest.mark.rule("R-020")
def test_two_letters_with_one_message_id_are_two(box, liar, read):
    read()
    raw = letter("number 1")
    liar.add(1, raw)
    liar.add(2, raw.replace(b"number 1", b"number 2"))
    liar.add(3, raw)
    read()
    assert box.subjects() == numbered(1, 2)
    assert len(box.ledger()) == 3
