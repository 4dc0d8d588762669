"""A server that sends letters as fast as it can: plain, encrypted, compressed; and what the client holds of them."""

import asyncio
import mmap
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.imap import Login, Session, open_session
from postern.wire.imap.link import Link
from postern.wire.imap.protocol import Protocol
from postern.wire.imap.responses import Fetch
from postern.wire.imap.spool import Spool


@dataclass
class Held:
    """The most bytes that one connection held at any moment, in memory and in files.

    ``sent`` is how many letters the server could get rid of.
    """

    memory: int = 0
    files: int = 0
    compressed: int = 0
    sent: int = 0
    pauses: int = 0


@dataclass
class Flood:
    """``letters`` in one answer. ``letter(uid)`` is the text of each."""

    letters: int
    text: Callable[[int], bytes]
    compressed: bool = False
    held: Held = field(default_factory=Held)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play the server."""
        writer.transport.set_write_buffer_limits(high=1 << 16)
        # The kernel's patience is not what is measured here.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        inflate: Callable[[bytes], bytes] = bytes
        deflate: Callable[[bytes], bytes] = bytes
        writer.write(b"* OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] ready\r\n")
        waiting = b""
        try:
            while data := await reader.read(65536):
                waiting += inflate(data)
                while b"\r\n" in waiting:
                    line, _, waiting = waiting.partition(b"\r\n")
                    tag, _, words = line.partition(b" ")
                    if words.startswith(b"UID FETCH"):
                        await self._letters(writer, deflate)
                    if words.startswith(b"CAPABILITY"):
                        writer.write(b"* CAPABILITY IMAP4rev1 COMPRESS=DEFLATE\r\n")
                    if words.startswith(b"SELECT"):
                        writer.write(deflate(b"* %d EXISTS\r\n" % self.letters))
                    writer.write(deflate(tag + b" OK .\r\n"))
                    if words.startswith(b"COMPRESS"):
                        inflater, deflater = zlib.decompressobj(-15), zlib.compressobj(1, wbits=-15)
                        inflate = inflater.decompress

                        def deflate(text: bytes, to: "zlib._Compress" = deflater) -> bytes:
                            return to.compress(text) + to.flush(zlib.Z_SYNC_FLUSH)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _letters(self, writer: asyncio.StreamWriter, deflate: Callable[[bytes], bytes]) -> None:
        for uid in range(1, self.letters + 1):
            text = self.text(uid)
            letter = b"* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n" % (uid, uid, len(text), text)
            for at in range(0, len(letter), 1 << 16):
                writer.write(deflate(letter[at : at + (1 << 16)]))
                await writer.drain()
            self.held.sent = uid

    def watch(self, link: Link) -> None:
        """Measure after every arrival of bytes."""
        updated, pause = link.buffer_updated, link._pause

        def measured(count: int) -> None:
            updated(count)
            held, protocol = self.held, link.protocol
            files = sum(len(raw) for raw in _spooled(protocol))
            filling = protocol._framer._filling
            if isinstance(filling, Spool):
                files += filling.length - filling.missing
            held.files = max(held.files, files)
            held.memory = max(held.memory, protocol.queued + protocol.buffered - files)
            if link._codec is not None:
                held.compressed = max(held.compressed, len(link._codec.held))

        def counted() -> None:
            self.held.pauses += not link._paused
            pause()

        link.buffer_updated = measured  # type: ignore[method-assign]
        link._pause = counted  # type: ignore[method-assign]
        inner = getattr(link.transport, "_ssl_protocol", None)
        if inner is not None:
            inner._set_app_protocol(link)  # asyncio keeps the methods it found at the beginning


def _spooled(protocol: Protocol) -> list[mmap.mmap]:
    bodies = [event.body for event, _ in protocol._events if isinstance(event, Fetch)]
    return [body for body in bodies if isinstance(body, mmap.mmap)]


async def flooded(
    flood: Flood,
    work: Callable[[Session], Awaitable[None]],
    *,
    context: ssl.SSLContext | None = None,
) -> Held:
    """Run ``work`` on a session with the flooding server."""
    server = await asyncio.start_server(flood.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    security = Security.SSL if context else Security.NONE
    endpoint = Endpoint("localhost", port, security, skip_validation=context is not None)
    session = await open_session(
        endpoint, Policy.from_setting(f"localhost:{port}", unchecked=True), Login("anna", "secret")
    )
    try:
        if flood.compressed:
            assert await session.compress()
        await session.select("INBOX")
        flood.watch(session.connection.link)
        await work(session)
    finally:
        session.abort()
        server.close()
    return flood.held
