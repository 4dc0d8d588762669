"""Rows of ``quirks.py`` about padding, bare lines, echoes and sign-in: a transcript for each, under its name."""

import asyncio

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Login, Session
from postern.wire.imap import quirks as room
from postern.wire.imap.quirks import quirks_of
from tests.wire.imap.scripted import GREETING, Wire, play

EXCHANGE = b"* OK The Microsoft Exchange IMAP4 service is ready.\r\n"


def test_nul_padding() -> None:
    async def script(wire: Wire) -> None:
        await wire.say(b"\0\0\0" + GREETING)
        await wire.hear(b"LOGIN")
        await wire.say(b"\0\0TAG OK [CAPABILITY IMAP4rev1 IDLE] in\r\n")

    async def work(session: Session) -> None:
        assert "IDLE" in session.capabilities

    play(script, work)


def test_bare_unavailable() -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.hear(b"NOOP")
        await wire.say(b"Server Unavailable. 15\r\n")

    with pytest.raises(MailError) as caught:
        play(script, Session.noop)
    assert (caught.value.code, caught.value.temporary) == ("server_busy", True)


def test_exists_before_idle_plus() -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.select(3)
        await wire.hear(b"IDLE")
        tag = wire.tag
        await wire.say(b"* 4 EXISTS\r\n+ idling\r\n")
        assert await wire.reader.readline() == b"DONE\r\n"
        wire.tag = tag
        await wire.say(b"TAG OK .\r\n")

    async def work(session: Session) -> None:
        await session.select("INBOX")
        assert await session.idle(seconds=5)

    play(script, work)


def test_store_echo() -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.select()
        assert await wire.hear() == b"UID STORE 1:2 +FLAGS.SILENT (\\Seen)"
        await wire.say(
            b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS (\\Seen) UID 2)\r\nTAG OK .\r\n"
        )

    async def work(session: Session) -> None:
        await session.select("INBOX")
        await session.uid_store([2, 1], add=["\\Seen"])

    play(script, work)


def test_one_fetch_at_a_time() -> None:
    async def script(wire: Wire) -> None:
        await wire.say(EXCHANGE)
        await wire.hear(b"CAPABILITY")
        await wire.say(b"* CAPABILITY IMAP4rev1\r\nTAG OK .\r\n")
        await wire.hear(b"LOGIN")
        await wire.say(b"TAG OK LOGIN completed.\r\n")
        await wire.hear(b"CAPABILITY")
        await wire.say(b"* CAPABILITY IMAP4rev1\r\nTAG OK .\r\n")
        await wire.select(400)
        for first in (b"1:200", b"201:400"):
            assert (await wire.hear()).split(b" ")[2] == first
            await asyncio.sleep(0.02)
            assert wire.reader._buffer == b""  # type: ignore[attr-defined] nothing was asked ahead
            await wire.say(b"TAG OK .\r\n")

    async def work(session: Session) -> None:
        await session.select("INBOX")
        assert [one async for one in session.uid_fetch_bodies(range(1, 401))] == []

    play(script, work)


def test_signed_in_not_connected() -> None:
    async def script(wire: Wire) -> None:
        await wire.say(EXCHANGE)
        await wire.hear(b"CAPABILITY")
        await wire.say(b"* CAPABILITY IMAP4rev1\r\nTAG OK .\r\n")
        await wire.hear(b"LOGIN")
        await wire.say(b"TAG OK LOGIN completed.\r\n")
        await wire.hear(b"CAPABILITY")
        await wire.say(b"* CAPABILITY IMAP4rev1 NAMESPACE\r\nTAG OK .\r\n")
        await wire.hear(b"NAMESPACE")
        await wire.say(b"TAG BAD User is authenticated but not connected.\r\n")

    with pytest.raises(MailError) as caught:
        play(script)
    assert caught.value.code == "server_refused"
    assert "not connected" in caught.value.server_text


@pytest.mark.parametrize(
    ("user", "sent"), [("anna@x\\sales", b'LOGIN "anna@x\\\\sales"'), ("anna@x", b"AUTHENTICATE PLAIN")]
)
def test_shared_mailbox_by_login(user: str, sent: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.say(EXCHANGE)
        await wire.hear(b"CAPABILITY")
        await wire.say(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\nTAG OK .\r\n")
        assert (await wire.hear()).startswith(sent)
        await wire.say(b"TAG OK [CAPABILITY IMAP4rev1] in\r\n")

    play(script, login=Login(user, "secret"))


def test_short_idle() -> None:
    async def work(session: Session) -> None:
        assert session.longest_idle == 300

    async def gmail(wire: Wire) -> None:
        await wire.sign_in(b"IMAP4rev1 IDLE X-GM-EXT-1")

    async def other(wire: Wire) -> None:
        await wire.sign_in(b"IMAP4rev1 IDLE")

    play(gmail, work)
    with pytest.raises(AssertionError):
        play(other, work)


@pytest.mark.parametrize(
    ("host", "holds"),
    [("imap.163.com", True), ("126.com", True), ("imap.163.com.example", False), ("imap1163.com", False)],
)
def test_id_before_select(host: str, holds: bool) -> None:
    found = quirks_of(capabilities=frozenset({"IMAP4REV1"}), greeting="ready", host=host)
    assert ("id_before_select" in found) is holds


def test_id_before_select_sends_it_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    local = room.Quirk("id_before_select", "here", "today", "as NetEase", host="localhost")
    monkeypatch.setattr(room, "QUIRKS", (local,))

    async def script(wire: Wire) -> None:
        await wire.sign_in()
        assert await wire.hear() == b'ID ("name" "Postern")'
        await wire.say(b'* ID ("name" "Coremail Imap")\r\nTAG OK .\r\n')

    assert b"\r\n" in play(script)
