"""A worker, a database or a mail server with a wrong clock: what is done, and when, is as if it were right (R-039)."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from postern.mail import clock
from postern.mail.access import at_mailbox
from postern.mail.models import Errand, Message
from postern.project.database import Server
from postern.project.processes import migrate_in_child
from postern.sync.reconcile import reconcile

from .box import USER, letter, make_box
from .elsewhere import second_installation
from .test_supervisor import Process, in_sync, supervising, wait_until
from .test_watcher import until

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-039")]
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
UNDO = 4.0


@pytest.mark.skipif(FAKETIME is None, reason="faketime is not installed (Debian's package faketime)")
@pytest.mark.soak
@pytest.mark.parametrize("skew", ["+1d", "-1d"])
def test_a_worker_with_a_wrong_clock(box, dovecot, monkeypatch, skew):
    """Marks are set at once, a deleted letter waits for the end of its Undo and no longer, order stays."""
    box.change(mark_as_read=True)
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME", skew)
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    with Process():
        monkeypatch.delenv("LD_PRELOAD")
        wait_until(in_sync(box))
        off = box.health.last_sync_at - datetime.now(UTC)
        assert abs(abs(off) - timedelta(days=1)) < timedelta(minutes=5), "the worker's clock is not off"
        for subject in ("one", "two"):
            dovecot.deliver(USER, letter(subject))
        wait_until(lambda: len(box.subjects()) == 2)
        uids = dovecot.uids(USER)
        wait_until(lambda: all(dovecot.flags(USER, "INBOX", uid) == {"\\Seen"} for uid in uids), 6)
        begun = time.monotonic()
        _delete_with_undo(box, "one")
        while time.monotonic() - begun < UNDO - 1:
            assert not dovecot.uids(USER, "Trash"), "moved before Undo was over"
            time.sleep(0.2)
        wait_until(lambda: len(dovecot.uids(USER, "Trash")) == 1, UNDO + 4)
    with at_mailbox(box.mailbox.pk):
        when = list(Message.objects.order_by("received_at", "pk").values_list("subject", "received_at"))
    assert [subject for subject, _ in when] == ["one", "two"]
    assert all(abs(datetime.now(UTC) - at) < timedelta(minutes=5) for _, at in when)
    assert reconcile(box.mailbox.pk).complete


@pytest.fixture(params=["-1d", pytest.param("+1d", marks=pytest.mark.soak)])
def wrong_database(request, db, monkeypatch):
    """An installation whose PostgreSQL has another day."""
    child = Server._child

    def with_another_day(self):
        found = child(self)
        fake = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": request.param, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        return found | {"env": found["env"] | fake}

    monkeypatch.setattr(Server, "_child", with_another_day)
    with second_installation(monkeypatch, fast=True) as (_, turn):
        turn()
        migrate_in_child()
        yield timedelta(days=int(request.param[:-1]))


@pytest.mark.skipif(FAKETIME is None, reason="faketime is not installed (Debian's package faketime)")
def test_a_database_with_a_wrong_clock(wrong_database, dovecot, operator, acting_as):
    box = make_box(dovecot)

    async def story():
        async with supervising():
            await until(in_sync(box))
            for subject in ("one", "two"):
                await asyncio.to_thread(dovecot.deliver, USER, letter(subject))
            await until(lambda: len(box.subjects()) == 2 and not box.errands())
            begun = time.monotonic()
            await asyncio.to_thread(_delete_with_undo, box, "one")
            await until(lambda: len(dovecot.uids(USER, "Trash")) == 1)
            assert UNDO - 0.5 < time.monotonic() - begun < UNDO + 4

    with acting_as("sync"):
        off = clock.now() - datetime.now(UTC)
        assert abs(off - wrong_database) < timedelta(minutes=5), "the database's clock is not off"
        box.change(mark_as_read=True)
        asyncio.run(story())
        assert [dovecot.flags(USER, "INBOX", uid) for uid in dovecot.uids(USER)] == [{"\\Seen"}]
        assert box.subjects() == ["one", "two"]
        assert reconcile(box.mailbox.pk).complete


@pytest.mark.parametrize("days", [-400, 400])
def test_a_mail_server_with_a_wrong_clock(box, dovecot, days):
    """It stamps each letter with its own day (Dovecot 2.3 takes none of the future): new, once, in their order."""
    box.visit()
    there = datetime.now(UTC) + timedelta(days=days)
    for n, subject in enumerate(("one", "two", "three")):
        dovecot.append(USER, "INBOX", letter(subject), date=there + timedelta(seconds=n))
        box.visit()
    with at_mailbox(box.mailbox.pk):
        order = list(Message.objects.order_by("received_at", "pk").values_list("subject", flat=True))
    assert order == ["one", "two", "three"]
    assert reconcile(box.mailbox.pk).complete
    box.errand(Errand.Kind.TRASH, "two")
    box.visit()
    assert len(dovecot.uids(USER, "Trash")) == 1 and len(dovecot.uids(USER)) == 2


def _delete_with_undo(box, subject):
    """What "Delete, also on the server" leaves: an errand that falls due when Undo is over."""
    from postern.mail.events import notify

    row = box.errand(Errand.Kind.TRASH, subject)
    with at_mailbox(box.mailbox.pk):
        Errand.objects.filter(pk=row.pk).update(not_before=clock.now() + timedelta(seconds=UNDO))
    notify("postern_errands", {"mailbox": box.mailbox.pk})
