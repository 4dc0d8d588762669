"""What became of a letter when the connection dies: never a guess (R-026, R-040)."""

import asyncio

import pytest

from postern.wire.errors import MailError
from postern.wire.smtp import line as line_module
from tests.faults import Faults, Proxy
from tests.wire.scripted_smtp import HANG_UP, SILENCE, Scripted
from tests.wire.sending import LETTER, refusal, send_to


@pytest.mark.parametrize("reply", [HANG_UP, SILENCE, b"nonsense\r\n", b"354 more\r\n"])
def test_r040_no_honest_word_after_the_final_dot(monkeypatch: pytest.MonkeyPatch, reply: bytes) -> None:
    monkeypatch.setattr(line_module, "FINAL_REPLY_SECONDS", 0.3)
    server = Scripted(replies={"DOT": reply})
    error = refusal(server, timeout=0.3)
    assert (error.code, error.temporary) == ("unknown_outcome", False)
    assert server.letters == [LETTER]


def test_r040_patience_after_the_final_dot() -> None:
    assert line_module.FINAL_REPLY_SECONDS >= 600  # RFC 5321 section 4.5.3.2.6


def test_r040_cut_after_the_final_dot_on_the_way_back() -> None:
    async def scenario() -> Scripted:
        async with Scripted() as server, Proxy(server.port, Faults(cut_when_up=b"\r\n.\r\n")) as proxy:
            with pytest.raises(MailError) as caught:
                await send_to(proxy.port)
            assert caught.value.code == "unknown_outcome"
            await asyncio.sleep(0.05)
            return server

    assert asyncio.run(scenario()).letters == [LETTER]


def test_r040_cut_in_the_middle_of_the_letter_is_known_and_harmless() -> None:
    letter = LETTER + (b"y" * 998 + b"\r\n") * 20_000

    async def scenario() -> Scripted:
        async with Scripted(offers=()) as server, Proxy(server.port, Faults(cut_up=200_000)) as proxy:
            with pytest.raises(MailError) as caught:
                await send_to(proxy.port, raw=letter)
            assert (caught.value.code, caught.value.temporary) == ("connection_lost", True)
            return server

    assert asyncio.run(scenario()).letters == []


def test_r026_cut_at_every_byte_of_the_servers_words() -> None:
    async def scenario() -> dict[int, str]:
        async with Scripted(offers=("SIZE",)) as server:
            async with Proxy(server.port) as proxy:
                await send_to(proxy.port)
                said = bytes(proxy.connections[0].down)
            before_dot = said.index(b"250 2.0.0 queued")
            outcomes = {}
            for cut in range(1, said.index(b"221")):
                async with Proxy(server.port, Faults(cut_down=cut)) as proxy:
                    try:
                        await send_to(proxy.port)
                        outcomes[cut - before_dot] = "sent"
                    except MailError as error:
                        outcomes[cut - before_dot] = error.code
            return outcomes

    outcomes = asyncio.run(scenario())
    length = len(b"250 2.0.0 queued as 42\r\n")
    for cut, outcome in outcomes.items():
        if cut <= 0:
            # At 0 the go-ahead has arrived and the cut comes with it: the letter may or may not be on its way.
            assert outcome in ("connection_lost", "unknown_outcome"), cut
            assert cut == 0 or outcome == "connection_lost", cut
        elif cut < length:
            assert outcome == "unknown_outcome", cut
        else:
            assert outcome == "sent", cut
    assert len(outcomes) > 100


def test_a_server_that_stops_reading() -> None:
    async def scenario() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 x\r\n")
            for reply in (b"250 x\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
                await reader.readline()
                writer.write(reply)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(60)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            await send_to(server.sockets[0].getsockname()[1], raw=LETTER + b"x" * 30_000_000, timeout=0.5)
        finally:
            server.close()

    with pytest.raises(MailError) as caught:
        asyncio.run(scenario())
    assert (caught.value.code, caught.value.temporary) == ("timeout", True)


def test_a_server_that_refuses_in_the_middle_of_the_letter() -> None:
    async def scenario() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 x\r\n")
            for reply in (b"250 x\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
                await reader.readline()
                writer.write(reply)
            await reader.readexactly(1000)
            writer.write(b"552 5.3.4 enough\r\n")
            await writer.drain()
            while await reader.read(65536):
                pass

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            await send_to(server.sockets[0].getsockname()[1], raw=LETTER + b"x" * 30_000_000)
        finally:
            server.close()

    with pytest.raises(MailError) as caught:
        asyncio.run(scenario())
    assert (caught.value.code, caught.value.temporary) == ("too_large", False)
