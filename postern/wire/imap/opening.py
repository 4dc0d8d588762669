"""From a server's name to a signed-in session, step by step: resolve, connect, secure, sign in.

What a server says in clear before TLS is forgotten, and nothing secret goes out in clear unless the
operator allows that host without encryption (SECURITY.md A4).
"""

from postern.wire.endpoint import Endpoint, Policy, Security, check_certificate, connect, resolve, start_tls
from postern.wire.errors import MailError
from postern.wire.imap import commands
from postern.wire.imap.commands import Command, command
from postern.wire.imap.framing import Limits
from postern.wire.imap.link import Deadline, Link
from postern.wire.imap.quirks import quirks_of
from postern.wire.imap.refusals import farewell, words_of
from postern.wire.imap.responses import Line, Other, names
from postern.wire.imap.session import Session
from postern.wire.login import Login
from postern.wire.steps import OnStep, step


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
    session: Session | None = None
    try:
        with step(on_step, "connect"):
            _, link = await connect(resolved, lambda: Link(limits), timeout=min(timeout, 15))
            session = Session(link, timeout=timeout)
            greeting = await _greet(session, link, timeout)
        if endpoint.security is not Security.NONE:
            with step(on_step, "secure") as note:
                note.detail = await _secure(session, link, endpoint, timeout)
        if login is not None:
            with step(on_step, "sign_in"):
                await _sign_in(session, endpoint, login, greeting)
    except BaseException:
        if session is not None:
            session.abort()
        raise
    return session


async def _greet(session: Session, link: Link, timeout: float) -> str:
    line = await link.event(Deadline.after(timeout, "Waiting for the server's greeting"))
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
        session.learn(names(line.arguments))
    return line.text


async def _secure(session: Session, link: Link, endpoint: Endpoint, timeout: float) -> str:
    """Make sure of TLS; the TLS version for people."""
    if endpoint.security is Security.STARTTLS:
        await _start_tls(session, link, endpoint, timeout)
    assert link.transport is not None
    session.certificate = check_certificate(link.transport, endpoint)
    return session.certificate.tls_version


async def _start_tls(session: Session, link: Link, endpoint: Endpoint, timeout: float) -> None:
    if not session.capabilities:
        await session.do(command("CAPABILITY"))
    if "STARTTLS" not in session.capabilities:
        raise _no_starttls("")
    try:
        await session.do(command("STARTTLS"))
    except MailError as error:
        raise _no_starttls(error.server_text) if error.code == "server_refused" else error from None
    if not link.hold():
        # Bytes that came in clear behind the OK would be read as if they had come encrypted (S-035).
        raise MailError(
            "tls_failed",
            "Somebody on the way to the server mixed foreign data into the start of encryption.",
            "Use another network, or SSL/TLS on port 993.",
            temporary=False,
        )
    session.learn(frozenset())
    assert link.transport is not None
    link.secured(await start_tls(link.transport, link, endpoint, timeout=timeout))


def _no_starttls(server_text: str) -> MailError:
    return MailError(
        "starttls_missing",
        "The server does not offer STARTTLS, so nothing was sent to it.",
        "Use SSL/TLS on port 993, or ask the provider.",
        temporary=False,
        server_text=server_text,
    )


async def _sign_in(session: Session, endpoint: Endpoint, login: Login, greeting: str) -> None:
    if not session.capabilities:
        await session.do(command("CAPABILITY"))
    before = quirks_of(capabilities=session.capabilities, greeting=greeting, host=endpoint.host)
    sent = _way_in(session.capabilities, login, before)
    session.learn(frozenset())  # they differ after the sign-in
    try:
        async with session.exchange(sent) as exchange:
            await exchange.end()
    except MailError as error:
        raise _without_password(error, login.password) from None
    if exchange.line is not None and exchange.line.code == "CAPABILITY":
        session.learn(names(exchange.line.arguments))
    if not session.capabilities:
        await session.do(command("CAPABILITY"))
    about = await _introduce(session, send="ID" in session.capabilities or "id_before_select" in before)
    session.quirks = quirks_of(
        capabilities=session.capabilities, greeting=f"{greeting} {about}", host=endpoint.host
    )
    if "signed_in_not_connected" in session.quirks:
        await session.do(command("NAMESPACE"))


def _way_in(capabilities: frozenset[str], login: Login, quirks: frozenset[str]) -> Command:
    shared = "shared_mailbox_by_login" in quirks and "\\" in login.username
    if "AUTH=PLAIN" in capabilities and not shared:
        return commands.authenticate_plain(login.username, login.password, initial="SASL-IR" in capabilities)
    if "LOGINDISABLED" in capabilities:
        offered = ", ".join(sorted(name[5:] for name in capabilities if name.startswith("AUTH=")))
        raise MailError(
            "server_refused",
            "The server lets nobody sign in with a user name and a password here.",
            f"It offers: {offered}." if offered else "Choose SSL/TLS or STARTTLS.",
            temporary=False,
        )
    return commands.login(login.username, login.password)


def _without_password(error: MailError, password: str) -> MailError:
    """Some servers repeat what they were sent; the password must not travel on in an error."""
    if len(password) >= 3:
        error.server_text = error.server_text.replace(password, "…")
    return error


async def _introduce(session: Session, *, send: bool) -> str:
    """Say who we are, as Gmail and NetEase ask for; what the server says of itself."""
    if not send:
        return ""
    try:
        events = await session.do(commands.identify({"name": "Postern"}))
    except MailError as error:
        if session.closed:
            raise
        return error.server_text
    return " ".join(
        event.raw.decode("ascii", "replace")
        for event in events
        if isinstance(event, Other) and event.kind == "ID"
    )
