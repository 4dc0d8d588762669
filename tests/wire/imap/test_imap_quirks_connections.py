"""Rows of ``quirks.py`` that any server may show: sign-in, refusals, limits and silence. A transcript for each."""

import time

import pytest

from postern.wire.endpoint import Security
from postern.wire.errors import MailError
from postern.wire.imap import Session
from tests.wire.imap.quirky import code_of, letters
from tests.wire.imap.scripted import OPEN, Wire, play, signed_in, transcript


def test_capabilities_differ() -> None:
    async def work(session: Session) -> None:
        assert session.capabilities == {"IMAP4REV1", "IDLE", "MOVE"}

    play(
        transcript("""
        S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN LITERAL+] ready
        C: AUTHENTICATE PLAIN
        S: +
        C> AGFubmEAcGFzcy13b3JkLTE=
        S: TAG OK Logged in
        C: CAPABILITY
        S: * CAPABILITY IMAP4rev1 IDLE MOVE
        S: TAG OK done
        """),
        work,
    )


def test_bytes_before_tls() -> None:
    """S-035, S-037: what came in clear is nothing we were told."""
    conversation = transcript("""
        S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready
        C: STARTTLS
        S: TAG OK begin\\r\\n* CAPABILITY IMAP4rev1 AUTH=PLAIN
        """)
    with pytest.raises(MailError) as caught:
        play(conversation, security=Security.STARTTLS)
    assert caught.value.code == "tls_failed"
    assert b"LOGIN" not in caught.value.seen  # type: ignore[attr-defined]


def test_gone_without_fin() -> None:
    """R-027, R-028: a first answer is no promise of a second."""
    conversation = transcript(signed_in() + "C: NOOP\nS: * 5 EXISTS")
    begun = time.monotonic()
    with pytest.raises(MailError) as caught:
        play(conversation, Session.noop, timeout=0.3)
    assert (caught.value.code, caught.value.temporary) == ("timeout", True)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "answer",
    [
        "TAG NO [LIMIT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
        "TAG NO [ALERT] Too many simultaneous connections. (Failure)",
        "TAG NO Maximum number of connections exceeded",
        "* BYE Too many connections from your address",
        "* BYE [UNAVAILABLE] Temporary authentication failure.",
    ],
)
def test_connection_limit(answer: str) -> None:
    """R-029, R-032: no word of a wrong password."""
    with pytest.raises(MailError) as caught:
        play(transcript(f"S: * OK [CAPABILITY IMAP4rev1] ready\nC: LOGIN…\nS: {answer}"))
    assert (caught.value.code, caught.value.temporary) == ("server_busy", True)


def test_short_lines() -> None:
    lines: list[bytes] = []

    async def script(wire: Wire) -> None:
        await wire.sign_in()
        while line := await wire.hear():
            lines.append(line)
            await wire.say(b"TAG OK\r\n")

    async def work(session: Session) -> None:
        uids = range(4294960000, 4294967295, 2)
        assert await session.uid_fetch_headers(uids) == []
        assert await letters(session, *uids) == []
        await session.uid_store(uids, add=["\\Seen"])

    play(script, work, timeout=5)
    assert len(lines) > 30
    assert max(map(len, lines)) < 8000


def test_refusals_by_word() -> None:
    """R-029; the whole table stands in test_imap_refusals.py."""

    async def work(session: Session) -> None:
        assert [await code_of(session) for _ in range(3)] == ["server_busy", "server_refused", "over_limit"]

    play(
        transcript(
            signed_in()
            + """
        C: NOOP
        S: TAG NO Internal error occurred. Try again later.
        C: NOOP
        S: TAG NO [CANNOT] never
        C: NOOP
        S: TAG NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)
        """
        ),
        work,
    )


def test_extensions_missing() -> None:
    """R-016, I7: done without, and nothing is read as empty."""

    async def work(session: Session) -> None:
        assert session.ladder == "plain"
        assert [one.name for one, _ in await session.list_with_status()] == ["INBOX"]
        assert (await session.select("INBOX")).exists == 3
        assert not await session.watch(["Sent"])
        assert await session.idle(seconds=0.05)
        with pytest.raises(MailError):
            await session.list_folders()

    play(
        transcript(
            signed_in("IMAP4rev1")
            + """
        C: LIST "" *
        S: * LIST () "/" INBOX
        S: TAG OK done
        """
            + OPEN
            + """
        C: NOOP
        S: * 4 EXISTS
        S: TAG OK done
        C: LIST "" *
        S: TAG NO [UNAVAILABLE] later
        """
        ),
        work,
    )


@pytest.mark.parametrize(
    "way", ["TAG NO [REFERRAL imap://anna@evil.example/] moved", "* BYE [REFERRAL imap://e/]"]
)
def test_referral(way: str) -> None:
    """S-032: no other server is asked."""
    with pytest.raises(MailError) as caught:
        play(transcript(f"S: * OK [CAPABILITY IMAP4rev1] ready\nC: LOGIN…\nS: {way}"))
    assert caught.value.code in ("server_refused", "connection_lost")
    assert "evil" not in str(caught.value)
