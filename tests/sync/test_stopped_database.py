"""PostgreSQL is stopped at once, as by a crash, while letters are stored: nothing is lost, nothing twice (R-008)."""

import asyncio
import random
import signal
import threading

import pytest

from postern.project.database import undurable
from postern.project.processes import migrate_in_child
from postern.sync.reconcile import reconcile
from postern.sync.store import letters

from .box import USER, letter, make_box
from .elsewhere import second_installation
from .test_supervisor import supervising
from .test_trouble import on_a_new_connection
from .test_watcher import in_sync, until

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-008")]
MOMENTS = ("before the commit", "after the commit", "meanwhile")


@pytest.fixture
def durable(db, monkeypatch):
    """An installation whose PostgreSQL keeps its promises, and may be stopped."""
    with second_installation(monkeypatch, fast=True) as (server, turn):
        turn()
        migrate_in_child()
        server.stop()
        server.fast = False  # from here on; making it would take a slow disk half a minute
        server.start()
        assert list(undurable()) == []
        yield server


@pytest.fixture
def stop_at(durable, monkeypatch):
    """Add a moment, and the next batch of letters meets it."""
    moments, take_in, dice = [], letters.take_in, random.Random(8)

    def stop():
        durable.process.send_signal(signal.SIGQUIT)  # "immediate"
        durable.process.wait()

    def meet(**batch):
        moment = moments.pop() if moments else ""
        if moment == "before the commit":
            stop()
        if moment == "meanwhile":
            threading.Timer(dice.random() * 0.01, stop).start()
        try:
            return take_in(**batch)
        finally:
            if moment == "after the commit":
                stop()

    monkeypatch.setattr(letters, "take_in", meet)
    return moments.append


def test_stopped_at_once_under_load(durable, stop_at, dovecot, operator, acting_as, monkeypatch):
    monkeypatch.setattr("postern.sync.backoff.FIRST_SECONDS", 0.2)
    monkeypatch.setattr("postern.sync.listening.AGAIN_SECONDS", 0.2)
    box = make_box(dovecot)
    subjects = [f"{moment} {n}" for moment in MOMENTS for n in range(8)]

    def deliver(moment):
        for subject in (one for one in subjects if one.startswith(moment)):
            dovecot.deliver(USER, letter(subject, body="x" * 20_000))

    def all_here():
        return on_a_new_connection(lambda: len(box.subjects()) >= len(subjects) and not box.errands())

    async def story():
        async with supervising():
            await until(in_sync(box), 30)
            for moment in MOMENTS:
                stop_at(moment)
                load = asyncio.create_task(asyncio.to_thread(deliver, moment))
                await until(durable.died, 30)
                await asyncio.sleep(0.3)
                durable.start()  # from this thread, which lives as long as it should
                await load
            await until(all_here, 40)
            await until(lambda: on_a_new_connection(in_sync(box)), 20)

    with acting_as("sync"):
        box.change(mark_as_read=True)
        asyncio.run(story())
        assert on_a_new_connection(lambda: sorted(box.subjects())) == sorted(subjects)
        assert len(box.ledger()) == len(subjects)
        assert all(dovecot.flags(USER, "INBOX", uid) == {"\\Seen"} for uid in dovecot.uids(USER))
        assert reconcile(box.mailbox.pk).complete
