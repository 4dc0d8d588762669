"""A TCP proxy that misbehaves on purpose: cut after byte k, delay, drip, drop, inject.

    async with Proxy(port, Faults(cut_down=120)) as proxy:
        ...connect to proxy.host, proxy.port...

"Down" is from the server to the client, "up" from the client to the server.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Faults:
    """What goes wrong. Byte counts are per connection and direction; None means never."""

    cut_down: int | None = None  # pass this many bytes from the server, then reset the connection
    cut_up: int | None = None  # pass this many bytes from the client, then reset the connection
    drop_down_after: int | None = None  # from this byte on swallow what the server says; stay connected
    drop_up_after: int | None = None
    delay: float = 0.0  # seconds before each piece, in both directions
    drip: int = 0  # pass at most this many bytes at a time (0: as they come)
    drip_pause: float = 0.0  # seconds between drips
    inject_down: tuple[bytes, bytes] = (b"", b"")  # (after this text, say this as well), in one segment
    cut_when_up: bytes = b""  # reset when the client has sent this text (which is still passed on)
    polite: bool = False  # end with FIN instead of RST
    keep_first: int = 0  # the first so many connections are left alone


@dataclass
class Seen:
    """What passed, per connection."""

    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)


class _Cut(Exception):
    """The planned end of a connection."""


class Proxy:
    """Listens on a loopback port and passes connections to ``target_port`` on ``target_host``."""

    def __init__(
        self, target_port: int, faults: Faults | None = None, target_host: str = "127.0.0.1"
    ) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.faults = faults or Faults()
        self.connections: list[Seen] = []
        self._target = (target_host, target_port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._pass_on(reader, writer)
        except (OSError, _Cut, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = Seen()
        self.connections.append(seen)
        plan = Faults() if len(self.connections) <= self.faults.keep_first else self.faults
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            raise
        up = _pump(reader, server_writer, seen.up, plan, plan.cut_up, plan.drop_up_after, _cutter(plan, seen))
        down = _pump(
            server_reader, writer, seen.down, plan, plan.cut_down, plan.drop_down_after, _injector(plan)
        )
        pumps = [asyncio.create_task(up), asyncio.create_task(down)]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
            for pump in pumps:
                pump.result() if pump.done() else None
        except (OSError, _Cut):
            if not plan.polite:
                _reset(writer)
                _reset(server_writer)
            raise
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for each in (writer, server_writer):
                with contextlib.suppress(OSError, RuntimeError):
                    each.close()


class Between:
    """A Proxy in a thread of its own, for tests that are not asynchronous.

    with Between(port) as proxy:
        proxy.faults = Faults(cut_down=120)       # for the connections from now on
    """

    def __init__(self, target_port: int, faults: Faults | None = None) -> None:
        self._proxy = Proxy(target_port, faults)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="proxy")

    def __enter__(self) -> "Between":
        self._thread.start()
        self._run(self._proxy.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._proxy.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._proxy.port

    @property
    def faults(self) -> Faults:
        """What goes wrong with the next connection."""
        return self._proxy.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._proxy.faults = faults

    @property
    def connections(self) -> list[Seen]:
        """What passed so far."""
        return self._proxy.connections

    def _run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(20)


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    seen: bytearray,
    plan: Faults,
    cut: int | None,
    drop_after: int | None,
    change: Callable[[bytes], tuple[bytes, bool]],
) -> None:
    while data := await reader.read(65536):
        data, last = change(data)
        for piece in _pieces(data, plan.drip):
            if plan.delay or plan.drip_pause:
                await asyncio.sleep(plan.delay + plan.drip_pause)
            allowed = piece if cut is None else piece[: max(0, cut - len(seen))]
            seen += allowed
            if drop_after is None or len(seen) <= drop_after:
                writer.write(allowed)
                await writer.drain()
            if cut is not None and len(seen) >= cut:
                raise _Cut
        if last:
            raise _Cut
    if writer.can_write_eof():
        writer.write_eof()


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)] if size else [data]


def _cutter(plan: Faults, seen: Seen) -> Callable[[bytes], tuple[bytes, bool]]:
    def change(data: bytes) -> tuple[bytes, bool]:
        return data, bool(plan.cut_when_up) and plan.cut_when_up in bytes(seen.up[-4096:]) + data

    return change


def _injector(plan: Faults) -> Callable[[bytes], tuple[bytes, bool]]:
    after, extra = plan.inject_down

    def change(data: bytes) -> tuple[bytes, bool]:
        return (data.replace(after, after + extra) if after else data), False

    return change


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, so that the other side learns of it at once and nothing lingers."""
    with contextlib.suppress(OSError, AttributeError):
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()
