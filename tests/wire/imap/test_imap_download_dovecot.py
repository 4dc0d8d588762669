"""Downloads from a real Dovecot: many commands under way, large letters, TLS, compression, a folder that changes."""

import asyncio
import hashlib
import mmap
from collections.abc import Awaitable, Callable, Iterator

import pytest

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.imap import Login, Session, open_session
from postern.wire.imap.commands import command
from tests.servers.dovecot import Dovecot, available

pytestmark = [
    pytest.mark.dovecot,
    pytest.mark.skipif(bool(available()), reason=available() or "none"),
]
ZLIB = "protocol imap {\n  mail_plugins = $mail_plugins imap_zlib\n}\n"
LINE = b"Two plus two is four, and so it stays, however often it is said. 0123456789\r\n"
SMALL = 450
LARGE = {SMALL + 1: 70_000, SMALL + 2: 1_100_000, SMALL + 3: 3_000_000}


def letter(number: int) -> bytes:
    size = LARGE.get(number, 100 + number * 7 % 900)
    return b"Subject: letter %d\r\n\r\n" % number + LINE * (size // len(LINE) + 1)


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot({"anna": "secret", "berta": "secret"}, extra=ZLIB) as server:
        for number in range(1, SMALL + len(LARGE) + 1):
            server.deliver("anna", letter(number))
        yield server


async def signed_in(server: Dovecot, user: str, security: Security) -> Session:
    port = server.tls_port if security is Security.SSL else server.port
    endpoint = Endpoint("localhost", port, security, skip_validation=True)
    return await open_session(
        endpoint, Policy.from_setting(f"localhost:{port}", unchecked=True), Login(user, "secret"), timeout=30
    )


def visit(server: Dovecot, user: str, security: Security, work: Callable[[Session], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(100), await signed_in(server, user, security) as session:
            await work(session)

    asyncio.run(run())


@pytest.mark.parametrize("compressed", [False, True], ids=["", "compressed"])
@pytest.mark.parametrize("security", list(Security))
def test_every_letter_once_newest_range_first(dovecot: Dovecot, security: Security, compressed: bool) -> None:
    async def work(session: Session) -> None:
        if compressed:
            assert await session.compress()
        await session.select("INBOX", readonly=True)
        listed = await session.uid_fetch_headers("1:*")
        sizes = {one.uid: one.size for one in listed}
        newest_first = sorted(sizes, reverse=True)
        found: dict[str, int] = {}
        order = []
        async for one in session.uid_fetch_bodies(newest_first, sizes=sizes):
            assert len(one.raw) == sizes[one.uid]
            assert isinstance(one.raw, mmap.mmap) == (len(one.raw) > 1 << 20)
            found[hashlib.sha256(one.raw).hexdigest()] = one.uid
            order.append(one.uid)
        wanted = {hashlib.sha256(letter(n)).hexdigest() for n in range(1, SMALL + len(LARGE) + 1)}
        assert found.keys() == wanted
        assert set(order[:150]) <= set(newest_first[:200])
        await session.noop()

    visit(dovecot, "anna", security, work)


def test_letters_that_go_and_come_meanwhile(dovecot: Dovecot) -> None:
    """R-015: EXPUNGE and EXISTS in the middle of several commands mix nothing up."""
    for number in range(1, 601):
        dovecot.deliver("berta", letter(number % SMALL))
    texts = {hashlib.sha256(letter(number)).hexdigest() for number in range(SMALL)}

    async def work(session: Session) -> None:
        await session.select("INBOX")
        found = []
        second = await signed_in(dovecot, "berta", Security.NONE)
        await second.select("INBOX")
        async for one in session.uid_fetch_bodies(range(1, 601)):
            found.append(one.uid)
            assert hashlib.sha256(one.raw).hexdigest() in texts
            if one.uid == 50:
                await second.uid_store([300, 301, 550], add=["\\Deleted"])
                await second.connection.do(command("EXPUNGE"))
                await second.append("INBOX", letter(1))
        assert len(found) == len(set(found))
        assert set(found) >= set(range(1, 601)) - {300, 301, 550}
        await session.noop()
        await second.logout()

    visit(dovecot, "berta", Security.NONE, work)


def test_the_server_really_compresses(dovecot: Dovecot) -> None:
    async def work(session: Session) -> None:
        assert await session.compress()
        await session.select("INBOX", readonly=True)
        before = session.connection.link.received
        letters = [one async for one in session.uid_fetch_bodies([SMALL + 3])]
        assert len(letters[0].raw) > 3_000_000
        assert session.connection.link.received - before < 300_000

    visit(dovecot, "anna", Security.NONE, work)
