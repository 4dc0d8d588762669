"""Killed at every durable step of a visit in which everything happens, then resumed: the end is the same (R-001)."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from postern.mail.access import at_mailbox
from postern.mail.models import Message
from postern.mailboxes.models import Lease
from postern.sync.reconcile import reconcile
from tests.reliability.scale import SOAK, some

from .box import USER, letter
from .killed import visit

pytestmark = pytest.mark.dovecot

ALL_STEPS = range(1, 61)
# The first ones connect; from the tenth on letters come in, errands are done and folders compared.
SOME_STEPS = (11, 16, 22, 29)


def run(box, step):
    """Visit in a process of its own that dies at a step; the steps it took, None when it was killed."""
    from django.conf import settings

    environment = os.environ | {"POSTERN_ROLE": "sync", "POSTERN_MAIL_HOSTS": settings.MAIL_HOSTS}
    command = [sys.executable, "-m", "tests.sync.killed", str(box.mailbox.pk), str(step)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode == -9:
        return None
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def prepare(box, dovecot):
    """What was here before; then everything happens at once."""
    box.change(mark_as_read=True)
    box.visit()
    for subject in ("stays", "leaves", "to trash", "sent once"):
        dovecot.append(USER, "INBOX", letter(subject), date=datetime.now(UTC) - timedelta(hours=1))
    dovecot.append(USER, "Sent", letter("in sent"))
    box.visit()
    for n in range(30):
        dovecot.append(USER, "INBOX", letter(f"new {n}"))
    dovecot.append(USER, "Sent", letter("from a phone"))
    (leaves,) = [uid for uid, subject in subjects_on(dovecot, "INBOX").items() if subject == "leaves"]
    dovecot.doveadm("expunge", "-u", USER, "mailbox", "INBOX", "uid", str(leaves))
    dovecot.set_uidvalidity(USER, "Sent", dovecot.status(USER, "Sent")["UIDVALIDITY"] + 1)
    box.errand("trash", "to trash")
    box.errand("append", "sent once")


def subjects_on(dovecot, folder):
    """UID to subject of what the server has."""
    lines = dovecot.doveadm("-f", "tab", "fetch", "-u", USER, "uid hdr.subject", "mailbox", folder)
    rows = [line.split("\t") for line in lines.splitlines()[1:]]
    return {int(uid): subject for uid, subject in rows}


def everything(box, dovecot):
    """All that is here and on the server, as one value."""
    with at_mailbox(box.mailbox.pk):
        rows = Message.objects.values_list("subject", "outgoing", "gone_at")
        messages = sorted((subject, outgoing, gone is None) for subject, outgoing, gone in rows)
    return {
        "messages": messages,
        "ledger": {name: sorted(box.ledger(name).values()) for name in ("INBOX", "Sent")},
        "server": {n: sorted(subjects_on(dovecot, n).values()) for n in ("INBOX", "Sent", "Trash")},
        "unseen": [u for u in dovecot.uids(USER) if "\\Seen" not in dovecot.flags(USER, "INBOX", u)],
        "errands": len(box.errands()),
    }


def expected():
    """What must be in the end, whatever happened on the way."""
    new = [f"new {n}" for n in range(30)]
    inbox = ["sent once", "stays", *new]
    return {
        "messages": sorted(
            [(s, False, True) for s in inbox]
            + [(s, False, False) for s in ("leaves", "to trash")]
            + [(s, True, True) for s in ("in sent", "from a phone")]
        ),
        "ledger": {"INBOX": ["imported"] * 32, "Sent": ["imported"] * 3},
        "server": {
            "INBOX": sorted(inbox),
            "Sent": ["from a phone", "in sent", "sent once"],
            "Trash": ["to trash"],
        },
        "unseen": [],
        "errands": 0,
    }


@pytest.mark.rule("R-001")
@pytest.mark.rule("R-003")
@pytest.mark.parametrize("step", some(list(ALL_STEPS), len(SOME_STEPS), seed=1) if SOAK else SOME_STEPS)
def test_killed_at_a_step_and_resumed_the_end_is_the_same(box, dovecot, step):
    prepare(box, dovecot)
    steps = run(box, step)
    if steps is not None:
        assert steps < step, "it was to die earlier"
    Lease.objects.filter(mailbox=box.mailbox).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert visit(box.mailbox.pk)
    assert everything(box, dovecot) == expected()
    # Once more: nothing is left to do.
    visit(box.mailbox.pk)
    assert everything(box, dovecot) == expected()
    assert reconcile(box.mailbox.pk).complete


def test_the_steps_that_are_tried_reach_to_the_end(box, dovecot):
    prepare(box, dovecot)
    begun = time.monotonic()
    steps = visit(box.mailbox.pk)
    assert 20 < steps <= max(ALL_STEPS), f"{steps} steps in {time.monotonic() - begun:.0f} s"
    assert max(SOME_STEPS) <= steps
