"""UIDPLUS, MOVE and the names that outlive a move: where letters went, and that nothing goes that did not arrive."""

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Copied, Session
from postern.wire.imap.copying import copied
from tests.wire.imap.scripted import asked, play

WHEN = b'"01-Jan-2024 00:00:00 +0000"'


# UIDPLUS and MOVE


@pytest.mark.parametrize(
    ("arguments", "uids"),
    [
        (b"7 304,319:320 3956:3958", {304: 3956, 319: 3957, 320: 3958}),
        (b"7 320,304 10:11", {320: 10, 304: 11}),
        (b"7 1:4294967295 1:4294967295", {304: 304, 319: 319, 320: 320}),
        (b"7 304:320 1:17", {304: 1, 319: 16, 320: 17}),
        (b"7 304 5,6", {}),
        (b"7 304 x", {}),
        (b"7 304", {}),
        (b"0 304 5", {}),
        (b"7 304 0", {}),
        (b"", {}),
    ],
)
def test_where_copies_lie(arguments: bytes, uids: dict[int, int]) -> None:
    """S-116: a hostile set costs nothing."""
    assert copied(arguments, [304, 319, 320]) == Copied(7 if uids else 0, uids)


def test_move_tells_where_the_letters_went() -> None:
    async def work(session: Session) -> None:
        assert await session.uid_move([5], "Trash") == Copied(9, {5: 3})
        assert await session.uid_move([6], "Trash") == Copied()

    play(
        asked(
            b"MOVE UIDPLUS",
            (b"UID MOVE 5 Trash", b"* OK [COPYUID 9 5 3] .\r\n* 1 EXPUNGE\r\n"),
            (b"UID MOVE 6 Trash", b"* 1 EXPUNGE\r\n"),
        ),
        work,
    )


def test_expunge_of_just_these() -> None:
    async def work(session: Session) -> None:
        assert session.moves_by_copying
        await session.uid_expunge([5, 6])

    play(asked(b"UIDPLUS", (b"UID EXPUNGE 5:6", b"* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n")), work)


@pytest.mark.parametrize(
    ("capabilities", "by_copying"),
    [(b"UIDPLUS", True), (b"UIDPLUS MOVE", False), (b"MOVE", False), (b"CHILDREN", False)],
)
def test_what_is_not_offered_is_refused_before_anything_is_done(
    capabilities: bytes, by_copying: bool
) -> None:
    async def work(session: Session) -> None:
        assert session.moves_by_copying is by_copying
        if b"MOVE" not in capabilities:
            with pytest.raises(MailError) as caught:
                await session.uid_move([5], "Trash")
            assert (caught.value.code, caught.value.temporary) == ("server_refused", False)
        if b"UIDPLUS" not in capabilities:
            with pytest.raises(MailError) as caught:
                await session.uid_expunge([5])
            assert (caught.value.code, caught.value.temporary) == ("server_refused", False)
        await session.noop()

    play(asked(capabilities, (b"NOOP", b"")), work)


# Names of letters and folders that outlive a move


@pytest.mark.parametrize(
    ("capability", "items", "answer", "emailid", "labels"),
    [
        (
            b"X-GM-EXT-1",
            b" X-GM-MSGID X-GM-LABELS",
            b'X-GM-MSGID 18446744073709551615 X-GM-LABELS ("\\\\Inbox" Entw&APw-rfe {3}\r\na b "&bad")',
            "18446744073709551615",
            {"\\Inbox", "Entwürfe", "a b"},
        ),
        (b"X-GM-EXT-1", b" X-GM-MSGID X-GM-LABELS", b"X-GM-MSGID -1 X-GM-LABELS NIL", "", set()),
        (b"OBJECTID", b" EMAILID", b"EMAILID (M6d99ac3275bb4e)", "M6d99ac3275bb4e", set()),
        (b"OBJECTID", b" EMAILID", b'EMAILID ("a b")', "", set()),
        (b"OBJECTID", b" EMAILID", b"EMAILID (" + b"x" * 256 + b")", "", set()),
        (b"OBJECTID", b" EMAILID", b"EMAILID NIL", "", set()),
        (b"", b"", b"EMAILID (unasked)", "unasked", set()),
    ],
)
def test_a_letters_own_name(
    capability: bytes, items: bytes, answer: bytes, emailid: str, labels: set[str]
) -> None:
    async def work(session: Session) -> None:
        [listed] = await session.uid_fetch_headers([5])
        assert (listed.emailid, listed.labels, listed.size) == (emailid, labels, 9)

    fetch = b"* 1 FETCH (UID 5 RFC822.SIZE 9 FLAGS () INTERNALDATE " + WHEN + b" " + answer + b")\r\n"
    sent = b"UID FETCH 5 (UID FLAGS INTERNALDATE RFC822.SIZE" + items + b")"
    play(asked(capability, (sent, fetch)), work)


def test_a_folders_own_name() -> None:
    async def work(session: Session) -> None:
        assert (await session.select("x")).mailboxid == "F22-1"
        assert (await session.select("x")).mailboxid == ""

    play(
        asked(
            b"OBJECTID",
            (b"SELECT x", b"* OK [MAILBOXID (F22-1)] .\r\n"),
            (b"SELECT x", b"* OK [MAILBOXID F22-1 x] .\r\n"),
        ),
        work,
    )
