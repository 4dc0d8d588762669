"""The session against a real Dovecot: everything Postern does with a mailbox, once on each way in."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.errors import MailError
from postern.wire.imap import Login, Session, choose_sent_folder, open_session
from tests.servers.dovecot import Dovecot, available

pytestmark = [
    pytest.mark.dovecot,
    pytest.mark.skipif(bool(available()), reason=available() or "none"),
]
LETTER = b"Message-ID: <1@x>\r\nSubject: Hello\r\n\r\nText with 8 bit: \xc3\xa4\r\n"
USERS = (
    "bytes-ssl",
    "bytes-starttls",
    "bytes-none",
    "search",
    "moves",
    "folders",
    "idle",
    "anna",
    "slow",
    "stop",
)
PASSWORD = 'pa"ss\\wörd {3}'


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(dict.fromkeys(USERS, PASSWORD)) as server:
        yield server


def endpoint(server: Dovecot, security: Security) -> Endpoint:
    port = server.tls_port if security is Security.SSL else server.port
    return Endpoint("localhost", port, security, skip_validation=True)


def policy(server: Dovecot) -> Policy:
    return Policy.from_setting(f"localhost:{server.port}, localhost:{server.tls_port}", unchecked=True)


def with_session(
    server: Dovecot,
    user: str,
    work: Callable[[Session], Awaitable[None]],
    security: Security = Security.NONE,
) -> None:
    async def run() -> None:
        async with asyncio.timeout(30):
            async with await open_session(
                endpoint(server, security), policy(server), Login(user, PASSWORD), timeout=10
            ) as session:
                await work(session)

    asyncio.run(run())


@pytest.mark.parametrize("security", list(Security))
def test_a_letter_goes_in_and_comes_out_byte_for_byte(dovecot: Dovecot, security: Security) -> None:
    async def work(session: Session) -> None:
        assert "IDLE" in session.capabilities
        assert (session.certificate is None) == (security is Security.NONE)
        when = datetime(2024, 2, 29, 23, 59, 1, tzinfo=timezone(timedelta(hours=-5, minutes=-30)))
        put = await session.append("INBOX", LETTER, flags=["\\Seen", "$Own"], internaldate=when)
        opened = await session.select("inbox")
        assert put == (opened.uidvalidity, 1)
        assert (opened.exists, opened.uidnext, opened.readonly) == (1, 2, False)
        [listed] = await session.uid_fetch_headers("1:*")
        assert (listed.uid, listed.size, listed.internaldate) == (1, len(LETTER), when)
        [fetched] = [one async for one in session.uid_fetch_bodies([1, 99])]
        assert fetched.raw == LETTER
        assert {"\\Seen", "$Own"} <= fetched.flags

    with_session(dovecot, f"bytes-{security}", work, security)


def test_search_takes_dates_and_any_text(dovecot: Dovecot) -> None:
    async def work(session: Session) -> None:
        await session.append("INBOX", LETTER, internaldate=datetime(2020, 5, 5, 12, tzinfo=UTC))
        await session.append("INBOX", LETTER.replace(b"Hello", b'Quo"te \\ {3}'))
        await session.select("INBOX")
        assert await session.uid_search("ALL") == [1, 2]
        assert await session.uid_search(["SINCE", date(2021, 1, 1)]) == [2]
        assert await session.uid_search(["SUBJECT", 'Quo"te \\ {3}']) == [2]
        assert await session.uid_search(["BODY", "bit: ä"]) == [1, 2]
        assert await session.uid_search(["HEADER", "Message-ID", "<1@x>", "UID", "1:1"]) == [1]
        assert await session.uid_search(["UNSEEN"]) == []
        with pytest.raises(MailError) as caught:
            await session.uid_search(["SUBJECT", "a\r\nX LOGOUT"])
        assert caught.value.code == "control_bytes"
        assert await session.uid_search("ALL") == [1, 2]

    with_session(dovecot, "search", work)


def test_flags_moves_and_counts(dovecot: Dovecot) -> None:
    async def work(session: Session) -> None:
        for _ in range(3):
            await session.append("INBOX", LETTER, flags=())
        await session.select("INBOX")
        await session.uid_store([1, 3], add=["\\Flagged"])
        await session.uid_store([1], add=["\\Seen"], remove=["\\Flagged"])
        flags = {one.uid: one.flags - {"\\Recent"} for one in await session.uid_fetch_headers([1, 2, 3])}
        assert flags == {1: {"\\Seen"}, 2: frozenset(), 3: {"\\Flagged"}}
        await session.uid_move([1, 2], "Trash")
        assert await session.uid_search("ALL") == [3]
        session.connection.learn(session.capabilities - {"MOVE"})
        with pytest.raises(MailError):
            await session.uid_move([3], "Trash")
        await session.uid_copy([3], "Trash")
        await session.uid_store([3], add=["\\Deleted"])
        await session.uid_expunge([3])
        assert await session.uid_search("ALL") == []
        assert (await session.status("Trash")).messages == 3
        session.connection.learn(session.capabilities - {"UIDPLUS"})
        with pytest.raises(MailError):
            await session.uid_expunge([3])

    with_session(dovecot, "moves", work)


def test_folders_with_odd_names(dovecot: Dovecot) -> None:
    async def work(session: Session) -> None:
        for wire in (b'"Quo\\"te & \\\\"', b'"Gr&APYA3w-e"', b"Parent/Child"):
            if b"& " in wire:
                wire = wire.replace(b"& ", b"&- ")
            await session.connection.do(_create(wire))
        folders = await session.list_folders()
        assert {"INBOX", 'Quo"te & \\', "Größe", "Parent/Child", "Sent"} <= {one.name for one in folders}
        sent = choose_sent_folder(folders)
        assert sent is not None
        assert sent.name == "Sent"
        uses = {name: await session.folder(name) for name in ("Sent", "Trash", "Größe", 'Quo"te & \\', "No")}
        assert {name: one.special_use for name, one in uses.items() if one is not None} == {
            "Sent": "\\Sent",
            "Trash": "\\Trash",
            "Größe": None,
            'Quo"te & \\': None,
        }
        for name in ('Quo"te & \\', "Größe", "Parent/Child"):
            assert (await session.select(name, readonly=True)).readonly
        with pytest.raises(MailError) as caught:
            await session.select("Nowhere")
        assert caught.value.code == "folder_missing"
        with pytest.raises(MailError) as caught:
            await session.select('a"\r\nX DELETE INBOX')
        assert caught.value.code == "control_bytes"
        await session.noop()

    with_session(dovecot, "folders", work)


def _create(wire: bytes):  # type: ignore[no-untyped-def]
    from postern.wire.imap.commands import command

    return command("CREATE", wire)


def test_idle_hears_a_new_letter_and_times_out(dovecot: Dovecot) -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        assert await session.idle(seconds=0.2) is False

        async def deliver() -> None:
            await asyncio.sleep(0.1)
            other = await open_session(
                endpoint(dovecot, Security.NONE), policy(dovecot), Login("idle", PASSWORD)
            )
            await other.append("INBOX", LETTER)
            await other.logout()

        delivery = asyncio.create_task(deliver())
        assert await session.idle(seconds=10) is True
        await delivery
        assert await session.uid_search("ALL") == [1]
        assert await session.idle(seconds=0.2) is False

    with_session(dovecot, "idle", work)


def test_wrong_password_is_told_and_never_repeated(dovecot: Dovecot) -> None:
    steps: list[object] = []

    async def run() -> None:
        await open_session(
            endpoint(dovecot, Security.STARTTLS),
            policy(dovecot),
            Login("anna", "not-the-password"),
            on_step=steps.append,
        )

    with pytest.raises(MailError) as caught:
        asyncio.run(run())
    assert (caught.value.code, caught.value.temporary) == ("password_rejected", False)
    assert "not-the-password" not in repr(steps) + repr(caught.value) + caught.value.server_text
    assert [step.key for step in steps] == ["resolve", "connect", "secure", "sign_in"]  # type: ignore[attr-defined]


def test_many_letters_with_a_slow_reader_hold_little_memory(dovecot: Dovecot) -> None:
    big = b"Subject: big\r\n\r\n" + b"x" * 998 + b"\r\n"
    big += (b"y" * 998 + b"\r\n") * 2000

    async def work(session: Session) -> None:
        for _ in range(8):
            await session.append("INBOX", big)
        await session.select("INBOX")
        most = 0
        count = 0
        async for one in session.uid_fetch_bodies(range(1, 9)):
            await asyncio.sleep(0.05)
            most = max(most, session.connection.link.protocol.buffered)
            assert one.raw[:] == big
            count += 1
        assert count == 8
        assert most < 2 * len(big)

    with_session(dovecot, "slow", work)


def test_stopping_in_the_middle_of_letters_ends_the_connection(dovecot: Dovecot) -> None:
    async def work(session: Session) -> None:
        for _ in range(3):
            await session.append("INBOX", LETTER)
        await session.select("INBOX")
        letters = session.uid_fetch_bodies([1, 2, 3])
        assert (await anext(letters)).uid == 1
        with pytest.raises(RuntimeError):
            await session.noop()
        await letters.aclose()  # type: ignore[attr-defined]
        assert session.closed
        with pytest.raises(MailError) as caught:
            await session.noop()
        assert caught.value.code == "connection_lost"

    with_session(dovecot, "stop", work)
