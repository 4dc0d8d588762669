"""Moving a letter where there is no MOVE: broken off at any of the three commands and done again, it lies in Trash once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from postern.mail.models import Errand
from postern.sync.moving import Look, without_a_copy
from postern.wire.imap import Listed, Session
from postern.wire.imap.connection import Connection
from tests.servers.dovecot import WITHOUT_MOVE, Dovecot, available

from .box import USER, letter

WHEN = datetime(2026, 11, 23, tzinfo=UTC)
HEAD = b"Message-ID: <1@brandt.example>\r\nSubject: goes\r\n\r\n"


def look(uid=1, head=HEAD, size=100, when=WHEN, flags=()):
    return Look(Listed(uid, frozenset(flags), when, size), head)


LATER, NAMELESS = WHEN + timedelta(seconds=1), b"Subject: goes\r\n\r\n"


@pytest.mark.parametrize(
    ("ours", "there", "missing"),
    [
        ([look(5)], [], [5]),
        ([look(5)], [look(1)], []),
        ([look(5)], [look(1, head=HEAD + b"x")], [5]),
        # A server may estimate the size, or date the copy anew; not both.
        ([look(5)], [look(1, size=99)], []),
        ([look(5)], [look(1, when=LATER)], []),
        ([look(5)], [look(1, size=99, when=LATER)], [5]),
        # Without a Message-ID the header proves less.
        ([look(5, NAMELESS)], [look(1, NAMELESS)], []),
        ([look(5, NAMELESS)], [look(1, NAMELESS, size=99)], [5]),
        ([look(5, NAMELESS)], [look(1, NAMELESS, when=LATER)], [5]),
        # As many as there are of ours.
        ([look(5), look(6)], [look(1)], [6]),
        ([look(5), look(6)], [look(1), look(2)], []),
        ([look(5)], [look(1), look(2)], []),
        # What the server does not show proves nothing, on either side.
        ([look(5, None)], [look(1)], [5]),
        ([look(5)], [look(1, None)], [5]),
        ([look(5, None)], [look(1, None)], [5]),
        # What is about to go from Trash is no copy of what we have not marked yet; our own mark is not copied.
        ([look(5)], [look(1, flags=["\\Deleted"])], [5]),
        ([look(5, flags=["\\Deleted"])], [look(1, flags=["\\Deleted"])], []),
        ([look(5, flags=["\\Deleted"])], [look(1)], []),
    ],
)
def test_which_letters_have_no_copy(ours, there, missing):
    assert without_a_copy(ours, there) == missing


# On a server without MOVE


@pytest.fixture(scope="module")
def running_dovecot():
    """Instead of the one with MOVE."""
    if reason := available():
        pytest.skip(reason)
    with Dovecot(extra=WITHOUT_MOVE) as server:
        yield server


@pytest.fixture
def broken(monkeypatch):
    """Have a method of Session break off, before or after the server does it, the first time; returns how often each was called."""
    calls: Counter[str] = Counter()

    def set_up(name="", when="after"):
        for each in ("uid_copy", "uid_store", "uid_expunge"):
            monkeypatch.setattr(Session, each, _breaking(getattr(Session, each), calls, when, each == name))
        return calls

    return set_up


def _breaking(method, calls, when, breaks):
    async def called(self, *arguments, **options):
        calls[method.__name__] += 1
        first = breaks and calls[method.__name__] == 1
        if first and when == "before":
            raise OSError("killed")
        done = await method(self, *arguments, **options)
        if first:
            raise OSError("killed")
        return done

    return called


def deleted_and_broken(box, subject="goes"):
    """What was to be moved is broken off; nothing is noted of it."""
    box.errand("trash", subject)
    with pytest.raises(OSError, match="killed"):
        box.visit()


def prepared(box, server, *letters):
    box.visit()
    for raw in (letter("stays"), *letters):
        server.append(USER, "INBOX", raw)
    box.visit()


def subjects(server, folder):
    return sorted(
        raw.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode() for raw in server.letters(USER, folder)
    )


pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-001")]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["uid_copy", "uid_store", "uid_expunge"])
def test_broken_off_and_done_again_there_is_one_in_trash(box, dovecot, broken, name, when):
    goes = letter("goes")
    prepared(box, dovecot, goes)
    broken(name, when)
    deleted_and_broken(box)
    box.visit()
    box.visit()
    assert dovecot.letters(USER, "Trash") == [goes]
    assert subjects(dovecot, "INBOX") == ["stays"]
    assert box.subjects(gone_at=None) == ["stays"]
    assert box.errands() == []


def test_unbroken_it_looks_nowhere(box, dovecot, broken, monkeypatch):
    prepared(box, dovecot, letter("goes"))
    searched = Counter()
    monkeypatch.setattr("postern.sync.moving._still_to_do", lambda *_: searched.update(["looked"]))
    calls = broken()
    box.errand("trash", "goes")
    box.visit()
    assert subjects(dovecot, "Trash") == ["goes"]
    assert (calls, searched) == ({"uid_copy": 1, "uid_store": 1, "uid_expunge": 1}, {})


def test_a_lost_connection_counts_as_one_attempt(box, dovecot, broken, monkeypatch):
    """The first attempt is noted before its COPY; its failure is the same attempt."""
    from postern.wire.errors import MailError

    async def refuse(self, uids, folder):
        raise MailError("server_busy", "Not now.", temporary=True)

    prepared(box, dovecot, letter("goes"))
    box.errand("trash", "goes")
    with monkeypatch.context() as patch:
        patch.setattr(Session, "uid_copy", refuse)
        box.visit()
    (row,) = box.errands()
    assert (row.attempts, row.failed_at) == (1, None)
    assert subjects(dovecot, "INBOX") == ["goes", "stays"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_letters_without_message_id_are_told_apart(box, dovecot, broken, when):
    """Two letters of one header and one size: the one in Trash already is not the one that was to go there."""
    goes, other = (
        b"Subject: goes\r\nFrom: greta@brandt.example\r\n\r\n%s\r\n" % word for word in (b"this", b"that")
    )
    prepared(box, dovecot, goes)
    dovecot.append(USER, "Trash", other, date=datetime.now(UTC) - timedelta(hours=1))
    broken("uid_copy", when)
    deleted_and_broken(box)
    box.visit()
    assert sorted(dovecot.letters(USER, "Trash")) == sorted([goes, other])
    assert subjects(dovecot, "INBOX") == ["stays"]


def test_another_letter_of_that_message_id_in_trash_is_not_taken_for_the_copy(box, dovecot, broken):
    goes = letter("goes")
    other = b"Received: by the list\r\n" + goes
    prepared(box, dovecot, goes)
    dovecot.append(USER, "Trash", other)
    broken("uid_copy", "before")
    deleted_and_broken(box)
    box.visit()
    assert sorted(dovecot.letters(USER, "Trash")) == sorted([goes, other])


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_another_program_marked_is_its_own_affair(box, dovecot, broken, when):
    """Neither is its mark taken for ours, nor is anything expunged but our letter."""
    goes = letter("goes")
    prepared(box, dovecot, goes, letter("marked"))
    for uid in dovecot.uids(USER)[1:]:
        dovecot.store(USER, "INBOX", uid, add="\\Deleted")
    broken("uid_copy", when)
    deleted_and_broken(box)
    box.visit()
    assert dovecot.letters(USER, "Trash") == [goes]
    assert subjects(dovecot, "INBOX") == ["marked", "stays"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_same_letter_twice_lies_in_trash_twice(box, dovecot, broken, when):
    goes = letter("goes")
    prepared(box, dovecot, goes, goes)
    broken("uid_store", when)
    deleted_and_broken(box)
    box.visit()
    assert dovecot.letters(USER, "Trash") == [goes, goes]
    assert subjects(dovecot, "INBOX") == ["stays"]


def test_the_copy_is_found_where_search_misses_it(box, dovecot, broken, monkeypatch):
    """Exchange may miss a letter that was put there just now."""
    whole = Session.uid_search

    async def search(self, criteria):
        return await whole(self, criteria) if isinstance(criteria, str) else []

    goes = letter("goes")
    prepared(box, dovecot, goes)
    broken("uid_store", "before")
    deleted_and_broken(box)
    monkeypatch.setattr(Session, "uid_search", search)
    box.visit()
    assert dovecot.letters(USER, "Trash") == [goes]


def test_the_copy_is_found_below_many_others(box, dovecot, broken, monkeypatch):
    monkeypatch.setattr("postern.sync.moving.NEWEST", 2)
    goes = letter("goes")
    prepared(box, dovecot, goes)
    broken("uid_store", "before")
    deleted_and_broken(box)
    for n in range(4):
        dovecot.append(USER, "Trash", letter(f"later {n}"))
    box.visit()
    assert subjects(dovecot, "Trash") == ["goes", *(f"later {n}" for n in range(4))]


def test_undone_in_the_last_moment_nothing_is_moved(box, dovecot, broken, monkeypatch):
    prepared(box, dovecot, letter("goes"))
    calls = broken()
    box.errand("trash", "goes")

    def undone(mailbox_id, errand_id):
        Errand.objects.filter(pk=errand_id).delete()
        return False

    monkeypatch.setattr("postern.sync.store.errand_begun", undone)
    box.visit()
    assert subjects(dovecot, "INBOX") == ["goes", "stays"]
    assert box.subjects(gone_at=None) == ["stays", "goes"]
    assert calls == {}


def test_without_uidplus_nothing_is_done_and_the_reason_is_kept(box, dovecot, monkeypatch):
    """A plain EXPUNGE would also delete what another program has marked."""
    learn = Connection.learn
    monkeypatch.setattr(Connection, "learn", lambda self, told: learn(self, told - {"UIDPLUS"}))
    prepared(box, dovecot, letter("goes"))
    box.errand("trash", "goes")
    box.visit()
    (row,) = box.errands()
    assert row.failed_at is not None
    assert "no safe way" in row.error
    assert subjects(dovecot, "INBOX") == ["goes", "stays"]
    assert subjects(dovecot, "Trash") == []
