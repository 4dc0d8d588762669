"""Headers of letters whose rest stays on the server, as literal conversations (R-022)."""

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import HEADER_BYTES, Session
from tests.wire.imap.scripted import Script, Wire, play

ASKED = b"(UID BODY.PEEK[HEADER]<0.262144>)"
HEADER = b"Subject: Plans\r\nFrom: a@b.example\r\n\r\n"


def answering(*said: bytes, sent: bytes = b"3:5") -> Script:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        assert await wire.hear() == b"UID FETCH " + sent + b" " + ASKED
        await wire.say(*said)

    return script


def literal(words: bytes, data: bytes) -> bytes:
    return words + b" {%d}\r\n" % len(data) + data


def test_headers_come_by_uid() -> None:
    async def work(session: Session) -> None:
        assert await session.uid_fetch_beginnings([5, 3, 4]) == {3: HEADER, 4: b"", 5: b"Subject: x"}
        assert not session.closed

    play(
        answering(
            literal(b"* 1 FETCH (UID 3 BODY[HEADER]<0>", HEADER) + b")\r\n",
            b'* 2 FETCH (UID 4 BODY[HEADER] "")\r\n',
            b'* 3 FETCH (BODY[HEADER]<0> "Subject: x" UID 5)\r\n',
            b"TAG OK\r\n",
        ),
        work,
    )


def test_what_was_not_asked_for_or_is_not_there_is_missing() -> None:
    async def work(session: Session) -> None:
        assert await session.uid_fetch_beginnings([3, 4, 5]) == {3: HEADER}

    play(
        answering(
            b"* 2 FETCH (UID 4 BODY[HEADER]<0> NIL)\r\n",
            b"* 9 FETCH (UID 9 BODY[HEADER]<0> strange)\r\n",
            b"* 3 FETCH (UID 5 FLAGS ())\r\n",
            literal(b"* 1 FETCH (UID 3 BODY[HEADER]<0>", HEADER) + b")\r\n",
            literal(b"* 1 FETCH (UID 3 BODY[HEADER]<0>", b"twice") + b")\r\n",
            b"* 4 FETCH (UID 5 BODY[HEADER]<7> later)\r\n",
            b"TAG OK\r\n",
        ),
        work,
    )


@pytest.mark.parametrize("size", [HEADER_BYTES + 1, 2 << 20], ids=["in memory", "in a file"])
def test_a_server_that_sends_more_than_was_asked_is_cut(size: int) -> None:
    async def work(session: Session) -> None:
        found = await session.uid_fetch_beginnings([3])
        assert found == {3: b"x" * HEADER_BYTES}

    play(
        answering(literal(b"* 1 FETCH (UID 3 BODY[HEADER]<0>", b"x" * size) + b")\r\nTAG OK\r\n", sent=b"3"),
        work,
    )


def test_many_are_asked_for_twenty_at_a_time() -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        for some in (b"1:20", b"21:25"):
            assert await wire.hear() == b"UID FETCH " + some + b" " + ASKED
            await wire.say(b"* 1 FETCH (UID 20 BODY[HEADER]<0> a)\r\nTAG OK\r\n")

    async def work(session: Session) -> None:
        assert await session.uid_fetch_beginnings(list(range(1, 26))) == {20: b"a"}

    play(script, work)


def test_a_refusal_leaves_the_connection_usable() -> None:
    async def script(wire: Wire) -> None:
        await answering(b"TAG NO [UNAVAILABLE] later\r\n", sent=b"3")(wire)
        await wire.hear(b"NOOP")
        await wire.say(b"TAG OK\r\n")

    async def work(session: Session) -> None:
        with pytest.raises(MailError) as caught:
            await session.uid_fetch_beginnings([3])
        assert caught.value.code == "server_busy"
        await session.noop()

    play(script, work)
