"""Trying a server out, and the steps shown while it is tried."""

import asyncio
from typing import Any

import pytest

from postern.wire import endpoint as endpoint_module
from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.errors import MailError
from postern.wire.smtp import SmtpAuth, check, send
from postern.wire.steps import Step
from tests.faults import Faults, Proxy
from tests.wire.scripted_smtp import HANG_UP, Scripted
from tests.wire.sending import ANNA, ANYWHERE, LETTER, send_to


def try_out(server: Scripted, **how: Any) -> list[Step]:
    steps: list[Step] = []

    async def scenario() -> None:
        async with server:
            endpoint = Endpoint("127.0.0.1", server.port, Security.NONE)
            await check(
                endpoint,
                ANYWHERE,
                ANNA,
                SmtpAuth.AUTO,
                sender="anna@example.org",
                on_step=steps.append,
                **how,
            )

    try:
        asyncio.run(scenario())
    except MailError as error:
        assert steps[-1].error is error
    return steps


def test_check_sends_nothing_and_takes_the_sender_back() -> None:
    server = Scripted()
    steps = try_out(server)
    assert [(step.key, step.ok) for step in steps] == [
        (key, True) for key in ("resolve", "connect", "secure", "sign_in", "accept_sender")
    ]
    assert [step.detail for step in steps[:4]] == ["127.0.0.1", "", "not encrypted", "plain"]
    assert server.verbs == ["EHLO", "AUTH", "MAIL", "RSET", "QUIT"]
    assert server.letters == []


@pytest.mark.parametrize(
    ("stage", "reply", "failed"),
    [
        ("GREETING", b"554 no\r\n", "connect"),
        ("AUTH", b"535 no\r\n", "sign_in"),
        ("MAIL", b"550 no\r\n", "accept_sender"),
        ("RSET", HANG_UP, "accept_sender"),
    ],
)
def test_the_step_that_fails_is_the_last_one_told(stage: str, reply: bytes, failed: str) -> None:
    steps = try_out(Scripted(replies={stage: reply}, offers=("AUTH PLAIN",)))
    assert (steps[-1].key, steps[-1].ok) == (failed, False)
    assert all(step.ok for step in steps[:-1])


def test_the_time_of_a_step_is_its_own() -> None:
    async def scenario() -> list[Step]:
        steps: list[Step] = []
        async with Scripted() as server, Proxy(server.port, Faults(delay=0.1)) as proxy:
            await send_to(proxy.port, on_step=steps.append, timeout=10)
        return steps

    times = {step.key: step.milliseconds for step in asyncio.run(scenario())}
    assert times["resolve"] < 100
    assert 300 <= times["connect"] < 900  # greeting one way, EHLO both ways
    assert times["secure"] < 100
    assert 200 <= times["accept_sender"] < 700


def test_s023_a_forbidden_server_is_not_contacted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> tuple[str, int]:
        async with Scripted() as server:
            monkeypatch.setattr(endpoint_module, "MAIL_PORTS", {server.port})
            endpoint = Endpoint("127.0.0.1", server.port, Security.SSL)
            with pytest.raises(MailError) as caught:
                await send(
                    endpoint,
                    Policy(),
                    None,
                    SmtpAuth.NONE,
                    sender="a@x.org",
                    recipients=["b@x.org"],
                    raw=LETTER,
                )
            return caught.value.code, server.connections

    assert asyncio.run(scenario()) == ("address_refused", 0)
