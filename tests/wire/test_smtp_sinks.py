"""Letters handed to other people's servers arrive byte for byte (S-045, R-048)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP as Server
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.errors import MailError
from postern.wire.login import Login
from postern.wire.smtp import SendResult, SmtpAuth, send
from tests.certs import Authority, Made

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

ANYWHERE = Policy(frozenset({"localhost", "127.0.0.1"}))
HEAD = b"From: anna@example.org\r\nTo: bert@example.net\r\nSubject: =?utf-8?q?h=C3=A4?=\r\nMessage-ID: <1@x>\r\n\r\n"
LETTERS = [
    HEAD + b"Hello.\r\n",
    HEAD,
    HEAD + b".\r\n..\r\n...\r\n.text\r\n \t\r\n\r\n\r\n",
    HEAD + "grüße 你好\r\n".encode(),
    HEAD + bytes(range(128, 256)) + b"\r\n",
    HEAD + b"".join(b"%06d %s\r\n" % (n, b"x" * 900) for n in range(3000)),
]


class Sink:
    """Keeps what it is given, and takes one password."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.mechanisms: list[str] = []

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        return "250 2.0.0 kept"

    def authenticate(
        self, server: Server, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        self.mechanisms.append(mechanism)
        good = LoginPassword("änna".encode(), "pässword".encode())
        return AuthResult(success=data == good, handled=False)


@asynccontextmanager
async def sink(made: Made | None = None, *, implicit: bool = False) -> AsyncIterator[tuple[Sink, int]]:
    handler = Sink()
    context = made.server_context() if made else None

    def serve() -> Server:
        return Server(
            handler,
            hostname="sink.example",
            enable_SMTPUTF8=True,
            data_size_limit=50_000_000,
            tls_context=None if implicit else context,
            require_starttls=made is not None and not implicit,
            authenticator=handler.authenticate if made else None,
            auth_required=made is not None,
            auth_require_tls=made is not None and not implicit,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(serve, "127.0.0.1", 0, ssl=context if implicit else None)
    try:
        yield handler, server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def deliver(
    port: int, raw: bytes, security: Security, login: Login | None = None, auth: str = "auto"
) -> SendResult:
    return await send(
        Endpoint("localhost", port, security),
        ANYWHERE,
        login,
        SmtpAuth(auth),
        sender="anna@example.org",
        recipients=["bert@example.net", "cäcilie@exämple.net"],
        raw=raw,
    )


def kept_of(raw: bytes) -> tuple[SendResult, list[Envelope]]:
    async def scenario() -> tuple[SendResult, list[Envelope]]:
        async with sink() as (handler, port):
            return await deliver(port, raw, Security.NONE), handler.envelopes

    return asyncio.run(scenario())


@pytest.mark.parametrize("raw", LETTERS, ids=["plain", "empty", "dots", "utf-8", "8-bit", "large"])
def test_a_letter_arrives_byte_for_byte(raw: bytes) -> None:
    result, envelopes = kept_of(raw)
    assert result.response == "250 2.0.0 kept"
    assert [bytes(envelope.content) for envelope in envelopes] == [raw]
    assert envelopes[0].rcpt_tos == ["bert@example.net", "cäcilie@xn--exmple-cua.net"]
    assert envelopes[0].mail_from == "anna@example.org"


@pytest.mark.parametrize("ending", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n.\n"])
def test_s045_one_letter_stays_one_letter(ending: bytes) -> None:
    raw = HEAD + b"one" + ending + b"MAIL FROM:<evil@x.org>\r\nRCPT TO:<y@z.org>\r\nDATA\r\ntwo\r\n"
    _, (envelope,) = kept_of(raw)
    kept = bytes(envelope.content)
    assert kept.replace(b"\r\n", b"").count(b"\r") == kept.replace(b"\r\n", b"").count(b"\n") == 0
    assert b"two" in kept
    assert envelope.mail_from == "anna@example.org"


@pytest.mark.parametrize("auth", ["auto", "plain", "login"])
@pytest.mark.parametrize("implicit", [True, False])
def test_encrypted_and_signed_in(authority: Authority, trusting: Path, implicit: bool, auth: str) -> None:
    security = Security.SSL if implicit else Security.STARTTLS

    async def scenario() -> Sink:
        async with sink(authority.issue("localhost"), implicit=implicit) as (handler, port):
            await deliver(port, LETTERS[-1], security, Login("änna", "pässword"), auth)
            with pytest.raises(MailError) as caught:
                await deliver(port, LETTERS[0], security, Login("änna", "wrong"), auth)
        assert caught.value.code == "password_rejected"
        return handler

    handler = asyncio.run(scenario())
    assert [bytes(envelope.content) for envelope in handler.envelopes] == [LETTERS[-1]]
    assert handler.mechanisms == [("PLAIN" if auth == "auto" else auth.upper())] * 2
