"""Rows of ``quirks.py`` that belong to Dovecot, Cyrus, Courier, iCloud and Yahoo: a transcript for each, under its name."""

from postern.wire.imap import Session, UidSet
from postern.wire.imap.session import LONGEST_IDLE
from tests.wire.imap.quirky import WHEN, refused_sign_in
from tests.wire.imap.scripted import OPEN, play, signed_in, transcript

YAHOO = "IMAP4rev1 MOVE NAMESPACE XYMHIGHESTMODSEQ UIDPLUS LITERAL+ CHILDREN UNSELECT OBJECTID"


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


def test_notify_any_time() -> None:
    async def work(session: Session) -> None:
        await session.select("INBOX")
        assert await session.watch(["Sent"]) and session.watching
        await session.noop()
        assert await session.idle(seconds=5), "told during NOOP: there is nothing to wait for"
        assert not await session.idle(seconds=0.1)
        assert await session.idle(seconds=5) and not session.watching

    play(
        transcript(
            signed_in("IMAP4rev1 IDLE NOTIFY")
            + OPEN
            + """
        C: NOTIFY SET STATUS (SELECTED-DELAYED (MessageNew MessageExpunge FlagChange)) (MAILBOXES (Sent) (MessageNew MessageExpunge FlagChange))
        S: * STATUS Sent (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)
        S: TAG OK NOTIFY completed.
        C: NOOP
        S: * STATUS Sent (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 7)
        S: TAG OK NOOP completed.
        C: IDLE
        S: + idling
        C> DONE
        S: TAG OK Idle completed.
        C: IDLE
        S: + idling
        S: * OK [NOTIFICATIONOVERFLOW] Too many changes
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
