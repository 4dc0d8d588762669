"""An encrypted connection for asyncio: OpenSSL reads the socket itself, straight into its protocol's buffer.

asyncio's own way and uvloop's carry every byte through two memory buffers and keep some 8 KB more for each
connection that waits (docs/decisions/0012). Works on either loop: it needs nothing but `add_reader` and `add_writer`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any

# OpenSSL takes a piece whole or not at all: one record at a time, so that a full socket costs one to repeat.
_RECORD = 16 * 1024
HIGH_WATER = 64 * 1024
_WANTED = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class EncryptedTransport(asyncio.Transport):
    """Carries a protocol over a socket whose handshake is done. Made by ``encrypt``."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: ssl.SSLSocket, protocol: asyncio.BaseProtocol
    ) -> None:
        super().__init__()
        self._loop = loop
        self._sock = sock
        self._backlog: deque[bytes] = deque()
        self._waiting = 0  # bytes in the backlog
        self._paused = False
        self._full = False  # the protocol was told to write no more
        self._closing = False
        self._over = False
        self.set_protocol(protocol)
        self.set_write_buffer_limits()
        loop.add_reader(sock, self._readable)

    # What a protocol asks of its transport.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``socket`` and ``ssl_object`` are the encrypted socket, ``peername`` is the other side's address."""
        if name in ("socket", "ssl_object"):
            return self._sock
        if name == "peername":
            with contextlib.suppress(OSError):
                return self._sock.getpeername()
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """From now on ``protocol`` is told of what comes."""
        self._protocol = protocol
        self._buffered = protocol if isinstance(protocol, asyncio.BufferedProtocol) else None

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is told of what comes."""
        return self._protocol

    def is_closing(self) -> bool:
        """True from ``close`` on."""
        return self._closing

    def is_reading(self) -> bool:
        """False while the other side has to wait."""
        return not (self._paused or self._closing)

    def pause_reading(self) -> None:
        """Read no more; the other side will have to wait."""
        if self.is_reading():
            self._paused = True
            self._loop.remove_reader(self._sock)

    def resume_reading(self) -> None:
        """Read on, first what OpenSSL holds already, of which no socket will tell."""
        if self._paused and not self._closing:
            self._paused = False
            self._loop.add_reader(self._sock, self._readable)
            self._loop.call_soon(self._readable)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """From how many waiting bytes on the protocol is to write no more, and down to which it may again."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set both, in bytes; without `low` a quarter of `high`."""
        self._high = HIGH_WATER if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        """Bytes that are waiting for the socket."""
        return self._waiting

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, or keep until the socket has room."""
        if self._closing or not data:
            return
        whole = bytes(data)
        idle = not self._backlog
        self._backlog.extend(whole[at : at + _RECORD] for at in range(0, len(whole), _RECORD))
        self._waiting += len(whole)
        if idle:
            self._writable()
        if self._waiting > self._high and not self._full:
            self._full = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        """False: encrypted connections have no half that ends alone."""
        return False

    def close(self) -> None:
        """Send what is waiting, then end."""
        if not self._closing:
            self._closing = True
            self._loop.remove_reader(self._sock)
            if not self._backlog:
                self._end(None)

    def abort(self) -> None:
        """End at once."""
        self._end(None)

    # What the loop tells.

    def _readable(self) -> None:
        if self._paused or self._closing:
            return
        try:
            dry = self._take() if self._buffered is None else self._fill(self._buffered)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:  # a change of keys waits for room to answer
            self._loop.add_writer(self._sock, self._writable)
            return
        except Exception as error:
            if not isinstance(error, OSError):
                self._loop.call_exception_handler({"message": "reading failed", "exception": error})
            self._end(error)
            return
        if not dry:  # OpenSSL may hold the rest of a record, of which no socket will tell
            self._loop.call_soon(self._readable)

    def _take(self) -> bool:
        """Hand over what comes next; True at the end."""
        data = self._sock.recv(_RECORD)
        if data:
            self._protocol.data_received(data)  # type: ignore[attr-defined]
        else:
            self._ended()
        return not data

    def _fill(self, protocol: asyncio.BufferedProtocol) -> bool:
        """Fill the protocol's buffer with as many records as have come; True when that was all."""
        room = memoryview(protocol.get_buffer(-1))
        recv_into, size, filled = self._sock.recv_into, len(room), 0
        try:
            while filled < size:
                count = recv_into(room[filled:] if filled else room)
                if not count:
                    break
                filled += count
        except ssl.SSLWantReadError:
            count = -1
        except OSError:  # what came before the line was cut still counts
            if filled:
                protocol.buffer_updated(filled)
            raise
        if filled:
            protocol.buffer_updated(filled)
        if count == 0:
            self._ended()
        return count <= 0

    def _ended(self) -> None:
        """The other side said that it is done; no protocol of ours goes on speaking then."""
        with contextlib.suppress(AttributeError):
            self._protocol.eof_received()  # type: ignore[attr-defined]
        self._end(None)

    def _writable(self) -> None:
        try:
            while self._backlog:
                self._sock.send(self._backlog[0])
                self._waiting -= len(self._backlog.popleft())
        except _WANTED:
            self._loop.add_writer(self._sock, self._writable)
            return
        except (OSError, ValueError) as error:
            self._end(error)
            return
        self._loop.remove_writer(self._sock)
        if self._closing:
            self._end(None)
            return
        if self._full and self._waiting <= self._low:
            self._full = False
            self._protocol.resume_writing()

    def _end(self, error: Exception | None) -> None:
        if self._over:
            return
        self._over = self._closing = True
        self._backlog.clear()
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        if error is None:  # says goodbye where there is room for it, and waits for no answer
            with contextlib.suppress(OSError, ValueError):
                self._sock.unwrap()
        self._loop.call_soon(self._lost, error)

    def _lost(self, error: Exception | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._sock.close()


async def encrypt(
    sock: socket.socket,
    context: ssl.SSLContext,
    server_hostname: str,
    protocol: asyncio.BaseProtocol,
    judge: Callable[[ssl.SSLSocket], object],
) -> EncryptedTransport:
    """Shake hands over a connected non-blocking socket and put ``protocol`` on it; takes the socket over.

    ``judge`` looks at the certificate and raises what it does not like, before a byte of the protocol moves.
    The protocol's ``connection_made`` is left to the caller. Raises ``ssl.SSLError`` or ``OSError``; then the
    socket is closed.
    """
    loop = asyncio.get_running_loop()
    try:
        secured = context.wrap_socket(
            sock, server_hostname=server_hostname, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
    except BaseException:
        sock.close()
        raise
    try:
        await _shake_hands(loop, secured)
        judge(secured)
    except BaseException:
        secured.close()
        raise
    return EncryptedTransport(loop, secured, protocol)


async def _shake_hands(loop: asyncio.AbstractEventLoop, sock: ssl.SSLSocket) -> None:
    while True:
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            await _told(loop.add_reader, loop.remove_reader, sock)
        except ssl.SSLWantWriteError:
            await _told(loop.add_writer, loop.remove_writer, sock)
        else:
            return


async def _told(add: Callable[..., Any], remove: Callable[..., Any], sock: ssl.SSLSocket) -> None:
    """Wait until the loop tells of the socket."""
    ready = asyncio.get_running_loop().create_future()
    add(sock, _note, ready)
    try:
        await ready
    finally:
        remove(sock)


def _note(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
