"""Ledger and server compared, once a day and on demand: what differs is repaired and told."""

import asyncio

import pytest

from postern.mail.access import at_mailbox, viewing_as
from postern.mail.models import Message, Sighting
from postern.mailboxes.comparing import compare_now
from postern.mailboxes.health import comparison
from postern.mailboxes.models import Mailbox
from postern.sync.reconcile import FolderReport, Report, reconcile
from tests.roles import hire

from .box import USER, letter
from .test_supervisor import supervising
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


def test_asked_for_on_the_page_it_compares_at_once_and_tells_what_it_repaired(box, dovecot, acting_as):
    box.visit()
    for subject in ("stays", "lost"):
        dovecot.append(USER, "INBOX", letter(subject))
    box.visit()
    lose(box, "lost")

    def ask():
        with acting_as("web", everywhere=False), viewing_as(box.owner):
            compare_now(staff=box.owner, mailbox=box.mailbox)

    async def story():
        async with supervising():
            await until(in_sync(box))
            assert not await asyncio.to_thread(lambda: comparison(box.health))
            await asyncio.to_thread(ask)
            await until(lambda: box.health.reconciled_at is not None)

    asyncio.run(story())
    said = comparison(box.health)
    assert said.startswith("Compared with the mail server ")
    assert said.endswith("ago. Nothing is missing. 1 had been missing and came in.")
    assert "INBOX: 2 on the server" in box.health.reconciled
    assert sorted(box.subjects()) == ["lost", "stays"]


def test_nobody_else_asks(box, acting_as):
    with acting_as("web"):
        stranger = hire(email="tom@isp.example", name="Tom", password=None)
        with viewing_as(stranger), pytest.raises(Mailbox.DoesNotExist):
            compare_now(staff=stranger, mailbox=box.mailbox)


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        ([{}], "Nothing is missing."),
        (
            [{"fetched": (3, 4)}, {"left": 1}],
            "Nothing is missing. 2 had been missing and came in. 1 had left the server, which was noted.",
        ),
        ([{"missing": (9,)}, {}], "1 on the server could not be brought in."),
    ],
)
def test_what_the_owner_is_told(folders, said):
    report = Report(tuple(FolderReport("INBOX", 5, **folder) for folder in folders))
    assert report.told.splitlines()[0] == said


@pytest.mark.parametrize(
    ("sent", "says"),
    [("Trash", "“Trash” is the folder for deleted letters."), ("Gone fishing", "The folder does not exist.")],
)
def test_from_the_shell_a_server_that_will_not_is_one_line(box, dovecot, capsys, sent, says):
    from argparse import Namespace

    from postern.project.commands.mailbox import mailbox

    chosen = Namespace(action="reconcile", id=box.mailbox.pk)
    box.visit()
    assert mailbox(chosen) == 0 and "Nothing is missing." in capsys.readouterr().out
    box.change(sent_folder=sent)
    assert mailbox(chosen) == 1
    said = capsys.readouterr().err
    assert says in said and said.startswith("postern: mailbox ") and said.count("\n") == 1
