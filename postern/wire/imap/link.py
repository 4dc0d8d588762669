"""The IMAP conversation on a live connection: asyncio moves the bytes, nothing here knows a command.

Bytes are read into events as they come. When those that nobody has asked for cost more than ``HIGH_WATER``
the socket is not read any more, and the server must wait (back-pressure by TCP) until a slow reader has
come down to ``LOW_WATER``. So one connection holds ``HIGH_WATER``, one literal that lies in memory and one
scratch buffer at most, whatever a letter's size.
"""

import asyncio
import socket
import threading
from dataclasses import dataclass
from typing import cast

from postern.wire import errors
from postern.wire.errors import MailError
from postern.wire.imap.commands import Command
from postern.wire.imap.compress import Codec
from postern.wire.imap.framing import Limits
from postern.wire.imap.protocol import Protocol
from postern.wire.imap.responses import Event

SCRATCH = 256 * 1024
HIGH_WATER = 1 << 20
LOW_WATER = HIGH_WATER // 2
TOGETHER = 64 * 1024
# A literal on its way may take its time, but not for ever: what is slower than this is a stalled server.
SLOWEST_BYTES_PER_SECOND = 4096

_scratches = threading.local()


def _scratch() -> memoryview:
    """One receive buffer per thread, that is per event loop: an idle connection holds none.

    asyncio asks for a buffer, fills it and tells of it without anything in between.
    """
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
        self.received = 0
        self._paused = False
        self._news: asyncio.Future[bool] | None = None
        self._room: asyncio.Future[bool] | None = None
        self._full = False
        self._codec: Codec | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection stands."""
        self.transport = cast(asyncio.Transport, transport)
        _keep_alive(transport.get_extra_info("socket"))

    def get_buffer(self, sizehint: int) -> memoryview:
        """asyncio: where to put bytes."""
        scratch = _scratch()
        return scratch if self._codec is not None else self.protocol.room(scratch)

    def buffer_updated(self, nbytes: int) -> None:
        """asyncio: bytes have come."""
        self.received += nbytes
        scratch = _scratch()
        try:
            if self._codec is not None:
                self._codec.take(scratch[:nbytes])
                self._inflate()
            else:
                self.protocol.got(nbytes, scratch)
        except MailError as error:
            self.protocol.fail(error)
        if self.protocol.queued > HIGH_WATER or self.protocol.stopped or self.protocol.failed:
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
        """The next event, or None when the deadline passes first.

        While a literal is on its way the deadline is put off, as long as it comes at a useful pace.
        """
        until, since, mark = deadline.at, asyncio.get_running_loop().time(), self.received
        within = bool(self.protocol.announced)
        while True:
            await self._flush(deadline)
            if (found := self.take()) is not None:
                return found
            if self.lost:
                raise errors.connection_lost(deadline.what)
            self._resume()
            if self.protocol.queued or self.protocol.failed:
                continue
            self._news = asyncio.get_running_loop().create_future()
            if await self._wait(self._news, until):
                continue
            now = asyncio.get_running_loop().time()
            slow = self.received - mark < SLOWEST_BYTES_PER_SECOND * (now - since)
            # Its last byte may have come just now; then the end of the line has as long again.
            if slow or not (self.protocol.announced or within):
                return None
            until, since, mark = now + deadline.seconds, now, self.received
            within = bool(self.protocol.announced)

    def take(self) -> Event | None:
        """The next event if it is here already; None says to wait for it. Raises what the protocol raises."""
        found = self.protocol.next_event()
        if self._paused and self.protocol.queued < LOW_WATER:
            self._resume()
        return found

    async def start(self, command: Command, deadline: Deadline, *, beside: bool = False) -> str:
        """Send a command, or as much of it as may go before the server asks for its literals; its tag.

        ``beside``: others that are under way may go on.
        """
        if self.lost:
            raise errors.connection_lost(deadline.what)
        tag = self.protocol.start(command, beside=beside)
        await self._flush(deadline)
        return tag

    async def answer(self, words: bytes, deadline: Deadline) -> None:
        """Answer what AUTHENTICATE was asked for."""
        self.protocol.answer(words)
        await self._flush(deadline)

    async def done(self, deadline: Deadline) -> None:
        """End IDLE."""
        self.protocol.done()
        await self._flush(deadline)

    def hold(self) -> bool:
        """Read no more; True when nothing is left unread. Before STARTTLS hands the socket over (S-035)."""
        self._pause()
        return self.protocol.buffered == 0 and self.protocol.queued == 0

    def secured(self, transport: asyncio.Transport) -> None:
        """From now on ``transport``, the encrypted one, carries the conversation."""
        self.transport = transport
        self._paused = False
        self.protocol.proceed()

    def compressed(self, codec: Codec) -> None:
        """From now on every byte goes through ``codec``, those already here first (RFC 4978)."""
        self._codec = codec
        self.protocol.proceed()
        codec.take(memoryview(self.protocol.surplus()))

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self.transport is not None:
            self.transport.abort()
        self._end()

    async def _flush(self, deadline: Deadline) -> None:
        assert self.transport is not None
        for piece in _together(self.protocol.outgoing()):
            self.transport.write(piece if self._codec is None else self._codec.deflate(piece))
            if self._full and not self.lost:
                self._room = asyncio.get_running_loop().create_future()
                if not await self._wait(self._room, deadline.at + len(piece) / SLOWEST_BYTES_PER_SECOND):
                    raise errors.timed_out(deadline.what, deadline.seconds)

    @staticmethod
    async def _wait(future: asyncio.Future[bool], until: float) -> bool:
        """True when told before ``until``. A timer of our own: ``asyncio.timeout`` costs several times more."""
        timer = asyncio.get_running_loop().call_at(until, Link._tell, future, False)
        try:
            return await future
        finally:
            timer.cancel()

    @staticmethod
    def _tell(waiting: asyncio.Future[bool] | None, came: bool = True) -> None:
        if waiting is not None and not waiting.done():
            waiting.set_result(came)

    def _pause(self) -> None:
        if not self._paused and self.transport is not None and not self.lost:
            self._paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        """Read on: first what the codec still holds, then, if there is room left, from the socket."""
        if self._codec is not None:
            self._inflate()
        if (
            self._paused
            and self.transport is not None
            and not (self.lost or self.protocol.failed or self.protocol.stopped)
            and self.protocol.queued < LOW_WATER
        ):
            self._paused = False
            self.transport.resume_reading()

    def _inflate(self) -> None:
        """Read what the codec holds, no more of it than there is room for."""
        assert self._codec is not None
        try:
            while self._hungry() and (piece := self._codec.inflate()):
                self.protocol.receive(piece)
        except MailError as error:
            self.protocol.fail(error)

    def _hungry(self) -> bool:
        return self.protocol.queued < HIGH_WATER and not self.protocol.failed

    def _end(self) -> None:
        self.lost = True
        self.protocol.discard()
        self._tell(self._news)
        self._tell(self._room)


def _together(pieces: list[bytes]) -> list[bytes]:
    """Words that go out at once go in one segment, and under TLS in one record."""
    return [b"".join(pieces)] if len(pieces) > 1 and sum(map(len, pieces)) < TOGETHER else pieces


def _keep_alive(sock: socket.socket | None) -> None:
    """A peer that vanished without a word is noticed within five minutes, also during IDLE (R-028)."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 5)):
        if hasattr(socket, option):  # macOS names the first one differently
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
