"""Rows of ``quirks.py`` that belong to Gmail: a transcript for each, under its name."""

import asyncio

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Session, choose_sent_folder, choose_trash_folder, sent_folder_refused
from tests.wire.imap.quirky import letters, refused_sign_in
from tests.wire.imap.scripted import Wire, play, signed_in, transcript

GMAIL = "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS COMPRESS=DEFLATE ENABLE MOVE CONDSTORE ESEARCH UTF8=ACCEPT LIST-EXTENDED LIST-STATUS LITERAL- SPECIAL-USE APPENDLIMIT=35651584"  # fmt: skip


def gmail() -> str:
    return (
        signed_in(GMAIL)
        + """
        C: ID ("name" "Postern")
        S: * ID ("name" "GImap" "vendor" "Google, Inc.")
        S: TAG OK Success
        C: ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: TAG OK Success
    """
    )


def test_deaths_by_listing() -> None:
    async def work(session: Session) -> None:
        assert session.ladder == "condstore+esearch"
        assert str(await session.uid_search_set("ALL")) == "1:3,7"

    play(
        transcript(
            gmail()
            + """
        C: UID SEARCH RETURN (ALL) ALL
        S: * ESEARCH (TAG "TAG") UID ALL 1:3,7
        S: TAG OK SEARCH completed (Success)
        """
        ),
        work,
    )


def test_labels() -> None:
    """R-019."""

    async def work(session: Session) -> None:
        [listed] = await session.uid_fetch_headers([5])
        assert listed.emailid == "1278455344230334865"
        assert listed.labels == {"\\Inbox", "Größe", "work"}

    label = "Größe".encode().decode("latin-1")
    play(
        transcript(
            gmail()
            + f"""
        C: UID FETCH 5 (UID FLAGS INTERNALDATE RFC822.SIZE X-GM-MSGID X-GM-LABELS)
        S: * 1 FETCH (X-GM-MSGID 1278455344230334865 X-GM-LABELS ("\\\\Inbox" "{label}" work) UID 5 RFC822.SIZE 9)
        S: TAG OK Success
        """
        ),
        work,
    )


def test_localised_folders() -> None:
    """R-023."""

    async def work(session: Session) -> None:
        found = await session.list_folders()
        sent, trash = choose_sent_folder(found), choose_trash_folder(found)
        assert sent is not None
        assert trash is not None
        assert (sent.name, trash.name) == ("[Gmail]/Skickat", "[Gmail]/Papperskorgen")
        refused = sent_folder_refused("[Gmail]/Alla mejl", found)
        assert refused == "“[Gmail]/Alla mejl” is the folder for all letters."

    play(
        transcript(
            gmail()
            + """
        C: LIST "" * RETURN (SPECIAL-USE)
        S: * LIST (\\HasNoChildren) "/" "INBOX"
        S: * LIST (\\HasChildren \\Noselect) "/" "[Gmail]"
        S: * LIST (\\HasNoChildren \\Trash) "/" "[Gmail]/Papperskorgen"
        S: * LIST (\\HasNoChildren \\Sent) "/" "[Gmail]/Skickat"
        S: * LIST (\\All \\HasNoChildren) "/" "[Gmail]/Alla mejl"
        S: TAG OK Success
        """
        ),
        work,
    )


def test_fifteen_connections() -> None:
    """R-032."""
    error = refused_sign_in("TAG NO [ALERT] Too many simultaneous connections. (Failure)")
    assert (error.code, error.temporary) == ("server_busy", True)


def test_daily_limit() -> None:
    """R-037."""
    error = refused_sign_in("TAG NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)")
    assert (error.code, error.temporary) == ("over_limit", True)


def test_daily_upload() -> None:
    """R-037: known of Gmail, of nobody else."""

    async def work(session: Session) -> None:
        assert session.bytes_up_a_day == 500_000_000

    async def elsewhere(session: Session) -> None:
        assert session.bytes_up_a_day == 0

    play(transcript(gmail()), work)
    play(transcript(signed_in("IMAP4rev1 IDLE CONDSTORE")), elsewhere)


def test_daily_allowance() -> None:
    """R-037: known of Gmail, after the sign-in; of nobody else, whatever the host is called."""

    async def work(session: Session) -> None:
        assert session.bytes_a_day == 2_500_000_000

    async def elsewhere(session: Session) -> None:
        assert session.bytes_a_day == 0

    play(transcript(gmail()), work)
    play(transcript(signed_in("IMAP4rev1 IDLE CONDSTORE")), elsewhere)


def test_hidden_letters() -> None:
    """I7: what a listing leaves out is only left out; a letter that is asked for by name still comes."""

    async def work(session: Session) -> None:
        assert (await session.select("INBOX")).exists == 2
        assert 5 not in await session.uid_search_set("ALL")
        assert [one.raw for one in await letters(session, 5)] == [b"ab"]

    play(
        transcript(
            gmail()
            + """
        C: SELECT INBOX (CONDSTORE)
        S: * 2 EXISTS
        S: TAG OK [READ-WRITE] INBOX selected. (Success)
        C: UID SEARCH RETURN (ALL) ALL
        S: * ESEARCH (TAG "TAG") UID ALL 1
        S: TAG OK SEARCH completed (Success)
        C: UID FETCH 5 (UID FLAGS INTERNALDATE BODY.PEEK[])
        S: * 2 FETCH (UID 5 BODY[] {2}
        S: ab)
        S: TAG OK Success
        """
        ),
        work,
    )


def test_auto_expunge() -> None:
    async def work(session: Session) -> None:
        await session.uid_move([5], "[Gmail]/Bin")

    seen = play(transcript(gmail() + 'C: UID MOVE 5 "[Gmail]/Bin"\nS: * 1 EXPUNGE\nS: TAG OK Success'), work)
    assert b"Deleted" not in seen


def test_id_after_sign_in() -> None:
    async def work(session: Session) -> None:
        assert "short_idle" in session.quirks

    play(transcript(gmail()), work)
    refused = signed_in("IMAP4rev1 ID X-GM-EXT-1") + 'C: ID ("name" "Postern")\nS: TAG BAD not today'
    play(transcript(refused), work)


def test_slow_flag_scan() -> None:
    """As long as answers come the command is not too late, and silence still is."""

    async def slow(wire: Wire, lines: int, pause: float) -> None:
        await transcript(gmail())(wire)
        assert await wire.hear() == b"UID FETCH 1:* (UID FLAGS)"
        for uid in range(1, lines):
            await wire.say(b"* %d FETCH (UID %d FLAGS ())\r\n" % (uid, uid))
            if uid % 500 == 0:
                await asyncio.sleep(pause)
        await wire.say(b"TAG OK Success\r\n")

    async def work(session: Session) -> None:
        assert len(await session.uid_flags("1:*")) == 4999

    play(lambda wire: slow(wire, 5000, 0.2), work, timeout=1)
    with pytest.raises(MailError) as caught:
        play(lambda wire: slow(wire, 600, 2), work, timeout=0.5)
    assert caught.value.code == "timeout"
