"""Passwords on their way to the mail server: in no log, not without their key, not of somebody who left."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from postern.mail.access import viewing_as
from postern.mailboxes.health import in_words
from postern.people.models import Staff
from postern.people.staff import change_staff
from tests.canary import leaks

from .box import USER
from .test_supervisor import supervising
from .test_watcher import in_sync, until

pytestmark = pytest.mark.dovecot


@pytest.mark.rule("S-094")
def test_s094_a_sign_in_is_logged_at_no_level(box, dovecot, caplog):
    """Postern has no protocol debug; this holds for every logger there is, asyncio's own included."""
    caplog.set_level(logging.DEBUG)
    wrong = "never-to-be-seen-7"

    async def right():
        async with box.watched():
            await until(in_sync(box))

    async def refused():
        async with box.watched():
            await until(lambda: box.health.state == "password_rejected")

    asyncio.run(right(), debug=True)
    box.enter_password(wrong)
    asyncio.run(refused(), debug=True)
    assert f"mailbox {box.mailbox.pk}" in caplog.text, "something is heard"
    health = json.dumps({name: str(value) for name, value in vars(box.health).items()})
    for password in (dovecot.passwords[USER], wrong):
        assert not leaks(password, caplog.text + health, USER)


@pytest.mark.rule("S-093")
def test_s093_without_the_key_the_mailbox_stops_and_says_so_and_no_server_is_asked(
    box, dovecot, tmp_path, monkeypatch
):
    """A restore without its key file: the new file holds another key."""
    from django.conf import settings

    right = settings.KEY_FILE
    lost = tmp_path / "secret.key"
    lost.write_text("44" * 32 + "\n")
    monkeypatch.setattr(settings, "KEY_FILE", lost)
    before = dovecot.log.read_text().count("Login")

    async def without():
        async with box.watched() as watcher:
            await until(lambda: box.health.state == "failed")
            assert watcher.wait_left > 60, "no quick tries"

    asyncio.run(without())
    assert box.health.code == "secret_unreadable" and "key file" in in_words(box.health).fix
    assert dovecot.log.read_text().count("Login") == before
    monkeypatch.setattr(settings, "KEY_FILE", right)

    async def back():
        async with box.watched():
            await until(in_sync(box))

    asyncio.run(back())


@pytest.mark.rule("S-093")
def test_s093_a_new_key_signs_no_mailbox_in_anew(box, dovecot, tmp_path, monkeypatch, acting_as):
    from django.conf import settings

    from postern.mailboxes.rotation import reseal

    def rotate():
        old = settings.KEY_FILE.read_text()
        new = tmp_path / "secret.key"
        new.write_text("55" * 32 + "\n" + old)
        monkeypatch.setattr(settings, "KEY_FILE", new)
        with acting_as("owner", everywhere=False):
            assert reseal().done == 1

    async def story():
        async with supervising() as supervisor:
            await until(in_sync(box))
            (watcher, _) = supervisor._watchers[box.mailbox.pk]
            before = dovecot.log.read_text().count("Login")
            await asyncio.to_thread(rotate)
            supervisor._look_soon()
            await asyncio.sleep(0.5)
            assert supervisor._watchers[box.mailbox.pk][0] is watcher
            assert dovecot.log.read_text().count("Login") == before

    asyncio.run(story())


@pytest.mark.rule("S-066")
def test_s066_sync_lets_go_of_a_disabled_persons_mailbox_at_once(box, dovecot, acting_as):
    def disable():
        with acting_as("superuser", everywhere=False):
            boss = Staff.objects.create_staff(
                email="ruth@isp.example", name="Ruth", password=None, role="super"
            )
        with acting_as("web", everywhere=False), viewing_as(boss):
            change_staff(by=boss, staff=box.owner, changes={"is_active": False})

    async def story():
        async with supervising() as supervisor:
            await until(in_sync(box))
            await asyncio.to_thread(disable)
            await until(lambda: not (supervisor._watchers or supervisor.leases.held), 8)

    asyncio.run(story())
    assert box.health.code == "disabled" and "Enter the password again" in in_words(box.health).fix
