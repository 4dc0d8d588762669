"""Sending to Postfix, Exim and OpenSMTPD: what each takes, and what is said before anything is uploaded (R-048).

Also what each really answers to an unknown name, a busy and a full mailbox (R-043, R-044). R-046 over all. And that
no letter hides a second one, whatever each server takes for the end of a letter (S-045).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.errors import MailError
from postern.wire.login import Login
from postern.wire.smtp import RecipientsRefused, SendResult, SmtpAuth, send
from tests.servers import dovecot, exim, opensmtpd, postfix
from tests.servers.postfix import LATER

MARTA, ELENA, NOBODY = "marta@example.test", "elena@example.test", "nobody-here@example.test"
LIMIT = 300_000
HEAD = b"From: marta@example.test\r\nTo: elena@example.test\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"


def letter(body: bytes = b"Hello.\r\n", subject: bytes = b"hello") -> bytes:
    return HEAD + b"Message-ID: <%x@example.test>\r\nSubject: %b\r\n\r\n%b" % (time.time_ns(), subject, body)


@dataclass
class Server:
    """A running server as these tests meet it. `offers` are the extensions that make a difference."""

    port: int
    offers: frozenset[str]
    received: Callable[[str], list[bytes]]


def _postfix(stack: ExitStack) -> Server:
    imap = stack.enter_context(dovecot.Dovecot())
    running = stack.enter_context(postfix.Postfix(imap, size_limit=LIMIT))
    return Server(running.plain_port, frozenset({"8bitmime", "smtputf8"}), lambda user: imap.letters(user))


def _exim(stack: ExitStack, **how: bool) -> Server:
    running = stack.enter_context(exim.Exim(size_limit=LIMIT, **how))
    offers = {"8bitmime"} if how.get("eight_bit", True) else set()
    offers |= {"smtputf8"} if how.get("utf8", True) else set()
    return Server(running.port, frozenset(offers), running.received)


def _opensmtpd(stack: ExitStack) -> Server:
    running = stack.enter_context(opensmtpd.OpenSmtpd(size_limit=LIMIT))
    return Server(running.port, frozenset({"8bitmime"}), running.received)


SERVERS: dict[str, tuple[Callable[[], str], Callable[[ExitStack], Server]]] = {
    "postfix": (lambda: postfix.available() or dovecot.available(), _postfix),
    "exim": (exim.available, _exim),
    "exim-of-old": (exim.available, lambda stack: _exim(stack, eight_bit=False, utf8=False)),
    "opensmtpd": (opensmtpd.available, _opensmtpd),
}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    available, make = SERVERS[request.param]
    if reason := available():
        pytest.skip(reason)
    with ExitStack() as stack:
        yield make(stack)


def deliver(server: Server, raw: bytes, *recipients: str, sender: str = MARTA, **how: Any) -> SendResult:
    endpoint = Endpoint("127.0.0.1", server.port, Security.NONE)
    allowed = Policy(frozenset({"127.0.0.1"}))
    wanted = recipients or (ELENA,)
    return asyncio.run(
        send(endpoint, allowed, None, SmtpAuth.NONE, sender=sender, recipients=wanted, raw=raw, **how)
    )


def refusal(server: Server, raw: bytes, *recipients: str, **how: Any) -> MailError:
    with pytest.raises(MailError) as caught:
        deliver(server, raw, *recipients, **how)
    return caught.value


def newest(server: Server, count: int, user: str = ELENA) -> bytes:
    """The last of the letters in a box, once there are so many."""
    deadline = time.monotonic() + 20
    while len(found := server.received(user)) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} letters"
        time.sleep(0.1)
    return found[-1]


@pytest.mark.rule("R-048")
@pytest.mark.parametrize(
    "body",
    [b"Hello.\r\n", b".\r\n..\r\n.x\r\n\r\n", b"y" * 900 + b"\r\n" + b"z\r\n" * 20_000],
    ids=["plain", "dots", "long"],
)
def test_the_bytes_arrive(server: Server, body: bytes) -> None:
    before = len(server.received(ELENA))
    deliver(server, letter(body))
    kept = newest(server, before + 1).replace(b"\r\n", b"\n")
    assert kept.split(b"\n\n", 1)[1] == body.replace(b"\r\n", b"\n")


ENDS = (b"\r\n", b"\n", b"\r")
SMUGGLED = b"MAIL FROM:<elena@example.test>\r\nRCPT TO:<marta@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\ntwo\r\n.\r\n"


@pytest.mark.rule("S-045")
@pytest.mark.parametrize("dots", [b".", b".."], ids=["dot", "two-dots"])
def test_s045_a_letter_with_every_false_ending_is_one_letter_and_byte_for_byte(
    server: Server, dots: bytes
) -> None:
    """Nine line ends around the dot; each server has its own mind about eight of them (CVE-2023-51764 to 51766)."""
    before = {user: len(server.received(user)) for user in (MARTA, ELENA)}
    bodies = [b"one" + first + dots + last + SMUGGLED for first in ENDS for last in ENDS]
    for number, body in enumerate(bodies, 1):
        deliver(server, letter(body, b"ending %d" % number))
    deliver(server, letter(subject=b"the last"))
    newest(server, before[ELENA] + len(bodies) + 1)
    kept = {_subject(raw): raw for raw in server.received(ELENA)[before[ELENA] :]}
    assert len(kept) == len(bodies) + 1 == len(server.received(ELENA)) - before[ELENA]
    for number, body in enumerate(bodies, 1):
        found = kept[b"ending %d" % number].replace(b"\r\n", b"\n")
        assert found.split(b"\n\n", 1)[1] == re.sub(rb"\r\n|\r", b"\n", body), body
    assert len(server.received(MARTA)) == before[MARTA]


def _subject(raw: bytes) -> bytes:
    found = re.search(rb"^Subject: (.*?)\r?$", raw, re.M)
    assert found is not None
    return found[1]


@pytest.mark.rule("R-048")
def test_eight_bits_are_carried_or_refused_before_the_upload(server: Server) -> None:
    raw = letter("Schöne Grüße\r\n".encode())
    before = len(server.received(ELENA))
    if "8bitmime" in server.offers:
        deliver(server, raw)
        assert "Schöne Grüße".encode() in newest(server, before + 1)
    else:
        error = refusal(server, raw)
        assert not error.temporary and "8-bit" in error.message
        assert len(server.received(ELENA)) == before


@pytest.mark.rule("R-048")
def test_international_addresses_are_carried_or_refused_before_the_upload(server: Server) -> None:
    before = len(server.received(ELENA))
    if "smtputf8" in server.offers:
        deliver(server, letter(), sender="grüße@example.test")
        newest(server, before + 1)
    else:
        error = refusal(server, letter(), sender="grüße@example.test")
        assert not error.temporary and "international" in error.message
        assert len(server.received(ELENA)) == before


@pytest.mark.rule("R-048")
def test_what_is_too_large_is_said_before_the_upload(server: Server) -> None:
    error = refusal(server, letter(b"x" * 78 + b"\r\n" + b"y" * 70 + b"\r\n" * LIMIT))
    assert (error.code, error.temporary) == ("too_large", False)
    assert "0.3 MB" in error.message


@pytest.mark.rule("R-044")
def test_an_unknown_name_is_refused_for_good(server: Server) -> None:
    error = refusal(server, letter(), NOBODY)
    assert isinstance(error, RecipientsRefused)
    (refused,) = error.refused
    assert refused.address == NOBODY and refused.code in (524, 550) and not refused.temporary
    assert refused.text


@pytest.mark.rule("R-043")
def test_a_busy_mailbox_is_for_later(server: Server) -> None:
    error = refusal(server, letter(), LATER)
    assert isinstance(error, RecipientsRefused) and error.temporary
    assert error.refused[0].code in (450, 451)


@pytest.mark.rule("R-046")
def test_one_of_three_is_refused(server: Server) -> None:
    before = [len(server.received(user)) for user in (MARTA, ELENA)]
    result = deliver(server, letter(), MARTA, NOBODY, ELENA)
    assert result.accepted == (MARTA, ELENA)
    assert [one.address for one in result.refused] == [NOBODY]
    newest(server, before[0] + 1, MARTA)
    newest(server, before[1] + 1, ELENA)


@pytest.mark.rule("R-043")
@pytest.mark.skipif(bool(exim.available()), reason=exim.available() or "-")
def test_exims_full_mailbox_is_for_later_and_its_sign_in_works(monkeypatch: pytest.MonkeyPatch) -> None:
    with exim.Exim() as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.authority.cert_file))

        def to(recipient: str, password: str) -> SendResult:
            return asyncio.run(
                send(
                    Endpoint("localhost", running.port, Security.STARTTLS),
                    Policy(frozenset({"localhost"})),
                    Login(MARTA, password),
                    SmtpAuth.AUTO,
                    sender=MARTA,
                    recipients=[recipient],
                    raw=letter(),
                )
            )

        secret = running.passwords[MARTA]
        assert to(ELENA, secret).accepted == (ELENA,)
        with pytest.raises(RecipientsRefused) as full:
            to(exim.FULL, secret)
        assert full.value.temporary and full.value.refused[0].code == 452
        with pytest.raises(MailError) as wrong:
            to(ELENA, "not this one")
        assert wrong.value.code == "password_rejected"
