"""Visits of a real Dovecot: exactly the promised letters, once, and nothing touched on the server."""

import contextlib
import time
from datetime import UTC, date, datetime, timedelta

import pytest

from postern.mail.access import at_mailbox
from postern.mail.models import Message, Sighting
from postern.sync.changes import Question
from postern.sync.plan import READ_ELSEWHERE
from postern.sync.reconcile import reconcile

from .box import USER, letter

pytestmark = pytest.mark.dovecot


def days_ago(days):
    return datetime.now(UTC) - timedelta(days=days)


@pytest.mark.rule("R-021")
def test_without_history_only_what_comes_after_the_first_visit(box, dovecot):
    dovecot.append(USER, "INBOX", letter("old"))
    box.visit()
    assert box.subjects() == []
    assert box.folder().next_uid == dovecot.status(USER)["UIDNEXT"]
    dovecot.deliver(USER, letter("new"))
    box.visit()
    assert box.subjects() == ["new"]


def test_no_flag_is_touched_unless_it_is_wished(box, dovecot):
    box.visit()
    dovecot.append(USER, "INBOX", letter("plain"))
    dovecot.append(USER, "INBOX", letter("starred"), flags=["\\Flagged", "$Work"])
    box.visit()
    plain, starred = dovecot.uids(USER)
    assert dovecot.flags(USER, "INBOX", plain) == set()
    assert dovecot.flags(USER, "INBOX", starred) == {"\\Flagged", "$Work"}


@pytest.mark.rule("R-021")
def test_mark_as_read_marks_incoming_mail_alone_and_after_it_is_stored(box, dovecot):
    box.change(mark_as_read=True)
    box.visit()
    dovecot.append(USER, "INBOX", letter("in"))
    dovecot.append(USER, "Sent", letter("out"))
    box.visit()
    assert dovecot.flags(USER, "INBOX", dovecot.uids(USER)[0]) == {"\\Seen"}
    assert dovecot.flags(USER, "Sent", dovecot.uids(USER, "Sent")[0]) == set()
    assert box.errands() == []


@pytest.mark.rule("R-003")
def test_nothing_is_marked_when_storing_fails(box, dovecot, monkeypatch):
    box.change(mark_as_read=True)
    box.visit()
    dovecot.append(USER, "INBOX", letter("in"))

    def full(**_):
        raise OSError("disk full")

    monkeypatch.setattr("postern.sync.store.letters.take_in", full)
    with pytest.raises(OSError, match="disk full"):
        box.visit()
    (uid,) = dovecot.uids(USER)
    assert dovecot.flags(USER, "INBOX", uid) == set()
    assert box.folder().next_uid == uid
    monkeypatch.undo()


@pytest.mark.rule("R-021")
def test_history_goes_by_the_date_of_arrival_newest_first(box, dovecot):
    box.change(historic=True, historic_since=date.today() - timedelta(days=10))
    for days in (30, 8, 11, 2, 5):
        dovecot.append(USER, "INBOX", letter(f"{days} days"), date=days_ago(days))
    dovecot.append(USER, "Sent", letter("sent"), date=days_ago(3))
    box.visit()
    # The newest UID first, in one small batch: what the server hands over in one go is stored in its order.
    assert set(box.subjects(outgoing=False)) == {"8 days", "2 days", "5 days"}
    assert box.subjects(outgoing=True) == ["sent"]
    assert box.folder().history_done


def test_moving_the_date_back_imports_the_gap_alone(box, dovecot):
    for days in (30, 20, 2):
        dovecot.append(USER, "INBOX", letter(f"{days} days"), date=days_ago(days))
    box.visit()
    assert box.subjects() == []
    box.change(historic=True, historic_since=date.today() - timedelta(days=10))
    box.visit()
    assert box.subjects() == ["2 days"]
    box.change(historic_since=date.today() - timedelta(days=25))
    progress = box.visit()
    assert box.subjects() == ["2 days", "20 days"]
    assert progress.total == 1
    box.change(historic_since=date.today() - timedelta(days=1))
    box.visit()
    assert box.subjects() == ["2 days", "20 days"]


@pytest.mark.rule("R-021")
def test_unread_only_skips_what_was_read_elsewhere_and_lists_it(box, dovecot):
    box.change(process="unread")
    box.visit()
    dovecot.append(USER, "INBOX", letter("read"), flags=["\\Seen"])
    dovecot.append(USER, "INBOX", letter("unread"))
    dovecot.append(USER, "Sent", letter("sent, and read of course"), flags=["\\Seen"])
    box.visit()
    assert box.subjects() == ["unread", "sent, and read of course"]
    read, unread = dovecot.uids(USER)
    assert box.ledger() == {read: "skipped", unread: "imported"}
    assert READ_ELSEWHERE in str(reconcile(box.mailbox.pk))


def test_mail_sent_from_a_phone_is_read_from_the_sent_folder(box, dovecot):
    box.visit()
    dovecot.append(USER, "Sent", letter("from my phone"), flags=["\\Seen"])
    box.visit()
    assert box.subjects(outgoing=True) == ["from my phone"]


@pytest.mark.rule("R-013")
def test_a_new_uidvalidity_brings_no_duplicate_no_loss_and_no_flood(box, dovecot):
    dovecot.append(USER, "INBOX", letter("before the start"), date=days_ago(90))
    box.visit()
    for subject in ("one", "two", "three"):
        dovecot.append(USER, "INBOX", letter(subject))
    box.visit()
    with at_mailbox(box.mailbox.pk):
        before = set(Message.objects.values_list("pk", flat=True))
    dovecot.set_uidvalidity(USER, "INBOX", dovecot.status(USER)["UIDVALIDITY"] + 1)
    dovecot.append(USER, "INBOX", letter("meanwhile"))
    box.visit()
    assert box.subjects() == ["one", "two", "three", "meanwhile"]
    with at_mailbox(box.mailbox.pk):
        assert before < set(Message.objects.values_list("pk", flat=True))
        assert not Message.objects.exclude(gone_at=None).exists()
    folder = box.folder()
    assert folder.uidvalidity == dovecot.status(USER)["UIDVALIDITY"]
    assert len(box.ledger()) == 4
    assert reconcile(box.mailbox.pk).complete


@pytest.mark.rule("R-013")
def test_a_folder_made_anew_with_fewer_letters(box, dovecot):
    box.visit()
    kept, lost = letter("kept"), letter("lost")
    for raw in (kept, lost):
        dovecot.append(USER, "Sent", raw)
    box.visit()
    dovecot.delete_folder(USER, "Sent")
    dovecot.create_folder(USER, "Sent")
    dovecot.append(USER, "Sent", kept)
    dovecot.wait_for(USER, "Sent", count=1)  # another session of Dovecot may see it late
    box.visit()
    assert box.subjects() == ["kept", "lost"]
    assert box.subjects(gone_at=None) == ["kept"]


@pytest.mark.rule("R-013")
@pytest.mark.parametrize("others", [0, 3], ids=["as few as before", "after others were there"])
def test_a_folder_made_anew_under_its_old_uidvalidity(box, dovecot, others):
    """Dovecot gives the next number of a counter that a UIDVALIDITY set by hand never told."""
    for n in range(others):
        dovecot.append(USER, "Sent", letter(f"before the start {n}"), date=days_ago(90))
    box.visit()
    kept, lost = letter("kept"), letter("lost")
    for raw in (kept, lost):
        dovecot.append(USER, "Sent", raw)
    box.visit()
    before = dovecot.status(USER, "Sent")["UIDVALIDITY"]
    dovecot.delete_folder(USER, "Sent")
    dovecot.create_folder(USER, "Sent")
    dovecot.set_uidvalidity(USER, "Sent", before)
    time.sleep(1.0)  # INTERNALDATE counts seconds: a moved letter arrives later than it did before
    dovecot.append(USER, "Sent", kept)
    dovecot.wait_for(USER, "Sent", count=1)
    box.visit()
    assert box.subjects() == ["kept", "lost"]
    assert box.subjects(gone_at=None) == ["kept"]
    assert list(box.ledger("Sent").values()) == ["imported"]
    assert reconcile(box.mailbox.pk).complete


@pytest.mark.rule("R-013")
@pytest.mark.parametrize("change", ["made anew", "numbered anew"])
@pytest.mark.parametrize("before", ["uid_search_set", "uid_fetch_headers", "uid_fetch_bodies"])
def test_a_folder_that_changes_between_its_opening_and_a_fetch(box, dovecot, before, change):
    """Other letters lie at the UIDs that were told: in the end each is here once, under its own UID."""
    from postern.wire.errors import MailError
    from postern.wire.imap import Session

    box.visit()
    kept, new, other = (letter(subject) for subject in ("kept", "new", "other"))
    dovecot.append(USER, "Sent", kept)
    box.visit()
    dovecot.append(USER, "Sent", new)
    changed = []

    def change_it():
        changed.append(before)
        if change == "made anew":
            dovecot.delete_folder(USER, "Sent")
            dovecot.create_folder(USER, "Sent")
            for raw in (other, new, kept):
                dovecot.append(USER, "Sent", raw)
        else:
            dovecot.set_uidvalidity(USER, "Sent", dovecot.status(USER, "Sent")["UIDVALIDITY"] + 1)
            dovecot.append(USER, "Sent", other)

    real = getattr(Session, before)

    def asked(session, *arguments, **options):
        if not changed:
            change_it()
        return real(session, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(MailError):
        patch.setattr(Session, before, asked)
        patch.setattr("postern.sync.changes.question", lambda *_: Question.COUNT)  # all three are asked
        box.visit()
    assert changed
    box.visit()
    box.visit()
    assert sorted(box.subjects(gone_at=None)) == sorted(box.subjects()) == ["kept", "new", "other"]
    with at_mailbox(box.mailbox.pk):
        rows = Sighting.objects.filter(folder__name="Sent", gone_at=None)
        here = {uid: bytes(sha).hex() for uid, sha in rows.values_list("uid", "message__sha256")}
    assert here == dovecot.digests(USER, "Sent")
    assert reconcile(box.mailbox.pk).complete


def test_unread_only_and_a_new_uidvalidity_know_what_was_marked_read_by_us(box, dovecot):
    box.change(process="unread", mark_as_read=True)
    box.visit()
    dovecot.append(USER, "INBOX", letter("one"))
    box.visit()
    dovecot.append(USER, "INBOX", letter("read elsewhere"), flags=["\\Seen"])
    dovecot.set_uidvalidity(USER, "INBOX", dovecot.status(USER)["UIDVALIDITY"] + 1)
    box.visit()
    assert box.subjects() == ["one"]
    assert list(box.ledger().values()) == ["imported", "skipped"]


@pytest.mark.rule("R-013")
def test_a_folder_numbered_anew_at_every_visit_stops_with_a_message(box, dovecot):
    from postern.wire.errors import MailError

    dovecot.append(USER, "INBOX", letter("old"))
    box.visit()
    for _ in range(3):
        dovecot.set_uidvalidity(USER, "INBOX", dovecot.status(USER)["UIDVALIDITY"] + 1)
        box.visit()
    dovecot.set_uidvalidity(USER, "INBOX", dovecot.status(USER)["UIDVALIDITY"] + 1)
    with pytest.raises(MailError, match="anew again and again"):
        box.visit()


@pytest.mark.rule("R-017")
def test_deleted_elsewhere_stays_here_and_is_marked(box, dovecot):
    box.visit()
    for subject in ("stays", "goes"):
        dovecot.append(USER, "INBOX", letter(subject))
    box.visit()
    dovecot.expunge(USER, "INBOX", dovecot.uids(USER)[1])
    box.visit()
    assert box.subjects() == ["stays", "goes"]
    assert box.subjects(gone_at=None) == ["stays"]


@pytest.mark.rule("I7")
def test_an_emptied_inbox_is_believed_at_the_second_look(box, dovecot, monkeypatch):
    monkeypatch.setattr("postern.sync.following.SUSPECT_SECONDS", 0)
    box.visit()
    for subject in ("one", "two"):
        dovecot.append(USER, "INBOX", letter(subject))
    box.visit()
    for uid in dovecot.uids(USER):
        dovecot.expunge(USER, "INBOX", uid)
    box.visit()
    assert box.subjects(gone_at=None) == ["one", "two"]
    box.visit()
    assert box.subjects(gone_at=None) == []
    assert box.subjects() == ["one", "two"]


def test_a_letter_moved_away_and_back_is_one_message(box, dovecot):
    box.visit()
    dovecot.append(USER, "INBOX", letter("stays"))
    dovecot.append(USER, "INBOX", letter("travels"))
    box.visit()
    dovecot.move(USER, "INBOX", dovecot.uids(USER)[1], "Trash")
    box.visit()
    assert box.subjects(gone_at=None) == ["stays"]
    dovecot.move(USER, "Trash", dovecot.uids(USER, "Trash")[0], "INBOX")
    box.visit()
    assert box.subjects() == box.subjects(gone_at=None) == ["stays", "travels"]


def test_denied_mail_leaves_its_ledger_entry_alone(box, dovecot):
    box.deny("spam.example")
    box.visit()
    dovecot.append(USER, "INBOX", letter("buy", sender="x@shop.spam.example"))
    box.visit()
    assert box.subjects() == []
    assert list(box.ledger().values()) == ["denied"]


def test_switching_processing_off_and_on_begins_anew(box, dovecot):
    from postern.sync.store import forget_starts

    box.visit()
    dovecot.append(USER, "INBOX", letter("one"))
    box.visit()
    box.change(tracking=False)
    forget_starts()
    assert box.health.state == "paused"
    box.change(tracking=True)
    dovecot.append(USER, "INBOX", letter("while it was off"))
    box.visit()
    dovecot.append(USER, "INBOX", letter("two"))
    box.visit()
    assert box.subjects() == box.subjects(gone_at=None) == ["one", "two"]


@pytest.mark.rule("R-016")
def test_a_missing_sent_folder_does_not_stop_the_inbox(box, dovecot):
    box.change(sent_folder="Gone fishing")
    box.visit()
    dovecot.append(USER, "INBOX", letter("in"))
    box.visit()
    assert box.subjects() == ["in"]


def test_reconcile_names_each_fate_and_repairs_what_was_lost(box, dovecot):
    dovecot.append(USER, "INBOX", letter("before"))
    box.visit()
    for subject in ("one", "two"):
        dovecot.append(USER, "INBOX", letter(subject))
    box.visit()
    report = reconcile(box.mailbox.pk)
    assert report.complete
    assert report.folders[0].counts == {"skipped: before start": 1, "imported": 2}
    with at_mailbox(box.mailbox.pk):
        Message.objects.get(subject="two").sightings.all().delete()
        Message.objects.get(subject="two").delete()
    lost = reconcile(box.mailbox.pk, repair=False)
    assert not lost.complete
    assert "MISSING" in str(lost)
    repaired = reconcile(box.mailbox.pk)
    assert repaired.complete
    assert len(repaired.folders[0].fetched) == 1
    assert box.subjects() == ["one", "two"]
