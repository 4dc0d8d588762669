"""Extensions: what is asked where they are offered, and that Postern does without them where they are not."""

from datetime import UTC, datetime

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Namespaces, Session
from postern.wire.imap.answers import Status
from tests.wire.imap.scripted import Wire, asked, play

UTF8 = (b"ENABLE UTF8=ACCEPT", b"* ENABLED UTF8=ACCEPT\r\n")


# UTF8=ACCEPT


def test_names_are_utf8_once_it_is_enabled() -> None:
    """R-023: what looks like modified UTF-7 is no such thing there."""

    async def script(wire: Wire) -> None:
        listed = '* LIST (\\Sent) "/" "Größe &- &APY-"\r\n'.encode()
        await asked(b"ENABLE UTF8=ACCEPT", UTF8, (b'LIST "" *', listed))(wire)

    async def work(session: Session) -> None:
        assert [folder.name for folder in await session.list_folders()] == ["Größe &- &APY-"]

    play(script, work)


@pytest.mark.parametrize(
    ("capabilities", "before", "wire_form"),
    [
        (b"ENABLE UTF8=ACCEPT", [UTF8], "Grö&ße".encode()),
        (b"ENABLE UTF8=ONLY", [UTF8], "Grö&ße".encode()),
        (b"ENABLE", [], b"Gr&APY-&-&AN8-e"),
        (b"UTF8=ACCEPT", [], b"Gr&APY-&-&AN8-e"),  # no ENABLE, so it cannot be turned on
        (b"ENABLE UTF8=ACCEPT", [(UTF8[0], b"TAG NO no\r\n")], b"Gr&APY-&-&AN8-e"),
    ],
)
def test_a_name_is_spelled_as_the_connection_wants(
    capabilities: bytes, before: list[tuple[bytes, bytes]], wire_form: bytes
) -> None:
    async def script(wire: Wire) -> None:
        await asked(capabilities, *before)(wire)
        line = await wire.hear(b"SELECT ")
        if wire_form.isascii():
            assert line == b"SELECT " + wire_form
        else:
            assert line == b"SELECT {%d}" % len(wire_form)
            tag = wire.tag
            await wire.say(b"+\r\n")
            assert await wire.take(len(wire_form)) == wire_form
            assert await wire.reader.readline() == b"\r\n"
            wire.tag = tag
        await wire.say(b"* 1 EXISTS\r\nTAG OK\r\n")

    async def work(session: Session) -> None:
        assert (await session.select("Grö&ße")).exists == 1

    play(script, work)


def test_search_names_no_charset_where_text_is_utf8_anyhow() -> None:
    """S-050: RFC 6855 forbids CHARSET there, and RFC 3501 wants it elsewhere."""

    async def work(session: Session) -> None:
        assert await session.uid_search(["TEXT", "ä"]) == [3]

    plus = b"ENABLE UTF8=ACCEPT LITERAL+"

    async def script(wire: Wire) -> None:
        await asked(plus, UTF8)(wire)
        assert await wire.hear() == b"UID SEARCH TEXT {2+}"
        tag = wire.tag
        assert await wire.take(4) == "ä\r\n".encode()
        wire.tag = tag
        await wire.say(b"* SEARCH 3\r\nTAG OK\r\n")

    play(script, work)


def test_append_declares_headers_in_utf8() -> None:
    letter = "Subject: Grüße\r\n\r\n.".encode()

    async def script(wire: Wire) -> None:
        await asked(b"ENABLE UTF8=ACCEPT LITERAL+", UTF8)(wire)
        assert await wire.hear() == b"APPEND Sent (\\Seen) UTF8 (~{%d+}" % len(letter)
        tag = wire.tag
        assert await wire.take(len(letter) + 3) == letter + b")\r\n"
        wire.tag = tag
        await wire.say(b"TAG OK\r\n")
        assert await wire.hear() == b"APPEND Sent (\\Seen) {11+}"
        tag = wire.tag
        assert await wire.take(13) == b"A: b\r\n\r\n\xc3\xa4.\r\n"
        wire.tag = tag
        await wire.say(b"TAG OK\r\n")

    async def work(session: Session) -> None:
        assert await session.append("Sent", letter) is None
        assert await session.append("Sent", "A: b\r\n\r\nä.".encode()) is None

    play(script, work)


# LIST with counts


ALL = b"LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE"
COUNTS = Status(3, 9, 7, 5)


def test_folders_with_their_counts_in_one_command() -> None:
    async def work(session: Session) -> None:
        found = {info.name: count for info, count in await session.list_with_status()}
        assert found == {"INBOX": COUNTS, "Größe": Status(1, None, 0, None), "Node": None}

    play(
        asked(
            ALL,
            (
                b'LIST "" * RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))',
                b'* LIST () "/" INBOX\r\n* STATUS inbox (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 7 HIGHESTMODSEQ 5)\r\n'
                b'* LIST () "/" "Gr&APYA3w-e"\r\n* STATUS "Gr&APYA3w-e" (MESSAGES 1)\r\n'
                b'* LIST (\\NoSelect) "/" Node\r\n* STATUS Strange (MESSAGES 5)\r\n',
            ),
        ),
        work,
    )


def test_folders_with_their_counts_without_list_status() -> None:
    async def work(session: Session) -> None:
        found = {info.name: count for info, count in await session.list_with_status(["INBOX", "Gone", "No"])}
        assert found == {"INBOX": Status(3, None, 0, None), "No": None, "Other": None}

    play(
        asked(
            b"",
            (b'LIST "" *', b'* LIST () "/" INBOX\r\n* LIST () "/" No\r\n* LIST () "/" Other\r\n'),
            (b"STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)", b"* STATUS INBOX (MESSAGES 3)\r\n"),
            (b"STATUS No (MESSAGES UIDNEXT UIDVALIDITY)", b"TAG NO not yours\r\n"),
        ),
        work,
    )


def test_a_list_option_called_bad_is_left_out() -> None:
    async def work(session: Session) -> None:
        assert [one.name for one in await session.list_folders()] == ["INBOX"]

    play(
        asked(
            ALL,
            (b'LIST "" * RETURN (SPECIAL-USE)', b"TAG BAD Command Argument Error. 11\r\n"),
            (b'LIST "" *', b'* LIST () "/" INBOX\r\n'),
        ),
        work,
    )


@pytest.mark.parametrize(
    ("told", "use"),
    [
        (b'* LIST (\\Trash) "/" "a%"\r\n', "\\Trash"),
        (b'* LIST (\\Trash) "/" "ab"\r\n* LIST () "/" "a%"\r\n* LIST (\\Junk) "/" "ac"\r\n', ""),
        (b'* LIST (\\All) "/" "A%"\r\n', "\\All"),
        (b'* LIST (\\All) "/" "A%"\r\n* LIST () "/" "a%"\r\n', ""),
        (b'* LIST (\\Trash) "/" "ab"\r\n', None),
        (b"", None),
    ],
    ids=[
        "it alone",
        "others whom the wildcard names",
        "it in other case",
        "it beside one in other case",
        "only another",
        "nothing",
    ],
)
def test_one_folder_is_asked_for_by_its_name(told: bytes, use: str | None) -> None:
    async def work(session: Session) -> None:
        found = await session.folder("a%")
        assert (None if found is None else found.special_use or "") == use

    play(asked(ALL, (b'LIST "" "a%" RETURN (SPECIAL-USE)', told)), work)


def test_a_refused_list_is_no_empty_one() -> None:
    """R-016, I7."""

    async def work(session: Session) -> None:
        for call in (session.list_folders(), session.list_with_status()):
            with pytest.raises(MailError):
                await call

    play(
        asked(b"", (b'LIST "" *', b"TAG NO [UNAVAILABLE] later\r\n"), (b'LIST "" *', b"TAG NO no\r\n")), work
    )


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (
            b'* NAMESPACE (("INBOX." ".")) (("user." ".")) NIL\r\n',
            Namespaces(((b"INBOX.", "."),), ((b"user.", "."),), ()),
        ),
        (
            b'* NAMESPACE (("" "/") ("#mh/" NIL "X-PARAM" ("a" "b"))) NIL NIL\r\n',
            Namespaces(((b"", "/"), (b"#mh/", None)), (), ()),
        ),
        (b"* NAMESPACE NIL NIL NIL\r\n", Namespaces()),
        (b"* NAMESPACE (x) NIL NIL\r\n", Namespaces()),
        (b"* NAMESPACE ((\r\n", Namespaces()),
        (b"", Namespaces()),
    ],
)
def test_namespaces(answer: bytes, found: Namespaces) -> None:
    async def work(session: Session) -> None:
        assert await session.namespaces() == found

    play(asked(b"NAMESPACE", (b"NAMESPACE", answer)), work)


def test_no_namespaces() -> None:
    async def work(session: Session) -> None:
        assert await session.namespaces() == Namespaces()

    play(asked(b""), work)


# NOTIFY

NOTIFY = (
    b"NOTIFY SET STATUS (SELECTED-DELAYED (MessageNew MessageExpunge FlagChange))"
    b" (MAILBOXES (Sent {0}) (MessageNew MessageExpunge FlagChange))"
).replace(b"{0}", b'"a b"')


def test_other_folders_end_the_wait_too() -> None:
    async def script(wire: Wire) -> None:
        await asked(b"NOTIFY IDLE", (NOTIFY, b"* STATUS Sent (MESSAGES 1)\r\n"))(wire)
        await wire.hear(b"IDLE")
        tag = wire.tag
        await wire.say(b"+ idling\r\n* STATUS Sent (MESSAGES 2 UIDNEXT 9)\r\n")
        assert await wire.reader.readline() == b"DONE\r\n"
        wire.tag = tag
        await wire.say(b"TAG OK\r\n")

    async def work(session: Session) -> None:
        assert await session.watch(["Sent", "a b"])
        assert await session.idle(seconds=5)

    play(script, work)


def test_the_counts_of_another_folder_are_not_taken_for_those_asked() -> None:
    """R-015."""

    async def work(session: Session) -> None:
        assert (await session.status("Größe")).messages == 5

    answer = (
        b'* STATUS Sent (MESSAGES 1)\r\n* STATUS "Gr&APYA3w-e" (MESSAGES 5)\r\n* STATUS x (MESSAGES 2)\r\n'
    )
    play(asked(b"", (b"STATUS Gr&APYA3w-e (MESSAGES UIDNEXT UIDVALIDITY)", answer)), work)


@pytest.mark.parametrize("answer", [b"TAG NO [NOTIFICATIONOVERFLOW] no\r\n", b"TAG BAD what\r\n"])
def test_no_watching_where_it_is_refused_or_not_offered(answer: bytes) -> None:
    async def work(session: Session) -> None:
        assert not await session.watch(["Sent", "a b"])

    play(asked(b"NOTIFY", (NOTIFY, answer)), work)
    play(asked(b""), work)


def test_append_with_a_date_and_without_a_date() -> None:
    async def work(session: Session) -> None:
        when = datetime(2024, 1, 1, tzinfo=UTC)
        assert await session.append("Sent", b"x", internaldate=when) == (7, 9)
        with pytest.raises(MailError) as caught:
            await session.append("Sent", b"a\0b")
        assert caught.value.code == "control_bytes"

    async def script(wire: Wire) -> None:
        await wire.sign_in(b"IMAP4rev1 LITERAL-")
        assert await wire.hear() == b'APPEND Sent (\\Seen) " 1-Jan-2024 00:00:00 +0000" {1+}'
        tag = wire.tag
        assert await wire.take(3) == b"x\r\n"
        wire.tag = tag
        await wire.say(b"TAG OK [APPENDUID 7 9] .\r\n")

    play(script, work)
