"""An SMTP server that says what a test tells it to say, and writes down what it was told."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field

HANG_UP = b"(hang up)"
SILENCE = b"(silence)"

_OFFERS = ("SIZE 1000000", "8BITMIME", "SMTPUTF8", "AUTH PLAIN LOGIN XOAUTH2")
_USUAL = {
    "GREETING": b"220 test.example ESMTP\r\n",
    "STARTTLS": b"220 go\r\n",
    "AUTH": b"235 2.7.0 welcome\r\n",
    "MAIL": b"250 2.1.0 ok\r\n",
    "RCPT": b"250 2.1.5 ok\r\n",
    "RSET": b"250 2.0.0 ok\r\n",
    "DATA": b"354 go on\r\n",
    "DOT": b"250 2.0.0 queued as 42\r\n",
    "QUIT": b"221 bye\r\n",
}


@dataclass
class Scripted:
    """``replies`` replaces the usual replies by verb; "DOT" answers the final dot, "GREETING" the connection.

    A reply may also be given for a whole line ("RCPT TO:<b@x.org>"). ``HANG_UP`` and ``SILENCE`` are replies.
    """

    replies: dict[str, bytes] = field(default_factory=dict)
    offers: tuple[str, ...] = _OFFERS
    offers_secured: tuple[str, ...] | None = None
    starttls: ssl.SSLContext | None = None
    implicit_tls: ssl.SSLContext | None = None
    lines: list[str] = field(default_factory=list)
    secured_lines: list[str] = field(default_factory=list)
    letters: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def __aenter__(self) -> "Scripted":
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self.implicit_tls, limit=64 * 1024 * 1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def verbs(self) -> list[str]:
        return [line.split(" ")[0].upper() for line in (*self.lines, *self.secured_lines)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secured = self.implicit_tls is not None
        await self._say(writer, self._reply("GREETING"))
        while line := await reader.readline():
            text = line.decode().rstrip("\r\n")
            (self.secured_lines if secured else self.lines).append(text)
            verb = text.split(" ")[0].upper()
            reply = self._ehlo(secured) if verb == "EHLO" else self._reply(text, verb)
            await self._say(writer, reply)
            if verb == "STARTTLS" and reply.startswith(b"220") and self.starttls is not None:
                await writer.start_tls(self.starttls)
                secured = True
            elif verb == "DATA" and reply.startswith(b"354"):
                self.letters.append(await _letter(reader))
                await self._say(writer, self._reply("DOT"))
            elif verb == "QUIT":
                return

    def _ehlo(self, secured: bool) -> bytes:
        if "EHLO" in self.replies:
            return self.replies["EHLO"]
        offers = list(self.offers)
        if secured and self.offers_secured is not None:
            offers = list(self.offers_secured)
        if self.starttls is not None and not secured:
            offers.append("STARTTLS")
        lines = ["test.example", *offers]
        return "".join(f"250{'-' if line is not lines[-1] else ' '}{line}\r\n" for line in lines).encode()

    def _reply(self, *keys: str) -> bytes:
        for key in keys:
            if key in self.replies:
                return self.replies[key]
        return _USUAL.get(keys[-1], b"500 5.5.1 what?\r\n")

    async def _say(self, writer: asyncio.StreamWriter, reply: bytes) -> None:
        if reply == SILENCE:
            await asyncio.sleep(60)
        if reply == HANG_UP:
            writer.transport.abort()
            raise EOFError
        writer.write(reply)
        await writer.drain()


async def _letter(reader: asyncio.StreamReader) -> bytes:
    """What came after DATA, as it came (dots still doubled), without the final dot."""
    raw = await reader.readuntil(b"\r\n.\r\n")
    return raw.removesuffix(b".\r\n")
