"""The IMAP conversation on a live connection: asyncio moves the bytes, nothing here knows a command.

Bytes are parsed only when somebody asks for an event, so a slow reader slows the server down: above
``HIGH_WATER`` unread bytes the socket is no longer read (back-pressure by TCP).
"""

import asyncio
import socket
import threading
from dataclasses import dataclass
from typing import cast

from postern.wire import errors
from postern.wire.imap.commands import Command
from postern.wire.imap.framing import Limits
from postern.wire.imap.protocol import Protocol
from postern.wire.imap.responses import Event

SCRATCH = 256 * 1024
HIGH_WATER = 1 << 20
# A promised literal may take its time, but not for ever: what is slower than this is a stalled server.
SLOWEST_BYTES_PER_SECOND = 4096

_scratches = threading.local()


def _scratch() -> memoryview:
    """One receive buffer per thread, that is per event loop: an idle connection holds none."""
    if not hasattr(_scratches, "view"):
        _scratches.view = memoryview(bytearray(SCRATCH))
    return cast(memoryview, _scratches.view)


@dataclass(frozen=True)
class Deadline:
    """When patience ends (in the loop's time) and the words to say so."""

    at: float
    seconds: float
    what: str

    @classmethod
    def after(cls, seconds: float, what: str) -> "Deadline":
        """``seconds`` from now."""
        return cls(asyncio.get_running_loop().time() + seconds, seconds, what)


class Link(asyncio.BufferedProtocol):
    """One connection. Reading and writing raise ``MailError``; after one the link must be aborted."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.protocol = Protocol(limits)
        self.transport: asyncio.Transport | None = None
        self.lost = False
        self._paused = False
        self._fresh = False
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._full = False

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection stands."""
        self.transport = cast(asyncio.Transport, transport)
        _keep_alive(transport.get_extra_info("socket"))

    def get_buffer(self, sizehint: int) -> memoryview:
        """asyncio: where to put bytes."""
        return _scratch()

    def buffer_updated(self, nbytes: int) -> None:
        """asyncio: bytes have come."""
        self.protocol.receive(_scratch()[:nbytes])
        self._fresh = True
        if self.protocol.buffered > HIGH_WATER:
            self._pause()
        self._tell(self._news)

    def eof_received(self) -> None:
        """asyncio: the server will send nothing more."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is gone."""
        self._end()

    def pause_writing(self) -> None:
        """asyncio: the send buffer is full."""
        self._full = True

    def resume_writing(self) -> None:
        """asyncio: the send buffer has room."""
        self._full = False
        self._tell(self._room)

    # What a session calls.

    async def event(self, deadline: Deadline) -> Event:
        """The next event. Raises timeout, connection_lost or what the protocol raises."""
        found = await self.event_until(deadline)
        if found is None:
            raise errors.timed_out(deadline.what, deadline.seconds)
        return found

    async def event_until(self, deadline: Deadline) -> Event | None:
        """The next event, or None when the deadline passes first."""
        while True:
            self._fresh = False
            found = self.protocol.next_event()
            await self._flush(deadline)
            if found is not None:
                return found
            if self.lost:
                raise errors.connection_lost(deadline.what)
            if self._fresh:  # more came while we were sending
                continue
            self._resume()
            self._news = asyncio.get_running_loop().create_future()
            try:
                await self._wait(self._news, deadline.at + self.protocol.announced / SLOWEST_BYTES_PER_SECOND)
            except TimeoutError:
                return None

    async def start(self, command: Command, deadline: Deadline) -> None:
        """Send a command, or as much of it as may go before the server asks for its literals."""
        if self.lost:
            raise errors.connection_lost(deadline.what)
        self.protocol.start(command)
        await self._flush(deadline)

    async def done(self, deadline: Deadline) -> None:
        """End IDLE."""
        self.protocol.done()
        await self._flush(deadline)

    def hold(self) -> bool:
        """Read no more; True when nothing is left unread. Before STARTTLS hands the socket over (S-035)."""
        self._pause()
        return self.protocol.buffered == 0

    def secured(self, transport: asyncio.Transport) -> None:
        """From now on ``transport``, the encrypted one, carries the conversation."""
        self.transport = transport
        self._paused = False

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self.transport is not None:
            self.transport.abort()
        self._end()

    async def _flush(self, deadline: Deadline) -> None:
        assert self.transport is not None
        for piece in self.protocol.outgoing():
            self.transport.write(piece)
            if self._full and not self.lost:
                self._room = asyncio.get_running_loop().create_future()
                try:
                    await self._wait(self._room, deadline.at + len(piece) / SLOWEST_BYTES_PER_SECOND)
                except TimeoutError:
                    raise errors.timed_out(deadline.what, deadline.seconds) from None

    @staticmethod
    async def _wait(future: asyncio.Future[None], until: float) -> None:
        async with asyncio.timeout_at(until):
            await future

    @staticmethod
    def _tell(waiting: asyncio.Future[None] | None) -> None:
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _pause(self) -> None:
        if not self._paused and self.transport is not None and not self.lost:
            self._paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and self.transport is not None and not self.lost:
            self._paused = False
            self.transport.resume_reading()

    def _end(self) -> None:
        self.lost = True
        self._tell(self._news)
        self._tell(self._room)


def _keep_alive(sock: socket.socket | None) -> None:
    """A peer that vanished without a word is noticed within five minutes, also during IDLE (R-028)."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 5)):
        if hasattr(socket, option):  # macOS names the first one differently
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
