"""One transcript for each row of ``quirks.py`` that belongs to a server with a name, under its name."""

import asyncio
from datetime import UTC, datetime

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Fetched, Login, Session, UidSet, choose_sent_folder, choose_trash_folder
from postern.wire.imap.quirks import quirks_of
from postern.wire.imap.session import LONGEST_IDLE
from tests.wire.imap.scripted import OPEN, Wire, play, signed_in, transcript

JAN = datetime(2024, 1, 1, tzinfo=UTC)
WHEN = '"01-Jan-2024 00:00:00 +0000"'
NONE: frozenset[str] = frozenset()
GMAIL = "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS COMPRESS=DEFLATE ENABLE MOVE CONDSTORE ESEARCH UTF8=ACCEPT LIST-EXTENDED LIST-STATUS LITERAL- SPECIAL-USE APPENDLIMIT=35651584"  # fmt: skip
EXCHANGE_CAN = "IMAP4 IMAP4rev1 UIDPLUS MOVE CHILDREN IDLE LITERAL+"
OWN_EXCHANGE = "The Microsoft Exchange IMAP4 service is ready."
CLOUD = OWN_EXCHANGE + " [TQBOADIAUABSADAA]"
YAHOO = "IMAP4rev1 MOVE NAMESPACE XYMHIGHESTMODSEQ UIDPLUS LITERAL+ CHILDREN UNSELECT OBJECTID"


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


async def letters(session: Session, *uids: int) -> list[Fetched]:
    return [one async for one in session.uid_fetch_bodies(uids)]


# Dovecot


def test_late_notice() -> None:
    async def work(session: Session) -> None:
        assert session.longest_idle == LONGEST_IDLE <= 9 * 60
        await session.select("INBOX")
        assert not await session.idle(seconds=0.1)
        assert (await session.status("INBOX")).messages == 4

    play(
        transcript(
            signed_in()
            + OPEN
            + """
        C: IDLE
        S: + idling
        C> DONE
        S: TAG OK Idle completed.
        C: STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)
        S: * STATUS INBOX (MESSAGES 4)
        S: TAG OK Status completed.
        """
        ),
        work,
    )


def test_still_here() -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        assert not await session.idle(seconds=0.2)

    play(
        transcript(
            signed_in()
            + OPEN
            + """
        C: IDLE
        S: + idling
        S: * OK Still here
        S: * OK Still here
        C> DONE
        S: TAG OK Idle completed.
        """
        ),
        work,
    )


def test_status_ahead() -> None:
    """The open folder is not what STATUS says; only its own word counts for it."""

    async def work(session: Session) -> None:
        assert (await session.select("INBOX")).exists == 3
        assert (await session.status("INBOX")).messages == 4
        assert session.connection.exists == 3

    play(
        transcript(
            signed_in()
            + OPEN
            + """
        C: STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)
        S: * STATUS INBOX (MESSAGES 4 UIDNEXT 11)
        S: TAG OK Status completed.
        """
        ),
        work,
    )


def test_compress_slow() -> None:
    seen = play(
        transcript(signed_in("IMAP4rev1 COMPRESS=DEFLATE IDLE") + "C: NOOP\nS: TAG OK done"), Session.noop
    )
    assert b"COMPRESS" not in seen


# Gmail


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


def refused_sign_in(answer: str) -> MailError:
    with pytest.raises(MailError) as caught:
        play(transcript(f"S: * OK [CAPABILITY IMAP4rev1] ready\nC: LOGIN…\nS: {answer}"))
    return caught.value


def test_fifteen_connections() -> None:
    """R-032."""
    error = refused_sign_in("TAG NO [ALERT] Too many simultaneous connections. (Failure)")
    assert (error.code, error.temporary) == ("server_busy", True)


def test_daily_limit() -> None:
    """R-037."""
    error = refused_sign_in("TAG NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)")
    assert (error.code, error.temporary) == ("over_limit", True)


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


# Exchange and Microsoft 365


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
    async def work(session: Session) -> None:
        await session.uid_move([5], "Trash")

    moved = "C: UID MOVE 5 Trash\nS: TAG OK MOVE completed."
    copied = """
        C: UID COPY 5 Trash
        S: TAG OK [COPYUID 9 5 1] COPY completed.
        C: UID STORE 5 +FLAGS.SILENT (\\Deleted)
        S: TAG OK STORE completed.
        C: UID EXPUNGE 5
        S: * 1 EXPUNGE
        S: TAG OK EXPUNGE completed.
    """
    play(transcript(exchange(greeting=greeting) + (moved if greeting == CLOUD else copied)), work)


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


# Cyrus, Courier, iCloud, Yahoo


def test_user_namespaces() -> None:
    async def work(session: Session) -> None:
        found = await session.namespaces()
        assert (found.personal, found.others) == (((b"INBOX.", "."),), ((b"user.", "."),))

    play(
        transcript(
            signed_in("IMAP4rev1 NAMESPACE")
            + """
        C: NAMESPACE
        S: * NAMESPACE (("INBOX." ".")) (("user." ".")) (("" "."))
        S: TAG OK Completed
        """
        ),
        work,
    )


def test_delayed_expunge() -> None:
    """A letter that another program deleted stays listed until VANISHED comes."""

    async def work(session: Session) -> None:
        await session.select("INBOX")
        assert 2 in await session.uid_search_set("ALL")
        assert await session.idle(seconds=5)
        assert session.connection.exists == 2
        assert 2 not in await session.uid_search_set("ALL")

    play(
        transcript(
            signed_in("IMAP4rev1 IDLE ESEARCH QRESYNC CONDSTORE ENABLE")
            + "C: ENABLE QRESYNC\nS: * ENABLED QRESYNC\nS: TAG OK Completed\n"
            + OPEN
            + """
        C: UID SEARCH RETURN (ALL) ALL
        S: * ESEARCH (TAG "TAG") UID ALL 1:3
        S: TAG OK Completed
        C: IDLE
        S: + idling
        S: * VANISHED 2
        C> DONE
        S: TAG OK Completed
        C: UID SEARCH RETURN (ALL) ALL
        S: * ESEARCH (TAG "TAG") UID ALL 1,3
        S: TAG OK Completed
        """
        ),
        work,
    )


def test_mailboxid_garbage() -> None:
    """What is not asked for is not sent; and if it were, the line with it is one line less."""

    async def work(session: Session) -> None:
        counts = dict(await session.list_with_status())
        assert {one.name: count and count.messages for one, count in counts.items()} == {
            "INBOX": 3,
            "Sent": None,
        }

    play(
        transcript(
            signed_in("IMAP4rev1 LIST-EXTENDED LIST-STATUS OBJECTID")
            + """
        C: LIST "" * RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY))
        S: * LIST () "/" INBOX
        S: * STATUS INBOX (MESSAGES 3)
        S: * LIST () "/" Sent
        S: * STATUS Sent (MESSAGES 4 MAILBOXID (\xf4)\xa5\x18"U))
        S: TAG OK Completed
        """
        ),
        work,
    )


def test_process_for_each() -> None:
    """R-032."""
    error = refused_sign_in("* BYE [ALERT] Maximum connection limit reached for your address: limit reached, try again later")  # fmt: skip
    assert (error.code, error.temporary) == ("server_busy", True)


def test_plain_ladder() -> None:
    async def work(session: Session) -> None:
        assert session.ladder == "plain"
        found = await session.select("INBOX")
        assert (found.highestmodseq, found.resynced) == (None, False)
        assert await session.uid_search_set("ALL") == UidSet.of([1, 2, 9])

    courier = "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE"
    play(
        transcript(
            signed_in(courier) + OPEN + "C: UID SEARCH ALL\nS: * SEARCH 1 2 9\nS: TAG OK SEARCH done."
        ),
        work,
    )


def test_qresync_offered() -> None:
    async def work(session: Session) -> None:
        assert session.ladder == "qresync"
        await session.select("INBOX")

    cyrus = "IMAP4rev1 ENABLE CONDSTORE QRESYNC ESEARCH"
    play(
        transcript(
            signed_in(cyrus) + "C: ENABLE QRESYNC\nS: * ENABLED CONDSTORE QRESYNC\nS: TAG OK .\n" + OPEN
        ),
        work,
    )


def test_modseq_without_condstore() -> None:
    async def work(session: Session) -> None:
        found = await session.select("INBOX")
        assert (found.highestmodseq, session.ladder) == (None, "plain")

    play(transcript(signed_in(YAHOO) + OPEN.replace("UIDNEXT 10", "HIGHESTMODSEQ 5")), work)


def test_emailid_offered() -> None:
    async def work(session: Session) -> None:
        assert [one.emailid for one in await session.uid_fetch_headers([5])] == ["M6d99ac3275bb4e"]

    play(
        transcript(
            signed_in(YAHOO)
            + f"""
        C: UID FETCH 5 (UID FLAGS INTERNALDATE RFC822.SIZE EMAILID)
        S: * 1 FETCH (EMAILID (M6d99ac3275bb4e) UID 5 RFC822.SIZE 9 INTERNALDATE {WHEN})
        S: TAG OK UID FETCH completed
        """
        ),
        work,
    )
