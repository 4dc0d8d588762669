"""Sign in by the best way that server and secret have in common, and learn what the server is and can do."""

import asyncio
import binascii
from base64 import b64encode

from postern.wire import sasl
from postern.wire.endpoint import Endpoint, Policy, Security, check_target
from postern.wire.errors import MailError
from postern.wire.imap import commands
from postern.wire.imap.commands import command
from postern.wire.imap.connection import Connection, Exchange
from postern.wire.imap.grammar import ProtocolError
from postern.wire.imap.quirks import quirks_of
from postern.wire.imap.responses import Continuation, Other, names
from postern.wire.login import Login
from postern.wire.sasl import Mechanism, ScramSha256

# Turned on where offered: changes told with their deaths, and names and headers in plain UTF-8.
ENABLED = ("QRESYNC", "UTF8=ACCEPT")


async def sign_in(
    connection: Connection, endpoint: Endpoint, policy: Policy, login: Login, greeting: str
) -> frozenset[str]:
    """Sign in; the names of the quirks that hold for this server. Raises ``MailError``."""
    if not connection.capabilities:
        await connection.do(command("CAPABILITY"))
    offered = connection.capabilities
    before = quirks_of(capabilities=offered, greeting=greeting, host=endpoint.host)
    ways = _ways(offered, endpoint, policy, login, before)
    connection.learn(frozenset())  # they differ after the sign-in
    try:
        await _first_that_fits(connection, ways, login, offered)
    except MailError as error:
        error.server_text = login.hidden_in(error.server_text)
        raise error from None
    if not connection.capabilities:
        await connection.do(command("CAPABILITY"))
    about = await _introduce(connection, send="ID" in connection.capabilities or "id_before_select" in before)
    quirks = quirks_of(
        capabilities=connection.capabilities, greeting=f"{greeting} {about}", host=endpoint.host
    )
    if "signed_in_not_connected" in quirks:
        await connection.do(command("NAMESPACE"))
    await _enable(connection)
    return quirks


def _ways(
    offered: frozenset[str], endpoint: Endpoint, policy: Policy, login: Login, quirks: frozenset[str]
) -> list[Mechanism]:
    """The mechanisms to try, the command LOGIN among them. Raises server_refused when there is none."""
    told = {name[5:] for name in offered if name.startswith("AUTH=")}
    if "LOGINDISABLED" not in offered:
        told.add("LOGIN")
        if "shared_mailbox_by_login" in quirks and "\\" in login.username:
            told = {"LOGIN"}
    # Asked again although connecting asked already: the secret is about to leave (S-040).
    allowed = check_target(endpoint, policy)[1]
    encrypted = endpoint.security is not Security.NONE
    ways = sasl.ways_in(told, login, encrypted=encrypted, clear_allowed=allowed)
    if ways:
        return ways
    what = "an access token" if login.token else "a user name and a password"
    there = ", ".join(sorted(name[5:] for name in offered if name.startswith("AUTH=")))
    raise MailError(
        "server_refused",
        f"The server lets nobody sign in with {what} here.",
        f"It offers: {there}." if there else "Choose SSL/TLS or STARTTLS.",
        temporary=False,
    )


async def _first_that_fits(
    connection: Connection, ways: list[Mechanism], login: Login, offered: frozenset[str]
) -> None:
    """One try with the secret, whatever comes of it (R-034).

    A refusal of SCRAM before the password was used says only that the server keeps none that fits SCRAM:
    Dovecot offers it for every user, whatever the form in which it keeps their passwords.
    """
    for number, way in enumerate(ways, 1):
        if way.name == "LOGIN" and "LOGINDISABLED" not in offered:
            refused = await _run(connection, commands.login(login.username, login.password), None)
        else:
            initial = way.initial if "SASL-IR" in offered else None
            refused = await _run(connection, commands.authenticate(way.name, initial), way)
        if refused is None:
            return
        unused = isinstance(way, ScramSha256) and not way.tried
        if number == len(ways) or refused.temporary or not unused:
            raise way.refused(refused)


async def _run(connection: Connection, sent: commands.Command, way: Mechanism | None) -> MailError | None:
    """One try: the server's refusal, None when we are in. Raises what else goes wrong, a false OK above all."""
    exchange = connection.exchange(sent)
    try:
        async with exchange:
            if way is None:
                await exchange.end()
            else:
                await _answer_all(exchange, way, said=len(sent.parts) > 2)
    except MailError as error:
        if exchange.line is None:
            raise
        return error
    assert exchange.line is not None
    if exchange.line.code == "CAPABILITY":
        connection.learn(names(exchange.line.arguments))
    if way is not None:
        way.accepted()
    return None


async def _answer_all(exchange: Exchange, way: Mechanism, *, said: bool) -> None:
    """Answer every challenge; ``said``: what we say first is in the command already."""
    while (event := await exchange.next()) is not None:
        if not isinstance(event, Continuation):
            continue
        if said or way.initial is None:
            answer = await _answer(way, _decoded(event.text, way.name))
        else:
            answer, said = way.initial, True
        # A star asks for the refusal that belongs to what was explained (RFC 3501 section 6.2.2).
        await exchange.answer(b"*" if answer is None else b64encode(answer))


async def _answer(way: Mechanism, challenge: bytes) -> bytes | None:
    if isinstance(way, ScramSha256):  # up to a second of arithmetic, with which others need not wait
        return await asyncio.to_thread(way.answer, challenge)
    return way.answer(challenge)


def _decoded(text: bytes, mechanism: str) -> bytes:
    """A challenge. Some servers forget to encode what is only words; arithmetic needs the right bytes."""
    if text in (b"", b"="):
        return b""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        if mechanism in ("CRAM-MD5", "SCRAM-SHA-256"):
            raise ProtocolError("a question in the sign-in cannot be read") from None
        return text


async def _enable(connection: Connection) -> None:
    """Turn on what must be turned on before it helps (RFC 5161); a server that refuses is used without."""
    wanted = [name for name in ENABLED if name in connection.capabilities]
    if "UTF8=ONLY" in connection.capabilities and "UTF8=ACCEPT" not in wanted:
        wanted.append("UTF8=ACCEPT")
    if not wanted or "ENABLE" not in connection.capabilities:
        return
    try:
        await connection.do(command("ENABLE", *(name.encode() for name in wanted)))
    except MailError as error:
        if connection.closed or error.temporary:
            raise


async def _introduce(connection: Connection, *, send: bool) -> str:
    """Say who we are, as Gmail and NetEase ask for; what the server says of itself."""
    if not send:
        return ""
    try:
        events = await connection.do(commands.identify({"name": "Postern"}))
    except MailError as error:
        if connection.closed:
            raise
        return error.server_text
    return " ".join(
        event.raw.decode("ascii", "replace")
        for event in events
        if isinstance(event, Other) and event.kind == "ID"
    )
