"""Servers that lie, stall, flood and vanish once we are in: one clear error each, and never a leak (A5, A12, B3)."""

import asyncio
import re
import time
from datetime import UTC, datetime

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Session
from postern.wire.imap.framing import Limits
from tests.wire.imap.scripted import Script, Wire, play, refused, seen


async def noop(session: Session) -> None:
    await session.noop()


def answers(*lines: bytes) -> Script:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.hear()
        await wire.say(*lines)

    return script


@pytest.mark.parametrize(
    "reply",
    [
        b"* 1 FETCH (UID 1 BODY[] {4294967295}\r\n",
        b"* 1 FETCH (UID 1 BODY[] {99999999999999999999999}\r\n",
        b"* LIST () NIL {4294967295}\r\n",
        b"* 1 FETCH (UID 1 BODY[] {-1}\r\n",
        b"* 1 FETCH (UID 1 BODY[] {}\r\n",
        b'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "01-Jan-2020 00:00:00 +0000" BODY[] {4294967295}\r\n',
        b"* X " + b"(" * 100_000 + b"\r\n* LIST " + b"(" * 5000 + b")" * 5000 + b"\r\n",
        b"x" * (3 << 20),
        b"* 1 FETCH (UID 1 FLAGS (" + b"a " * (2 << 20),
        b"* LIST (" + b"{0}\r\n " * 5000,
        b"SOMETAG OK done\r\n",
        b"+ more?\r\n",
        b"garbage without end\r\n",
        b"* 1 EXISTS\r\n" * 20_000,
    ],
    ids=lambda reply: repr(reply[:60]),
)
def test_one_answer_too_much_closes_the_connection(reply: bytes) -> None:
    """S-036, S-115, S-116: two seconds are plenty."""
    begun = time.process_time()

    async def work(session: Session) -> None:
        try:
            await session.noop()
        finally:
            assert session.closed

    refused("protocol_error", answers(reply), work, timeout=3)
    assert time.process_time() - begun < 2


def test_a_guessed_tag_cannot_answer_a_command_half_sent() -> None:
    """S-036."""

    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.hear(b"APPEND")
        await wire.say(b"TAG OK [APPENDUID 1 2] done\r\n")

    async def work(session: Session) -> None:
        await session.append("INBOX", b"x" * 100)

    assert b"x" * 100 not in seen(refused("protocol_error", script, work))


def test_a_literal_may_be_refused_before_it_is_sent() -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.hear(b"APPEND")
        await wire.say(b"TAG NO [OVERQUOTA] full\r\n")
        await wire.hear(b"NOOP")
        await wire.say(b"TAG OK .\r\n")

    async def work(session: Session) -> None:
        with pytest.raises(MailError) as caught:
            await session.append("INBOX", b"x" * 100, internaldate=datetime(2024, 1, 1, tzinfo=UTC))
        assert caught.value.code == "mailbox_full"
        await session.noop()

    assert b"xxx" not in play(script, work)


def test_tags_cannot_be_guessed_from_another_connection() -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.hear()
        await wire.say(b"TAG OK .\r\n")

    tags = {tag for _ in range(3) for tag in re.findall(rb"^\w+", play(script, noop), re.MULTILINE)}
    assert len(tags) == 6


@pytest.mark.parametrize(
    ("code", "reply"),
    [
        ("connection_lost", b"* BYE Autologout\r\n"),
        ("server_busy", b"* BYE [UNAVAILABLE] restart\r\n"),
        ("server_busy", b"Server Unavailable. 15\r\n"),
        ("server_busy", b"TAG NO [INUSE] try later\r\n"),
        ("server_refused", b"TAG BAD Too long argument\r\n"),
    ],
)
def test_refusals_in_the_middle(code: str, reply: bytes) -> None:
    refused(code, answers(reply), noop)


def test_silence_in_the_middle_is_a_timeout() -> None:
    """R-027: also when something comes now and then."""

    async def drip(wire: Wire) -> None:
        await wire.sign_in()
        await wire.hear()
        for _ in range(20):
            await wire.say(b"* OK Still here\r\n")
            await asyncio.sleep(0.1)

    begun = time.monotonic()
    refused("timeout", drip, noop, timeout=0.4)
    assert time.monotonic() - begun < 1.5


def test_a_literal_that_stalls_is_a_timeout_and_one_that_ends_early_a_lost_connection() -> None:
    async def bodies(session: Session) -> None:
        await session.select("INBOX")
        async for _ in session.uid_fetch_bodies([1]):
            pytest.fail("there is no whole letter")

    def script(close: bool) -> Script:
        async def run(wire: Wire) -> None:
            await wire.sign_in()
            await wire.select()
            await wire.hear(b"UID FETCH")
            await wire.say(b"* 1 FETCH (UID 1 BODY[] {500}\r\nhalf")
            if close:
                wire.writer.close()

        return run

    refused("timeout", script(False), bodies, timeout=0.3)
    refused("connection_lost", script(True), bodies, timeout=0.3)


def test_limits_can_be_narrowed() -> None:
    async def bodies(session: Session) -> None:
        await session.select("INBOX")
        async for _ in session.uid_fetch_bodies([1]):
            pass

    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.select()
        await wire.hear(b"UID FETCH")
        await wire.say(b"* 1 FETCH (UID 1 BODY[] {500}\r\n")

    refused("protocol_error", script, bodies, limits=Limits(letter=499))


@pytest.mark.parametrize("name", ['a"\r\nX LOGOUT', "a\0b", "a\nb", "a\x7fb", "\x85", "\ud800", ""])
def test_folder_names_with_control_bytes_are_not_sent(name: str) -> None:
    """S-042, S-048: the wire shows the sign-in and nothing else."""

    async def script(wire: Wire) -> None:
        await wire.sign_in()

    async def work(session: Session) -> None:
        for call in (session.select(name), session.status(name), session.append(name, b"x")):
            with pytest.raises(MailError) as caught:
                await call
            assert caught.value.code == "control_bytes"
        with pytest.raises(MailError):
            await session.uid_store([1], add=["\\Seen) X"])
        session.connection.learn(frozenset({"MOVE"}))
        with pytest.raises(MailError):
            await session.uid_move([1], name)
        assert not session.closed

    assert play(script, work).count(b"\r\n") == 1
