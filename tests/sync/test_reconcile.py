"""Ledger and server compared, once a day and on demand: what differs is repaired and told."""

import asyncio

import pytest

from postern.mail.access import at_mailbox
from postern.mail.models import Message, Sighting
from postern.sync.reconcile import reconcile

from .box import USER, letter
from .test_watcher import in_sync, until

pytestmark = pytest.mark.dovecot


def lose(box, subject):
    """As after a fault: the ledger has forgotten a letter."""
    with at_mailbox(box.mailbox.pk):
        Sighting.objects.filter(message__subject=subject).delete()
        Message.objects.filter(subject=subject).delete()


def test_once_a_day_the_watcher_compares_and_repairs(box, dovecot, monkeypatch):
    monkeypatch.setattr("postern.sync.watcher.RECONCILE_SECONDS", 0.5)
    monkeypatch.setattr("postern.sync.watcher.LOOK_SECONDS", 0.5)
    box.visit()
    for subject in ("stays", "lost"):
        dovecot.append(USER, "INBOX", letter(subject))
    box.visit()
    lose(box, "lost")

    async def story():
        async with box.watched():
            await until(in_sync(box))
            await until(lambda: "lost" in box.subjects())
            await until(lambda: "Nothing is missing." in box.health.reconciled)

    asyncio.run(story())
    assert box.health.reconciled_at is not None
    assert sorted(box.subjects()) == ["lost", "stays"]


def test_a_ghost_in_the_ledger_is_found_and_flags_are_corrected(box, dovecot):
    dovecot.append(USER, "INBOX", letter("stays"))
    box.visit()
    dovecot.append(USER, "INBOX", letter("one"), flags=["\\Flagged"])
    box.visit()
    folder = box.folder()
    with at_mailbox(box.mailbox.pk):
        ghost = Sighting.objects.get(uid=dovecot.uids(USER)[1])
        ghost.pk, ghost.uid = None, folder.next_uid
        ghost.save()
        Sighting.objects.update(flags="S")
    type(folder).objects.filter(pk=folder.pk).update(next_uid=folder.next_uid + 1, exists=3)
    report = reconcile(box.mailbox.pk)
    assert report.complete
    assert "1  no longer there" in str(report)
    with at_mailbox(box.mailbox.pk):
        assert list(Sighting.objects.filter(gone_at=None).values_list("flags", flat=True)) == ["F"]


def test_a_letter_that_arrives_while_folders_are_compared_is_not_forgotten(box, dovecot):
    box.visit()
    dovecot.append(USER, "INBOX", letter("one"))
    box.visit()
    dovecot.append(USER, "INBOX", letter("two"))
    reconcile(box.mailbox.pk)
    box.visit()
    assert box.subjects() == ["one", "two"]
    assert box.folder().exists == 2
