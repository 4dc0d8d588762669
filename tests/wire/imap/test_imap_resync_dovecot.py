"""Every step of the ladder on a real Dovecot: all tell the same story of what happened meanwhile."""

import asyncio
from collections.abc import Iterator

import pytest

from postern.wire.imap import Known, Selected, Session
from postern.wire.imap.answers import Changed
from tests.servers.dovecot import Dovecot, available
from tests.wire.imap.dovecots import signed_in

pytestmark = [
    pytest.mark.dovecot,
    pytest.mark.skipif(bool(available()), reason=available() or "none"),
]
LETTER = b"Subject: x\r\n\r\nText.\r\n"
SEEN = frozenset({"\\Seen"})


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(dict.fromkeys(("story", "recreated", "esearch", "empty"), "secret")) as server:
        yield server


async def happen(server: Dovecot, user: str) -> Selected:
    """Six letters that we know, then: one flagged, two gone, one new. What was known before."""
    async with signed_in(server, user) as other:
        for _ in range(6):
            await other.append("INBOX", LETTER, flags=())
        before = await other.select("INBOX")
        await other.uid_store([5], add=["\\Seen"])
        await other.uid_move([2, 3], "Trash")
        await other.append("INBOX", LETTER, flags=())
        return before


def told(changed: tuple[Changed, ...] | list[Changed]) -> dict[int, frozenset[str]]:
    return {one.uid: one.flags - {"\\Recent"} for one in changed}


def test_all_steps_of_the_ladder_tell_the_same(dovecot: Dovecot) -> None:
    async def run() -> None:
        before = await happen(dovecot, "story")
        assert before.highestmodseq
        known = Known(before.uidvalidity, before.highestmodseq)
        async with signed_in(dovecot, "story") as session:
            assert session.ladder == "qresync"
            found = await session.select("INBOX", known=known)
            assert (found.resynced, found.exists, found.uidnext) == (True, 5, 8)
            assert str(found.vanished) == "2:3"
            assert told(found.changed) == {5: SEEN, 7: frozenset()}
            assert all((one.modseq or 0) > known.highestmodseq for one in found.changed)
            assert found.highestmodseq == max(one.modseq or 0 for one in found.changed)
            assert told(await session.uid_changes(known.highestmodseq)) == told(found.changed)
            assert await session.uid_changes(found.highestmodseq) == []
            now = Known(found.uidvalidity, found.highestmodseq)
            again = await session.select("INBOX", known=now)
            assert (again.resynced, bool(again.vanished), again.changed) == (True, False, ())
            listed = await session.uid_search_set("ALL")
            assert str(listed) == "1,4:7"
            session.connection.learn(session.capabilities - {"ESEARCH"})
            assert await session.uid_search_set("ALL") == listed
            flags = {1: frozenset(), 4: frozenset(), 5: SEEN, 6: frozenset(), 7: frozenset()}
            assert told(await session.uid_flags("1:*")) == flags

    asyncio.run(run())


def test_a_folder_made_anew_is_no_resync(dovecot: Dovecot) -> None:
    """R-013: the UIDVALIDITY that we know is not the one that is there."""

    async def run() -> None:
        before = await happen(dovecot, "recreated")
        known = Known(before.uidvalidity - 1, before.highestmodseq or 0)
        async with signed_in(dovecot, "recreated") as session:
            found = await session.select("INBOX", known=known)
            assert (found.resynced, bool(found.vanished), found.changed) == (False, False, ())
            ahead = Known(before.uidvalidity, 2**62)
            assert not (await session.select("INBOX", known=ahead)).resynced

    asyncio.run(run())


def test_letters_and_deaths_while_a_folder_is_open(dovecot: Dovecot) -> None:
    """With QRESYNC on, EXPUNGE becomes VANISHED: IDLE, searching and fetching must all take it."""

    async def run() -> None:
        await happen(dovecot, "esearch")
        async with signed_in(dovecot, "esearch") as session, signed_in(dovecot, "esearch") as other:
            await session.select("INBOX")
            await other.select("INBOX")
            assert [one.uid async for one in session.uid_fetch_bodies([1, 4, 5])] == [1, 4, 5]
            waiting = asyncio.create_task(session.idle(seconds=10))
            await asyncio.sleep(0.2)
            await other.uid_move([1], "Trash")
            assert await waiting
            assert session.connection.exists == 4
            assert str(await session.uid_search_set("ALL")) == "4:7"

    asyncio.run(run())


def test_an_empty_folder(dovecot: Dovecot) -> None:
    async def run() -> None:
        async with signed_in(dovecot, "empty") as session:
            found = await session.select("INBOX", known=Known(1, 1))
            assert found.exists == 0
            assert str(await session.uid_search_set("ALL")) == ""
            assert await session.uid_flags("1:*") == []
            assert await session.uid_changes(1) == []

    asyncio.run(run())


def test_the_ladder_is_what_the_server_offers(dovecot: Dovecot) -> None:
    async def run() -> None:
        async with signed_in(dovecot, "empty") as session:
            assert {"QRESYNC", "CONDSTORE"} & session.connection.enabled == {"QRESYNC"}
            _without(session, "QRESYNC")
            assert session.ladder == "condstore+esearch"
            _without(session, "ESEARCH")
            assert session.ladder == "condstore"
            _without(session, "CONDSTORE")
            assert session.ladder == "plain"

    asyncio.run(run())


def _without(session: Session, name: str) -> None:
    session.connection.enabled -= {name}
    session.connection.learn(session.capabilities - {name})
