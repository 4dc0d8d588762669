"""Patience of a live connection: dead links, dripping servers, and what an encrypted connection reads into."""

import asyncio
import socket
import ssl
import time
from itertools import chain, repeat
from pathlib import Path

import pytest

from postern.wire.endpoint import Endpoint, Policy, Security, client_context
from postern.wire.errors import MailError
from postern.wire.imap import Login, Session, link, open_session
from tests.certs import Authority
from tests.wire.imap.scripted import Script, Wire, play


def test_a_dead_link_is_noticed_within_ten_minutes() -> None:
    """R-028: by TCP keep-alive, also while nothing is asked."""

    async def script(wire: Wire) -> None:
        await wire.sign_in()

    async def work(session: Session) -> None:
        transport = session.connection.link.transport
        assert transport is not None
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle, every, count = (
            sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
        )
        assert idle + every * count <= 600

    play(script, work)


def dripping_letter(pause: float, piece: int) -> Script:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.select()
        await wire.hear(b"UID FETCH")
        await wire.say(b"* 1 FETCH (UID 1 BODY[] {3000}\r\n")
        for _ in range(3000 // piece):
            await wire.say(b"x" * piece)
            await asyncio.sleep(pause)
        await wire.say(b")\r\nTAG OK .\r\n")

    return script


async def first_letter(session: Session) -> None:
    await session.select("INBOX")
    assert [len(one.raw) async for one in session.uid_fetch_bodies([1])] == [3000]


def test_a_byte_now_and_then_within_a_letter_is_a_timeout() -> None:
    """R-027: whatever the size that was promised."""
    begun = time.monotonic()
    with pytest.raises(MailError) as caught:
        play(dripping_letter(0.05, 1), first_letter, timeout=0.3)
    assert caught.value.code == "timeout"
    assert time.monotonic() - begun < 6


def test_a_slow_line_with_a_useful_pace_has_the_time_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "SLOWEST_BYTES_PER_SECOND", 200)
    play(dripping_letter(0.1, 100), first_letter, timeout=1.5)  # it ends just when patience does


def test_a_greeting_that_never_ends_is_a_timeout() -> None:
    """R-027."""

    async def script(wire: Wire) -> None:
        words = chain([b"* OK "], repeat(b"and "))
        while True:
            await wire.say(next(words))
            await asyncio.sleep(0.05)

    begun = time.monotonic()
    with pytest.raises(MailError) as caught:
        play(script, timeout=0.3)
    assert caught.value.code == "timeout"
    assert time.monotonic() - begun < 6


def test_small_talk_does_not_put_off_the_end_of_a_command() -> None:
    """R-027: answers that bring no letter give no more time."""

    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.select()
        await wire.hear(b"UID FETCH")
        while True:
            await wire.say(b"* OK still here\r\n* 1 FETCH (FLAGS ())\r\n")
            await asyncio.sleep(0.05)

    begun = time.monotonic()
    with pytest.raises(MailError) as caught:
        play(script, first_letter, timeout=0.3)
    assert caught.value.code == "timeout"
    assert time.monotonic() - begun < 6


def test_a_reader_who_takes_their_time_is_not_a_slow_server() -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.select()
        await wire.hear(b"UID FETCH")
        await wire.say(b"* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\n")
        await asyncio.sleep(0.5)
        await wire.say(b"* 2 FETCH (UID 2 BODY[] {1}\r\nb)\r\nTAG OK .\r\n")

    async def work(session: Session) -> None:
        await session.select("INBOX")
        found = []
        async for one in session.uid_fetch_bodies([1, 2]):
            found.append(one.raw)
            await asyncio.sleep(0.4)
        assert found == [b"a", b"b"]

    play(script, work, timeout=0.3)


# TLS


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
    try:
        while line := await reader.readline():
            tag, _, words = line.partition(b" ")
            if words.startswith(b"CAPABILITY"):
                writer.write(b"* CAPABILITY IMAP4rev1\r\n")
            if words.startswith(b"STATUS"):
                name = words.split(b" ")[1]
                writer.write(b"* STATUS " + name + b" (MESSAGES " + name[1:] + b")\r\n")
            writer.write(tag + b" OK .\r\n")
    except ConnectionError:
        pass
    finally:
        writer.close()


def test_many_encrypted_connections_read_into_one_buffer_and_mix_nothing_up(
    authority: Authority, trusting: Path
) -> None:
    async def run() -> None:
        context = authority.issue("localhost").server_context()
        server = await asyncio.start_server(_talk, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        endpoint, policy = (
            Endpoint("localhost", port, Security.SSL),
            Policy.from_setting(f"localhost:{port}"),
        )
        sessions = [
            await open_session(endpoint, policy, Login("anna", "secret"), timeout=20) for _ in range(20)
        ]

        async def ask(number: int, session: Session) -> None:
            for again in range(10):
                folder = f"f{number * 100 + again}"
                assert (await session.status(folder)).messages == number * 100 + again

        await asyncio.gather(*(ask(number, session) for number, session in enumerate(sessions)))
        for session in sessions:
            session.abort()
        server.close()

    asyncio.run(run())


def test_one_context_for_many_connections_but_not_for_other_trust(
    trusting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = Endpoint("a.example", 993, Security.SSL)
    other = Endpoint("b.example", 993, Security.SSL)
    pinned = Endpoint("a.example", 993, Security.SSL, skip_validation=True, pinned_sha256="0" * 64)
    assert client_context(checked) is client_context(other)
    assert client_context(checked).verify_mode is ssl.CERT_REQUIRED
    assert client_context(pinned).verify_mode is ssl.CERT_NONE
    assert client_context(checked) is not client_context(pinned)
    before = client_context(checked)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusting) + ".gone")
    assert client_context(checked) is not before
