"""The letter and the ways to send it that the SMTP tests share."""

import asyncio
from typing import Any

import pytest

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.errors import MailError
from postern.wire.login import Login
from postern.wire.smtp import SendResult, SmtpAuth, send
from tests.wire.scripted_smtp import Scripted

LETTER = b"From: anna@example.org\r\nSubject: hello\r\n\r\nHello.\r\n"
ANNA = Login("anna", "s3cret")
ANYWHERE = Policy(frozenset({"127.0.0.1", "localhost"}))


async def send_to(
    port: int, *, security: Security = Security.NONE, login: Login | None = None, **how: Any
) -> SendResult:
    how = {
        "auth": SmtpAuth.AUTO if login else SmtpAuth.NONE,
        "sender": "anna@example.org",
        "recipients": ["bert@example.net"],
        "raw": LETTER,
        "timeout": 2,
        **how,
    }
    endpoint = Endpoint("localhost" if security is not Security.NONE else "127.0.0.1", port, security)
    return await send(endpoint, ANYWHERE, login, how.pop("auth"), **how)


def deliver(server: Scripted, **how: Any) -> SendResult:
    async def scenario() -> SendResult:
        async with server:
            return await send_to(server.port, **how)

    return asyncio.run(scenario())


def refusal(server: Scripted, **how: Any) -> MailError:
    with pytest.raises(MailError) as caught:
        deliver(server, **how)
    return caught.value
