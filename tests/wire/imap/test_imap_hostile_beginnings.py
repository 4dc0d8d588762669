"""Servers that lie while they greet, turn TLS on and let in: one clear error each, and no secret in clear (A4, A5)."""

import asyncio
import re

import pytest

from postern.wire.endpoint import Security
from postern.wire.imap import Login, Session
from tests.wire.imap.scripted import GREETING, Wire, play, refused, says, seen

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


async def offer_starttls(wire: Wire) -> None:
    await wire.say(GREETING.replace(b"IMAP4rev1", b"IMAP4rev1 STARTTLS"))


@pytest.mark.parametrize("answer", [b"TAG NO not today\r\n", b"TAG BAD what\r\n"])
def test_starttls_refused_sends_nothing_secret(answer: bytes) -> None:
    """S-033."""

    async def script(wire: Wire) -> None:
        await offer_starttls(wire)
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
        await offer_starttls(wire)
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
        await offer_starttls(wire)
        await wire.hear(b"STARTTLS")
        await wire.say(b"TAG OK begin TLS\r\n" + injected)

    error = refused("tls_failed", script, security=Security.STARTTLS)
    assert re.fullmatch(rb"\w+ STARTTLS\r\n", seen(error))


def test_bytes_that_come_later_in_clear_fail_the_handshake() -> None:
    async def script(wire: Wire) -> None:
        await offer_starttls(wire)
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
