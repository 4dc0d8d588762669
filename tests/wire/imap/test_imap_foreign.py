"""The same work on Dovecot, Cyrus and Courier: other capabilities, other ways, equal results."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.imap import Copied, Known, Login, Session, choose_trash_folder, open_session
from postern.wire.imap.commands import command
from tests.servers import courier, cyrus, dovecot

SERVERS: dict[str, tuple[Any, Callable[[], str], str]] = {
    "dovecot": (dovecot.Dovecot, dovecot.available, "qresync"),
    "cyrus": (cyrus.Cyrus, cyrus.available, "qresync"),
    "courier": (courier.Courier, courier.available, "plain"),
}
USERS = ("work@example.test", "names@example.test", "counts@example.test")
LETTER = b"Subject: x\r\n\r\nText.\r\n"
SEEN = frozenset({"\\Seen"})


@pytest.fixture(scope="module", params=SERVERS)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    make, available, _ = SERVERS[request.param]
    if available():
        pytest.skip(available())
    with make(dict.fromkeys(USERS, "secret")) as server:
        yield request.param, server


def run(server: Any, user: str, work: Callable[[Session], Awaitable[None]]) -> None:
    async def go() -> None:
        endpoint = Endpoint("localhost", server.port, Security.NONE, skip_validation=True)
        policy = Policy.from_setting(f"localhost:{server.port}")
        async with asyncio.timeout(60):
            async with await open_session(endpoint, policy, Login(user, "secret"), timeout=20) as session:
                await work(session)

    asyncio.run(go())


def flags(told: Any) -> dict[int, frozenset[str]]:
    return {one.uid: one.flags - {"\\Recent"} for one in told}


async def move(session: Session, uids: list[int], folder: str) -> Copied:
    """The way sync takes on this server."""
    if not session.moves_by_copying:
        return await session.uid_move(uids, folder)
    told = await session.uid_copy(uids, folder)
    await session.uid_store(uids, add=["\\Deleted"])
    await session.uid_expunge(uids)
    return told


def test_changes_are_found_by_each_way(place: tuple[str, Any]) -> None:
    """R-017, R-025: what the best way tells at once, the plain way finds too."""
    name, server = place

    async def work(session: Session) -> None:
        assert session.ladder == SERVERS[name][2]
        trash = choose_trash_folder(await session.list_folders())
        assert trash is not None
        for _ in range(6):
            assert (await session.append("INBOX", LETTER, flags=())) is not None
        before = await session.select("INBOX")
        await session.uid_store([5], add=["\\Seen"])
        told = await move(session, [2, 3], trash.name)
        assert told.uids == {2: 1, 3: 2}
        await session.append("INBOX", LETTER, flags=())
        known = Known(before.uidvalidity, before.highestmodseq or 0)
        after = await session.select("INBOX", known=known)
        assert after.uidvalidity == before.uidvalidity
        assert after.exists == 5
        assert after.resynced is (session.ladder == "qresync")
        if after.resynced:
            assert str(after.vanished) == "2:3"
            assert flags(after.changed) == {5: SEEN, 7: frozenset()}
            assert flags(await session.uid_changes(known.highestmodseq)) == flags(after.changed)
        assert str(await session.uid_search_set("ALL")) == "1,4:7"
        listed = {uid: frozenset[str]() for uid in (1, 4, 5, 6, 7)} | {5: SEEN}
        assert (
            flags(await session.uid_flags("1:*")) == flags(await session.uid_fetch_headers("1:*")) == listed
        )
        assert {one.uid: bytes(one.raw) async for one in session.uid_fetch_bodies([1, 7])} == {
            1: LETTER,
            7: LETTER,
        }

    run(server, USERS[0], work)


def test_names_beyond_ascii(place: tuple[str, Any]) -> None:
    """R-023: modified UTF-7, or UTF-8 where the server turned it on; Courier does."""
    _, server = place

    async def work(session: Session) -> None:
        prefix = (await session.namespaces()).personal[0][0].decode()
        name = f"{prefix}Größe & mehr"
        await session.connection.do(command("CREATE", session._names.word(name)))
        assert name in [one.name for one in await session.list_folders()]
        await session.append(name, LETTER)
        assert (await session.select(name)).exists == 1
        assert await session.uid_search(["TEXT", "Text"]) == [1]
        assert await session.uid_search(["TEXT", "Größe"]) == []
        assert await session.uid_search(["HEADER", "Message-ID", "1:*"]) == []

    run(server, USERS[1], work)


def test_counts_of_every_folder(place: tuple[str, Any]) -> None:
    _, server = place

    async def work(session: Session) -> None:
        names = [one.name for one in await session.list_folders()]
        for name in names:  # Courier numbers a folder that never held a letter anew each second
            await session.append(name, LETTER)
        counts = {one.name: count for one, count in await session.list_with_status(names)}
        assert len(counts) >= 4
        assert all(count is not None for count in counts.values())
        for name in names:
            assert counts[name] == await session.status(name)
        inbox = counts["INBOX"]
        assert inbox is not None
        assert (inbox.messages, inbox.uidnext) == (1, 2)

    run(server, USERS[2], work)
