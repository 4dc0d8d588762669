"""Letters of every size, read in pieces of every size, come out byte for byte."""

import random

import pytest

from postern.wire.imap.framing import Framer, Limits
from postern.wire.imap.responses import Fetch

SIZES = (0, 1, 900, 65_535, 65_536, 70_000, 300_000, 20, 1_048_576, 1_048_577, 1_400_000, 5, 4_000, 40_000)


def whole(response: Fetch | list[bytes]) -> bytes:
    """The letter of a response, however it was framed."""
    body = response.body if isinstance(response, Fetch) else response[1]
    return bytes(getattr(body, "raw", body) or b"")


@pytest.mark.parametrize("scratch_size", [128 * 1024, 256 * 1024])
@pytest.mark.parametrize("most", [5_000, 66_000, 256 * 1024, 2_000_000])
def test_a_letter_larger_than_the_buffer_may_come_in_one_piece(scratch_size: int, most: int) -> None:
    chance = random.Random(most)
    bodies = [chance.randbytes(size) for size in SIZES]
    head = b'* %d FETCH (UID %d FLAGS () INTERNALDATE "23-Nov-2026 16:00:00 +0000" BODY[] {%d}\r\n'
    stream = b"".join(head % (n, n, len(body)) + body + b")\r\n" for n, body in enumerate(bodies, 1))
    framer, scratch, at, found = Framer(Limits()), bytearray(scratch_size), 0, []
    while at < len(stream):
        room = framer.room(memoryview(scratch))
        count = min(len(room), chance.randint(1, most), len(stream) - at)
        room[:count] = stream[at : at + count]
        framer.got(count, memoryview(scratch))
        at += count
        while (response := framer.next()) is not None:
            found.append(whole(response))
        framer.keep()
    assert found == bodies
