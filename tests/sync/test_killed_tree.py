"""kill -9 of sync, send and web at random moments while mail comes and goes: all is here once, none sent twice (R-002)."""

import os
import random
import socket
import subprocess
import threading
import time
from collections import Counter

import pytest
from django.db import connection

from postern.mail.access import at_mailbox, viewing_as
from postern.outbox import compose
from postern.outbox.models import Delivery
from postern.project.jobs import STALLED_AFTER
from postern.project.processes import this_program
from postern.sync.reconcile import reconcile
from tests.outbox.server import Server
from tests.reliability.scale import amount

from .box import USER, letter, make_box
from .test_supervisor import in_sync, wait_until

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-002")]
KILLS = amount(4, 300)
ROLES = ("send", "sync", "web")


class Running:
    """The three processes; one that is killed is started again at once."""

    def __init__(self, environment):
        self.environment = environment
        self.children = {}

    def __enter__(self):
        for role in ROLES:
            self.start(role)
        return self

    def __exit__(self, *_):
        for role in ROLES:
            self.kill(role)

    def start(self, role):
        environment = self.environment | {"POSTERN_ROLE": role}
        self.children[role] = subprocess.Popen(this_program(role), env=environment)

    def kill(self, role):
        self.children[role].kill()
        self.children[role].wait()


@pytest.fixture
def smtp():
    with Server() as server:
        yield server


@pytest.fixture
def sending(db, dovecot, smtp, monkeypatch, acting_as):
    """Marta's mailbox, which also sends."""
    from django.conf import settings

    hosts = f"localhost:{dovecot.port},127.0.0.1:{smtp.port}"
    monkeypatch.setattr(settings, "MAIL_HOSTS", hosts)
    monkeypatch.setenv("POSTERN_MAIL_HOSTS", hosts)
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("POSTERN_LISTEN", f"127.0.0.1:{free.getsockname()[1]}")
    return make_box(
        dovecot,
        sending="on",
        smtp_host="127.0.0.1",
        smtp_port=smtp.port,
        smtp_security="none",
    )


def write(box, subject):
    """Press Send, without Undo."""
    with viewing_as(box.owner):
        draft = compose.new(staff=box.owner, mailbox=box.mailbox)
        draft = compose.save(delivery=draft, to="greta@brandt.example", subject=subject, html="<p>x</p>")
        compose.send(delivery=draft, undo_seconds=0)


def a_minute_passes(acting_as):
    """Leases of killed processes end, and their jobs and letters are taken for left behind."""
    with acting_as("superuser", everywhere=False), connection.cursor() as cursor:
        cursor.execute("DELETE FROM mailboxes_lease")
        cursor.execute(
            "UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - make_interval(secs => %s)",
            [STALLED_AFTER + 1],
        )
        cursor.execute("UPDATE outbox_delivery SET updated_at = updated_at - interval '10 minutes'")


def states(box):
    with at_mailbox(box.mailbox.pk):
        return dict(Delivery.objects.values_list("subject", "state"))


def test_killed_at_random_nothing_is_lost_and_nothing_leaves_twice(
    sending, dovecot, smtp, acting_as, record_property
):
    box, dice = sending, random.Random(2)
    arrived, written = [], []
    with acting_as("sync", everywhere=False):
        box.change(mark_as_read=True)
    with Running(dict(os.environ)) as running:
        with acting_as("sync", everywhere=False):
            wait_until(in_sync(box), 30)
        at_the_dot = threading.Event()
        smtp.on_dot = lambda: (at_the_dot.set(), time.sleep(0.1))
        for n in range(KILLS):
            role = ROLES[n % 3]
            at_the_dot.clear()
            for m in range(dice.randrange(1, 4)):
                written.append(f"out {n} {m}")
                write(box, written[-1])
                arrived.append(f"in {n} {m}")
                dovecot.deliver(USER, letter(arrived[-1], body="x" * dice.randrange(4000)))
            if role == "send":
                at_the_dot.wait(10)  # the moment at which it is not known who has the letter
            time.sleep(dice.random() * 0.2)
            running.kill(role)
            running.start(role)
        a_minute_passes(acting_as)
        written.append("out at last")
        write(box, written[-1])
        with acting_as("sync", everywhere=False):
            wait_until(lambda: len(box.subjects(outgoing=False)) >= len(arrived) and not box.errands(), 60)
        with acting_as("send", everywhere=False):
            wait_until(lambda: not {"queued", "sending"} & set(states(box).values()), 90)
            ended = states(box)
    taken = Counter(_subject(one.data) for one in smtp.taken)
    assert set(ended) == set(written) and set(ended.values()) <= {"accepted", "unknown"}
    assert max(taken.values()) == 1 and ended["out at last"] == "accepted"
    assert {subject for subject, state in ended.items() if state == "accepted"} <= set(taken)
    with acting_as("sync"):
        assert sorted(box.subjects(outgoing=False)) == sorted(arrived)
        assert all(dovecot.flags(USER, "INBOX", uid) == {"\\Seen"} for uid in dovecot.uids(USER))
        assert reconcile(box.mailbox.pk).complete
    told = Counter(ended.values())
    record_property("figure", f"R-002: {KILLS} kills of send, sync and web: {dict(told)}")


def _subject(raw):
    (line,) = (one for one in raw.decode().splitlines() if one.startswith("Subject: "))
    return line.removeprefix("Subject: ")
