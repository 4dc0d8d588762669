"""One SMTP conversation, from the greeting to the acceptance of a letter. Every method raises MailError."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import aiosmtplib
from aiosmtplib import SMTPResponse

from postern.wire import errors, tls
from postern.wire.endpoint import Endpoint, Security, attach
from postern.wire.errors import MailError
from postern.wire.login import Login
from postern.wire.sasl import token_rejected
from postern.wire.smtp.envelope import Envelope
from postern.wire.smtp.line import Line
from postern.wire.smtp.replies import (
    RecipientsRefused,
    Refusal,
    SomeRefused,
    Stage,
    quotable,
    recipient_refused,
    refused,
)
from postern.wire.tls import CertificateSeen

# S-027: a server that says nothing is not ours to talk to.
_GREETING_SECONDS = 10.0
_QUIT_SECONDS = 2.0
# RFC 5321 section 4.1.3 allows an address literal. The loopback one gives nothing of our network away.
_OUR_NAME = "[127.0.0.1]"


class SmtpAuth(StrEnum):
    """How to sign in; AUTO takes the best of what the server offers, once. XOAUTH2's password is its token."""

    AUTO = "auto"
    PLAIN = "plain"
    LOGIN = "login"
    CRAM_MD5 = "cram-md5"
    XOAUTH2 = "xoauth2"
    NONE = "none"


@dataclass(frozen=True)
class SendResult:
    """The server has the letter for ``accepted``; ``response`` is its reply to the final dot."""

    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...]
    response: str
    certificate: CertificateSeen | None = None

    @property
    def put_off(self) -> RecipientsRefused | None:
        """What the server said to those it refused for now, None where it refused nobody so."""
        for_now = tuple(refusal for refusal in self.refused if refusal.temporary)
        return RecipientsRefused(for_now) if for_now else None


class Session:
    """Steps to be taken in this order: connect, greet, start_tls where chosen, sign_in, offer_sender, deliver.

    ``timeout`` is in seconds for each exchange. To be made inside a running loop and closed in the end.
    """

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self.certificate: CertificateSeen | None = None
        self._transport: asyncio.Transport | None = None
        self._line = Line()
        # The library's client only speaks here; connecting and encrypting are ours (endpoint, tls).
        self._client = aiosmtplib.SMTP(hostname=None, local_hostname=_OUR_NAME, timeout=timeout)

    async def connect(self, sock: socket.socket) -> None:
        """Take over a connected socket, with the handshake when the endpoint is encrypted from the start."""
        transport, _ = await attach(sock, self.endpoint, lambda: self._line, timeout=self.timeout)
        self._speak_through(transport)
        if self.endpoint.security is Security.SSL:
            self.certificate = tls.check_certificate(transport, self.endpoint)

    async def greet(self) -> None:
        """Wait for the server to speak first, then ask what it offers."""
        patience = min(_GREETING_SECONDS, self.timeout)
        with _translated(Stage.GREETING, patience):
            try:
                greeting = await self._line.read_response(timeout=patience)
            except aiosmtplib.SMTPResponseException:
                raise self._not_a_mail_server() from None
        if greeting.code != 220:
            honest = 400 <= greeting.code <= 599
            raise _refused(Stage.GREETING, greeting) if honest else self._not_a_mail_server()
        await self._ehlo()

    async def start_tls(self) -> None:
        """Encrypt now, or raise: STARTTLS is never optional (S-033)."""
        if not self._client.supports_extension("starttls"):
            raise MailError(
                "starttls_missing",
                f"“{self.endpoint.host}” does not offer STARTTLS.",
                "Choose SSL/TLS with port 465. Nothing was sent without encryption.",
                temporary=False,
            )
        with _translated(Stage.STARTTLS, self.timeout):
            reply = await self._line.ask_starttls(self.timeout)
        if reply.code != 220:
            raise _refused(Stage.STARTTLS, reply)
        transport = self._transport
        if transport is None or self._line.transport is None:
            raise errors.connection_lost("encryption was to begin")
        secured = await tls.start_tls(transport, self._line, self.endpoint, timeout=self.timeout)
        self._speak_through(secured)
        self.certificate = tls.check_certificate(secured, self.endpoint)
        await self._ehlo()  # Replaces all that was said before encryption (RFC 3207 section 4.2).

    async def sign_in(self, login: Login, auth: SmtpAuth) -> SmtpAuth:
        """Try once, with one mechanism (R-034); returns which."""
        encrypted = self.endpoint.security is not Security.NONE
        offered = self._client.server_auth_methods
        chosen = choose_auth(auth, offered, encrypted=encrypted, token=login.token)
        method = {
            SmtpAuth.PLAIN: self._client.auth_plain,
            SmtpAuth.LOGIN: self._client.auth_login,
            SmtpAuth.CRAM_MD5: self._client.auth_crammd5,
            SmtpAuth.XOAUTH2: self._client.auth_xoauth2,
        }[chosen]
        try:
            with _translated(Stage.AUTH, self.timeout):
                await method(login.username, login.password)
        except MailError as error:
            error.server_text = login.hidden_in(error.server_text)
            if chosen is SmtpAuth.XOAUTH2 and error.code == "password_rejected":
                raise token_rejected(error.server_text) from None
            raise error from None  # without the reply as it was
        return chosen

    async def offer_sender(self, envelope: Envelope) -> None:
        """MAIL FROM; what the server cannot carry is refused here, before anything is uploaded (R-048)."""
        options = self._mail_options(envelope)
        with _translated(Stage.SENDER, self.timeout):
            reply = await self._client.execute_command(
                b"MAIL", b"FROM:<" + envelope.sender.encode() + b">", *options
            )
        if reply.code != 250:
            raise _refused(Stage.SENDER, reply)

    async def take_back(self) -> None:
        """RSET: the sender was only a question."""
        with _translated(Stage.SENDER, self.timeout):
            await self._client.rset()

    async def deliver(self, envelope: Envelope) -> SendResult:
        """RCPT for each recipient, then the letter for those accepted (R-046)."""
        accepted, refusals = await self._offer_recipients(envelope)
        if not accepted:
            raise RecipientsRefused(tuple(refusals))
        try:
            with _translated(Stage.DATA, self.timeout):
                reply = await self._line.send_letter(envelope.raw, self.timeout)
        except MailError as error:
            if refusals:
                raise SomeRefused(error, tuple(refusals)) from error
            raise
        response = quotable(f"{reply.code} {reply.message}")
        return SendResult(tuple(accepted), tuple(refusals), response, self.certificate)

    async def leave(self) -> None:
        """Say goodbye; what the server makes of it no longer matters."""
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await self._client.quit(timeout=_QUIT_SECONDS)

    def close(self) -> None:
        """End the connection, in whatever state it is."""
        self._client.close()
        if self._transport is not None:
            self._transport.close()

    def _speak_through(self, transport: asyncio.Transport) -> None:
        self._transport = self._line.transport = transport
        self._client.protocol, self._client.transport = self._line, transport

    async def _ehlo(self) -> None:
        with _translated(Stage.EHLO, self.timeout):
            await self._client.ehlo()

    def _mail_options(self, envelope: Envelope) -> list[bytes]:
        offers = self._client.supports_extension
        options = []
        if offers("size"):
            self._require_room(envelope.size)
            options.append(b"SIZE=%d" % envelope.size)
        if envelope.is_8bit:
            if not offers("8bitmime"):
                raise _cannot_carry("letters with 8-bit characters")
            options.append(b"BODY=8BITMIME")
        if envelope.needs_utf8:
            if not offers("smtputf8"):
                raise _cannot_carry("addresses with international characters")
            options.append(b"SMTPUTF8")
        return options

    def _require_room(self, size: int) -> None:
        limit = self._client.esmtp_extensions.get("size", "")
        if limit.isdigit() and 0 < int(limit) < size:
            raise MailError(
                "too_large",
                f"The letter has {size / 1e6:.1f} MB; the server takes at most {int(limit) / 1e6:.1f} MB.",
                "Send fewer or smaller attachments.",
                temporary=False,
            )

    async def _offer_recipients(self, envelope: Envelope) -> tuple[list[str], list[Refusal]]:
        accepted: list[str] = []
        refusals: list[Refusal] = []
        for address, wire in envelope.recipients:
            with _translated(Stage.RECIPIENTS, self.timeout):
                reply = await self._client.execute_command(b"RCPT", b"TO:<" + wire.encode() + b">")
            if reply.code in (250, 251):
                accepted.append(address)
            elif reply.code == 421 or not 400 <= reply.code <= 599:
                raise _refused(Stage.RECIPIENTS, reply)  # The conversation is over, whoever this was about.
            else:
                refusals.append(recipient_refused(address, reply.code, reply.message))
        return accepted, refusals

    def _not_a_mail_server(self) -> MailError:
        # What it said instead is not repeated: a user may have no business reading it (S-025).
        return MailError(
            "not_a_mail_server",
            f"What answers at “{self.endpoint.host}” on port {self.endpoint.port} is not an SMTP server.",
            "Check the server's name and port.",
            temporary=False,
        )


def choose_auth(
    wanted: SmtpAuth, offered: Sequence[str], *, encrypted: bool, token: bool = False
) -> SmtpAuth:
    """The mechanism to use of those offered (lower-case names). Raises server_refused when there is none.

    A token is for XOAUTH2 alone. Without encryption the one that does not show the password comes first (RFC 2195).
    """
    if wanted is not SmtpAuth.AUTO:
        if wanted.value in offered:
            return wanted
        raise _auth_missing(f"the sign-in type {wanted.value.upper()}", "Choose “automatic”.")
    if token:
        return choose_auth(SmtpAuth.XOAUTH2, offered, encrypted=encrypted)
    order = [SmtpAuth.PLAIN, SmtpAuth.LOGIN, SmtpAuth.CRAM_MD5]
    for candidate in order if encrypted else [SmtpAuth.CRAM_MD5, *order]:
        if candidate.value in offered:
            return candidate
    if SmtpAuth.XOAUTH2.value in offered:
        raise _auth_missing("signing in with a password", "Choose XOAUTH2 and enter an access token.")
    raise _auth_missing("a sign-in here", "Check port and security mode, or choose no authentication.")


def _auth_missing(what: str, advice: str) -> MailError:
    return MailError("server_refused", f"The server does not offer {what}.", advice, temporary=False)


def _cannot_carry(what: str) -> MailError:
    return MailError(
        "message_refused",
        f"The server cannot carry {what}.",
        "Nothing was sent. Another server or another spelling is needed.",
        temporary=False,
    )


def _refused(stage: Stage, reply: SMTPResponse) -> MailError:
    return refused(stage, reply.code, reply.message)


@contextlib.contextmanager
def _translated(stage: Stage, timeout: float) -> Iterator[None]:
    """The library's own errors become MailErrors; a bug of ours stays a bug (R-045)."""
    try:
        yield
    except aiosmtplib.SMTPResponseException as error:
        raise refused(stage, error.code, error.message) from None
    except TimeoutError as error:
        raise errors.timed_out(f"Waiting for the server to answer {stage}", timeout) from error
    except OSError as error:  # SMTPServerDisconnected is a ConnectionError.
        raise errors.connection_lost(f"it was to answer {stage}") from error
