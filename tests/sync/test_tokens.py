"""R-036 as far as it goes without OAuth of our own: a token that ends stops its mailbox, and nothing else."""

import asyncio
from dataclasses import replace

import pytest

from postern.mail.access import viewing_as
from postern.mailboxes import connection
from postern.mailboxes.health import in_words
from postern.mailboxes.save import save_mailbox
from tests.faults import Faults, Proxy
from tests.roles import acting_as
from tests.servers.dovecot import Dovecot, available

from .box import USER, letter, make_box, quick
from .test_watcher import endpoint, in_sync, until

pytestmark = pytest.mark.dovecot

AT_ONCE = """
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
"""
"""Dovecot makes whoever was refused wait; the tests do not."""


@pytest.fixture(scope="module")
def running_dovecot():
    """A Dovecot that takes tokens."""
    if reason := available():
        pytest.skip(reason)
    with Dovecot(mechanisms="plain login xoauth2 oauthbearer", extra=AT_ONCE) as server:
        yield server


@pytest.fixture
def tokens(db, dovecot, operator, monkeypatch):
    """Marta's mailbox with an access token, and a switch that ends it as time does: nothing here is changed."""
    monkeypatch.setattr("postern.sync.backoff.PASSWORD_SECONDS", (0.05, 0.05))
    made = make_box(dovecot, imap_auth="token", imap_password=dovecot.token(USER))
    stored = connection.imap_login
    ended: list[bool] = []

    def login(mailbox):
        found = stored(mailbox)
        assert found.token
        return replace(found, password=dovecot.token(USER, seconds=-600)) if ended else found

    monkeypatch.setattr("postern.sync.store.mailboxes.settings_of.imap_login", login)
    with acting_as("sync"):
        yield made, ended


def refusals(dovecot):
    return dovecot.log.read_text().count("auth failed")


def stopped(box, dovecot, before):
    """It stopped after few tries, says what to do, and does not begin again by itself or in a new process."""
    health = box.health
    assert (health.state, health.code) == ("password_rejected", "token_rejected")
    words = in_words(health)
    assert words.title == "Access token rejected" and "mail waits on the server" in words.sentence
    assert "new access token" in words.fix

    async def anew():
        async with box.watched():
            await asyncio.sleep(0.3)

    asyncio.run(anew())
    assert 1 <= refusals(dovecot) - before <= 3


def a_new_token_brings_what_waited(box, dovecot, ended, subjects):
    ended.clear()
    with acting_as("web", everywhere=False), viewing_as(box.owner):
        save_mailbox(staff=box.owner, mailbox=box.mailbox, data={"imap_password": dovecot.token(USER)})

    async def story():
        async with box.watched():
            await until(in_sync(box))

    asyncio.run(story())
    assert sorted(box.subjects()) == sorted(subjects)


@pytest.mark.rule("R-036")
def test_a_token_that_ends_in_idle_stops_the_mailbox_and_mail_waits(tokens, dovecot):
    box, ended = tokens
    before = refusals(dovecot)

    async def story():
        async with box.watched(backoff=quick()) as watcher:
            await until(in_sync(box))
            ended.append(True)
            dovecot.doveadm("kick", USER)
            await until(lambda: watcher.gave_up)
        dovecot.deliver(USER, letter("while it was out"))

    asyncio.run(story())
    stopped(box, dovecot, before)
    assert box.subjects() == []
    a_new_token_brings_what_waited(box, dovecot, ended, ["while it was out"])


@pytest.mark.rule("R-036")
def test_a_token_that_ends_in_the_middle_of_a_letter_loses_none(tokens, dovecot, monkeypatch):
    from django.conf import settings

    box, ended = tokens
    box.visit()
    subjects = [f"number {n}" for n in range(4)]
    for subject in subjects:
        dovecot.append(USER, "INBOX", letter(subject, body="x" * 3000))
    before = refusals(dovecot)
    mailbox = box.mailbox

    async def story():
        async with Proxy(dovecot.port, Faults(cut_down=6000)) as proxy:
            monkeypatch.setattr(settings, "MAIL_HOSTS", f"localhost:{dovecot.port},localhost:{proxy.port}")
            with monkeypatch.context() as through:
                through.setattr(
                    "postern.sync.store.mailboxes.settings_of.imap_endpoint",
                    lambda _: endpoint(mailbox, proxy.port),
                )
                async with box.watched() as watcher:
                    await until(lambda: watcher.backoff.failures == 1)
                    ended.append(True)
                    watcher.again_at = 0.0
                    watcher.wake.set()
                    await until(lambda: watcher.gave_up)

    asyncio.run(story())
    stopped(box, dovecot, before)
    a_new_token_brings_what_waited(box, dovecot, ended, subjects)
