"""Encrypting and signing in: nothing in clear that should not be, one try (S-033 to S-038, S-051, R-034)."""

import asyncio
import base64
import hmac
from pathlib import Path

import pytest

from postern.wire.endpoint import Security
from postern.wire.errors import MailError
from postern.wire.login import Login
from postern.wire.smtp import SmtpAuth
from postern.wire.smtp import session as session_module
from tests.canary import leaks
from tests.certs import Authority
from tests.faults import Faults, Proxy
from tests.wire.scripted_smtp import HANG_UP, Scripted
from tests.wire.sending import ANNA, LETTER, deliver, refusal, send_to


def test_starttls_then_everything_else(authority: Authority, trusting: Path) -> None:
    made = authority.issue("localhost")
    server = Scripted(starttls=made.server_context())
    result = deliver(server, security=Security.STARTTLS, login=ANNA)
    assert server.lines == ["EHLO [127.0.0.1]", "STARTTLS"]
    assert [line.split(" ")[0] for line in server.secured_lines[:3]] == ["EHLO", "AUTH", "MAIL"]
    assert result.certificate is not None
    assert result.certificate.sha256 == made.sha256


def test_implicit_tls(authority: Authority, trusting: Path) -> None:
    server = Scripted(implicit_tls=authority.issue("localhost").server_context())
    result = deliver(server, security=Security.SSL, login=ANNA)
    assert result.certificate is not None
    assert server.letters == [LETTER]


@pytest.mark.parametrize(
    ("reply", "code", "temporary"),
    [
        (b"502 5.5.1 not here\r\n", "starttls_missing", False),
        (b"454 4.7.0 TLS not available\r\n", "server_busy", True),
        (HANG_UP, "connection_lost", True),
        (b"220 go\r\n250 injected\r\n", "starttls_missing", False),
        (b"220 go\r\nx", "starttls_missing", False),
    ],
)
def test_s033_s035_starttls_refused_or_injected(
    authority: Authority, trusting: Path, reply: bytes, code: str, temporary: bool
) -> None:
    server = Scripted(replies={"STARTTLS": reply}, starttls=authority.issue("localhost").server_context())
    error = refusal(server, security=Security.STARTTLS, login=ANNA)
    assert (error.code, error.temporary) == (code, temporary)
    assert server.lines == ["EHLO [127.0.0.1]", "STARTTLS"]
    assert server.secured_lines == []


def test_s033_starttls_not_offered() -> None:
    server = Scripted()
    error = refusal(server, security=Security.STARTTLS, login=ANNA)
    assert (error.code, error.temporary) == ("starttls_missing", False)
    assert server.lines == ["EHLO [127.0.0.1]"]


def test_s035_injected_by_somebody_in_between(authority: Authority, trusting: Path) -> None:
    async def scenario() -> str:
        server = Scripted(starttls=authority.issue("localhost").server_context())
        faults = Faults(inject_down=(b"220 go\r\n", b"250-test\r\n250 AUTH PLAIN\r\n"))
        async with server, Proxy(server.port, faults) as proxy:
            with pytest.raises(MailError) as caught:
                await send_to(proxy.port, security=Security.STARTTLS, login=ANNA)
        assert server.secured_lines == []
        return caught.value.code

    assert asyncio.run(scenario()) == "starttls_missing"


def test_s037_what_was_offered_before_encryption_is_forgotten(authority: Authority, trusting: Path) -> None:
    server = Scripted(
        offers=("AUTH PLAIN", "SIZE 10"),
        offers_secured=("8BITMIME",),
        starttls=authority.issue("localhost").server_context(),
    )
    error = refusal(server, security=Security.STARTTLS, login=ANNA)
    assert error.code == "server_refused"
    assert "does not offer a sign-in" in error.message


def test_a_bad_certificate_after_starttls(authority: Authority, trusting: Path) -> None:
    server = Scripted(starttls=authority.issue("localhost", self_signed=True).server_context())
    error = refusal(server, security=Security.STARTTLS, login=ANNA)
    assert error.code == "certificate_invalid"
    assert "self-signed" in error.message
    assert server.secured_lines == []


# Signing in.


def plain(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("offer", "auth", "expected"),
    [
        ("PLAIN LOGIN", SmtpAuth.AUTO, "AUTH PLAIN"),
        ("LOGIN", SmtpAuth.AUTO, "AUTH LOGIN"),
        ("CRAM-MD5 PLAIN", SmtpAuth.AUTO, "AUTH CRAM-MD5"),  # without encryption; see choose_auth
        ("PLAIN LOGIN CRAM-MD5", SmtpAuth.LOGIN, "AUTH LOGIN"),
        ("PLAIN XOAUTH2", SmtpAuth.XOAUTH2, "AUTH XOAUTH2"),
    ],
)
def test_the_sign_in_the_server_offers(offer: str, auth: SmtpAuth, expected: str) -> None:
    challenge = b"334 " + base64.b64encode(b"<1@x>") + b"\r\n"
    replies = {"AUTH CRAM-MD5": challenge, f"AUTH LOGIN {plain('änna')}": b"334 UGFzc3dvcmQ6\r\n"}
    digest = hmac.new("pässword".encode(), b"<1@x>", "md5").hexdigest()
    for answer in (plain("pässword"), plain(f"änna {digest}")):
        replies[answer] = b"235 2.7.0 welcome\r\n"
    server = Scripted(replies=replies, offers=(f"AUTH {offer}",))
    deliver(server, login=Login("änna", "pässword"), auth=auth)
    assert server.lines[1].startswith(expected)
    if expected == "AUTH PLAIN":
        assert server.lines[1] == f"AUTH PLAIN {plain(chr(0) + 'änna' + chr(0) + 'pässword')}"


def test_encrypted_the_simplest_sign_in_comes_first() -> None:
    offered = ["cram-md5", "login", "plain"]
    assert session_module.choose_auth(SmtpAuth.AUTO, offered, encrypted=True) is SmtpAuth.PLAIN
    assert session_module.choose_auth(SmtpAuth.AUTO, offered, encrypted=False) is SmtpAuth.CRAM_MD5


@pytest.mark.parametrize(
    ("offers", "auth"),
    [((), SmtpAuth.AUTO), (("AUTH XOAUTH2",), SmtpAuth.AUTO), (("AUTH PLAIN",), SmtpAuth.CRAM_MD5)],
)
def test_a_sign_in_the_server_does_not_offer(offers: tuple[str, ...], auth: SmtpAuth) -> None:
    server = Scripted(offers=offers)
    error = refusal(server, login=ANNA, auth=auth)
    assert (error.code, error.temporary) == ("server_refused", False)
    assert server.verbs == ["EHLO"]


def test_r034_a_rejected_password_is_tried_once() -> None:
    server = Scripted(replies={"AUTH": b"535 5.7.8 no\r\n"})
    assert refusal(server, login=ANNA).code == "password_rejected"
    assert server.verbs.count("AUTH") == 1


@pytest.mark.parametrize("login", [Login("an\0na", "x"), Login("anna", "a\r\nRSET"), Login("anna", "a\nb")])
def test_s051_a_login_with_control_bytes_is_not_sent(login: Login) -> None:
    server = Scripted()
    assert refusal(server, login=login).code == "control_bytes"
    assert server.connections == 0


@pytest.mark.parametrize("password", ['a"b\\c', "päss wörd", "'; DROP", "{3+}"])
def test_s051_a_difficult_password_works(password: str) -> None:
    server = Scripted(offers=("AUTH PLAIN",))
    deliver(server, login=Login("anna", password))
    assert server.lines[1] == "AUTH PLAIN " + plain(f"\0anna\0{password}")


@pytest.mark.rule("S-094")
@pytest.mark.parametrize(
    ("auth", "said"),
    [
        (SmtpAuth.PLAIN, plain("\0anna\0s3cret-of-anna")),
        (SmtpAuth.XOAUTH2, plain("user=anna\1auth=Bearer s3cret-of-anna\1\1")),
        (SmtpAuth.LOGIN, plain("s3cret-of-anna")),
    ],
)
@pytest.mark.parametrize(
    "echo", ['"AUTH X {}": unrecognized', "<{}>", "{}", "cut short: {:.40}", "in clear: s3cret-of-anna"]
)
def test_s094_a_server_that_repeats_a_sign_in_is_not_quoted_with_it(
    auth: SmtpAuth, said: str, echo: str
) -> None:
    reply = f"535 5.7.8 not {echo.format(said)} I say\r\n".encode()
    server = Scripted(replies={"AUTH": reply})
    if auth is SmtpAuth.LOGIN:
        server = Scripted(replies={"AUTH": b"334 UGFzc3dvcmQ6\r\n", said: reply})
    error = refusal(server, login=Login("anna", "s3cret-of-anna"), auth=auth)
    assert error.code in ("password_rejected", "token_rejected") and "not" in error.server_text
    assert "…" in error.server_text and "I say" in error.server_text
    assert not leaks("s3cret-of-anna", f"{error!r} {vars(error)} {error.__cause__!r}", "anna")
    assert said[:24] not in error.server_text


def test_s094_what_is_no_secret_stays_as_the_server_said_it() -> None:
    words = "5.7.8 Error: authentication failed: UGFzc3dvcmQ6 Username+Password/Token AbCd1234EfGh5678"
    assert Login("anna", "s3cret").hidden_in(words) == words
    assert Login("anna", "no").hidden_in("no such user") == "no such user"
