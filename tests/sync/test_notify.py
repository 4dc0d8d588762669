"""NOTIFY (RFC 5465) on a real Dovecot: one connection hears of INBOX and the sent folder; without it all is as before."""

import asyncio

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Session
from postern.wire.imap.connection import Connection
from postern.wire.imap.responses import Line

from .box import USER, letter
from .test_watcher import in_sync, quick, until

pytestmark = pytest.mark.dovecot


@pytest.fixture
def asked(monkeypatch):
    """What the session was asked: the folders of NOTIFY with the answer, and how often STATUS."""
    told = {"watch": [], "status": 0}
    watch, status = Session.watch, Session.status

    async def counted_watch(session, folders):
        told["watch"].append((list(folders), await watch(session, folders)))
        return told["watch"][-1][1]

    async def counted_status(session, folder):
        told["status"] += 1
        return await status(session, folder)

    monkeypatch.setattr(Session, "watch", counted_watch)
    monkeypatch.setattr(Session, "status", counted_status)
    return told


def test_the_sent_folder_is_heard_of_at_once_and_not_asked_about(box, dovecot, asked):
    async def story():
        async with box.watched(quiet=lambda: 0.5):
            await until(in_sync(box))
            await until(lambda: asked["watch"] == [(["Sent"], True)])
            await asyncio.sleep(0.5)
            before = asked["status"]
            await asyncio.sleep(1.5)
            assert asked["status"] == before, "asked although it would be told"
            for name, folder in (("sent", "Sent"), ("in", "INBOX"), ("sent again", "Sent")):
                await asyncio.to_thread(dovecot.append, USER, folder, letter(name))
                await until(lambda name=name: name in box.subjects(), 6)
        assert len(asked["watch"]) == 1

    asyncio.run(story())
    assert sorted(box.subjects()) == ["in", "sent", "sent again"]


@pytest.mark.parametrize("refusal", ["NO [BADEVENT]", "NO [UNAVAILABLE]", "not offered"])
def test_refused_or_not_offered_the_sent_folder_is_asked_about(box, dovecot, asked, monkeypatch, refusal):
    do = Connection.do

    async def answered(connection, sent, **options):
        if sent.name == "NOTIFY":
            raise MailError("server_refused", refusal, temporary="UNAVAILABLE" in refusal)
        return await do(connection, sent, **options)

    monkeypatch.setattr(Connection, "do", answered)
    if refusal == "not offered":
        without = Connection.learn
        monkeypatch.setattr(Connection, "learn", lambda self, names: without(self, names - {"NOTIFY"}))

    async def story():
        async with box.watched(quiet=lambda: 0.3) as watcher:
            await until(in_sync(box))
            await asyncio.to_thread(dovecot.append, USER, "Sent", letter("sent"))
            await until(lambda: box.subjects() == ["sent"], 8)
            assert watcher.backoff.failures == 0
        assert asked["watch"] == [(["Sent"], False)]

    asyncio.run(story())


def test_given_up_by_the_server_a_new_connection_asks_instead(box, dovecot, asked, monkeypatch):
    """[NOTIFICATIONOVERFLOW] ends the news of INBOX too: only a new connection has IDLE as it was."""
    connections = []
    learn = Connection.learn

    def learned(connection, names):
        if connection not in connections:
            connections.append(connection)
        learn(connection, names)

    monkeypatch.setattr(Connection, "learn", learned)

    async def story():
        async with box.watched(quiet=lambda: 0.3, backoff=quick()) as watcher:
            await until(in_sync(box))
            await until(lambda: asked["watch"] == [(["Sent"], True)])
            connections[-1].notice(Line("OK", "NOTIFICATIONOVERFLOW", b"", "too much"), "IDLE")
            watcher.wake.set()
            await until(lambda: len(connections) == 2)
            for name, folder in (("sent", "Sent"), ("in", "INBOX")):
                await asyncio.to_thread(dovecot.append, USER, folder, letter(name))
            await until(lambda: sorted(box.subjects()) == ["in", "sent"], 8)
        assert len(asked["watch"]) == 1 and len(connections) == 2

    asyncio.run(story())
