"""COMPRESS=DEFLATE (RFC 4978): begun at the right byte, cut anywhere, and no way to fill our memory with it."""

import time
import zlib

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Session, compress
from postern.wire.imap.compress import FREE_BYTES, Codec
from tests.wire.imap.scripted import Script, Wire, play


def squeeze(*texts: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return b"".join(deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH) for text in texts)


def spoken(*answers: bytes, ahead: bytes = b"", step: int = 0) -> Script:
    """Agree to compress; then one compressed answer for each compressed command."""

    async def script(wire: Wire) -> None:
        await wire.sign_in(b"IMAP4rev1 COMPRESS=DEFLATE")
        assert await wire.hear() == b"COMPRESS DEFLATE"
        inflater, deflater = zlib.decompressobj(-15), zlib.compressobj(wbits=-15)
        first = deflater.compress(ahead) + deflater.flush(zlib.Z_SYNC_FLUSH) if ahead else b""
        await wire.say(b"TAG OK go\r\n" + first)
        for answer in answers:
            line = b""
            while not line.endswith(b"\r\n"):
                line += inflater.decompress(await wire.take(1))
            tag = line.split(b" ")[0]
            said = deflater.compress(answer.replace(b"TAG", tag)) + deflater.flush(zlib.Z_SYNC_FLUSH)
            for at in range(0, len(said), step or len(said)):
                wire.writer.write(said[at : at + (step or len(said))])
                await wire.writer.drain()

    return script


@pytest.mark.parametrize("step", [0, 1, 3])
def test_everything_behind_the_ok_is_compressed(step: int) -> None:
    letter = b"* 1 FETCH (UID 1 BODY[] {5}\r\nhello)\r\nTAG OK done\r\n"

    async def work(session: Session) -> None:
        assert await session.compress() is True
        await session.noop()
        assert [one.raw async for one in session.uid_fetch_bodies([1])] == [b"hello"]
        assert session.connection.exists == 8

    seen = play(spoken(b"* 8 EXISTS\r\nTAG OK\r\n", letter, step=step), work)
    assert b"NOOP" not in seen
    assert b"UID FETCH" not in seen


def test_compressed_bytes_in_the_same_segment_as_the_ok() -> None:
    async def work(session: Session) -> None:
        assert await session.compress()
        await session.noop()
        assert session.connection.exists == 9

    play(spoken(b"TAG OK\r\n", ahead=b"* 9 EXISTS\r\n"), work)


@pytest.mark.parametrize("answer", [b"TAG NO [COMPRESSIONACTIVE] already\r\n", b"TAG BAD what\r\n"])
def test_refused_compression_leaves_the_session_as_it_was(answer: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in(b"IMAP4rev1 COMPRESS=DEFLATE")
        await wire.hear(b"COMPRESS")
        await wire.say(answer)
        await wire.hear(b"NOOP")
        await wire.say(b"TAG OK\r\n")

    async def work(session: Session) -> None:
        assert await session.compress() is False
        await session.noop()

    play(script, work)


def test_it_is_off_unless_asked_for_and_not_asked_where_not_offered() -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in(b"IMAP4rev1")
        await wire.hear(b"NOOP")
        await wire.say(b"TAG OK\r\n")

    async def work(session: Session) -> None:
        assert await session.compress() is False
        await session.noop()

    assert b"COMPRESS" not in play(script, work)


def test_bytes_that_are_no_compressed_data_and_its_end() -> None:
    async def work(session: Session) -> None:
        await session.compress()
        with pytest.raises(MailError) as caught:
            await session.noop()
        assert caught.value.code == "protocol_error"
        assert session.closed or session.connection.link.protocol.failed

    for rubbish in (b"\xff" * 50, b"\x07* OK in clear\r\n", zlib.compress(b"x")):

        async def script(wire: Wire, said: bytes = rubbish) -> None:
            await wire.sign_in(b"IMAP4rev1 COMPRESS=DEFLATE")
            await wire.hear(b"COMPRESS")
            await wire.say(b"TAG OK go\r\n")
            await wire.take(1)
            await wire.say(said)

        play(script, work)
    with pytest.raises(MailError):
        codec = Codec()
        ended = zlib.compressobj(wbits=-15)
        codec.take(memoryview(ended.compress(b"* OK\r\n") + ended.flush()))
        codec.inflate()


@pytest.mark.parametrize(
    "inside",
    [b"* 1 FETCH (UID 1 BODY[] {200000000}\r\n", b"", b"* SEARCH ", b"* 1 FETCH (UID 1 FLAGS ("],
    ids=["letter", "line", "long line", "flags"],
)
def test_a_bomb_ends_the_connection(inside: bytes) -> None:
    """S-114: 100 MB in 100 kB; little time, little memory, one clear error."""
    deflater = zlib.compressobj(6, wbits=-15)
    bomb = deflater.compress(inside) + b"".join(deflater.compress(b" " * (1 << 20)) for _ in range(100))
    bomb += deflater.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 120_000

    async def script(wire: Wire) -> None:
        await wire.sign_in(b"IMAP4rev1 COMPRESS=DEFLATE")
        await wire.hear(b"COMPRESS")
        await wire.say(b"TAG OK go\r\n")
        await wire.take(1)
        await wire.say(bomb)

    async def work(session: Session) -> None:
        await session.compress()
        with pytest.raises(MailError) as caught:
            async for _ in session.uid_fetch_bodies([1]):
                pass
        assert caught.value.code == "protocol_error"
        assert session.closed
        codec = session.connection.link._codec
        assert codec is not None
        assert codec.given < FREE_BYTES + (1 << 20)

    begun = time.process_time()
    play(script, work, timeout=5)
    assert time.process_time() - begun < 2


def test_ordinary_mail_is_no_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compress, "FREE_BYTES", 1 << 20)
    codec = Codec()
    deflater = zlib.compressobj(6, wbits=-15)
    line = b"All work and no play makes a dull letter, and so it goes on and on, line by line.\r\n"
    text = b"".join(b"%d %s" % (number, line) for number in range(12_000))
    while codec.given < 8 << 20:
        codec.take(memoryview(deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH)))
        while codec.inflate():
            pass
    assert codec.held == b""
