"""Hand one letter to an SMTP server, or try out everything short of it.

Encryption is never opportunistic: what the endpoint says happens, or nothing does (S-033). A letter's
bytes are the caller's; nothing is added to them (R-041).
"""

import contextlib
from collections.abc import AsyncIterator, Sequence

from postern.wire import errors
from postern.wire.endpoint import Endpoint, Policy, Security, open_socket, resolve
from postern.wire.login import Login
from postern.wire.smtp.envelope import Envelope
from postern.wire.smtp.replies import RecipientsRefused, Refusal, SomeRefused
from postern.wire.smtp.session import SendResult, Session, SmtpAuth
from postern.wire.steps import OnStep, step
from postern.wire.tls import CertificateSeen

__all__ = ["RecipientsRefused", "Refusal", "SendResult", "SmtpAuth", "SomeRefused", "check", "send"]


async def send(
    endpoint: Endpoint,
    policy: Policy,
    login: Login | None,
    auth: SmtpAuth,
    *,
    sender: str,
    recipients: Sequence[str],
    raw: bytes,
    on_step: OnStep | None = None,
    timeout: float = 60,
) -> SendResult:
    """Send ``raw`` from the envelope address ``sender`` ('' for none) to every one of ``recipients``.

    ``timeout`` is in seconds for each exchange. Returns when the server took the letter for at least
    one recipient. Raises MailError: nothing was sent, unless its code is unknown_outcome, which says
    that the letter may have arrived and must not be sent again unasked. A cancelled ``send`` is
    unknown as well. ``RecipientsRefused`` carries each recipient's refusal, ``SomeRefused`` that of those
    for whom the letter was not even handed over.
    """
    if not recipients:
        raise ValueError("a letter needs a recipient")
    envelope = Envelope.of(sender, recipients, raw)
    async with _signed_in(endpoint, policy, login, auth, on_step, timeout) as session:
        with step(on_step, "accept_sender"):
            await session.offer_sender(envelope)
        with step(on_step, "send") as note:
            result = await session.deliver(envelope)
            note.detail = result.response
        return result


async def check(
    endpoint: Endpoint,
    policy: Policy,
    login: Login | None,
    auth: SmtpAuth,
    *,
    sender: str,
    on_step: OnStep | None = None,
    timeout: float = 30,
) -> CertificateSeen | None:
    """Do all of ``send`` up to the sender's acceptance and take it back; returns the certificate shown.

    Raises MailError; the step that failed has been reported to ``on_step`` by then.
    """
    envelope = Envelope.of(sender, (), b"")
    async with _signed_in(endpoint, policy, login, auth, on_step, timeout) as session:
        with step(on_step, "accept_sender"):
            await session.offer_sender(envelope)
            await session.take_back()
        return session.certificate


@contextlib.asynccontextmanager
async def _signed_in(
    endpoint: Endpoint,
    policy: Policy,
    login: Login | None,
    auth: SmtpAuth,
    on_step: OnStep | None,
    timeout: float,
) -> AsyncIterator[Session]:
    signs_in = login is not None and auth is not SmtpAuth.NONE
    if login is not None and signs_in:
        _require_clean(login)
    session = Session(endpoint, timeout)
    try:
        await _reach(session, policy, on_step)
        if login is not None and signs_in:
            with step(on_step, "sign_in") as note:
                note.detail = (await session.sign_in(login, auth)).value
        yield session
        await session.leave()
    finally:
        session.close()


async def _reach(session: Session, policy: Policy, on_step: OnStep | None) -> None:
    """Resolve, connect, secure. The greeting counts to the step in which it can first be read."""
    endpoint = session.endpoint
    at_once = endpoint.security is Security.SSL
    with step(on_step, "resolve") as note:
        resolved = await resolve(endpoint, policy, timeout=min(10, session.timeout))
        note.detail = resolved.addresses[0]
    with step(on_step, "connect"):
        sock = await open_socket(resolved, timeout=min(15, session.timeout))
        if not at_once:
            await session.connect(sock)
            await session.greet()
    with step(on_step, "secure") as note:
        if at_once:
            await session.connect(sock)
            await session.greet()
        elif endpoint.security is Security.STARTTLS:
            await session.start_tls()
        note.detail = session.certificate.tls_version if session.certificate else "not encrypted"


def _require_clean(login: Login) -> None:
    # NUL separates the fields of PLAIN, a line break ends a command; neither belongs in a password (S-051).
    for what, text in (("The user name", login.username), ("The password", login.password)):
        if any(char in text for char in "\0\r\n\x01"):
            raise errors.control_bytes(what)
