"""A mail server that plays a script on loopback and remembers every byte it was sent."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.errors import MailError
from postern.wire.imap import Login, Session, open_session
from postern.wire.imap.framing import Limits

GREETING = b"* OK [CAPABILITY IMAP4rev1] ready\r\n"
LOGIN = Login("anna", "pass-word-1")


@dataclass
class Wire:
    """The server's end of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    seen: bytearray = field(default_factory=bytearray)
    tag: bytes = b""

    async def say(self, *lines: bytes) -> None:
        """Send; ``TAG`` stands for the tag of the last command."""
        self.writer.write(b"".join(line.replace(b"TAG", self.tag) for line in lines))
        await self.writer.drain()

    async def hear(self, word: bytes = b"") -> bytes:
        """The next line, without its tag; it must begin with ``word``."""
        line = await self.reader.readline()
        self.seen += line
        if not line:
            raise EOFError
        self.tag, _, rest = line.rstrip(b"\r\n").partition(b" ")
        assert rest.upper().startswith(word), rest
        return rest

    async def untagged(self) -> bytes:
        """The next line, which has no tag."""
        line = await self.reader.readline()
        self.seen += line
        if not line:
            raise EOFError
        return line.rstrip(b"\r\n")

    async def take(self, count: int) -> bytes:
        """Exactly so many bytes."""
        data = await self.reader.readexactly(count)
        self.seen += data
        return data

    async def sign_in(self, capabilities: bytes = b"IMAP4rev1 IDLE") -> None:
        """Greet and let the client in."""
        await self.say(GREETING)
        await self.hear(b"LOGIN")
        await self.say(b"TAG OK [CAPABILITY " + capabilities + b"] in\r\n")

    async def select(self, exists: int = 3) -> None:
        """Answer SELECT or EXAMINE."""
        await self.hear()
        await self.say(b"* %d EXISTS\r\n* OK [UIDVALIDITY 7] .\r\nTAG OK [READ-WRITE] open\r\n" % exists)

    async def rest(self) -> None:
        """Listen until the client goes."""
        while data := await self.reader.read(65536):
            self.seen += data


Script = Callable[[Wire], Awaitable[None]]
Work = Callable[[Session], Awaitable[None]]


def transcript(text: str) -> Script:
    """A conversation as RFCs write it, a line for each line; what has another beginning is a remark.

    ``S:`` is said by the server, each character one byte; TAG stands for the tag of the last command, and
    a written \\r\\n begins another line in the same breath.
    ``C:`` must be heard, without its tag; a line that ends in … may go on. ``C>`` is a line that has no tag.
    ``S!`` ends the connection.
    """

    async def script(wire: Wire) -> None:
        for line in text.split("\n"):
            kind, _, words = line.strip().partition(" ")
            wanted = words.encode("latin-1" if kind == "S:" else "utf-8")
            if kind == "S:":
                await wire.say(wanted.replace(rb"\r\n", b"\r\n") + b"\r\n")
            elif kind == "S!":
                wire.writer.close()
            elif kind in ("C:", "C>"):
                heard = await (wire.hear() if kind == "C:" else wire.untagged())
                begin = wanted.removesuffix("…".encode())
                assert heard == wanted or (begin != wanted and heard.startswith(begin)), (heard, wanted)

    return script


def signed_in(capabilities: str = "IMAP4rev1 IDLE", greeting: str = "ready") -> str:
    """The beginning of a transcript: greeting and sign-in."""
    return f"""
        S: * OK [CAPABILITY IMAP4rev1] {greeting}
        C: LOGIN…
        S: TAG OK [CAPABILITY {capabilities}] in
    """


OPEN = """
        C: SELECT INBOX…
        S: * 3 EXISTS
        S: * OK [UIDVALIDITY 7] .
        S: * OK [UIDNEXT 10] .
        S: TAG OK [READ-WRITE] open
"""


def asked(capabilities: bytes, *talk: tuple[bytes, bytes]) -> Script:
    """After the sign-in: (what must be heard, what is said before OK, or the whole answer if it has TAG)."""

    async def script(wire: Wire) -> None:
        await wire.sign_in(b"IMAP4rev1 " + capabilities)
        for expected, answer in talk:
            assert await wire.hear() == expected
            await wire.say(answer if b"TAG" in answer else answer + b"TAG OK\r\n")

    return script


def says(*lines: bytes) -> Script:
    """A server that says these lines and no more."""

    async def script(wire: Wire) -> None:
        await wire.say(*lines)

    return script


async def _nothing(session: Session) -> None:
    pass


def play(
    script: Script,
    work: Work = _nothing,
    *,
    login: Login | None = LOGIN,
    security: Security = Security.NONE,
    timeout: float = 1,
    limits: Limits | None = None,
) -> bytes:
    """Run ``work`` on a session with the scripted server; the bytes the server saw after TLS or without it.

    What the client raises is raised, with the bytes seen as its attribute ``seen``.
    """
    return asyncio.run(asyncio.wait_for(_play(script, work, login, security, timeout, limits), 15))


async def _play(
    script: Script, work: Work, login: Login | None, security: Security, timeout: float, limits: Limits | None
) -> bytes:
    wires: list[Wire] = []
    failed: list[AssertionError] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        wires.append(wire)
        try:
            await script(wire)
            await wire.rest()
        except AssertionError as error:
            failed.append(error)
        except (ConnectionError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    endpoint = Endpoint("localhost", port, security, skip_validation=True)
    policy = Policy.from_setting(f"localhost:{port}", unchecked=True)
    session: Session | None = None
    try:
        session = await open_session(endpoint, policy, login, timeout=timeout, limits=limits)
        await work(session)
    except Exception as error:
        await asyncio.sleep(0.02)
        error.seen = bytes(wires[0].seen) if wires else b""  # type: ignore[attr-defined]
        raise
    finally:
        if session is not None:
            session.abort()
        await asyncio.sleep(0.02)
        server.close()
        if failed:
            raise failed[0]
    return bytes(wires[0].seen)


def refused(code: str, script: Script, work: Work | None = None, **options: object) -> MailError:
    """Play, expect a ``MailError`` with this code, and give it."""
    with pytest.raises(MailError) as caught:
        if work is None:
            play(script, **options)  # type: ignore[arg-type]
        else:
            play(script, work, **options)  # type: ignore[arg-type]
    assert caught.value.code == code, caught.value
    return caught.value


def seen(error: MailError) -> bytes:
    """The bytes the server had seen when the client raised this."""
    return error.seen  # type: ignore[attr-defined, no-any-return]
