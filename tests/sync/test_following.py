"""What others do with the letters is followed on every rung of the ladder, at the price of the change (R-017)."""

import pytest

from postern.mail.access import at_mailbox
from postern.mail.models import Sighting
from postern.sync.plan import Wishes
from postern.sync.reading import Reading
from postern.sync.reconcile import reconcile
from postern.wire.imap import UidSet
from postern.wire.imap.connection import Connection

from .box import USER, letter
from .test_lies import box as lying_box  # noqa: F401
from .test_lies import liar, numbered, read  # noqa: F401

RUNGS = {
    "qresync": set(),
    "condstore+esearch": {"QRESYNC"},
    "condstore": {"QRESYNC", "ESEARCH"},
    "plain": {"QRESYNC", "ESEARCH", "CONDSTORE"},
}


@pytest.fixture(params=list(RUNGS))
def rung(request, monkeypatch):
    """Dovecot, as a server that offers less."""
    hidden = RUNGS[request.param]
    real = Connection.learn

    def learn(self, capabilities):
        return real(self, capabilities - hidden)

    monkeypatch.setattr(Connection, "learn", learn)
    monkeypatch.setattr("postern.sync.following.FLAGS_SECONDS", 0.0)
    return request.param


def flags_of(box, folder="INBOX"):
    with at_mailbox(box.mailbox.pk):
        rows = Sighting.objects.filter(folder__name=folder, gone_at=None).order_by("uid")
        return list(rows.values_list("flags", flat=True))


@pytest.mark.dovecot
@pytest.mark.rule("R-017")
def test_new_flagged_moved_and_deleted_letters_are_followed(box, dovecot, rung):
    dovecot.append(USER, "INBOX", letter("from before the beginning"))
    box.visit()
    for n in range(6):
        dovecot.append(USER, "INBOX", letter(f"number {n}"))
    box.visit()
    old, *uids = dovecot.uids(USER)
    _change(dovecot, uids)
    dovecot.doveadm("expunge", "-u", USER, "mailbox", "INBOX", "uid", str(old))
    dovecot.append(USER, "INBOX", letter("number 6"), flags=["\\Flagged"])
    box.visit()
    assert box.subjects() == numbered(*range(7))
    assert box.subjects(gone_at=None) == numbered(0, 1, 4, 5, 6)
    assert flags_of(box) == ["AF", "S", "", "", "F"]
    folder = box.folder()
    assert folder.exists == len(dovecot.uids(USER))
    assert bool(folder.highestmodseq) is (rung != "plain")
    # A letter that is moved back is the same message, seen again at another UID.
    dovecot.doveadm("move", "-u", USER, "INBOX", "mailbox", "Trash", "header", "subject", "number 3")
    box.visit()
    assert box.subjects(gone_at=None) == numbered(0, 1, 3, 4, 5, 6)
    assert reconcile(box.mailbox.pk).complete


def _change(dovecot, uids):
    """The first is answered and flagged, the second read, the third deleted, the fourth moved to Trash."""
    for uid, flags in ((uids[0], "\\Answered \\Flagged"), (uids[1], "\\Seen")):
        dovecot.doveadm("flags", "add", "-u", USER, flags, "mailbox", "INBOX", "uid", str(uid))
    dovecot.doveadm("expunge", "-u", USER, "mailbox", "INBOX", "uid", str(uids[2]))
    dovecot.doveadm("move", "-u", USER, "Trash", "mailbox", "INBOX", "uid", str(uids[3]))


@pytest.mark.dovecot
@pytest.mark.rule("R-001")
def test_one_leaves_as_another_comes_and_the_process_dies_between_the_two(box, dovecot, rung, monkeypatch):
    """The new letter is stored, its count is not: the server's count alone says that nothing happened since."""
    box.visit()
    for subject in ("stays", "goes"):
        dovecot.append(USER, "INBOX", letter(subject))
    box.visit()
    dovecot.doveadm("expunge", "-u", USER, "mailbox", "INBOX", "uid", str(dovecot.uids(USER)[1]))
    dovecot.append(USER, "INBOX", letter("new"))

    async def die(*_):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="killed"):
        patched.setattr("postern.sync.following.Following.follow", die)
        box.visit()
    assert box.subjects() == ["stays", "goes", "new"]
    box.visit()
    assert box.subjects(gone_at=None) == ["stays", "new"]
    assert box.folder().exists == 2


@pytest.mark.dovecot
def test_when_nothing_changed_nothing_is_asked_but_the_opening(box, dovecot, monkeypatch):
    box.visit()
    dovecot.append(USER, "INBOX", letter("one"))
    box.visit()
    asked = []

    async def ask(self, *arguments, **options):
        asked.append(arguments)
        raise AssertionError("too much was asked")

    for name in ("uid_search", "uid_search_set", "uid_changes", "uid_flags", "uid_fetch_headers"):
        monkeypatch.setattr(f"postern.wire.imap.Session.{name}", ask)
    box.visit()
    assert asked == []


# With a server that lies


@pytest.fixture
def box_of_liar(lying_box):  # noqa: F811
    return lying_box


@pytest.fixture
def known(liar, read):  # noqa: F811
    """Six letters that were read at MODSEQ 10."""
    read()
    for uid in range(1, 7):
        liar.add(uid, letter(f"number {uid}"))
    liar.modseq = 10
    read()
    liar.asked.clear()
    return liar


@pytest.fixture(name="box")
def _box(request):
    """The real mailbox for tests with Dovecot, the one of the liar for the others."""
    real = "dovecot" in request.fixturenames
    return request.getfixturevalue("_real_box" if real else "box_of_liar")


@pytest.fixture
def _real_box(db, dovecot, operator, acting_as):
    from .box import make_box

    made = make_box(dovecot)
    with acting_as("sync"):
        yield made


@pytest.mark.rule("R-018")
def test_modseq_that_went_back_leads_to_a_full_compare(box, known, read):  # noqa: F811
    del known.letters[3]
    known.flags[4] = frozenset({"\\Flagged"})
    known.modseq = 4
    known.told = (UidSet(), set())
    read()
    assert "listing" in known.asked and "flags" in known.asked
    assert box.subjects(gone_at=None) == numbered(1, 2, 4, 5, 6)
    assert flags_of(box) == ["", "", "F", "", ""]
    assert box.folder().highestmodseq == 4


@pytest.mark.rule("R-018")
def test_nomodseq_leads_to_a_full_compare_and_then_to_the_count(box, known, read):  # noqa: F811
    del known.letters[3]
    known.modseq = 0
    read()
    assert box.subjects(gone_at=None) == numbered(1, 2, 4, 5, 6)
    assert box.folder().highestmodseq is None
    del known.letters[4]
    read()
    assert box.subjects(gone_at=None) == numbered(1, 2, 5, 6)


@pytest.mark.rule("R-018")
def test_qresync_that_loses_a_deletion_is_found_out_by_the_count(box, known, read):  # noqa: F811
    del known.letters[2], known.letters[5]
    known.modseq, known.told = 11, (UidSet.of([2]), set())
    read()
    assert "listing" in known.asked
    assert box.subjects(gone_at=None) == numbered(1, 3, 4, 6)


@pytest.mark.rule("R-018")
def test_qresync_that_loses_a_new_letter_is_found_out_by_uidnext(box, known, read):  # noqa: F811
    known.add(7, letter("number 7"))
    known.modseq, known.told = 11, (UidSet(), set())
    read()
    assert box.subjects() == numbered(*range(1, 8))


@pytest.mark.rule("I7")
def test_vanished_everything_is_not_believed_while_the_count_says_otherwise(box, known, read):  # noqa: F811
    known.modseq, known.told = 11, (UidSet([(1, 2**32 - 1)]), set())
    read()
    assert box.subjects(gone_at=None) == numbered(*range(1, 7))
    assert box.folder().highestmodseq == 11


@pytest.mark.rule("I7")
def test_vanished_everything_with_a_count_of_nought_is_believed_at_the_second_look(box, known, read):  # noqa: F811
    truth = dict(known.letters)
    known.letters.clear()
    known.uidnext = 7
    known.modseq, known.told = 11, (UidSet([(1, 6)]), set())
    read()
    assert box.subjects(gone_at=None) == numbered(*range(1, 7))
    known.letters.update(truth)
    known.told = (UidSet(), set())
    read()
    assert box.subjects(gone_at=None) == numbered(*range(1, 7))
    known.letters.clear()
    known.modseq, known.told = 12, (UidSet([(1, 6)]), set())
    read()
    read()
    assert box.subjects(gone_at=None) == []


def test_what_was_told_is_not_forgotten_when_storing_it_fails(box, known, read, monkeypatch):  # noqa: F811
    del known.letters[2]
    known.modseq, known.told = 11, (UidSet.of([2]), {3})
    known.flags[3] = frozenset({"\\Seen"})
    with monkeypatch.context() as broken:

        def full(*_, **__):
            raise OSError("disk full")

        broken.setattr("postern.sync.store.follow", full)
        with pytest.raises(OSError, match="disk full"):
            read()
    assert box.folder().highestmodseq == 10
    read()
    assert box.subjects(gone_at=None) == numbered(1, 3, 4, 5, 6)
    assert flags_of(box) == ["", "S", "", "", ""]
    assert box.folder().highestmodseq == 11


def test_a_reading_needs_nothing_but_a_session_a_store_and_wishes():
    """What the tests of other rooms build on."""
    assert Reading.__init__.__annotations__["wishes"] == Wishes.__name__
