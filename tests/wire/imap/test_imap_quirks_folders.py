"""Rows of ``quirks.py`` that any server may show: folders, their names and their numbers. A transcript for each."""

import pytest

from postern.wire.imap import Session, choose_sent_folder, choose_trash_folder
from tests.wire.imap.scripted import play, signed_in, transcript


@pytest.mark.parametrize(
    ("said", "told"), [("7", 7), ("8", 8), ("", 0), ("x", 0), ("4294967296", 0), ("-1", 0)]
)
def test_uidvalidity_flips(said: str, told: int) -> None:
    """R-013: sync sees each value, and 0 for none."""

    async def work(session: Session) -> None:
        assert (await session.select("INBOX")).uidvalidity == told

    play(
        transcript(
            signed_in()
            + f"""
        C: SELECT INBOX
        S: * 1 EXISTS
        S: * OK [UIDVALIDITY {said}] .
        S: TAG OK [READ-WRITE] open
        """
        ),
        work,
    )


@pytest.mark.parametrize(
    "said", ["* OK [UIDNEXT 0] .", "* OK [UIDNEXT x] .", "* OK [UIDNEXT] .", "* OK nothing"]
)
def test_uidnext_missing(said: str) -> None:
    """R-014."""

    async def work(session: Session) -> None:
        assert (await session.select("INBOX")).uidnext is None
        assert (await session.status("Sent")).uidnext is None
        assert await session.uid_search(["UID", "*"]) == [9]

    play(
        transcript(
            signed_in()
            + f"""
        C: SELECT INBOX
        S: * 1 EXISTS
        S: {said}
        S: TAG OK open
        C: STATUS Sent (MESSAGES UIDNEXT UIDVALIDITY)
        S: * STATUS Sent (MESSAGES 3 UIDNEXT 0 UIDVALIDITY 7)
        S: TAG OK done
        C: UID SEARCH UID *
        S: * SEARCH 9
        S: TAG OK done
        """
        ),
        work,
    )


@pytest.mark.parametrize(
    ("before", "wire"),
    [
        ("", "Gr&APYA3w-e"),
        ("", "Größe".encode().decode("latin-1")),
        (
            "C: ENABLE UTF8=ACCEPT\nS: * ENABLED UTF8=ACCEPT\nS: TAG OK done",
            "Größe".encode().decode("latin-1"),
        ),
    ],
)
def test_names_in_utf8(before: str, wire: str) -> None:
    """R-023."""

    async def work(session: Session) -> None:
        assert [one.name for one in await session.list_folders()] == ["Größe"]

    capabilities = "IMAP4rev1 ENABLE UTF8=ACCEPT" if before else "IMAP4rev1"
    play(
        transcript(
            signed_in(capabilities) + before + f'\nC: LIST "" *\nS: * LIST () "/" "{wire}"\nS: TAG OK done'
        ),
        work,
    )


def listing(*lines: str) -> str:
    return signed_in() + 'C: LIST "" *\n' + "".join(f"S: * LIST {line}\n" for line in lines) + "S: TAG OK ."


def test_no_delimiter() -> None:
    """R-023."""

    async def work(session: Session) -> None:
        found = await session.list_folders()
        assert [(one.name, one.delimiter) for one in found] == [
            ("INBOX", None),
            ("Sent/old", None),
            ("S", None),
        ]

    play(transcript(listing("() NIL INBOX", "() NIL Sent/old", '() "" S')), work)


def test_inbox_prefix() -> None:
    """R-023."""

    async def work(session: Session) -> None:
        found = await session.list_folders()
        sent, trash = choose_sent_folder(found), choose_trash_folder(found)
        assert sent is not None
        assert trash is not None
        assert (sent.name, trash.name) == ("INBOX.Sent Items", "INBOX.Trash")
        await session.select(sent.name)

    names = ['() "." INBOX', '() "." "INBOX.Sent Items"', '() "." INBOX.Trash', '() "." INBOX.a.Sent']
    play(transcript(listing(*names) + '\nC: SELECT "INBOX.Sent Items"\nS: TAG OK open'), work)


def test_inbox_any_case() -> None:
    async def work(session: Session) -> None:
        assert [one.name for one in await session.list_folders()] == ["INBOX"]
        await session.select("INBOX")
        await session.select("inBOX")
        assert (await session.status("INBOX")).messages == 4

    play(
        transcript(
            listing('() "/" "Inbox"')
            + """
        C: SELECT Inbox
        S: TAG OK open
        C: SELECT INBOX
        S: TAG OK open
        C: STATUS Inbox (MESSAGES UIDNEXT UIDVALIDITY)
        S: * STATUS "iNBOX" (MESSAGES 4)
        S: TAG OK done
        """
        ),
        work,
    )


def test_folder_renamed() -> None:
    """R-017: the folder's own name stays, its UIDVALIDITY may not."""

    async def work(session: Session) -> None:
        before, after = await session.select("Old"), await session.select("New")
        assert before.mailboxid == after.mailboxid == "F1-a"
        assert before.uidvalidity != after.uidvalidity

    play(
        transcript(
            signed_in("IMAP4rev1 OBJECTID")
            + "".join(
                f"C: SELECT {name}\nS: * OK [MAILBOXID (F1-a)] .\nS: * OK [UIDVALIDITY {number}] .\nS: TAG OK .\n"
                for name, number in (("Old", 7), ("New", 8))
            )
        ),
        work,
    )


@pytest.mark.parametrize(
    ("capability", "item"), [("OBJECTID", "EMAILID (M1)"), ("X-GM-EXT-1", "X-GM-MSGID 77")]
)
def test_letter_moved(capability: str, item: str) -> None:
    """R-017: under another UID, but by the same name."""

    async def work(session: Session) -> None:
        [here] = await session.uid_fetch_headers([5])
        await session.select("Trash")
        [there] = await session.uid_fetch_headers([1])
        assert here.emailid == there.emailid != ""

    names = "X-GM-MSGID X-GM-LABELS" if capability == "X-GM-EXT-1" else "EMAILID"
    asked = f"(UID FLAGS INTERNALDATE RFC822.SIZE {names})"
    play(
        transcript(
            signed_in(f"IMAP4rev1 {capability}")
            + f"""
        C: UID FETCH 5 {asked}
        S: * 1 FETCH (UID 5 RFC822.SIZE 9 {item})
        S: TAG OK done
        C: SELECT Trash
        S: TAG OK open
        C: UID FETCH 1 {asked}
        S: * 1 FETCH (UID 1 RFC822.SIZE 9 {item})
        S: TAG OK done
        """
        ),
        work,
    )


def test_joined_flags() -> None:
    async def work(session: Session) -> None:
        [sent, trash] = await session.list_folders()
        assert (sent.special_use, trash.special_use) == ("\\Sent", "\\Trash")
        assert sent.flags == {"\\Sent", "\\HasNoChildren"}

    play(
        transcript(
            listing(
                '(\\Sent\\HasNoChildren) "/" Gesendet', '(\\HasNoChildren\\Trash \\Marked) "/" Papierkorb'
            )
        ),
        work,
    )
