"""One transcript for each row of ``quirks.py`` that any server may show, under its name."""

import time
from datetime import UTC, datetime

import pytest

from postern.wire.endpoint import Security
from postern.wire.errors import MailError
from postern.wire.imap import (
    UNKNOWN_DATE,
    Fetched,
    Listed,
    Session,
    choose_sent_folder,
    choose_trash_folder,
)
from postern.wire.imap.framing import Limits
from tests.wire.imap.scripted import OPEN, Wire, play, signed_in, transcript

JAN = datetime(2024, 1, 1, tzinfo=UTC)
WHEN = '"01-Jan-2024 00:00:00 +0000"'
NONE: frozenset[str] = frozenset()
FETCH = "C: UID FETCH 5 (UID FLAGS INTERNALDATE BODY.PEEK[])"
HEADERS = "C: UID FETCH 5 (UID FLAGS INTERNALDATE RFC822.SIZE)"


async def opened(session: Session) -> None:
    await session.select("INBOX")


async def letters(session: Session, *uids: int) -> list[Fetched]:
    return [one async for one in session.uid_fetch_bodies(uids)]


async def code_of(session: Session) -> str:
    with pytest.raises(MailError) as caught:
        await session.noop()
    return caught.value.code


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
    "code", ["", "[APPENDUID]", "[APPENDUID 0 0]", "[APPENDUID x y]", "[APPENDUID 1 2:3]"]
)
def test_appenduid_missing(code: str) -> None:
    async def work(session: Session) -> None:
        assert await session.append("Sent", b"x") is None

    play(
        transcript(
            signed_in("IMAP4rev1 LITERAL+ UIDPLUS")
            + f"""
        C: APPEND Sent (\\Seen) {{1+}}
        C> x
        S: TAG OK {code} done
        """
        ),
        work,
    )


def test_unsolicited_in_between() -> None:
    """R-015."""

    async def work(session: Session) -> None:
        await opened(session)
        assert await letters(session, 5) == [Fetched(5, frozenset({"\\Seen"}), JAN, b"ab")]
        assert session.connection.exists == 3
        assert await session.idle(seconds=1)

    play(
        transcript(
            signed_in("IMAP4rev1 QRESYNC")
            + OPEN
            + f"""
        {FETCH}
        S: * 9 FETCH (FLAGS (\\Flagged))
        S: * 4 EXISTS
        S: * 2 FETCH (UID 4 FLAGS ())
        S: * VANISHED 3
        S: * OK [ALERT] hello
        S: * 1 FETCH (UID 5 FLAGS (\\Seen) INTERNALDATE {WHEN} BODY[] {{2}}
        S: ab)
        S: * 0 RECENT
        S: TAG OK done
        """
        ),
        work,
    )


def test_fetch_any_shape() -> None:
    """R-015."""

    async def work(session: Session) -> None:
        assert await session.uid_fetch_headers([5]) == [Listed(5, frozenset({"new"}), JAN, 9)]

    play(
        transcript(
            signed_in()
            + f"""
        {HEADERS}
        S: * 1 FETCH (FLAGS (\\Seen))
        S: * 1 FETCH (RFC822.SIZE 9 FLAGS (old) UID 5 INTERNALDATE {WHEN})
        S: * 1 FETCH (UID 5 FLAGS (new))
        S: * 1 FETCH (UID 5 RFC822.SIZE 9)
        S: TAG OK done
        """
        ),
        work,
    )


@pytest.mark.parametrize("body", ['"a b"', "{3}\r\na b", "~{3}\r\na b"])
@pytest.mark.parametrize("name", ['"S"', "S", "{1}\r\nS"])
@pytest.mark.parametrize("delimiter", ['"/"', "NIL", "{1}\r\n/"])
def test_strings_any_form(body: str, name: str, delimiter: str) -> None:
    async def work(session: Session) -> None:
        assert await letters(session, 5) == [Fetched(5, NONE, UNKNOWN_DATE, b"a b")]
        assert [one.name for one in await session.list_folders()] == ["S"]

    play(
        transcript(
            signed_in()
            + f"""
        {FETCH}
        S: * 1 FETCH (UID 5 BODY[] {body})
        S: TAG OK done
        C: LIST "" *
        S: * LIST () {delimiter} {name}
        S: TAG OK done
        """.replace("\r\n", "\r\n        S: ")
        ),
        work,
    )


def test_eight_bit_names() -> None:
    async def work(session: Session) -> None:
        [listed] = await session.uid_fetch_headers([5])
        assert listed.flags == {"gr\xfc\xdfe"}
        assert [one.name for one in await session.list_folders()] == ["Größe", "Grüße"]

    play(
        transcript(
            signed_in()
            + f"""
        {HEADERS}
        S: * 1 FETCH (UID 5 FLAGS (gr\xfc\xdfe) RFC822.SIZE 1)
        S: TAG OK done
        C: LIST "" *
        S: * LIST () "/" "{"Größe".encode().decode("latin-1")}"
        S: * LIST () "/" "Gr\xfc\xdfe"
        S: TAG OK done
        """
        ),
        work,
    )


BROKEN = [
    'ENVELOPE ("date" NIL (NIL NIL',
    "BODYSTRUCTURE (((((",
    'BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL NIL "7BIT" -1 -1)',
    'ENVELOPE ("unfinished',
    "BODY (" + "(" * 19 + ")" * 18,
]


@pytest.mark.parametrize("nonsense", BROKEN, ids=range(len(BROKEN)))
def test_broken_structures(nonsense: str) -> None:
    """R-015: the letter after it arrives all the same."""

    async def work(session: Session) -> None:
        listed = await session.uid_fetch_headers([5, 6])
        assert 6 in {one.uid for one in listed}
        assert not session.closed

    play(
        transcript(
            signed_in()
            + f"""
        C: UID FETCH 5:6 (UID FLAGS INTERNALDATE RFC822.SIZE)
        S: * 1 FETCH (UID 5 RFC822.SIZE 9 {nonsense})
        S: * 2 FETCH (UID 6 RFC822.SIZE 9 FLAGS () INTERNALDATE {WHEN})
        S: TAG OK done
        """
        ),
        work,
    )


def test_partial_ignored() -> None:
    async def work(session: Session) -> None:
        assert [one.raw for one in await letters(session, 5)] == [b"whole"]

    seen = play(
        transcript(
            signed_in()
            + f"""
        {FETCH}
        S: * 1 FETCH (UID 5 BODY[]<3> {{4}}
        S: part)
        S: * 1 FETCH (UID 5 BODY[]<0> {{5}}
        S: whole)
        S: TAG OK done
        """
        ),
        work,
    )
    assert b"<" not in seen


@pytest.mark.parametrize("size", ["1", "99", "-1", "x"])
def test_size_inexact(size: str) -> None:
    async def work(session: Session) -> None:
        assert [one.raw for one in await letters(session, 5)] == [b"abcde"]

    play(
        transcript(
            signed_in()
            + f"""
        {FETCH}
        S: * 1 FETCH (UID 5 RFC822.SIZE {size} BODY[] {{5}}
        S: abcde)
        S: TAG OK done
        """
        ),
        work,
    )


def test_numbers_too_large() -> None:
    """S-116: neither believed nor computed."""

    async def work(session: Session) -> None:
        begun = time.process_time()
        found = await session.select("INBOX")
        assert (found.uidvalidity, found.uidnext, found.highestmodseq, found.exists) == (0, None, None, 1)
        assert await session.uid_fetch_headers([5]) == [Listed(5, NONE, UNKNOWN_DATE, 9)]
        assert time.process_time() - begun < 1

    many = "9" * 100_000
    play(
        transcript(
            signed_in("IMAP4rev1 CONDSTORE")
            + f"""
        C: SELECT INBOX (CONDSTORE)
        S: * 1 EXISTS
        S: * {many} EXISTS
        S: * 4294967296 EXISTS
        S: * OK [UIDVALIDITY {many}] .
        S: * OK [UIDNEXT 99999999999] .
        S: * OK [HIGHESTMODSEQ 9223372036854775808] .
        S: TAG OK open
        {HEADERS}
        S: * 1 FETCH (UID {many} RFC822.SIZE 1)
        S: * 1 FETCH (UID 5 RFC822.SIZE 9 MODSEQ ({many}))
        S: * 2 FETCH (UID 4294967301 RFC822.SIZE 9)
        S: TAG OK done
        """
        ),
        work,
    )


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


def test_huge_letters() -> None:
    """S-115: told by its size before it is asked for; forced on us it is not read."""

    async def work(session: Session) -> None:
        [listed] = await session.uid_fetch_headers([5])
        assert listed.size == 1_500_000_000
        with pytest.raises(MailError) as caught:
            await letters(session, 5)
        assert caught.value.code == "protocol_error"
        assert session.closed

    play(
        transcript(
            signed_in()
            + f"""
        {HEADERS}
        S: * 1 FETCH (UID 5 RFC822.SIZE 1500000000)
        S: TAG OK done
        {FETCH}
        S: * 1 FETCH (UID 5 BODY[] {{1500000000}}
        """
        ),
        work,
        limits=Limits(letter=1 << 20),
    )


def test_long_search_line() -> None:
    async def work(session: Session) -> None:
        assert len(await session.uid_search("ALL")) == 300_000
        assert await code_of(session) == "protocol_error"

    numbers = " ".join(str(4_000_000_000 + 2 * n) for n in range(300_000))
    play(
        transcript(
            signed_in()
            + f"""
        C: UID SEARCH ALL
        S: * SEARCH {numbers}
        S: TAG OK done
        C: NOOP
        S: * X {numbers}
        S: TAG OK done
        """
        ),
        work,
        timeout=10,
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


def test_late_fetch() -> None:
    async def work(session: Session) -> None:
        assert await letters(session, 5) == []
        await session.noop()
        assert [one.raw for one in await letters(session, 5)] == [b"ab"]

    letter = "S: * 1 FETCH (UID 5 BODY[] {2}\nS: ab)\n"
    play(
        transcript(
            f"{signed_in()}\n{FETCH}\nS: TAG OK done\n{letter}C: NOOP\nS: TAG OK done\n{FETCH}\n{letter}S: TAG OK"
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


@pytest.mark.parametrize(
    "way", ["TAG NO [REFERRAL imap://anna@evil.example/] moved", "* BYE [REFERRAL imap://e/]"]
)
def test_referral(way: str) -> None:
    """S-032: no other server is asked."""
    with pytest.raises(MailError) as caught:
        play(transcript(f"S: * OK [CAPABILITY IMAP4rev1] ready\nC: LOGIN…\nS: {way}"))
    assert caught.value.code in ("server_refused", "connection_lost")
    assert "evil" not in str(caught.value)


def test_body_nil() -> None:
    async def work(session: Session) -> None:
        assert await letters(session, 5) == []

    play(transcript(f"{signed_in()}\n{FETCH}\nS: * 1 FETCH (UID 5 BODY[] NIL)\nS: TAG OK done"), work)
