"""Letters by many commands at once: which belongs to which, what a refusal or an early end leaves behind."""

import asyncio

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Session, fetching
from postern.wire.imap.fetching import ranges
from tests.wire.imap.scripted import Script, Wire, play

NONE: dict[int, int] = {}
MB = 1 << 20


@pytest.mark.parametrize(
    ("uids", "sizes", "expected"),
    [
        ([], NONE, []),
        ([5, 5, 3], NONE, [[5, 3]]),
        (
            range(450, 0, -1),
            NONE,
            [list(range(450, 250, -1)), list(range(250, 50, -1)), list(range(50, 0, -1))],
        ),
        ([1, 2, 3], {1: 5 * MB, 2: 4 * MB, 3: 4 * MB}, [[1], [2, 3]]),
        ([1, 2, 3], {2: 100 * MB}, [[1], [2], [3]]),
        ([4], {4: 2**63}, [[4]]),
    ],
)
def test_ranges(uids: list[int], sizes: dict[int, int], expected: list[list[int]]) -> None:
    assert list(ranges(uids, sizes)) == expected


def test_no_command_line_is_long() -> None:
    scattered = range(1, 2**32, 2**22)
    texts = [fetching.uid_set(some) for some in ranges(scattered, NONE)]
    assert max(map(len, texts)) < 8000 - 100
    assert sum(text.count(b",") + 1 for text in texts) == len(scattered)


def body(uid: int, text: bytes = b"") -> bytes:
    text = text or b"letter %d" % uid
    return b"* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n" % (uid, uid, len(text), text)


async def asked(wire: Wire, count: int) -> list[tuple[bytes, bytes]]:
    """The tags and sets of ``count`` commands that must all come before anything is answered."""
    found = []
    for _ in range(count):
        words = (await wire.hear(b"UID FETCH")).split(b" ")
        found.append((wire.tag, words[2]))
    return found


def fetch_script(*replies: bytes, commands: int = 3) -> Script:
    """Sign in, select, hear the commands; in the replies A, B, C stand for their tags."""

    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.select(600)
        tags = [tag for tag, _ in await asked(wire, commands)]
        for reply in replies:
            for letter, tag in zip((b"<A>", b"<B>", b"<C>"), tags, strict=False):
                reply = reply.replace(letter, tag)
            await wire.say(reply)
        if (await wire.hear()) == b"NOOP":
            await wire.say(b"TAG OK .\r\n")

    return script


async def take(session: Session, uids: range = range(1, 601)) -> list[tuple[int, bytes]]:
    await session.select("INBOX")
    return [(one.uid, one.raw[:]) async for one in session.uid_fetch_bodies(uids)]


def test_several_commands_are_under_way_and_answers_are_matched_by_uid() -> None:
    async def work(session: Session) -> None:
        assert await take(session) == [(1, b"letter 1"), (201, b"letter 201"), (401, b"letter 401")]
        await session.noop()

    play(fetch_script(body(1), b"<A> OK\r\n", body(201), b"<B> OK\r\n", body(401), b"<C> OK\r\n"), work)
    # Out of order, a letter nobody asked for, one twice, and one of another command in between.
    odd = (body(201), body(999), body(1), b"* 602 EXISTS\r\n", b"<B> OK\r\n", body(1), body(401))

    async def odd_work(session: Session) -> None:
        assert await take(session) == [(201, b"letter 201"), (1, b"letter 1"), (401, b"letter 401")]
        assert session.connection.exists == 602
        await session.noop()

    play(fetch_script(*odd, b"<C> OK\r\n<A> OK\r\n"), odd_work)


def test_no_more_than_the_depth_is_asked_ahead() -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.select(5000)
        under_way = [tag for tag, _ in await asked(wire, 2)]
        for number in range(3, 8):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(wire.reader.readline(), 0.02)
            await wire.say(under_way.pop(0) + b" OK\r\n")
            if number < 6:
                under_way += [tag for tag, _ in await asked(wire, 1)]

    async def work(session: Session) -> None:
        await session.select("INBOX")
        assert [one async for one in session.uid_fetch_bodies(range(1, 1001), depth=2)] == []

    play(script, work)


@pytest.mark.parametrize("first", [b"<A>", b"<B>", b"<C>"])
@pytest.mark.parametrize("refusal", [b" NO [SERVERBUG] broken\r\n", b" BAD what\r\n"])
def test_a_refused_range_comes_after_the_letters_of_the_others(first: bytes, refusal: bytes) -> None:
    others = [tag for tag in (b"<A>", b"<B>", b"<C>") if tag != first]
    letters = {b"<A>": 1, b"<B>": 201, b"<C>": 401}
    replies = [first + refusal, *(body(letters[tag]) + tag + b" OK\r\n" for tag in others)]

    async def work(session: Session) -> None:
        await session.select("INBOX")
        found = []
        with pytest.raises(MailError) as caught:
            async for one in session.uid_fetch_bodies(range(1, 601)):
                found.append((one.uid, one.raw))
        assert found == [(letters[tag], b"letter %d" % letters[tag]) for tag in others]
        assert caught.value.code in ("server_busy", "server_refused")
        assert not session.closed
        await session.noop()

    play(fetch_script(*replies), work)


def test_nothing_is_asked_after_a_refusal() -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        with pytest.raises(MailError):
            async for _ in session.uid_fetch_bodies(range(1, 2001), depth=3):
                pass
        await session.noop()

    replies = (b"<A> NO [LIMIT] slow down\r\n", b"<B> OK\r\n<C> OK\r\n")
    assert play(fetch_script(*replies), work).count(b"UID FETCH") == 3


@pytest.mark.parametrize("end", [b"* BYE [UNAVAILABLE] restart\r\n", b"* BYE bye\r\n", b"X1 OK what\r\n"])
def test_the_end_in_the_middle_of_several(end: bytes) -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        found = []
        with pytest.raises(MailError) as caught:
            async for one in session.uid_fetch_bodies(range(1, 601)):
                found.append(one.uid)
        assert found == [1]
        assert caught.value.code in ("server_busy", "connection_lost", "protocol_error")
        assert session.closed

    play(fetch_script(body(1), end), work)


def test_an_early_end_closes_and_a_late_one_does_not() -> None:
    async def early(session: Session) -> None:
        await session.select("INBOX")
        letters = session.uid_fetch_bodies(range(1, 601))
        assert (await anext(letters)).uid == 1
        await letters.aclose()
        assert session.closed
        with pytest.raises(MailError):
            await session.noop()

    play(fetch_script(body(1)), early)

    async def late(session: Session) -> None:
        await session.select("INBOX")
        letters = session.uid_fetch_bodies(range(1, 201))
        assert (await anext(letters)).uid == 1
        with pytest.raises(StopAsyncIteration):
            await anext(letters)
        await letters.aclose()
        assert not session.closed
        await session.noop()

    play(fetch_script(body(1), b"<A> OK\r\n", commands=1), late)


def test_a_generator_never_begun_asks_for_nothing() -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        await session.uid_fetch_bodies([1]).aclose()
        await session.noop()

    assert b"FETCH" not in play(fetch_script(commands=0), work)


def test_another_command_must_wait() -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        letters = session.uid_fetch_bodies(range(1, 601))
        await anext(letters)
        with pytest.raises(RuntimeError):
            await session.noop()
        await letters.aclose()

    play(fetch_script(body(1)), work)


def test_a_sequence_number_names_the_letter_until_numbers_move() -> None:
    async def work(session: Session) -> None:
        assert await take(session) == [(1, b"one")]

    named = b"* 1 FETCH (UID 1 FLAGS ())\r\n* 1 FETCH (BODY[] {3}\r\none)\r\n"
    moved = b"* 2 FETCH (UID 2 FLAGS ())\r\n* 2 EXPUNGE\r\n* 2 FETCH (BODY[] {5}\r\nwrong)\r\n"
    play(fetch_script(named + moved + b"<A> OK\r\n<B> OK\r\n<C> OK\r\n"), work)
