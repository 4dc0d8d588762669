"""IDLE: news end it, whenever they came, and a server that never begins it is told apart (RFC 2177)."""

import asyncio
from typing import Any

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Session, waiting
from tests.wire.imap.scripted import Script, Wire, play


def idle_script(*news: bytes, before: bytes = b"") -> Script:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.select()
        await wire.hear(b"NOOP")
        await wire.say(before + b"TAG OK\r\n")
        await wire.hear(b"IDLE")
        tag = wire.tag
        await wire.say(b"+\r\n", *news)
        assert await wire.reader.readline() == b"DONE\r\n"
        wire.tag = tag
        await wire.say(b"TAG OK\r\n")

    return script


@pytest.mark.parametrize(
    ("news", "changed"),
    [
        (b"", False),
        (b"* OK Still here\r\n* 3 EXISTS\r\n* 0 RECENT\r\n", False),
        (b"* 4 EXISTS\r\n", True),
        (b"* 1 EXPUNGE\r\n", True),
        (b"* 1 FETCH (FLAGS (\\Seen))\r\n", True),
        (b"* VANISHED 5\r\n", True),
    ],
)
def test_idle(news: bytes, changed: bool) -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        await session.noop()
        assert await session.idle(seconds=0.1) is changed

    play(idle_script(news), work)


@pytest.mark.parametrize("said", [b"", b"* 4 EXISTS\r\n* OK Still here\r\n"])
def test_an_idle_that_is_never_begun_ends_the_connection_and_says_so(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "BEGIN_SECONDS", 0.2)

    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.select()
        await wire.hear(b"IDLE")
        await wire.say(said)
        assert await wire.reader.readline() == b"", "no DONE before the server has begun"

    async def work(session: Session) -> None:
        await session.select("INBOX")
        with pytest.raises(MailError) as caught:
            await asyncio.wait_for(session.idle(seconds=60), 5)
        assert (caught.value.code, caught.value.temporary) == (waiting.UNANSWERED, True)
        assert session.closed

    play(script, work)


def test_an_idle_that_is_begun_late_is_waited_for() -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.select()
        await wire.hear(b"IDLE")
        tag = wire.tag
        await asyncio.sleep(0.5)
        await wire.say(b"+\r\n* 4 EXISTS\r\n")
        assert await wire.reader.readline() == b"DONE\r\n"
        wire.tag = tag
        await wire.say(b"TAG OK\r\n")

    async def work(session: Session) -> None:
        await session.select("INBOX")
        assert await session.idle(seconds=0.1)

    play(script, work)


def test_idle_can_be_woken_and_the_session_goes_on() -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        await session.noop()
        wake = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, wake.set)
        assert await asyncio.wait_for(session.idle(seconds=10, wake=wake), 2) is False
        assert not session.closed

    play(idle_script(), work)


def test_news_that_came_before_idle_is_not_lost() -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        await session.noop()
        assert await session.idle(seconds=5) is True
        assert await session.idle(seconds=0.1) is False

    play(idle_script(before=b"* 4 EXISTS\r\n"), work)


@pytest.mark.parametrize(
    "ask",
    [
        lambda session: session.uid_search(["UID", "6:*"]),
        lambda session: session.uid_fetch_headers([5]),
        lambda session: session.uid_changes(7),
        lambda session: session.uid_flags("1:5"),
        lambda session: session.uid_fetch_beginnings([5]),
    ],
    ids=["search", "headers", "changes", "flags", "beginnings"],
)
def test_news_told_with_a_search_outlives_what_is_asked_after_it(ask: Any) -> None:
    """A letter that comes while those before it are fetched: the server tells of it once, in the middle."""

    async def script(wire: Wire) -> None:
        await wire.sign_in()
        await wire.select()
        await wire.hear(b"UID SEARCH")
        await wire.say(b"* SEARCH 5\r\n* 4 EXISTS\r\nTAG OK\r\n")
        await wire.hear(b"UID")
        await wire.say(b"TAG OK\r\n")

    async def work(session: Session) -> None:
        await session.select("INBOX")
        assert await session.uid_search(["UID", "5:*"]) == [5]
        await ask(session)
        assert await session.idle(seconds=60) is True

    play(script, work)
