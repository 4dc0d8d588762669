"""Servers that lie, stall, flood and vanish: each ends in one clear error, and never in a leak (A4, A5, A12, B3)."""

import asyncio
import re
import time
from datetime import UTC, datetime

import pytest

from postern.wire.endpoint import Security
from postern.wire.errors import MailError
from postern.wire.imap import Login, Session
from postern.wire.imap.framing import Limits
from tests.wire.imap.scripted import GREETING, Script, Wire, Work, play


def refused(code: str, script: Script, work: Work | None = None, **options: object) -> MailError:
    """Play, expect a ``MailError`` with this code, and give it."""
    with pytest.raises(MailError) as caught:
        if work is None:
            play(script, **options)  # type: ignore[arg-type]
        else:
            play(script, work, **options)  # type: ignore[arg-type]
    assert caught.value.code == code, caught.value
    return caught.value


def says(*lines: bytes) -> Script:
    async def script(wire: Wire) -> None:
        await wire.say(*lines)

    return script


async def no_secret_in_clear(wire: Wire) -> None:
    await wire.say(GREETING.replace(b"IMAP4rev1", b"IMAP4rev1 STARTTLS"))


def seen(error: MailError) -> bytes:
    return error.seen  # type: ignore[attr-defined, no-any-return]


# The greeting


@pytest.mark.parametrize(
    ("code", "greeting"),
    [
        ("server_refused", b"* PREAUTH welcome back\r\n"),
        ("server_busy", b"* BYE [UNAVAILABLE] later\r\n"),
        ("server_busy", b"* BYE Too many connections from your IP\r\n"),
        ("connection_lost", b"* BYE closing\r\n"),
        ("not_a_mail_server", b"220 mx.example ESMTP\r\n"),
        ("not_a_mail_server", b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n"),
        ("not_a_mail_server", b"SSH-2.0-OpenSSH_9.2\r\n"),
        ("not_a_mail_server", b"* 1 EXISTS\r\n"),
        (
            "not_a_mail_server",
            b'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "01-Jan-2020 00:00:00 +0000" RFC822.SIZE 1)\r\n',
        ),
        ("not_a_mail_server", b"+ go ahead\r\n"),
    ],
)
@pytest.mark.parametrize("security", [Security.NONE, Security.STARTTLS])
def test_greetings_that_end_it(code: str, greeting: bytes, security: Security) -> None:
    """S-027, S-034: also PREAUTH, which would keep us from STARTTLS."""
    assert seen(refused(code, says(greeting), security=security)) == b""


def test_a_silent_server_is_a_timeout() -> None:
    async def script(wire: Wire) -> None:
        await asyncio.sleep(1)

    assert refused("timeout", script, timeout=0.2).temporary


def test_a_server_that_hangs_up_at_once() -> None:
    async def script(wire: Wire) -> None:
        wire.writer.close()

    assert refused("connection_lost", script).temporary


# STARTTLS


@pytest.mark.parametrize("answer", [b"TAG NO not today\r\n", b"TAG BAD what\r\n"])
def test_starttls_refused_sends_nothing_secret(answer: bytes) -> None:
    """S-033."""

    async def script(wire: Wire) -> None:
        await no_secret_in_clear(wire)
        await wire.hear(b"STARTTLS")
        await wire.say(answer)

    error = refused("starttls_missing", script, security=Security.STARTTLS)
    assert b"pass" not in seen(error)
    assert b"LOGIN" not in seen(error)


def test_starttls_not_offered_sends_nothing_at_all() -> None:
    """S-033."""
    error = refused("starttls_missing", says(GREETING), security=Security.STARTTLS)
    assert seen(error) == b""


@pytest.mark.parametrize("answer", [b"* BYE no\r\n", b""])
def test_starttls_answered_by_going_away(answer: bytes) -> None:
    """S-033."""

    async def script(wire: Wire) -> None:
        await no_secret_in_clear(wire)
        await wire.hear(b"STARTTLS")
        await wire.say(answer)
        wire.writer.close()

    error = refused("connection_lost", script, security=Security.STARTTLS)
    assert b"LOGIN" not in seen(error)


@pytest.mark.parametrize(
    "injected",
    [b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", b"X OK [CAPABILITY IMAP4rev1] in\r\n", b"\x16", b"\r\n"],
)
def test_bytes_behind_the_starttls_ok_close_the_connection(injected: bytes) -> None:
    """S-035."""

    async def script(wire: Wire) -> None:
        await no_secret_in_clear(wire)
        await wire.hear(b"STARTTLS")
        await wire.say(b"TAG OK begin TLS\r\n" + injected)

    error = refused("tls_failed", script, security=Security.STARTTLS)
    assert re.fullmatch(rb"\w+ STARTTLS\r\n", seen(error))


def test_bytes_that_come_later_in_clear_fail_the_handshake() -> None:
    async def script(wire: Wire) -> None:
        await no_secret_in_clear(wire)
        await wire.hear(b"STARTTLS")
        await wire.say(b"TAG OK begin TLS\r\n")
        await asyncio.sleep(0.05)
        await wire.say(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")

    assert b"AUTHENTICATE" not in seen(refused("tls_failed", script, security=Security.STARTTLS))


# Signing in


@pytest.mark.parametrize(
    ("code", "temporary", "answer"),
    [
        ("password_rejected", False, b"NO [AUTHENTICATIONFAILED] wrong"),
        ("password_rejected", False, b"NO LOGIN failed."),
        ("password_rejected", False, b"NO [ALERT] Invalid credentials (Failure)"),
        ("server_busy", True, b"NO [UNAVAILABLE] later"),
        ("server_busy", True, b"NO [INUSE] in use"),
        ("server_busy", True, b"NO [LIMIT] too often"),
        ("server_busy", True, b"NO [ALERT] Too many simultaneous connections. (Failure)"),
        ("server_refused", False, b"NO [WEBALERT https://x] Web login required"),
        ("server_refused", False, b"BAD User is authenticated but not connected."),
    ],
)
def test_refused_sign_in(code: str, temporary: bool, answer: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.say(GREETING)
        await wire.hear(b"LOGIN")
        await wire.say(b"TAG " + answer + b"\r\n")

    assert refused(code, script).temporary is temporary


def test_a_server_that_repeats_the_password_is_not_quoted_with_it() -> None:
    """S-051."""

    async def script(wire: Wire) -> None:
        await wire.say(GREETING)
        await wire.hear(b"LOGIN")
        await wire.say(b"TAG NO LOGIN anna pass-word-1 failed\r\n")

    error = refused("password_rejected", script)
    assert "pass-word-1" not in repr(error) + str(error) + error.server_text


@pytest.mark.parametrize("secret", ["a\r\nX LOGOUT", "a\nb", "nul\0", "\x1b[31m"])
def test_control_bytes_in_a_password_are_not_sent(secret: str) -> None:
    """S-042, S-051."""
    for capabilities in (b"IMAP4rev1", b"IMAP4rev1 AUTH=PLAIN SASL-IR"):
        greeting = GREETING.replace(b"IMAP4rev1", capabilities)
        assert seen(refused("control_bytes", says(greeting), login=Login("anna", secret))) == b""


def test_a_password_with_quotes_backslashes_and_umlauts() -> None:
    """S-051."""

    async def quoted(wire: Wire) -> None:
        await wire.say(GREETING)
        assert await wire.hear(b"LOGIN") == b'LOGIN "anna" "a\\"b\\\\c {3}"'
        await wire.say(b"TAG OK [CAPABILITY IMAP4rev1] in\r\n")

    play(quoted, login=Login("anna", 'a"b\\c {3}'))

    async def literal(wire: Wire) -> None:
        await wire.say(GREETING)
        assert await wire.hear(b"LOGIN") == b'LOGIN "anna" {6}'
        tag = wire.tag
        await wire.say(b"+ yes\r\n")
        assert await wire.take(8) == "ß€b\r\n".encode()
        wire.tag = tag
        await wire.say(b"TAG OK [CAPABILITY IMAP4rev1] in\r\n")

    play(literal, login=Login("anna", "ß€b"))


def test_no_way_in_with_a_password() -> None:
    greeting = GREETING.replace(b"IMAP4rev1", b"IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2")
    error = refused("server_refused", says(greeting))
    assert seen(error) == b""
    assert "XOAUTH2" in error.advice


def test_authenticate_plain_with_and_without_the_first_answer() -> None:
    async def at_once(wire: Wire) -> None:
        await wire.say(GREETING.replace(b"IMAP4rev1", b"IMAP4rev1 AUTH=PLAIN SASL-IR"))
        assert await wire.hear() == b"AUTHENTICATE PLAIN AGFubmEAcGFzcy13b3JkLTE="
        await wire.say(b"TAG OK in\r\n")
        await wire.hear(b"CAPABILITY")
        await wire.say(b"* CAPABILITY IMAP4rev1 IDLE\r\nTAG OK .\r\n")

    async def asked(wire: Wire) -> None:
        await wire.say(GREETING.replace(b"IMAP4rev1", b"IMAP4rev1 AUTH=PLAIN"))
        assert await wire.hear() == b"AUTHENTICATE PLAIN"
        tag = wire.tag
        await wire.say(b"+ \r\n")
        assert await wire.reader.readline() == b"AGFubmEAcGFzcy13b3JkLTE=\r\n"
        wire.tag = tag
        await wire.say(b"TAG OK [CAPABILITY IMAP4rev1 IDLE] in\r\n")

    async def work(session: Session) -> None:
        assert session.capabilities == {"IMAP4REV1", "IDLE"}

    play(at_once, work)
    play(asked, work)


def test_an_explained_refusal_of_authenticate_is_asked_for() -> None:
    async def script(wire: Wire) -> None:
        await wire.say(GREETING.replace(b"IMAP4rev1", b"IMAP4rev1 AUTH=PLAIN SASL-IR"))
        await wire.hear(b"AUTHENTICATE")
        tag = wire.tag
        await wire.say(b"+ eyJzdGF0dXMiOiI0MDAifQ==\r\n")
        assert await wire.reader.readline() == b"*\r\n"
        wire.tag = tag
        await wire.say(b"TAG NO SASL authentication failed\r\n")

    refused("password_rejected", script)


# Limits and order


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
