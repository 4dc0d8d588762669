"""Our own encrypted transport, on both event loops, against OpenSSL on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from postern.wire.encrypted import HIGH_WATER, EncryptedTransport, encrypt
from tests.certs import Authority

LETTER = bytes(range(256)) * 4096  # one megabyte


class Collecting(asyncio.BufferedProtocol):
    """Takes what comes into rooms of a size that the test names, and stops when it has enough."""

    def __init__(self, room: int = 1000, enough: int = 0) -> None:
        self.data = bytearray()
        self.events: list[str] = []
        self.ended = asyncio.get_running_loop().create_future()
        self.transport: EncryptedTransport | None = None
        self._scratch = memoryview(bytearray(room))
        self._enough = enough

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._scratch

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self._scratch[:nbytes]
        if self._enough and len(self.data) >= self._enough:
            assert self.transport
            self.transport.pause_reading()
            self.events.append(f"paused at {len(self.data)}")

    def pause_writing(self) -> None:
        self.events.append("full")

    def resume_writing(self) -> None:
        self.events.append("room")

    def eof_received(self) -> None:
        self.events.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")
        self.ended.set_result(exc)


Serve = Callable[[ssl.SSLSocket], None]
Play = Callable[[Serve, Callable[[int], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest, authority: Authority, trusting: Path) -> Play:
    """Run a coroutine against a server that serves one connection."""
    context = authority.issue("localhost").server_context()
    failures: list[BaseException] = []

    def run(serve: Serve, client: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        def work(listener: socket.socket) -> None:
            try:
                with (
                    listener,
                    listener.accept()[0] as sock,
                    context.wrap_socket(sock, server_side=True) as tls,
                ):
                    tls.settimeout(20)
                    serve(tls)
            except BaseException as error:
                failures.append(error)

        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=work, args=(listener,), daemon=True)
        thread.start()
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(client(listener.getsockname()[1]), 30))
        thread.join(20)
        assert failures == []

    return run


async def connected(port: int, protocol: Collecting) -> EncryptedTransport:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    sock.setblocking(False)
    context = ssl.create_default_context()
    transport = await encrypt(sock, context, "localhost", protocol, lambda secured: secured.getpeercert())
    protocol.transport = transport
    return transport


def test_every_byte_comes_in_order_whatever_the_rooms_size(play: Play) -> None:
    def serve(tls: ssl.SSLSocket) -> None:
        tls.sendall(LETTER)
        tls.unwrap()

    async def client(port: int) -> None:
        protocol = Collecting(room=777)
        await connected(port, protocol)
        assert await protocol.ended is None
        assert protocol.data == LETTER
        assert protocol.events == ["eof", "lost"]

    play(serve, client)


def test_a_paused_reader_gets_the_rest_of_a_record_when_it_reads_on(play: Play) -> None:
    """All of it lies in OpenSSL then: the socket is empty and would never tell."""
    said = threading.Event()

    def serve(tls: ssl.SSLSocket) -> None:
        tls.sendall(b"x" * 10_000)
        said.wait(20)

    async def client(port: int) -> None:
        protocol = Collecting(room=100, enough=300)
        transport = await connected(port, protocol)
        while not protocol.events:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert len(protocol.data) == 300
        assert not transport.is_reading()
        protocol._enough = 0
        transport.resume_reading()
        while len(protocol.data) < 10_000:
            await asyncio.sleep(0.01)
        said.set()
        transport.abort()
        await protocol.ended

    play(serve, client)


def test_a_slow_reader_on_the_other_side_is_waited_for(play: Play) -> None:
    begin, got = threading.Event(), bytearray()

    def serve(tls: ssl.SSLSocket) -> None:
        begin.wait(20)
        while piece := tls.recv(65536):
            got.extend(piece)

    async def client(port: int) -> None:
        protocol = Collecting()
        transport = await connected(port, protocol)
        for _ in range(8):
            transport.write(LETTER)
        assert protocol.events == ["full"]
        assert transport.get_write_buffer_size() > HIGH_WATER
        begin.set()
        transport.close()  # what was written still goes out
        assert transport.is_closing()
        transport.write(b"too late")
        assert await protocol.ended is None
        assert transport.get_write_buffer_size() == 0

    play(serve, client)
    assert got == LETTER * 8


def test_writing_goes_on_when_there_is_room_again(play: Play) -> None:
    begin, got = threading.Event(), bytearray()

    def serve(tls: ssl.SSLSocket) -> None:
        begin.wait(20)
        while len(got) < 8 * len(LETTER):
            got.extend(tls.recv(65536))
        tls.sendall(b"thanks")
        with contextlib.suppress(OSError):
            tls.recv(1)

    async def client(port: int) -> None:
        protocol = Collecting()
        transport = await connected(port, protocol)
        for _ in range(8):
            transport.write(LETTER)
        begin.set()
        while protocol.data != b"thanks":
            await asyncio.sleep(0.01)
        assert protocol.events == ["full", "room"]
        transport.abort()
        assert await protocol.ended is None

    play(serve, client)
    assert got == LETTER * 8


def test_a_line_that_is_cut_without_a_word_is_an_error(play: Play) -> None:
    def serve(tls: ssl.SSLSocket) -> None:
        tls.sendall(b"* OK half a")
        socket.socket(fileno=tls.detach()).close()

    async def client(port: int) -> None:
        protocol = Collecting()
        transport = await connected(port, protocol)
        assert isinstance(await protocol.ended, ssl.SSLEOFError | ConnectionError)
        assert protocol.data == b"* OK half a"
        assert protocol.events == ["lost"]
        transport.abort()  # again, and nothing happens
        await asyncio.sleep(0.05)
        assert protocol.events == ["lost"]

    play(serve, client)


def test_who_is_refused_by_the_judge_gets_nothing(play: Play) -> None:
    def serve(tls: ssl.SSLSocket) -> None:
        with contextlib.suppress(OSError):
            assert tls.recv(100) == b""

    async def client(port: int) -> None:
        def judge(secured: ssl.SSLSocket) -> None:
            raise ValueError("not this one")

        sock = socket.create_connection(("127.0.0.1", port))
        sock.setblocking(False)
        with pytest.raises(ValueError, match="not this one"):
            await encrypt(sock, ssl.create_default_context(), "localhost", Collecting(), judge)

    play(serve, client)
