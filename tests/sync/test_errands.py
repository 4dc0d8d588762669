"""What we owe the server, on a real Dovecot: done once, however often it is tried."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

from postern.mail.access import at_mailbox
from postern.mail.intake import record_sent
from postern.mail.models import Errand, Message
from postern.mailboxes.models import MailboxHealth
from postern.sync import errands
from postern.wire.errors import MailError
from postern.wire.imap import Session

from .box import USER, letter

pytestmark = pytest.mark.dovecot


def sent(box, raw, at=None):
    from datetime import UTC, datetime

    with at_mailbox(box.mailbox.pk):
        return record_sent(mailbox=box.mailbox, raw=raw, sent_at=at or datetime.now(UTC), bcc=[])


def test_a_sent_letter_is_appended_once_and_recognised(box, dovecot):
    box.visit()
    raw = letter("to greta")
    sent(box, raw)
    box.errand("append", "to greta")
    box.visit()
    assert [bytes(found) for found in dovecot.letters(USER, "Sent")] == [raw]
    assert dovecot.flags(USER, "Sent", dovecot.uids(USER, "Sent")[0]) == {"\\Seen"}
    assert box.subjects() == ["to greta"]
    assert list(box.ledger("Sent").values()) == ["imported"]
    assert box.errands() == []


def test_more_errands_than_fit_in_one_go_are_all_done_in_one_visit(box, dovecot, monkeypatch):
    monkeypatch.setattr("postern.sync.errands.AT_ONCE", 2)
    box.change(mark_as_read=True)
    box.visit()
    for n in range(5):
        dovecot.append(USER, "INBOX", letter(f"number {n}"))
    box.visit()
    assert box.errands() == []


@pytest.mark.rule("R-047")
def test_what_the_provider_has_filed_itself_is_not_appended_again(box, dovecot):
    box.visit()
    raw = letter("to greta")
    sent(box, raw)
    box.errand("append", "to greta")
    dovecot.append(USER, "Sent", raw, flags=["\\Seen"])
    box.visit()
    assert len(dovecot.uids(USER, "Sent")) == 1
    assert box.subjects() == ["to greta"]


@pytest.mark.rule("R-037")
def test_a_copy_that_passes_the_day_of_the_provider_waits_for_room_and_goes_once(box, dovecot, monkeypatch):
    monkeypatch.setattr(Session, "bytes_up_a_day", 50_000)
    box.visit()
    for subject in ("one", "two"):
        sent(box, letter(subject, body="x" * 30_000))
        box.errand("append", subject)

    def there():
        return len(dovecot.uids(USER, "Sent"))

    for _ in range(2):  # Another process, which knows only what the database does.
        box.visit()
        assert there() == 1
    (waiting,) = box.errands()
    assert waiting.attempts == 0 and waiting.failed_at is None
    assert "no room for it today" in waiting.error and not re.search(r"\d:\d\d", waiting.error)
    day_over = waiting.not_before - datetime.now(UTC)
    assert timedelta(hours=23) < day_over <= timedelta(hours=25)
    # Room comes back; who asks sooner changes nothing.
    with at_mailbox(box.mailbox.pk):
        Errand.objects.update(not_before=datetime.now(UTC))
    box.visit()
    assert there() == 1 and len(box.errands()) == 1
    older = {str(int(hour) - 25): count for hour, count in box.health.uploaded.items()}
    MailboxHealth.objects.filter(pk=box.mailbox.pk).update(uploaded=older)
    with at_mailbox(box.mailbox.pk):
        Errand.objects.update(not_before=datetime.now(UTC))
    box.visit()
    assert there() == 2 and box.errands() == []


@pytest.mark.rule("R-037")
def test_a_letter_larger_than_the_day_and_one_of_a_server_without_a_limit_are_not_held_back(
    box, dovecot, monkeypatch
):
    box.visit()
    sent(box, letter("free", body="x" * 30_000))
    box.errand("append", "free")
    box.visit()
    assert box.errands() == [] and box.health.uploaded == {}
    monkeypatch.setattr(Session, "bytes_up_a_day", 10_000)
    sent(box, letter("large", body="x" * 30_000))
    box.errand("append", "large")
    box.visit()
    assert box.errands() == [] and len(dovecot.uids(USER, "Sent")) == 2


def test_dying_between_append_and_noting_it_appends_no_second_copy(box, dovecot, monkeypatch):
    box.visit()
    sent(box, letter("to greta"))
    box.errand("append", "to greta")

    def dies(*_, **__):
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("postern.sync.store.errand_done", dies)
        with pytest.raises(OSError, match="killed"):
            box.visit()
    assert len(dovecot.uids(USER, "Sent")) == 1
    box.visit()
    assert len(dovecot.uids(USER, "Sent")) == 1
    assert box.errands() == []


def test_without_a_sent_folder_the_reason_is_kept(box):
    box.change(sent_folder="")
    box.visit()
    sent(box, letter("to greta"))
    box.errand("append", "to greta")
    box.visit()
    (row,) = box.errands()
    assert row.failed_at is not None
    assert "No folder for sent messages" in row.error


def test_move_to_trash_moves_that_letter_alone(box, dovecot):
    box.visit()
    for subject in ("stays", "goes"):
        dovecot.append(USER, "INBOX", letter(subject))
    box.visit()
    box.errand("trash", "goes")
    box.visit()
    assert len(dovecot.uids(USER, "INBOX")) == 1
    assert b"Subject: stays" in dovecot.letters(USER, "INBOX")[0]
    assert b"Subject: goes" in dovecot.letters(USER, "Trash")[0]
    assert box.subjects(gone_at=None) == ["stays"]
    assert box.errands() == []


@pytest.mark.rule("R-013")
def test_a_uid_of_another_uidvalidity_is_never_acted_on(box, dovecot):
    box.visit()
    dovecot.append(USER, "INBOX", letter("goes"))
    box.visit()
    box.errand("trash", "goes")
    dovecot.expunge(USER, "INBOX", dovecot.uids(USER)[0])
    dovecot.append(USER, "INBOX", letter("innocent"))
    dovecot.set_uidvalidity(USER, "INBOX", dovecot.status(USER)["UIDVALIDITY"] + 1)

    async def only_errands():
        from postern.sync import store
        from postern.sync.store import Store
        from postern.wire.imap import open_session

        keeper = Store(1)
        account = await keeper.run(store.load, box.mailbox.pk)
        session = await open_session(account.endpoint, account.policy, account.login)
        try:
            await errands.work_off(session, keeper, box.mailbox.pk, "Sent")
        finally:
            await session.logout()
            keeper.close()

    asyncio.run(only_errands())
    assert b"innocent" in dovecot.letters(USER, "INBOX")[0]
    (row,) = box.errands()
    assert row.failed_at is None
    assert row.attempts == 1


def test_seen_for_a_letter_that_left_meanwhile_is_simply_done(box, dovecot):
    box.change(mark_as_read=True)
    box.visit()
    dovecot.append(USER, "INBOX", letter("one"))
    dovecot.append(USER, "INBOX", letter("two"))
    box.visit()
    dovecot.expunge(USER, "INBOX", dovecot.uids(USER)[0])
    box.errand("seen", "one")
    box.visit()
    assert box.errands() == []


def test_a_server_that_cannot_move_keeps_the_reason(box, dovecot, monkeypatch):
    async def refuse(self, uids, folder):
        raise MailError("server_refused", "This mail server offers no safe way.", temporary=False)

    monkeypatch.setattr("postern.wire.imap.session.Session.uid_move", refuse)
    box.visit()
    dovecot.append(USER, "INBOX", letter("goes"))
    box.visit()
    box.errand("trash", "goes")
    box.visit()
    (row,) = box.errands()
    assert row.failed_at is not None
    assert "no safe way" in row.error
    with at_mailbox(box.mailbox.pk):
        assert Message.objects.get().gone_at is None
