"""Rows of ``quirks.py`` that belong to Exchange and Microsoft 365: a transcript for each, under its name."""

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Login, Session
from postern.wire.imap.quirks import quirks_of
from tests.wire.imap.quirky import letters, refused_sign_in
from tests.wire.imap.scripted import OPEN, play, transcript

EXCHANGE_CAN = "IMAP4 IMAP4rev1 UIDPLUS MOVE CHILDREN IDLE LITERAL+"
OWN_EXCHANGE = "The Microsoft Exchange IMAP4 service is ready."
CLOUD = OWN_EXCHANGE + " [TQBOADIAUABSADAA]"


def exchange(capabilities: str = EXCHANGE_CAN, greeting: str = OWN_EXCHANGE) -> str:
    return f"""
        S: * OK {greeting}
        C: CAPABILITY
        S: * CAPABILITY IMAP4rev1
        S: TAG OK CAPABILITY completed.
        C: LOGIN…
        S: TAG OK LOGIN completed.
        C: CAPABILITY
        S: * CAPABILITY {capabilities}
        S: TAG OK CAPABILITY completed.
    """


def test_flags_by_window() -> None:
    async def work(session: Session) -> None:
        assert session.ladder == "plain"
        assert (await session.select("INBOX")).highestmodseq is None
        assert [one.uid for one in await session.uid_flags("1:500")] == [1, 4]

    play(
        transcript(
            exchange()
            + OPEN
            + """
        C: UID FETCH 1:500 (UID FLAGS)
        S: * 1 FETCH (FLAGS (\\Seen) UID 1)
        S: * 2 FETCH (FLAGS () UID 4)
        S: TAG OK FETCH completed.
        """
        ),
        work,
    )


def test_tokens_only() -> None:
    conversation = f"""
        S: * OK {CLOUD}
        C: CAPABILITY
        S: * CAPABILITY IMAP4 IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED SASL-IR UIDPLUS
        S: TAG OK CAPABILITY completed.
    """
    with pytest.raises(MailError) as caught:
        play(transcript(conversation))
    assert caught.value.code == "server_refused"
    assert "XOAUTH2" in caught.value.advice
    assert b"pass" not in caught.value.seen  # type: ignore[attr-defined]
    token = Login("anna", "tok", token=True)
    signed = (
        conversation
        + "C: AUTHENTICATE XOAUTH2 dXNlcj1hbm5hAWF1dGg9QmVhcmVyIHRvawEB\nS: TAG OK [CAPABILITY IMAP4rev1] in"
    )
    play(transcript(signed), login=token)


def test_throttle_hint() -> None:
    """R-038."""

    async def work(session: Session) -> None:
        with pytest.raises(MailError) as caught:
            await session.noop()
        error = caught.value
        assert (error.code, error.temporary, error.retry_after) == ("server_busy", True, 92.415)
        assert not session.closed

    answer = "TAG BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"
    play(transcript(exchange() + f"C: NOOP\nS: {answer}"), work)


def test_idle_misses() -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        assert not await session.idle(seconds=0.1)
        assert (await session.select("INBOX")).exists == 4

    play(
        transcript(
            exchange()
            + OPEN
            + "C: IDLE\nS: + IDLE accepted, awaiting DONE command.\nC> DONE\nS: TAG OK IDLE completed.\n"
            + OPEN.replace("3 EXISTS", "4 EXISTS")
        ),
        work,
    )


def test_stale_uidnext() -> None:
    """R-014: opened again it tells; the row is in force for servers of one's own."""

    async def work(session: Session) -> None:
        assert "stale_uidnext" in session.quirks
        assert [(await session.select("INBOX")).uidnext for _ in range(2)] == [10, 11]

    play(transcript(exchange() + OPEN + OPEN.replace("UIDNEXT 10", "UIDNEXT 11")), work)
    cloud = quirks_of(capabilities=frozenset(), greeting=CLOUD, host="outlook.office365.com")
    assert "stale_uidnext" not in cloud
    assert "one_fetch_at_a_time" in cloud


@pytest.mark.parametrize("greeting", [OWN_EXCHANGE, CLOUD])
def test_move_not_trusted(greeting: str) -> None:
    """What follows from it, step by step: tests/sync/test_moving.py."""

    async def work(session: Session) -> None:
        assert "MOVE" in session.capabilities
        assert session.moves_by_copying is (greeting == OWN_EXCHANGE)

    play(transcript(exchange(greeting=greeting)), work)


def test_search_not_trusted() -> None:
    """A copy of ours that SEARCH misses is found among the new letters."""

    async def work(session: Session) -> None:
        assert "search_not_trusted" in session.quirks
        assert await session.uid_search(["HEADER", "Message-ID", "<1@x>"]) == []
        assert [one.uid for one in await session.uid_fetch_headers("10:*")] == [10]

    play(
        transcript(
            exchange()
            + """
        C: UID SEARCH HEADER Message-ID <1@x>
        S: * SEARCH
        S: TAG OK SEARCH completed.
        C: UID FETCH 10:* (UID FLAGS INTERNALDATE RFC822.SIZE)
        S: * 4 FETCH (UID 10 RFC822.SIZE 9)
        S: TAG OK FETCH completed.
        """
        ),
        work,
    )


def test_no_uidplus() -> None:
    async def work(session: Session) -> None:
        with pytest.raises(MailError) as caught:
            await session.uid_move([5], "Trash")
        assert caught.value.code == "server_refused"
        await session.noop()

    seen = play(transcript(exchange("IMAP4rev1 IDLE") + "C: NOOP\nS: TAG OK done"), work)
    assert b"COPY" not in seen
    assert b"EXPUNGE" not in seen


def test_rendered_anew() -> None:
    """Each fetch gives the bytes of today; nothing here remembers those of yesterday."""

    async def work(session: Session) -> None:
        assert [one.raw for _ in range(2) for one in await letters(session, 5)] == [b"ab", b"a b"]

    fetch = "C: UID FETCH 5 (UID FLAGS INTERNALDATE BODY.PEEK[])\nS: * 1 FETCH (UID 5 BODY[] "
    play(
        transcript(exchange() + f"{fetch}{{2}}\nS: ab)\nS: TAG OK .\n{fetch}{{3}}\nS: a b)\nS: TAG OK .\n"),
        work,
    )


def test_sequence_not_trusted() -> None:
    async def work(session: Session) -> None:
        assert {one.uid: one.raw for one in await letters(session, 5, 6)} == {5: b"five", 6: b"six"}

    play(
        transcript(
            exchange()
            + """
        C: UID FETCH 5:6 (UID FLAGS INTERNALDATE BODY.PEEK[])
        S: * 9 FETCH (UID 6 FLAGS ())
        S: * 9 FETCH (UID 5 BODY[] {4}
        S: five)
        S: * 9 FETCH (UID 6 BODY[] {3}
        S: six)
        S: TAG OK FETCH completed.
        """
        ),
        work,
    )


def test_lsub_refused() -> None:
    async def work(session: Session) -> None:
        assert [one.name for one, _ in await session.list_with_status()] == ["INBOX"]

    seen = play(
        transcript(exchange() + 'C: LIST "" *\nS: * LIST () "/" INBOX\nS: TAG OK LIST completed.'), work
    )
    assert b"LSUB" not in seen


def test_twenty_connections() -> None:
    """R-032."""
    error = refused_sign_in("* BYE Connection is closed. 14: too many connections")
    assert (error.code, error.temporary) == ("server_busy", True)
