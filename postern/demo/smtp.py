"""An SMTP server in this process, on aiosmtpd: takes letters from those who sign in and hands them over."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from postern.demo.imap import LARGEST

logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd warns of its own deprecated attribute

Accept = Callable[[str, list[str], bytes], Awaitable[None]]
"""Called with envelope sender, recipients and the letter's bytes once a letter is taken."""


class Smtp:
    """Listens and checks passwords; what happens to a letter is `accept`'s matter.

    refuse: returns a whole reply such as "550 5.1.1 ..." for a recipient that cannot be taken, else ''.
    tls: offer STARTTLS, and no password before it.
    """

    def __init__(
        self,
        *,
        right_password: Callable[[str, str], bool],
        refuse: Callable[[str], str],
        accept: Accept,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._right_password = right_password
        self._handler = _Handler(refuse, accept)
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._open: set[_Protocol] = set()
        self.port = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `self.port` is the port, also when 0 let the system choose."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, host, port or self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection; start() goes on at the same port."""
        if self._server is not None:
            self._server.close()
            for protocol in list(self._open):
                if isinstance(protocol.transport, asyncio.Transport):
                    protocol.transport.abort()
            await asyncio.sleep(0)
            self._server = None

    def _protocol(self) -> _Protocol:
        return _Protocol(
            self._handler,
            hostname="mail.northlink.example",
            ident="Northlink Fibre mail",
            data_size_limit=LARGEST,
            enable_SMTPUTF8=True,
            auth_require_tls=self._tls is not None,
            tls_context=self._tls,
            require_starttls=self._tls is not None,
            authenticator=self._authenticate,
            open_connections=self._open,
        )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        right = isinstance(data, LoginPassword) and self._right_password(
            data.login.decode("utf-8", "replace"), data.password.decode("utf-8", "replace")
        )
        # handled=False lets aiosmtpd answer 535 5.7.8 itself
        return AuthResult(success=right, handled=False, auth_data=data if right else None)


class _Protocol(SMTP):
    """aiosmtpd's connection, counted so that a stop can end it."""

    def __init__(self, *arguments: Any, open_connections: set[_Protocol], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._open_connections = open_connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._open_connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._open_connections.discard(self)
        super().connection_lost(error)


class _Handler:
    """aiosmtpd's hooks. AUTH is required here: aiosmtpd's own switch warns at each connection without TLS."""

    def __init__(self, refuse: Callable[[str], str], accept: Accept) -> None:
        self._refuse = refuse
        self._accept = accept

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take the sender, from those who signed in."""
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient or say why not."""
        if refusal := self._refuse(address):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take the letter."""
        raw = envelope.content
        assert isinstance(raw, bytes)
        await self._accept(envelope.mail_from or "", list(envelope.rcpt_tos), raw)
        return "250 2.0.0 OK: accepted"
