"""Letters over the limit on a real Dovecot: their header comes, visibly, and they count like any other (R-022)."""

from datetime import date, timedelta

import pytest

from postern.mail.access import at_mailbox
from postern.mail.models import Errand, Message, Sighting
from postern.mail.rebuild import rebuild
from postern.mail.scan import scan
from postern.sync.plan import READ_ELSEWHERE
from postern.sync.reconcile import reconcile

from .box import USER, letter

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-022")]
REASON = "Too large: 1 MB, at most 0 MB is read."


@pytest.fixture
def limit(monkeypatch):
    """Two thousand bytes."""
    monkeypatch.setattr("postern.sync.plan.MAX_LETTER_BYTES", 2000)


@pytest.fixture
def met(box, dovecot, limit):
    """The mailbox after its first visit."""
    box.visit()
    return box


def huge(subject="huge", **options):
    """A letter over the limit."""
    return letter(subject, body="x" * 3000, **options)


def rows(box):
    with at_mailbox(box.mailbox.pk):
        return list(Message.objects.order_by("pk").values_list("subject", "withheld", "gone_at"))


def test_a_letter_over_the_limit_is_there_with_its_header(met, dovecot):
    raw = huge()
    dovecot.append(USER, "INBOX", raw)
    dovecot.append(USER, "INBOX", letter("small"))
    met.visit()
    assert rows(met) == [("huge", REASON, None), ("small", "", None)]
    assert list(met.ledger().values()) == ["imported", "imported"]
    assert dovecot.flags(USER, "INBOX", dovecot.uids(USER)[0]) == set()
    with at_mailbox(met.mailbox.pk):
        one = Message.objects.select_related("body", "raw").get(subject="huge")
        assert one.raw.letter() == raw[: raw.index(b"\r\n\r\n") + 4]
        assert (one.from_address, one.size, one.body.text) == ("greta@brandt.example", len(raw), "")
        assert one.preview == f"Only the header is here. {REASON}"
        assert Sighting.objects.get(message=one).reason == REASON


def test_it_is_once_whatever_comes(met, dovecot):
    """Visits, a comparison, a rebuild, a check of the store, and a folder numbered anew."""
    dovecot.append(USER, "INBOX", huge())
    met.visit()
    dovecot.append(USER, "INBOX", letter("small"))
    met.visit()
    before = rows(met)
    report = reconcile(met.mailbox.pk)
    assert report.complete
    assert report.folders[0].counts == {"imported, only the header": 1, "imported": 1}
    assert rebuild(met.mailbox.pk).letters == 2
    assert scan().sound
    dovecot.set_uidvalidity(USER, "INBOX", dovecot.status(USER)["UIDVALIDITY"] + 1)
    met.visit()
    assert rows(met) == before
    assert list(met.ledger().values()) == ["imported", "imported"]
    assert reconcile(met.mailbox.pk).complete


def test_a_reconcile_brings_it_when_it_was_lost(met, dovecot):
    dovecot.append(USER, "INBOX", huge())
    met.visit()
    with at_mailbox(met.mailbox.pk):
        Sighting.objects.all().delete()
        Message.objects.all().delete()
    assert len(reconcile(met.mailbox.pk).folders[0].fetched) == 1
    assert rows(met) == [("huge", REASON, None)]


def test_it_leaves_with_its_letter_on_the_server(met, dovecot):
    dovecot.append(USER, "INBOX", huge())
    dovecot.append(USER, "INBOX", letter("small"))
    met.visit()
    dovecot.expunge(USER, "INBOX", dovecot.uids(USER)[0])
    met.visit()
    assert met.subjects(gone_at=None) == ["small"]
    assert met.subjects(gone_at__isnull=False, withheld=REASON) == ["huge"]


def test_the_wishes_of_the_owner_hold_for_it(met, dovecot):
    """Unread only, mark as read, and the deny list."""
    met.change(process="unread", mark_as_read=True)
    met.deny("blocked.example")
    dovecot.append(USER, "INBOX", huge("read"), flags=["\\Seen"])
    dovecot.append(USER, "INBOX", huge("blocked", sender="x@blocked.example"))
    dovecot.append(USER, "INBOX", huge("wanted"))
    met.visit()
    read, blocked, wanted = dovecot.uids(USER)
    assert met.ledger() == {read: "skipped", blocked: "denied", wanted: "imported"}
    assert rows(met) == [("wanted", REASON, None)]
    assert READ_ELSEWHERE in str(reconcile(met.mailbox.pk))
    assert dovecot.flags(USER, "INBOX", wanted) == {"\\Seen"}
    assert dovecot.flags(USER, "INBOX", blocked) == set()
    assert not met.errands()
    # Marked read by us: recognised by its header when the folder is numbered anew.
    dovecot.set_uidvalidity(USER, "INBOX", dovecot.status(USER)["UIDVALIDITY"] + 1)
    met.visit()
    assert rows(met) == [("wanted", REASON, None)]
    assert sorted(met.ledger().values()) == ["denied", "imported", "skipped"]


def test_history_has_it_in_its_place(box, dovecot, limit):
    day = timedelta(days=1)
    from .test_visit import days_ago

    dovecot.append(USER, "INBOX", huge("too old"), date=days_ago(40))
    dovecot.append(USER, "INBOX", huge("old"), date=days_ago(5))
    dovecot.append(USER, "INBOX", letter("also old"), date=days_ago(4))
    box.change(historic=True, historic_since=date.today() - 10 * day)
    box.visit()
    assert sorted(rows(box)) == [("also old", "", None), ("old", REASON, None)]
    assert reconcile(box.mailbox.pk).complete


def test_moving_it_to_trash_moves_the_whole_letter(met, dovecot):
    raw = huge()
    dovecot.append(USER, "INBOX", raw)
    met.visit()
    met.errand(Errand.Kind.TRASH, "huge")
    met.visit()
    assert dovecot.uids(USER) == []
    assert len(dovecot.uids(USER, "Trash")) == 1
