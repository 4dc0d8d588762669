"""From a server's name to a signed-in session, step by step: resolve, connect, secure, sign in.

What a server says in clear before TLS is forgotten, and nothing secret goes out in clear unless the
operator allows that host without encryption (SECURITY.md A4).
"""

import socket

from postern.wire.endpoint import (
    Endpoint,
    Policy,
    Security,
    attach,
    check_certificate,
    open_socket,
    resolve,
    start_tls,
)
from postern.wire.errors import MailError
from postern.wire.imap.commands import command
from postern.wire.imap.connection import Connection
from postern.wire.imap.framing import Limits
from postern.wire.imap.link import Deadline, Link
from postern.wire.imap.refusals import farewell, words_of
from postern.wire.imap.responses import Line, names
from postern.wire.imap.session import Session
from postern.wire.imap.signing_in import sign_in
from postern.wire.login import Login
from postern.wire.steps import OnStep, step
from postern.wire.tls import CertificateSeen

# A server greets at once; one that says nothing mostly waits for TLS.
GREETING_SECONDS = 10.0


async def open_session(
    endpoint: Endpoint,
    policy: Policy,
    login: Login | None,
    *,
    on_step: OnStep | None = None,
    timeout: float = 30,
    limits: Limits | None = None,
) -> Session:
    """Connect, secure and sign in; without ``login`` stop before the sign-in.

    ``timeout`` is in seconds and holds for each command. Raises ``MailError``; nothing is left open then.
    """
    with step(on_step, "resolve"):
        resolved = await resolve(endpoint, policy, timeout=min(timeout, 10))
    connection: Connection | None = None
    certificate: CertificateSeen | None = None
    quirks: frozenset[str] = frozenset()
    greeting = ""
    try:
        at_once = endpoint.security is Security.SSL
        with step(on_step, "connect"):
            sock = await open_socket(resolved, timeout=min(timeout, 15))
            if not at_once:
                connection, greeting = await _greeted(sock, endpoint, limits, timeout)
        if endpoint.security is not Security.NONE:
            # The greeting counts to the step in which it can first be read.
            with step(on_step, "secure") as note:
                if at_once:
                    connection, greeting = await _greeted(sock, endpoint, limits, timeout)
                assert connection is not None
                certificate = await _secure(connection, endpoint)
                note.detail = certificate.tls_version
        assert connection is not None
        if login is not None:
            with step(on_step, "sign_in"):
                quirks = await sign_in(connection, endpoint, policy, login, greeting)
    except BaseException:
        if connection is not None:
            connection.abort()
        raise
    return Session(connection, certificate, quirks)


async def _greeted(
    sock: socket.socket, endpoint: Endpoint, limits: Limits | None, timeout: float
) -> tuple[Connection, str]:
    """Speak over a connected socket, encrypted at once for ``Security.SSL``; the connection, what greeted us."""
    _, link = await attach(sock, endpoint, lambda: Link(limits), timeout=min(timeout, 15))
    connection = Connection(link, timeout=timeout)
    try:
        return connection, await _greet(connection)
    except BaseException:
        connection.abort()
        raise


async def _greet(connection: Connection) -> str:
    patience = min(connection.timeout, GREETING_SECONDS)
    line = await connection.link.event(Deadline.after(patience, "Waiting for the server's greeting"))
    assert isinstance(line, Line)
    if line.status == "BYE":
        raise farewell(line)
    if line.status == "PREAUTH":
        # Whoever stands between us and the server could say this to keep us from STARTTLS (S-034).
        raise MailError(
            "server_refused",
            "The server says that we are signed in before we have said who we are.",
            "Postern does not use such a connection.",
            temporary=False,
            server_text=words_of(line),
        )
    if line.code == "CAPABILITY":
        connection.learn(names(line.arguments))
    return line.text


async def _secure(connection: Connection, endpoint: Endpoint) -> CertificateSeen:
    """Make sure of TLS; what the server showed for it."""
    if endpoint.security is Security.STARTTLS:
        await _start_tls(connection, endpoint)
    assert connection.link.transport is not None
    return check_certificate(connection.link.transport, endpoint)


async def _start_tls(connection: Connection, endpoint: Endpoint) -> None:
    if not connection.capabilities:
        await connection.do(command("CAPABILITY"))
    if "STARTTLS" not in connection.capabilities:
        raise _no_starttls("")
    try:
        await connection.do(command("STARTTLS"))
    except MailError as error:
        raise _no_starttls(error.server_text) if error.code == "server_refused" else error from None
    link = connection.link
    if not link.hold():
        # Bytes that came in clear behind the OK would be read as if they had come encrypted (S-035).
        raise MailError(
            "tls_failed",
            "Somebody on the way to the server mixed foreign data into the start of encryption.",
            "Use another network, or SSL/TLS on port 993.",
            temporary=False,
        )
    connection.forget()
    assert link.transport is not None
    link.secured(await start_tls(link.transport, link, endpoint, timeout=connection.timeout))


def _no_starttls(server_text: str) -> MailError:
    return MailError(
        "starttls_missing",
        "The server does not offer STARTTLS, so nothing was sent to it.",
        "Use SSL/TLS on port 993, or ask the provider.",
        temporary=False,
        server_text=server_text,
    )
