"""Extensions at a real Dovecot, and the same results without them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from postern.wire.imap import Session
from tests.servers.dovecot import Dovecot, available
from tests.wire.imap.dovecots import signed_in

pytestmark = [
    pytest.mark.dovecot,
    pytest.mark.skipif(bool(available()), reason=available() or "none"),
]
LETTER = b"Subject: x\r\n\r\nText.\r\n"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(dict.fromkeys(("counts", "moves", "watch", "spaces"), "secret")) as server:
        yield server


def run(server: Dovecot, user: str, work: Callable[[Session], Awaitable[None]]) -> None:
    async def go() -> None:
        async with asyncio.timeout(30), signed_in(server, user) as session:
            await work(session)

    asyncio.run(go())


def test_counts_with_the_listing_and_one_by_one(dovecot: Dovecot) -> None:
    async def work(session: Session) -> None:
        await session.append("INBOX", LETTER)
        at_once = {info.name: count for info, count in await session.list_with_status()}
        inbox = at_once["INBOX"]
        assert inbox is not None
        assert (inbox.messages, inbox.uidnext) == (1, 2)
        assert inbox.highestmodseq
        session.connection.learn(session.capabilities - {"LIST-STATUS"})
        singly = {info.name: count for info, count in await session.list_with_status(list(at_once))}
        assert singly == at_once
        assert {"INBOX", "Sent", "Trash"} <= set(singly)

    run(dovecot, "counts", work)


def test_letters_are_found_where_they_were_put(dovecot: Dovecot) -> None:
    async def work(session: Session) -> None:
        for number in range(6):
            await session.append("INBOX", b"Subject: %d\r\n\r\n.\r\n" % number)
        await session.select("INBOX")
        copied = await session.uid_copy([1, 2], "Trash")
        moved = await session.uid_move([1, 3], "Trash")
        also_moved = await session.uid_move([5, 6], "Trash")
        assert copied.uidvalidity == moved.uidvalidity == also_moved.uidvalidity > 0
        uids = {**{-old: new for old, new in copied.uids.items()}, **moved.uids, **also_moved.uids}
        assert uids == {-1: 1, -2: 2, 1: 3, 3: 4, 5: 5, 6: 6}
        assert await session.uid_search("ALL") == [2, 4]
        assert (await session.select("Trash")).uidvalidity == copied.uidvalidity
        raw = {one.uid: one.raw async for one in session.uid_fetch_bodies([4, 6])}
        assert {uid: bytes(text)[9:10] for uid, text in raw.items()} == {4: b"2", 6: b"5"}

    run(dovecot, "moves", work)


def test_another_folder_is_watched(dovecot: Dovecot) -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        assert await session.watch(["Sent"])
        assert not await session.idle(seconds=0.3)
        waiting = asyncio.create_task(session.idle(seconds=15))
        await asyncio.sleep(0.2)
        async with signed_in(dovecot, "watch") as other:
            await other.append("Sent", LETTER)
        assert await waiting
        assert (await session.status("Sent")).messages == 1
        assert await session.uid_search("ALL") == []

    run(dovecot, "watch", work)


def test_namespaces(dovecot: Dovecot) -> None:
    async def work(session: Session) -> None:
        found = await session.namespaces()
        assert (found.personal, found.others, found.shared) == (((b"", "/"),), (), ())

    run(dovecot, "spaces", work)
