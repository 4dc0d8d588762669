"""Rows of ``quirks.py`` that any server may show: answers in every shape, size and order. A transcript for each."""

import time

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import UNKNOWN_DATE, Fetched, Listed, Session
from postern.wire.imap.framing import Limits
from tests.wire.imap.quirky import FETCH, HEADERS, JAN, NONE, WHEN, code_of, letters
from tests.wire.imap.scripted import OPEN, play, signed_in, transcript


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
        await session.select("INBOX")
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


def test_body_nil() -> None:
    async def work(session: Session) -> None:
        assert await letters(session, 5) == []

    play(transcript(f"{signed_in()}\n{FETCH}\nS: * 1 FETCH (UID 5 BODY[] NIL)\nS: TAG OK done"), work)
