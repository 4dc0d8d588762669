"""The words of IMAP: tables for reading, round trips for writing."""

import string
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.wire.errors import MailError
from postern.wire.imap import commands, decode_mutf7, encode_mutf7
from postern.wire.imap.commands import Literal
from postern.wire.imap.grammar import UNKNOWN_DATE, ProtocolError, Tokens, Unreadable, read_date
from postern.wire.imap.responses import (
    Capability,
    Count,
    Fetch,
    Folder,
    FolderStatus,
    Found,
    Line,
    Other,
    Vanished,
    read_response,
)
from postern.wire.imap.uidset import UidSet


@pytest.mark.parametrize(
    ("parts", "value"),
    [
        ([b"NIL"], None),
        ([b"nil"], None),
        ([b'"NIL"'], b"NIL"),
        ([b'""'], b""),
        ([b'"a\\"b\\\\c"'], b'a"b\\c'),
        ([b'"gr\xfc\xdfe"'], b"gr\xfc\xdfe"),
        ([b"", b"\x00lit\r\n", b""], b"\x00lit\r\n"),
        ([b"atom"], b"atom"),
        ([b"()"], []),
        ([b"(a  (b NIL) )"], [b"a", [b"b", None]]),
        ([b"(a ", b"x y", b' "z")'], [b"a", b"x y", b"z"]),
    ],
)
def test_values(parts: list[bytes], value: object) -> None:
    tokens = Tokens(parts)
    assert tokens.value() == value
    assert tokens.at_end()


@pytest.mark.parametrize("text", [b'"no end', b"(", b"(a", b"", b")", b'"a\\"', b"\x00"])
def test_unreadable_values(text: bytes) -> None:
    with pytest.raises(Unreadable):
        Tokens([text]).value()


def test_nesting_has_an_end() -> None:
    assert Tokens([b"(" * 20 + b")" * 20]).value() is not None
    with pytest.raises(ProtocolError):
        Tokens([b"(" * 21 + b")" * 21]).value()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (
            b"17-Jul-1996 02:44:25 -0700",
            datetime(1996, 7, 17, 2, 44, 25, tzinfo=timezone(-timedelta(hours=7))),
        ),
        (
            b" 1-jan-2024 00:00:00 +0530",
            datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        ),
        (b"1-Jan-2024 00:00:00 +0000", datetime(2024, 1, 1, tzinfo=UTC)),
        (b"30-Jun-2012 23:59:60 +0000", datetime(2012, 6, 30, 23, 59, 59, tzinfo=UTC)),
        (b"31-Feb-2024 00:00:00 +0000", UNKNOWN_DATE),
        (b"01-Jan-2024 00:00:00 +9999", UNKNOWN_DATE),
        (b"01-Jan-0001 00:00:00 +1400", UNKNOWN_DATE),
        (b"01-Foo-2024 00:00:00 +0000", UNKNOWN_DATE),
        (b"yesterday", UNKNOWN_DATE),
        (b"", UNKNOWN_DATE),
    ],
)
def test_dates(text: bytes, moment: datetime) -> None:
    assert read_date(text) == moment


JAN = datetime(2024, 1, 1, tzinfo=UTC)
WHEN = b'"01-Jan-2024 00:00:00 +0000"'


@pytest.mark.parametrize(
    ("parts", "event"),
    [
        ([b"* OK ready"], Line("OK", "", b"", "ready")),
        ([b"* OK"], Line("OK", "", b"", "")),
        ([b"* ok [uidvalidity 7] fine"], Line("OK", "UIDVALIDITY", b"7", "fine")),
        ([b"A1 NO [ALERT] a\x1bb {5}"], Line("NO", "ALERT", b"", "a b {5}", "A1")),
        ([b"A1 OK [unfinished"], Line("OK", "", b"", "[unfinished", "A1")),
        ([b"* BYE"], Line("BYE", "", b"", "")),
        ([b"* CAPABILITY IMAP4rev1 auth=plain"], Capability(frozenset({"IMAP4REV1", "AUTH=PLAIN"}))),
        ([b"* 12 EXISTS"], Count("EXISTS", 12)),
        ([b"* 3 expunge"], Count("EXPUNGE", 3)),
        ([b"* 99999999999999999999 EXISTS"], Other("EXISTS", b"* 99999999999999999999 EXISTS")),
        ([b'* LIST (\\HasNoChildren) "/" INBOX'], Folder(frozenset({"\\HasNoChildren"}), "/", b"INBOX")),
        ([b'* LIST () NIL ""'], Folder(frozenset(), None, b"")),
        ([b'* LIST (\\Sent) "\\\\" "a\\"b"'], Folder(frozenset({"\\Sent"}), "\\", b'a"b')),
        ([b'* LIST () "." ', b"with\r\nline", b""], Folder(frozenset(), ".", b"with\r\nline")),
        ([b"* LIST () NIL NIL"], Folder(frozenset(), None, b"NIL")),
        ([b'* LIST () "/" a[b]%'], Folder(frozenset(), "/", b"a[b]%")),
        ([b"* LIST"], Other("LIST", b"* LIST")),
        ([b"* SEARCH"], Found(UidSet())),
        ([b"* SEARCH 3 1 2 "], Found(UidSet.of([1, 2, 3]))),
        ([b"* SEARCH 3 1 (MODSEQ 9)"], Found(UidSet.of([1, 3]))),
        ([b"* SEARCH 0"], Other("SEARCH", b"* SEARCH 0")),
        ([b"* SEARCH 4294967296"], Other("SEARCH", b"* SEARCH 4294967296")),
        ([b'* ESEARCH (TAG "A") UID COUNT 3 ALL 1:2,9'], Found(UidSet.of([1, 2, 9]), "A")),
        ([b"* ESEARCH UID all 1:4294967295"], Found(UidSet.parse("1:4294967295"))),
        ([b'* ESEARCH (TAG "A") ALL 1:2'], Other("ESEARCH", b'* ESEARCH (TAG "A") ALL 1:2')),
        ([b"* ESEARCH UID ALL 0:2"], Other("ESEARCH", b"* ESEARCH UID ALL 0:2")),
        ([b'* ESEARCH (TAG "A") UID'], Found(UidSet(), "A")),
        ([b"* VANISHED (EARLIER) 5:3"], Vanished(UidSet.parse("3:5"), earlier=True)),
        ([b"* VANISHED 1:4294967295"], Vanished(UidSet.parse("1:4294967295"))),
        ([b"* VANISHED 1:*"], Other("VANISHED", b"* VANISHED 1:*")),
        ([b"* 4294967296 EXISTS"], Other("EXISTS", b"* 4294967296 EXISTS")),
        ([b"* VANISHED 5"], Vanished(UidSet.of([5]))),
        (
            [b"* STATUS INBOX (MESSAGES 2 UIDNEXT 3 SIZE -1)"],
            FolderStatus(b"INBOX", {"MESSAGES": 2, "UIDNEXT": 3}),
        ),
        (
            [
                b"* STATUS x (UIDNEXT 4294967296 MESSAGES 99999999999999999999 HIGHESTMODSEQ 9223372036854775807)"
            ],
            FolderStatus(b"x", {"HIGHESTMODSEQ": 2**63 - 1}),
        ),
        ([b"* STATUS x (HIGHESTMODSEQ 9223372036854775808)"], FolderStatus(b"x", {})),
        ([b"* STATUS ", b"a b", b" (MESSAGES 2)"], FolderStatus(b"a b", {"MESSAGES": 2})),
        ([b"* 1 FETCH (FLAGS (\\Seen $x))"], Fetch(1, flags=frozenset({"\\Seen", "$x"}))),
        ([b"* 1 FETCH (FLAGS (\xe4))"], Fetch(1, flags=frozenset({"ä"}))),
        ([b"* 1 FETCH ()"], Fetch(1)),
        ([b"* 1 FETCH (BODY[] NIL UID 2)"], Fetch(1, uid=2)),
        ([b'* 1 FETCH (BODY[] "short" UID 2)'], Fetch(1, uid=2, body=b"short")),
        ([b"* 1 FETCH (RFC822.SIZE -1 UID 2)"], Fetch(1, uid=2)),
        ([b"* 1 FETCH (UID 2 MODSEQ (9223372036854775807))"], Fetch(1, uid=2, modseq=2**63 - 1)),
        ([b"* 1 FETCH (UID 2 MODSEQ (9223372036854775808))"], Fetch(1, uid=2)),
        (
            [b"* 1 FETCH (BODY[HEADER.FIELDS (TO CC)]<0> ", b"To: x", b" INTERNALDATE " + WHEN + b" UID 2)"],
            Fetch(1, uid=2, internaldate=JAN),
        ),
        (
            [b"* 1 FETCH (BODY[] ", b"a)\r\n* 2 EXISTS", b" RFC822.SIZE 9 FLAGS NIL UID 2)"],
            Fetch(1, uid=2, size=9, body=b"a)\r\n* 2 EXISTS"),
        ),
        ([b"* 1 FETCH (ENVELOPE (NIL NIL ((NIL NIL) NIL)) UID 2)"], Fetch(1, uid=2)),
        ([b"* 1 FETCH (UID 0)"], Other("FETCH", b"* 1 FETCH (UID 0)")),
        ([b"* 1 FETCH (UID 1"], Other("FETCH", b"* 1 FETCH (UID 1")),
        ([b"* XLIST whatever"], Other("XLIST", b"* XLIST whatever")),
        ([b""], Other("", b"")),
    ],
    # Workers of xdist must agree on the names, and a set prints in any order.
    ids=lambda value: repr(value[0])[:50] if isinstance(value, list) else type(value).__name__,
)
def test_responses(parts: list[bytes], event: object) -> None:
    assert read_response(parts) == event


# Writing


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("INBOX", b"INBOX"),
        ("a b", b'"a b"'),
        ("", b'""'),
        ("NIL", b'"NIL"'),
        ('"', b'"\\""'),
        ("\\", b'"\\\\"'),
        ("{3+}", b'"{3+}"'),
        ("a]", b'"a]"'),
        ("x" * 2000 + " ", Literal(b"x" * 2000 + b" ")),
        ("ä", Literal("ä".encode())),
    ],
)
def test_astring(text: str, wire: bytes | Literal) -> None:
    assert commands.astring(text, what="It") == wire


@given(st.text())
def test_an_argument_arrives_as_it_was_or_not_at_all(text: str) -> None:
    try:
        wire = commands.astring(text, what="It")
    except MailError as error:
        assert error.code == "control_bytes"
        assert any(ord(mark) < 32 or ord(mark) == 127 for mark in text)
        return
    if isinstance(wire, Literal):
        assert wire.data == text.encode()
        return
    assert b"\r" not in wire
    assert b"\n" not in wire
    tokens = Tokens([wire])
    assert tokens.value() == text.encode()
    assert tokens.at_end()


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("INBOX", b"INBOX"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("A&B", b"A&-B"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("☺!", b"&Jjo-!"),
        ("🙂", b"&2D3eQg-"),
    ],
)
def test_mutf7_examples(name: str, wire: bytes) -> None:
    assert encode_mutf7(name) == wire
    assert decode_mutf7(wire) == name


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_mutf7_round_trip(name: str) -> None:
    wire = encode_mutf7(name)
    assert wire.isascii()
    assert decode_mutf7(wire) == name


@given(st.binary() | st.text(string.printable + "&-,").map(str.encode))
def test_mutf7_of_anything_is_a_name_or_a_value_error(wire: bytes) -> None:
    try:
        assert isinstance(decode_mutf7(wire), str)
    except ValueError:
        pass


@pytest.mark.parametrize("wire", [b"&", b"a&b", b"&A-", b"&/-", b"\xe4", b"&APw", b"&2D0-", b"&A P-"])
def test_bad_mutf7(wire: bytes) -> None:
    with pytest.raises(ValueError):
        decode_mutf7(wire)


@pytest.mark.parametrize(
    ("uids", "text"),
    [
        ([1], b"1"),
        ([3, 1, 2, 7, 7], b"1:3,7"),
        ([4294967295, 1], b"1,4294967295"),
        (range(1, 10**5), b"1:99999"),
    ],
)
def test_uid_set(uids: list[int], text: bytes) -> None:
    assert commands.uid_set(uids) == text


@pytest.mark.parametrize("uids", [[], [0], [-1], [2**32]])
def test_no_uid_set(uids: list[int]) -> None:
    with pytest.raises(ValueError, match="UID"):
        commands.uid_set(uids)


def test_uid_sets_keep_the_order_and_a_short_line() -> None:
    uids = list(range(2**32 - 1, 2**32 - 3001, -2))
    cut = list(commands.uid_sets(uids))
    assert [uid for some, _ in cut for uid in some] == uids
    assert max(len(text) for _, text in cut) < 8000


@pytest.mark.parametrize(
    ("criteria", "wire"),
    [
        ("UNSEEN UID 5:*", b"UID SEARCH UNSEEN UID 5:*"),
        (["SINCE", date(2024, 2, 3)], b"UID SEARCH SINCE 3-Feb-2024"),
        (["UID", "1:5,9:*", "LARGER", 10], b"UID SEARCH UID 1:5,9:* LARGER 10"),
        (["HEADER", "Message-ID", "<a@b>"], b"UID SEARCH HEADER Message-ID <a@b>"),
        (["SUBJECT", 'x" ALL'], b'UID SEARCH SUBJECT "x\\" ALL"'),
    ],
)
def test_search(criteria: object, wire: bytes) -> None:
    assert b"".join(commands.search(criteria).parts) == wire  # type: ignore[arg-type]


def test_search_for_more_than_ascii_names_its_charset() -> None:
    assert commands.search(["TEXT", "ä"]).parts[:5] == [b"UID SEARCH", b" ", b"CHARSET", b" ", b"UTF-8"]


@pytest.mark.parametrize(
    "criteria", ["", "a\r\nb", 'SUBJECT "x"', "TEXT {3}", ["SUBJECT", "a\nb"], ["X", b"a\0"]]
)
def test_search_refused(criteria: object) -> None:
    with pytest.raises(MailError):
        commands.search(criteria)  # type: ignore[arg-type]


@pytest.mark.parametrize("flag", ["", "a b", "\\", "a)", "\\Seen\r\n", "ä", 'a"', "*"])
def test_flag_refused(flag: str) -> None:
    with pytest.raises(MailError):
        commands.flag_list([flag])


def test_secrets_do_not_show_in_a_command() -> None:
    for sent in (
        commands.login("anna", "hush-hush"),
        commands.authenticate("PLAIN", b"\0anna\0hush-hush"),
        commands.login("anna", "hüsh-hush"),
    ):
        assert "sh-hush" not in repr(sent)
        assert "AGFubmEA" not in repr(sent)
        assert "sh-hush" not in repr(Literal(b"hush-hush"))
