"""SIGTERM to the sync process: each server is told goodbye, what is being stored is stored, the rest waits (R-007)."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable

import psycopg
import pytest
from django.conf import settings

from postern.project.database import libpq
from postern.project.processes import DRAIN
from postern.sync.supervisor import POLITE_SECONDS

from .box import Box, letter, make_box
from .teller import Talk, Teller
from .test_supervisor import Process
from .test_watcher import in_sync, until

pytestmark = pytest.mark.rule("R-007")
START = 60.0


@pytest.fixture
def boxes(db, acting_as, monkeypatch) -> Callable[[Teller, int], list[Box]]:
    """Mailboxes at a server that tells what the test says."""
    monkeypatch.setattr(settings, "MAIL_HOSTS", "127.0.0.1,localhost")

    def make(server: Teller, count: int = 1) -> list[Box]:
        users = [f"user{number}@example.test" for number in range(count)]
        return [make_box(server, host="127.0.0.1", sent_folder="Sent", user=user) for user in users]

    return make


async def ends(child: subprocess.Popen[bytes], *, asked: bool = False) -> None:
    """Ask the process to stop (`asked`: that was done), and see that it does so in time and says that all is well."""
    begun = time.monotonic()
    if not asked:
        child.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(child.wait, 30) == 0
    assert time.monotonic() - begun < DRAIN


def last_words(talk: Talk, count: int) -> list[str]:
    return talk.heard[-count:]


@pytest.mark.parametrize(
    ("capabilities", "words"),
    [(b"IMAP4rev1 IDLE", ["IDLE", "DONE", "LOGOUT"]), (b"IMAP4rev1", ["LOGOUT"])],
    ids=["idle", "polled"],
)
def test_every_connection_ends_its_idle_and_says_goodbye(boxes, acting_as, capabilities, words):
    server = Teller(capabilities=capabilities)
    all_of_them = boxes(server, 3)

    async def story() -> None:
        async with server.running():
            with Process() as child:
                for box in all_of_them:
                    await until(in_sync(box), START)
                if "IDLE" in words:
                    await until(lambda: all(talk.heard[-1:] == ["IDLE"] for talk in server.talks))
                await ends(child)
            assert [talk.heard[-len(words) :] for talk in server.talks] == [words] * 3
            assert all(talk.reader.at_eof() for talk in server.talks)

    with acting_as("sync"):
        asyncio.run(story())


def waits_for_a_lock(database: psycopg.Connection) -> bool:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'postern_sync'"
    )
    row = database.execute(query).fetchone()
    return row is not None and row[0] > 0


def test_a_batch_that_is_being_stored_is_stored_and_fetched_no_second_time(boxes, acting_as):
    server = Teller()
    server.tells = server.what_comes
    [box] = boxes(server)

    async def stopped_while_it_stores(child: subprocess.Popen[bytes]) -> None:
        with psycopg.connect(**libpq("superuser")) as other, psycopg.connect(**libpq("superuser")) as eye:
            eye.autocommit = True
            other.execute("LOCK TABLE mail_message IN EXCLUSIVE MODE")
            for subject in ("one", "two", "three"):
                server.add(letter(subject))
            await until(lambda: waits_for_a_lock(eye))
            child.send_signal(signal.SIGTERM)
            await asyncio.sleep(POLITE_SECONDS / 4)
            assert child.poll() is None, "it waits for what is under way"
            other.rollback()
        await ends(child, asked=True)

    async def story() -> None:
        async with server.running():
            with Process() as child:
                await until(in_sync(box), START)
                await stopped_while_it_stores(child)
            assert server.talks[-1].heard[-1] == "LOGOUT"
            stored = await asyncio.to_thread(box.subjects)
            assert 0 < len(stored) == server.talks[-1].handed_over
            with Process() as child:
                await until(lambda: len(box.subjects()) == 3, START)
                await until(lambda: server.talks[-1].heard[-1:] == ["IDLE"])
                await ends(child)

    with acting_as("sync"):
        asyncio.run(story())
        assert sorted(box.subjects()) == ["one", "three", "two"]
    assert sum(talk.handed_over for talk in server.talks) == 3


class Halting(Teller):
    """Hands a letter over as far as its middle, and goes on when `may_go_on`."""

    halts: asyncio.Event
    may_go_on: asyncio.Event

    async def _fetch(self, talk: Talk, words: bytes) -> bytes:
        if b"BODY.PEEK[]" in words and not self.may_go_on.is_set():
            raw = self.folders[talk.opened][0]
            talk.writer.write(b"* 1 FETCH (UID 1 FLAGS () BODY[] {%d}\r\n%s" % (len(raw), raw[:50]))
            self.halts.set()
            await self.may_go_on.wait()
        return await super()._fetch(talk, words)


def test_a_letter_that_does_not_end_is_left_for_the_next_run(boxes, acting_as):
    """The process does not wait for a server that hangs longer than it promised."""
    server = Halting()
    server.tells = server.what_comes
    [box] = boxes(server)

    async def story() -> None:
        server.halts, server.may_go_on = asyncio.Event(), asyncio.Event()
        async with server.running():
            with Process() as child:
                await until(in_sync(box), START)
                server.add(letter("whole"))
                await asyncio.wait_for(server.halts.wait(), START)
                await ends(child)
            assert await asyncio.to_thread(box.subjects) == []
            server.may_go_on.set()
            with Process() as child:
                await until(lambda: box.subjects() == ["whole"], START)
                await ends(child)

    with acting_as("sync"):
        asyncio.run(story())
