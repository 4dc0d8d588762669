"""A slow reader and a fast server: what is held stays bounded, whatever comes and however it is wrapped."""

import asyncio
import random

import pytest

from postern.wire.imap import Session
from postern.wire.imap.link import HIGH_WATER, SCRATCH
from postern.wire.imap.spool import SPOOL_FROM
from tests.certs import Authority
from tests.wire.imap.flowing import Flood, flooded

# What the events cost, one scratch buffer beyond, and one literal that is received in place.
MOST = HIGH_WATER + SCRATCH + SPOOL_FROM + 64 * 1024
NOISE = random.Random(7).randbytes(1 << 20)


def noise(uid: int, size: int) -> bytes:
    """Text that hardly compresses; hexadecimal, so that no line ends in it by chance."""
    start = uid * 40_009 % (len(NOISE) - size // 2)
    return (NOISE[start : start + size // 2 + 1].hex().encode())[:size]


FLOODS = {
    "small letters": (4_000, lambda uid: noise(uid, 2_000 + uid % 50)),
    "mean letters": (600, lambda uid: noise(uid, 30_000 + uid)),
    "letters in place": (60, lambda uid: noise(uid, 300_000 + uid)),
    "letters in files": (12, lambda uid: noise(uid, 1_500_000 + uid)),
}


@pytest.mark.parametrize("wrapped", ["plain", "tls", "compressed", "both"])
@pytest.mark.parametrize("kind", FLOODS)
def test_a_slow_reader_slows_the_server_down(kind: str, wrapped: str, authority: Authority) -> None:
    """R-033: the server cannot get rid of all its letters while nobody takes them."""
    letters, text = FLOODS[kind]
    flood = Flood(letters, text, compressed=wrapped in ("compressed", "both"))
    context = authority.issue("localhost").server_context() if wrapped in ("tls", "both") else None

    async def work(session: Session) -> None:
        count = 0
        async for letter in session.uid_fetch_bodies(range(1, 201)):
            if count == 0:
                await asyncio.sleep(0.4)
                assert flood.held.sent < letters, "the server was never held up"
            assert letter.raw[:] == text(letter.uid)
            count += 1
        assert count == min(letters, 200)

    held = asyncio.run(asyncio.wait_for(flooded(flood, work, context=context), 60))
    assert held.pauses > 0
    assert held.memory <= MOST
    assert held.files <= HIGH_WATER + 3_000_000
    assert held.compressed <= SCRATCH + 64 * 1024


def test_many_small_answers_count_for_what_they_cost() -> None:
    """A line of twelve bytes costs an event of some hundred."""
    flood = Flood(0, lambda uid: b"")

    async def work(session: Session) -> None:
        link = session.connection.link
        link.protocol._most_untagged = 1 << 30
        told = 0
        for _ in range(40):
            link.protocol.receive(b"* 1 EXISTS\r\n" * 100)
            told = max(told, link.protocol.queued)
        assert told > 40 * 100 * 200

    asyncio.run(flooded(flood, work))
