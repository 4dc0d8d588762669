"""A mailbox watched: news within seconds, wrong passwords few, ends polite, interruptions without trace."""

import asyncio
import random
import time

import pytest

from postern.sync.reconcile import reconcile
from tests.faults import Faults, Proxy
from tests.roles import allow_unchecked
from tests.servers.running import wait_until

from .box import USER, letter, quick

pytestmark = pytest.mark.dovecot


async def until(true, seconds=15.0):
    """Wait for something to become true, asked in a thread as the database wants it."""
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(true):
        assert time.monotonic() < end, "did not happen in time"
        await asyncio.sleep(0.05)


def in_sync(box):
    return lambda: box.health.state == "in_sync"


def test_new_mail_arrives_within_seconds_and_the_end_is_polite(box, dovecot):
    async def story():
        async with box.watched() as watcher:
            await until(in_sync(box))
            begun = time.monotonic()
            dovecot.deliver(USER, letter("at once"))
            await until(lambda: box.subjects() == ["at once"], 6)
            watcher.stop()
        return time.monotonic() - begun

    assert asyncio.run(story()) < 8
    assert box.health.last_sync_at is not None
    # Dovecot writes its log a moment after it has answered.
    wait_until(lambda: "Logged out" in dovecot.log.read_text().splitlines()[-1], "the goodbye in the log")


@pytest.mark.parametrize("wished", [False, True])
def test_compression_is_asked_for_where_the_operator_wishes(
    box, dovecot, settings_of_operator, monkeypatch, wished
):
    from django.conf import settings

    from postern.wire.imap import Session

    asked = []
    real = Session.compress

    async def compress(session):
        asked.append(await real(session))
        return asked[-1]

    monkeypatch.setattr(Session, "compress", compress)
    monkeypatch.setattr(settings, "IMAP_COMPRESS", wished)

    async def story():
        async with box.watched():
            await until(in_sync(box))

    asyncio.run(story())
    assert asked == [False] * wished  # this Dovecot has no plugin for it: nothing else changes


def test_an_errand_ends_the_waiting(box, dovecot):
    async def story():
        async with box.watched() as watcher:
            await until(in_sync(box))
            dovecot.deliver(USER, letter("goes"))
            await until(lambda: box.subjects() == ["goes"], 6)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(box.errand, "trash", "goes")
            watcher.wake.set()
            await until(lambda: len(dovecot.uids(USER, "Trash")) == 1, 5)

    asyncio.run(story())


def test_without_idle_polling_brings_the_mail(box, dovecot, monkeypatch):
    without = property(lambda session: session.connection.capabilities - {"IDLE"})
    monkeypatch.setattr("postern.wire.imap.session.Session.capabilities", without)

    async def story():
        async with box.watched(poll_seconds=0.3):
            await until(in_sync(box))
            dovecot.deliver(USER, letter("polled"))
            await until(lambda: box.subjects() == ["polled"], 5)

    asyncio.run(story())


def test_a_first_sync_tells_how_far_it_is(box, dovecot, monkeypatch):
    from datetime import date, timedelta

    from postern.sync import store

    monkeypatch.setattr("postern.sync.visit.Reading.read.__kwdefaults__", {"seconds": 0.0})
    monkeypatch.setattr("postern.sync.reading.HISTORY_PASS", 2)
    for n in range(6):
        dovecot.append(USER, "INBOX", letter(f"number {n}"))
    box.change(historic=True, historic_since=date.today() - timedelta(days=2))
    told = []
    real = store.note_health

    def note(mailbox_id, *, quiet=False, **facts):
        told.append((facts["state"], facts.get("done"), facts.get("total")))
        real(mailbox_id, quiet=quiet, **facts)

    monkeypatch.setattr("postern.sync.store.note_health", note)

    async def story():
        async with box.watched():
            await until(in_sync(box))

    asyncio.run(story())
    assert {state for state, _, _ in told} == {"first_sync", "in_sync"}
    assert ("first_sync", 2, 6) in told
    assert told[-1] == ("in_sync", 6, 6)


@pytest.mark.rule("R-034")
def test_a_wrong_password_is_tried_three_times_and_not_again_after_a_restart(box, dovecot, monkeypatch):
    monkeypatch.setattr("postern.sync.backoff.PASSWORD_SECONDS", (0.05, 0.05))
    before = dovecot.log.read_text().count("auth failed")

    async def story():
        async with box.watched() as watcher:
            await until(lambda: watcher.backoff.refused_passwords == 3)
            await asyncio.sleep(0.5)
            assert watcher.backoff.refused_passwords == 3
        async with box.watched():
            await asyncio.sleep(0.5)

    dovecot.set_password(USER, "changed-at-the-provider")
    try:
        time.sleep(1.1)
        asyncio.run(story())
    finally:
        dovecot.set_password(USER, "marta-secret-1")
        time.sleep(1.1)
    health = box.health
    assert health.state == "password_rejected"
    assert health.code == "password_rejected"
    assert health.server_text
    assert health.settings_version == 1
    assert dovecot.log.read_text().count("auth failed") - before <= 3
    box.change(settings_version=2)

    async def again():
        async with box.watched():
            await until(in_sync(box))

    asyncio.run(again())


def test_a_certificate_is_remembered_and_a_change_stops_and_asks(box, dovecot):
    allow_unchecked()
    box.change(imap_port=dovecot.tls_port, imap_security="ssl", imap_skip_validation=True)
    box.enter_password("marta-secret-1")

    async def first():
        async with box.watched():
            await until(in_sync(box))

    asyncio.run(first())
    box.mailbox.refresh_from_db()
    assert len(box.mailbox.imap_pinned_sha256) == 64
    box.change(imap_pinned_sha256="0" * 64)

    async def second():
        async with box.watched():
            await until(lambda: box.health.state == "certificate_changed")

    asyncio.run(second())
    assert box.health.seen_sha256 == box.mailbox.imap_pinned_sha256
    box.mailbox.refresh_from_db()
    assert box.mailbox.imap_pinned_sha256 == "0" * 64


@pytest.mark.rule("S-039")
def test_what_the_company_no_longer_allows_is_not_connected_and_goes_on_when_it_does(box, dovecot):
    from postern.sync import store

    box.change(imap_port=dovecot.tls_port, imap_security="ssl", imap_skip_validation=True)
    box.enter_password("marta-secret-1")
    before = dovecot.log.read_text()

    async def refused():
        async with box.watched() as watcher:
            await until(lambda: box.health.state == "failed")
            await until(lambda: watcher.gave_up)

    asyncio.run(refused())
    assert box.health.code == "unchecked_refused" and "Config → Main → Email" in box.health.advice
    assert dovecot.log.read_text() == before, "the server was connected to"
    [forbidden] = store.watched()
    allow_unchecked()
    [allowed] = store.watched()
    assert allowed.signature != forbidden.signature, "nobody would begin anew"

    async def allowed_now():
        async with box.watched():
            await until(in_sync(box))

    asyncio.run(allowed_now())


@pytest.mark.rule("R-031")
@pytest.mark.parametrize("found_before", [False, True])
def test_a_name_that_vanishes_is_waited_for_and_one_that_never_was_is_misspelt(
    box, dovecot, monkeypatch, found_before
):
    import socket

    if found_before:

        async def once():
            async with box.watched():
                await until(in_sync(box))

        asyncio.run(once())
    assert box.health.known_host == ("localhost" if found_before else "")

    def nobody(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("postern.wire.endpoint.socket.getaddrinfo", nobody)
    waits = []

    class Noted(type(quick())):
        def after(self, error, **more):
            waits.append(super().after(error, **more))
            return waits[-1]

    async def gone():
        async with box.watched(backoff=Noted()):
            await until(lambda: box.health.code == "host_not_found")

    asyncio.run(gone())
    health = box.health
    if found_before:
        assert health.state == "reconnecting" and "cannot be found at the moment" in health.message
        assert waits[0] < 60
    else:
        assert health.state == "failed" and "spelling" in health.advice
        assert waits[0] >= 900


@pytest.mark.rule("R-031")
def test_a_new_name_is_not_excused_by_the_old_one(box, dovecot):
    box.change(imap_host="imap.nowhere.invalid", imap_port=993, imap_security="ssl")
    from postern.mailboxes.models import MailboxHealth

    MailboxHealth.objects.filter(mailbox=box.mailbox).update(known_host="localhost")
    box.enter_password("marta-secret-1")

    async def story():
        async with box.watched():
            await until(lambda: box.health.state == "failed")

    asyncio.run(story())
    assert box.health.code == "host_not_found" and "spelling" in box.health.advice


def test_an_unreachable_server_is_reported_and_waited_for(box, dovecot):
    box.change(imap_port=1)
    box.enter_password("marta-secret-1")

    async def story():
        async with box.watched(backoff=quick()) as watcher:
            await until(lambda: watcher.backoff.failures >= 1)
            await until(lambda: box.health.state != "new")

    asyncio.run(story())
    assert box.health.state in ("failed", "reconnecting")
    assert box.health.message


@pytest.mark.rule("R-026")
def test_cut_anywhere_the_end_is_the_same(box, dovecot, monkeypatch):
    """The connection breaks after so many bytes, again and again; then each letter is here exactly once."""
    from django.conf import settings

    from postern.mailboxes.models import Mailbox

    box.change(mark_as_read=True)
    box.visit()
    raws = [letter(f"number {n}", body="x" * random.Random(n).randrange(2000)) for n in range(12)]
    for raw in raws:
        dovecot.append(USER, "INBOX", raw)
    real = Mailbox.objects.get(pk=box.mailbox.pk)

    async def story(cut):
        async with Proxy(dovecot.port, Faults(cut_down=cut)) as proxy:
            monkeypatch.setattr(settings, "MAIL_HOSTS", f"localhost:{dovecot.port},localhost:{proxy.port}")
            monkeypatch.setattr(
                "postern.sync.store.mailboxes.settings_of.imap_endpoint",
                lambda mailbox: endpoint(real, proxy.port),
            )
            async with box.watched(backoff=quick()) as watcher:
                await until(lambda: watcher.backoff.failures >= 1 or box.health.state == "in_sync")

    for cut in (700, 1500, 1900, 2300, 3100, 5000, 9000, 14000):
        asyncio.run(story(cut))
    monkeypatch.undo()
    from django.conf import settings as again

    monkeypatch.setattr(again, "MAIL_HOSTS", f"localhost:{dovecot.port}")
    box.visit()
    assert sorted(box.subjects()) == sorted(f"number {n}" for n in range(12))
    assert all(dovecot.flags(USER, "INBOX", uid) == {"\\Seen"} for uid in dovecot.uids(USER))
    assert reconcile(box.mailbox.pk).complete


def endpoint(mailbox, port):
    from postern.wire.endpoint import Endpoint, Security

    return Endpoint("localhost", port, Security(mailbox.imap_security))


@pytest.mark.rule("I6")
def test_cancelled_in_the_middle_and_resumed_there_is_no_duplicate(box, dovecot):
    from datetime import date, timedelta

    for n in range(60):
        dovecot.append(USER, "INBOX", letter(f"number {n}"))
    box.change(historic=True, historic_since=date.today() - timedelta(days=2))

    async def cut_short(seconds):
        keeper_task = asyncio.create_task(box._visit(50))
        await asyncio.sleep(seconds)
        keeper_task.cancel()
        await asyncio.gather(keeper_task, return_exceptions=True)

    for n in range(6):
        asyncio.run(cut_short(0.03 * n))
    box.visit()
    assert sorted(box.subjects()) == sorted(f"number {n}" for n in range(60))
    assert len(box.ledger()) == 60
