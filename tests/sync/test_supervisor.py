"""The supervisor hears the database, and the process as a whole survives being killed."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from postern.mail.access import viewing_as
from postern.mailboxes.models import Mailbox, Probe
from postern.mailboxes.probe import start_probe
from postern.mailboxes.save import save_mailbox
from postern.sync.reconcile import reconcile
from postern.sync.store import Store
from postern.sync.supervisor import Supervisor

from .box import USER, letter
from .test_watcher import in_sync, until

pytestmark = pytest.mark.dovecot


@contextlib.asynccontextmanager
async def supervising():
    keeper = Store()
    supervisor = Supervisor(keeper)
    task = asyncio.create_task(supervisor.run())
    try:
        yield supervisor
    finally:
        begun = time.monotonic()
        supervisor.stop()
        await asyncio.wait_for(task, 12)
        keeper.close()
        assert time.monotonic() - begun < 10


def save(box, acting_as, **data):
    """Save settings as the owner does in the browser. The role is changed for this thread alone."""
    with acting_as("web", everywhere=False), viewing_as(box.owner):
        save_mailbox(staff=box.owner, mailbox=Mailbox.objects.get(pk=box.mailbox.pk), data=data)


def test_saved_settings_are_heard_and_mail_flows(box, dovecot, acting_as):
    async def story():
        async with supervising():
            await until(in_sync(box))
            dovecot.deliver(USER, letter("one"))
            await until(lambda: box.subjects() == ["one"])
            await asyncio.to_thread(save, box, acting_as, tracking="")
            await until(lambda: box.health.state == "paused", 5)
            dovecot.deliver(USER, letter("while off"))
            await asyncio.sleep(1)
            assert box_subjects_soon == await asyncio.to_thread(box.subjects)
            await asyncio.to_thread(save, box, acting_as, tracking="on")
            await until(in_sync(box), 8)
            dovecot.deliver(USER, letter("two"))
            await until(lambda: box.subjects() == ["one", "two"])

    box_subjects_soon = ["one"]
    asyncio.run(story())


def test_an_errand_is_heard_also_while_tracking_is_off(box, dovecot, acting_as):
    from postern.mail.events import notify

    def ask():
        box.errand("trash", "goes")
        notify("postern_errands", {"mailbox": box.mailbox.pk})

    async def story():
        async with supervising():
            await until(in_sync(box))
            dovecot.deliver(USER, letter("goes"))
            await until(lambda: box.subjects() == ["goes"])
            await asyncio.to_thread(save, box, acting_as, tracking="")
            await until(lambda: box.health.state == "paused", 5)
            await asyncio.to_thread(ask)
            await until(lambda: len(dovecot.uids(USER, "Trash")) == 1, 8)
            await until(lambda: box.errands() == [], 5)

    asyncio.run(story())


def test_when_one_process_ends_the_next_takes_its_mailboxes_over_at_once(box, dovecot):
    async def story():
        async with contextlib.AsyncExitStack() as second:
            async with supervising():
                await until(in_sync(box))
                standing_by = await second.enter_async_context(supervising())
                await asyncio.sleep(1)
                assert not standing_by._watchers, "two would do each errand twice"
            begun = time.monotonic()
            dovecot.deliver(USER, letter("after the change"))
            await until(lambda: box.subjects() == ["after the change"])
            assert time.monotonic() - begun < 5

    asyncio.run(story())


def test_a_probe_is_heard(box, acting_as):
    def ask():
        with acting_as("web", everywhere=False), viewing_as(box.owner):
            return start_probe(staff=box.owner, mailbox=box.mailbox, kind="load", data={})

    async def story():
        async with supervising():
            await until(in_sync(box))
            asked = await asyncio.to_thread(ask)
            await until(lambda: Probe.objects.get(pk=asked.pk).state == "works", 5)

    asyncio.run(story())


@pytest.mark.rule("I4")
def test_a_broken_mailbox_does_not_harm_another(box, dovecot, acting_as, monkeypatch):
    from postern.sync.reading import Reading
    from tests.roles import hire

    with acting_as("web"):
        other = hire(email="tom@isp.example", name="Tom", password=None)
        with viewing_as(other):
            data = {
                "address": "tom@example.test",
                "imap_username": "tom@example.test",
                "imap_password": dovecot.passwords["tom@example.test"],
                "imap_host": "localhost",
                "imap_port": dovecot.port,
                "imap_security": "none",
                "sending": "",
            }
            broken = save_mailbox(staff=other, mailbox=None, data=data)
    real = Reading.read

    async def explodes(self, **rest):
        if self.folder.mailbox_id == broken.pk:
            raise RecursionError("boom")
        return await real(self, **rest)

    monkeypatch.setattr(Reading, "read", explodes)

    async def story():
        async with supervising():
            await until(in_sync(box))
            dovecot.deliver(USER, letter("one"))
            await until(lambda: box.subjects() == ["one"])

    asyncio.run(story())


MANY = 600


@pytest.mark.rule("R-034")
def test_a_refused_password_is_not_tried_for_errands_again_and_again(box, dovecot, monkeypatch):
    from postern.mailboxes.models import MailboxHealth
    from postern.sync import watcher

    monkeypatch.setattr("postern.sync.supervisor.LOOK_SECONDS", 0.2)
    box.visit()
    dovecot.append(USER, "INBOX", letter("goes"))
    box.visit()
    box.errand("trash", "goes")
    box.change(tracking=False)
    MailboxHealth.objects.filter(mailbox=box.mailbox).update(state="password_rejected", settings_version=1)
    tries = []
    real = watcher.open_session

    async def counted(*arguments, **options):
        tries.append(1)
        return await real(*arguments, **options)

    monkeypatch.setattr(watcher, "open_session", counted)

    async def story():
        async with supervising():
            await asyncio.sleep(1.5)
            assert tries == []
            await asyncio.to_thread(box.change, settings_version=2)
            await until(lambda: box.errands() == [], 5)

    asyncio.run(story())
    assert len(tries) == 1


class Process:
    """`python -m postern.sync.run` on the database of this test."""

    command = (sys.executable, "-m", "postern.sync.run")

    def __enter__(self):
        environment = os.environ | {"POSTERN_ROLE": "sync", "POSTERN_LOG_LEVEL": "INFO"}
        from django.conf import settings

        environment["POSTERN_MAIL_HOSTS"] = settings.MAIL_HOSTS
        self.child = subprocess.Popen(self.command, env=environment)
        return self.child

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()


def wait_until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


@pytest.mark.rule("R-007")
def test_the_process_ends_politely_on_sigterm(box, dovecot):
    with Process() as child:
        wait_until(in_sync(box))
        begun = time.monotonic()
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
        assert time.monotonic() - begun < 10


@pytest.mark.rule("R-002")
def test_killed_again_and_again_each_letter_is_here_once(box, dovecot):
    from datetime import date, timedelta

    for n in range(MANY):
        dovecot.deliver(USER, letter(f"number {n}", body="x" * 5000))
    box.change(historic=True, historic_since=date.today() - timedelta(days=2), mark_as_read=True)
    middles = 0
    for delay in (0.0, 0.05, 0.1, 0.1, 0.2, 0.3):
        with Process() as child:
            before = len(box.subjects())
            wait_until(lambda: len(box.subjects()) > before or box.health.state == "in_sync")  # noqa: B023
            time.sleep(delay)
            child.kill()
            child.wait()
            middles += before < len(box.subjects()) < MANY or bool(box.errands())
    assert middles, "no kill came in the middle"
    with Process() as child:
        wait_until(lambda: len(box.subjects()) == MANY and not box.errands(), 40)
        wait_until(in_sync(box))
        child.terminate()
        child.wait(10)
    assert sorted(box.subjects()) == sorted(f"number {n}" for n in range(MANY))
    assert reconcile(box.mailbox.pk).complete
    assert dovecot.flags(USER, "INBOX", dovecot.uids(USER)[0]) == {"\\Seen"}
