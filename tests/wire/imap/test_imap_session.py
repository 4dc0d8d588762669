"""What a session makes of answers that are allowed but awkward (R-014 to R-016, R-023)."""

import asyncio
from datetime import UTC, datetime

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import UNKNOWN_DATE, Fetched, Listed, Login, Session
from postern.wire.steps import Step, step
from tests.wire.imap.scripted import Script, Wire, play

JAN = datetime(2024, 1, 1, tzinfo=UTC)
WHEN = b'"01-Jan-2024 00:00:00 +0000"'
NONE: frozenset[str] = frozenset()


def after_select(*answers: bytes, exists: int = 3) -> Script:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.select(exists)
        for answer in answers:
            await wire.hear()
            await wire.say(answer)

    return script


@pytest.mark.parametrize(
    ("answer", "listed"),
    [
        (b"", []),
        (
            b"* 1 FETCH (RFC822.SIZE 9 INTERNALDATE " + WHEN + b" FLAGS (\\Seen) UID 5)\r\n",
            [Listed(5, frozenset({"\\Seen"}), JAN, 9)],
        ),
        (b"* 1 FETCH (UID 5 RFC822.SIZE 9)\r\n", [Listed(5, NONE, UNKNOWN_DATE, 9)]),
        (b"* 1 FETCH (FLAGS (\\Seen))\r\n", []),
        (b"* 1 FETCH (UID 5 FLAGS (\\Seen))\r\n", []),
        (
            b"* 1 FETCH (UID 5 FLAGS () INTERNALDATE "
            + WHEN
            + b" RFC822.SIZE 9)\r\n* 1 FETCH (UID 5 FLAGS (a))\r\n",
            [Listed(5, frozenset({"a"}), JAN, 9)],
        ),
        (
            b"* 1 FETCH (UID 5 FLAGS (a))\r\n* 1 FETCH (UID 5 INTERNALDATE " + WHEN + b" RFC822.SIZE 9)\r\n",
            [Listed(5, frozenset({"a"}), JAN, 9)],
        ),
        (b"* 1 FETCH (UID 99 FLAGS () INTERNALDATE " + WHEN + b" RFC822.SIZE 9)\r\n", []),
        (
            b"* 1 FETCH (UID 5 FLAGS () BODY (((\r\n* 2 FETCH (UID 6 RFC822.SIZE 1)\r\n",
            [Listed(6, NONE, UNKNOWN_DATE, 1)],
        ),
    ],
)
def test_headers(answer: bytes, listed: list[Listed]) -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        assert await session.uid_fetch_headers([5, 6]) == listed

    play(after_select(answer + b"TAG OK done\r\n"), work)


@pytest.mark.parametrize(
    ("answer", "letters"),
    [
        (
            b"* 1 FETCH (BODY[] {2}\r\nab UID 5 FLAGS (x))\r\n",
            [Fetched(5, frozenset({"x"}), UNKNOWN_DATE, b"ab")],
        ),
        (b"* 1 FETCH (UID 5 BODY[] NIL)\r\n", []),
        (b"* 1 FETCH (BODY[] {2}\r\nab)\r\n", []),
        (
            b"* 1 FETCH (UID 5 FLAGS ())\r\n* 1 FETCH (BODY[] {2}\r\nab)\r\n",
            [Fetched(5, NONE, UNKNOWN_DATE, b"ab")],
        ),
        (b"* 1 FETCH (UID 5 FLAGS ())\r\n* 1 EXPUNGE\r\n* 1 FETCH (BODY[] {2}\r\nab)\r\n", []),
        (
            b"* 1 FETCH (UID 5 BODY[] {2}\r\nab)\r\n* 1 FETCH (UID 5 BODY[] {2}\r\ncd)\r\n",
            [Fetched(5, NONE, UNKNOWN_DATE, b"ab")],
        ),
        (b"* 1 FETCH (UID 7 BODY[] {2}\r\nab)\r\n", []),
        (
            b"* 2 FETCH (FLAGS (\\Seen))\r\n* 9 EXISTS\r\n* 3 EXPUNGE\r\n* OK hm\r\n* 1 FETCH (UID 6 FLAGS () INTERNALDATE "
            + WHEN
            + b" BODY[] {3}\r\n)\r\n)\r\n",
            [Fetched(6, NONE, JAN, b")\r\n")],
        ),
    ],
)
def test_bodies(answer: bytes, letters: list[Fetched]) -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        assert [one async for one in session.uid_fetch_bodies([5, 6])] == letters
        await session.noop()

    play(after_select(answer + b"TAG OK done\r\n", b"TAG OK\r\n"), work)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] .\r\n* OK [UIDNEXT 9] .\r\nTAG OK [READ-WRITE] .\r\n",
            (7, 9, 2, False),
        ),
        (b"* 2 EXISTS\r\nTAG OK [READ-ONLY] .\r\n", (0, None, 2, True)),
        (b"TAG OK\r\n", (0, None, 0, False)),
        (
            b"* OK [UIDVALIDITY x] .\r\n* OK [UIDNEXT 99999999999999999999] .\r\nTAG OK\r\n",
            (0, None, 0, False),
        ),
    ],
)
def test_select(answer: bytes, expected: tuple[object, ...]) -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        assert await wire.hear() == b'SELECT "a b"'
        await wire.say(answer)

    async def work(session: Session) -> None:
        found = await session.select("a b")
        assert (found.uidvalidity, found.uidnext, found.exists, found.readonly) == expected

    play(script, work)


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("folder_missing", b"NO [NONEXISTENT] Unknown Mailbox: x"),
        ("folder_missing", b"NO Mailbox doesn't exist: x"),
        ("folder_missing", b"NO Unable to open this mailbox."),
        ("server_refused", b"NO [NOPERM] not yours"),
        ("server_busy", b"NO [UNAVAILABLE] storage"),
        ("server_refused", b"BAD what"),
    ],
)
def test_select_refused(code: str, answer: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.hear()
        await wire.say(b"TAG " + answer + b"\r\n")

    async def work(session: Session) -> None:
        with pytest.raises(MailError) as caught:
            await session.select("x")
        assert caught.value.code == code
        assert caught.value.server_text
        assert not session.closed

    play(script, work)


def test_folders_are_asked_for_by_the_name_the_server_gave() -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in(b"IMAP4rev1 SPECIAL-USE LIST-EXTENDED")
        assert await wire.hear() == b'LIST "" * RETURN (SPECIAL-USE)'
        await wire.say(
            b'* LIST (\\Sent) "/" a&b\r\n* LIST () "/" {4}\r\nx\r\ny\r\n* LIST () "/" "&AA0ACg-"\r\n* LIST () "/" inbox\r\nTAG OK\r\n'
        )
        assert await wire.hear() == b"EXAMINE a&b"
        await wire.say(b"TAG OK\r\n")
        assert await wire.hear() == b"EXAMINE inbox"
        await wire.say(b"TAG OK\r\n")

    async def work(session: Session) -> None:
        assert [one.name for one in await session.list_folders()] == ["a&b", "INBOX"]
        assert session.skipped_folders == 2
        await session.select("a&b", readonly=True)
        await session.select("INBOX", readonly=True)

    play(script, work)


def test_list_without_special_use_is_asked_plainly() -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in(b"IMAP4rev1")
        assert await wire.hear() == b'LIST "" *'
        await wire.say(b"TAG NO no\r\n")

    async def work(session: Session) -> None:
        with pytest.raises(MailError):
            await session.list_folders()

    play(script, work)


def test_a_cancelled_command_ends_the_connection() -> None:
    async def work(session: Session) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.noop(), 0.1)
        assert session.closed

    async def script(wire: Wire) -> None:
        await wire.sign_in()

    play(script, work)


def test_logout_never_raises() -> None:
    async def work(session: Session) -> None:
        await session.logout()
        await session.logout()
        assert session.closed

    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.hear(b"LOGOUT")
        await wire.say(b"* BYE see you\r\nTAG OK\r\n")

    play(script, work)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"TAG OK [APPENDUID 7 12] .\r\n", (7, 12)),
        (b"TAG OK .\r\n", None),
        (b"TAG OK [APPENDUID 7 1:2] .\r\n", None),
        (b"TAG OK [APPENDUID] .\r\n", None),
    ],
)
def test_append(answer: bytes, expected: tuple[int, int] | None) -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in(b"IMAP4rev1 APPENDLIMIT=10")
        assert await wire.hear() == b'APPEND Sent (\\Seen) " 1-Jan-2024 00:00:00 +0000" {4}'
        tag = wire.tag
        await wire.say(b"+ ok\r\n")
        assert await wire.take(6) == b"a\r\nb\r\n"
        wire.tag = tag
        await wire.say(answer)

    async def work(session: Session) -> None:
        assert await session.append("Sent", b"a\r\nb", internaldate=JAN) == expected
        with pytest.raises(MailError) as caught:
            await session.append("Sent", b"x" * 11)
        assert caught.value.code == "too_large"

    play(script, work)


def test_status_that_says_nothing() -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        with pytest.raises(MailError):
            await session.status("x")
        assert (await session.status("x")).uidnext is None

    play(after_select(b"TAG OK\r\n", b"* STATUS x (MESSAGES 4)\r\nTAG OK\r\n"), work)


def test_the_password_is_in_no_repr() -> None:
    assert "hush" not in repr(Login("anna", "hush"))


def test_steps_tell_success_failure_and_nothing_of_other_errors() -> None:
    seen: list[Step] = []
    with step(seen.append, "connect") as note:
        note.detail = "fine"
    assert [(one.key, one.ok, one.detail, one.error) for one in seen] == [("connect", True, "fine", None)]
    error = MailError("timeout", "late", temporary=True)
    with pytest.raises(MailError), step(seen.append, "secure"):
        raise error
    assert (seen[1].ok, seen[1].error) == (False, error)
    with pytest.raises(KeyError), step(seen.append, "send"):
        raise KeyError
    assert len(seen) == 2
    with step(None, "send"):
        pass
