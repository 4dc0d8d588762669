"""A worker whose clock is a day ahead or behind: what it does, and when, is as if the clock were right (R-039)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from postern.mail.access import at_mailbox
from postern.mail.models import Errand, Message
from postern.sync.reconcile import reconcile

from .box import USER, letter
from .test_supervisor import Process, in_sync, wait_until

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


def _delete_with_undo(box, subject):
    """What "Delete, also on the server" leaves: an errand that falls due when Undo is over."""
    from postern.mail import clock
    from postern.mail.events import notify

    row = box.errand(Errand.Kind.TRASH, subject)
    with at_mailbox(box.mailbox.pk):
        Errand.objects.filter(pk=row.pk).update(not_before=clock.now() + timedelta(seconds=UNDO))
    notify("postern_errands", {"mailbox": box.mailbox.pk})
