"""Hostile and huge mailboxes beside many small ones: their letters arrive as if those were not there (R-033).

`./dev test` has 20 small mailboxes, `./dev soak` 200.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection

from postern.mail.access import viewing_as
from postern.mail.models import Message
from postern.mailboxes.models import Mailbox, MailboxHealth
from postern.mailboxes.save import save_mailbox
from postern.sync.store import Store
from postern.sync.supervisor import Supervisor
from tests.roles import hire
from tests.servers.pocket import Pocket
from tests.sync.box import letter

from .scale import SOAK, amount

pytestmark = pytest.mark.rule("R-033")
SMALL = amount(20, 200)
HUGE = 100_000
_RANGE = re.compile(rb"(\d+)(?::(\d+))?")
_BODY = letter("number %d", body="x" * 6000).replace(b"%", b"%%").replace(b"%%d", b"%d")


class Hostile:
    """A mailbox of 100,000 letters on a server that hands them over as fast as it can, or by the byte.

    `kind`: huge; dripping (a byte of a letter every half second); listing (a folder's listing that never ends).
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.at_work = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Hostile:
        threading.Thread(target=self._loop.run_forever, daemon=True, name="hostile").start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()

    def _do(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._talk(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
        while line := await reader.readline():
            tag, _, words = line.strip().partition(b" ")
            if words.startswith((b"SELECT", b"EXAMINE")):
                writer.write(b"* %d EXISTS\r\n* OK [UIDVALIDITY 7] .\r\n" % HUGE)
                writer.write(b"* OK [UIDNEXT %d] .\r\n" % (HUGE + 1))
            elif words.startswith(b"UID SEARCH"):
                await self._search(writer)
            elif words.startswith(b"UID FETCH"):
                await self._fetch(writer, words)
            writer.write(tag + b" OK done\r\n")
            await writer.drain()

    async def _search(self, writer: asyncio.StreamWriter) -> None:
        while self.kind == "listing":
            self.at_work.set()
            writer.write(b"* SEARCH" + b" %d" * 500 % tuple(range(1, 501)) + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(b"* SEARCH " + b" ".join(b"%d" % n for n in range(1, HUGE + 1)) + b"\r\n")

    async def _fetch(self, writer: asyncio.StreamWriter, words: bytes) -> None:
        whole = b"BODY.PEEK[]" in words
        for found in _RANGE.finditer(words.split()[2]):
            for uid in range(int(found[1]), int(found[2] or found[1]) + 1):
                raw = _BODY % uid
                facts = b'* %d FETCH (UID %d FLAGS () INTERNALDATE "%s"' % (uid, uid, _today())
                if not whole:
                    writer.write(facts + b" RFC822.SIZE %d)\r\n" % len(raw))
                    continue
                self.at_work.set()
                writer.write(facts + b" BODY[] {%d}\r\n" % len(raw))
                while self.kind == "dripping" and raw:
                    writer.write(raw[:1])
                    raw = raw[1:]
                    await asyncio.sleep(0.5)
                writer.write(raw + b")\r\n")
                await writer.drain()


def _today() -> bytes:
    return f"{date.today():%d-%b-%Y} 12:00:00 +0000".encode()


def save(user: str, password: str, port: int, **settings: Any) -> Mailbox:
    """Save a mailbox of somebody new."""
    owner = hire(email=f"isp.{user}", name=user, password=None)
    data = {"address": user, "imap_username": user, "imap_password": password, "imap_host": "127.0.0.1"}
    data |= {"imap_port": str(port), "imap_security": "none", "sent_folder": "", "sending": ""}
    with viewing_as(owner):
        return save_mailbox(staff=owner, mailbox=None, data=data | settings)


@contextmanager
def supervised() -> Iterator[None]:
    """A whole supervisor in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    keeper = Store()
    supervisor = Supervisor(keeper)
    running = asyncio.run_coroutine_threadsafe(supervisor.run(), loop)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(supervisor.stop)
        running.result(20)
        keeper.close()
        loop.call_soon_threadsafe(loop.stop)


def wait(true: Callable[[], bool], seconds: float) -> float:
    """How long it took until something became true."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, "did not happen in time"
        time.sleep(0.05)
    return time.monotonic() - begun


def test_small_mailboxes_do_not_notice_hostile_ones(db, acting_as, monkeypatch, record_property):
    """A huge one, one that drips and one that never ends its listing, all on the small ones' host."""
    monkeypatch.setattr("postern.sync.supervisor.POLITE_SECONDS", 0.3)
    users = {f"small{n}@example.test": "secret" for n in range(SMALL)}

    def arrived(subject: str) -> bool:
        connection.close()
        with acting_as("superuser", everywhere=False):
            return Message.objects.filter(subject=subject).count() == SMALL

    def in_sync() -> bool:
        with acting_as("superuser", everywhere=False):
            return MailboxHealth.objects.filter(state="in_sync").count() == SMALL

    def round_of_letters(subject: str) -> float:
        for user in users:
            server.deliver(user, letter(subject))
        return wait(lambda: arrived(subject), 60)

    with ExitStack() as stack:
        server = stack.enter_context(Pocket(users))
        hostile = {kind: stack.enter_context(Hostile(kind)) for kind in ("huge", "dripping", "listing")}
        for user, password in users.items():
            save(user, password, server.port)
        stack.enter_context(acting_as("sync"))
        stack.enter_context(supervised())
        wait(in_sync, 60)
        alone = round_of_letters("alone")
        with acting_as("web", everywhere=False):
            since = {"historic": "on", "historic_since": str(date.today() - timedelta(days=3))}
            for kind, one in hostile.items():
                save(f"{kind}@example.test", "secret", one.port, **since)
        assert all(one.at_work.wait(30) for one in hostile.values())
        beside = round_of_letters("beside")
    record_property("figure", f"{SMALL} small beside three: {beside:.2f} s, alone {alone:.2f} s")
    assert beside < (60 if SOAK else 4 * alone + 4)
