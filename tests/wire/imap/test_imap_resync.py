"""Learning what changed: what is asked on each step of the ladder, and what is made of the answers (R-018, I7)."""

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Changed, Known, Session, UidSet
from tests.wire.imap.scripted import Script, Wire, play

NONE: frozenset[str] = frozenset()
SEEN = frozenset({"\\Seen"})
KNOWN = Known(7, 100)
QRESYNC = b"IMAP4rev1 ENABLE CONDSTORE QRESYNC ESEARCH"


def opened(*answer: bytes, capabilities: bytes = QRESYNC, sent: bytes = b"(QRESYNC (7 100))") -> Script:
    async def script(wire: Wire) -> None:
        await wire.sign_in(capabilities)
        if b"QRESYNC" in capabilities:
            assert await wire.hear() == b"ENABLE QRESYNC"
            await wire.say(b"* ENABLED QRESYNC\r\nTAG OK\r\n")
        assert await wire.hear() == b"SELECT x" + (b" " + sent if sent else b"")
        await wire.say(b"* 9 EXISTS\r\n* OK [UIDVALIDITY 7] .\r\n", *answer)

    return script


def test_everything_that_happened_comes_with_select() -> None:
    async def work(session: Session) -> None:
        assert session.ladder == "qresync"
        found = await session.select("x", known=KNOWN)
        assert found.resynced
        assert found.vanished == UidSet.parse("3:5,90:4294967295")
        assert found.changed == (Changed(1, SEEN, 104), Changed(12, NONE, 103))
        assert (found.exists, found.highestmodseq, found.nomodseq) == (9, 104, False)

    play(
        opened(
            b"* OK [HIGHESTMODSEQ 104] .\r\n* VANISHED (EARLIER) 3:5,90:4294967295\r\n",
            b"* 9 FETCH (UID 12 FLAGS () MODSEQ (103))\r\n* 1 FETCH (MODSEQ (102) UID 1 FLAGS ())\r\n",
            b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 1 FETCH (UID 1 MODSEQ (104))\r\n* 2 FETCH (FLAGS (\\Seen))\r\n",
            b"TAG OK\r\n",
        ),
        work,
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"* OK [UIDVALIDITY 8] .\r\n* OK [HIGHESTMODSEQ 104] .\r\n",
        b"* OK [HIGHESTMODSEQ 99] .\r\n",
        b"* OK [NOMODSEQ] .\r\n",
        b"* OK [HIGHESTMODSEQ 104] .\r\n* OK [NOMODSEQ] .\r\n",
        b"",
        b"* OK [HIGHESTMODSEQ 9223372036854775808] .\r\n",
        b"* OK [HIGHESTMODSEQ -1] .\r\n",
    ],
)
def test_an_answer_to_other_parameters_is_not_a_resync(answer: bytes) -> None:
    """R-018: with doubt about the mod-sequences nothing that came is believed to be all that happened."""

    async def work(session: Session) -> None:
        found = await session.select("x", known=KNOWN)
        assert not found.resynced
        assert (found.vanished, found.changed) == (UidSet(), ())
        assert found.nomodseq is (b"NOMODSEQ" in answer)
        assert found.highestmodseq is None or not found.nomodseq

    noise = b"* VANISHED (EARLIER) 1:9\r\n* 1 FETCH (UID 1 FLAGS ())\r\nTAG OK\r\n"
    play(opened(answer + noise), work)


@pytest.mark.parametrize("known", [None, Known(0, 5), Known(7, 0), Known(7, -1), Known(7, 2**63)])
def test_nothing_is_claimed_that_is_not_known(known: Known | None) -> None:
    async def work(session: Session) -> None:
        assert not (await session.select("x", known=known)).resynced

    play(opened(b"* OK [HIGHESTMODSEQ 104] .\r\nTAG OK\r\n", sent=b""), work)


def test_condstore_alone_is_turned_on_by_select() -> None:
    async def work(session: Session) -> None:
        assert session.ladder == "condstore"
        found = await session.select("x", known=KNOWN)
        assert (found.highestmodseq, found.resynced) == (104, False)

    plain = b"IMAP4rev1 CONDSTORE"
    play(
        opened(b"* OK [HIGHESTMODSEQ 104] .\r\nTAG OK\r\n", capabilities=plain, sent=b"(CONDSTORE)"),
        work,
    )


def test_what_came_before_closed_is_about_the_other_folder() -> None:
    async def work(session: Session) -> None:
        await session.select("x", known=KNOWN)
        found = await session.select("y", known=KNOWN)
        assert (found.exists, found.uidvalidity, found.highestmodseq) == (2, 7, 105)
        assert (found.vanished, found.changed) == (UidSet.of([8]), ())

    async def script(wire: Wire) -> None:
        await opened(b"* OK [HIGHESTMODSEQ 104] .\r\nTAG OK\r\n")(wire)
        assert await wire.hear() == b"SELECT y (QRESYNC (7 100))"
        await wire.say(
            b"* 50 EXISTS\r\n* VANISHED 5\r\n* 1 FETCH (UID 1 FLAGS ())\r\n* OK [HIGHESTMODSEQ 999] .\r\n",
            b"* OK [CLOSED] .\r\n* 2 EXISTS\r\n* OK [UIDVALIDITY 7] .\r\n* OK [HIGHESTMODSEQ 105] .\r\n",
            b"* VANISHED (EARLIER) 8\r\nTAG OK\r\n",
        )

    play(script, work)


def test_earlier_deaths_are_not_counted_twice_and_later_ones_are() -> None:
    async def work(session: Session) -> None:
        assert (await session.select("x", known=KNOWN)).exists == 9
        await session.noop()
        assert session.connection.exists == 7
        await session.noop()
        assert session.connection.exists == 0

    async def script(wire: Wire) -> None:
        await opened(b"* OK [HIGHESTMODSEQ 104] .\r\n* VANISHED (EARLIER) 1:5\r\nTAG OK\r\n")(wire)
        await wire.hear(b"NOOP")
        await wire.say(b"* VANISHED 20:21\r\nTAG OK\r\n")
        await wire.hear(b"NOOP")
        await wire.say(b"* VANISHED 1:4294967295\r\nTAG OK\r\n")

    play(script, work)


@pytest.mark.parametrize(
    ("capabilities", "sent"),
    [(QRESYNC, b"(QRESYNC (7 100))"), (b"IMAP4rev1 CONDSTORE", b"(CONDSTORE)")],
)
def test_a_server_that_does_not_know_its_own_extension_is_asked_again(
    capabilities: bytes, sent: bytes
) -> None:
    async def work(session: Session) -> None:
        found = await session.select("x", known=KNOWN)
        assert (found.exists, found.resynced) == (4, False)
        assert session.ladder == "plain"
        await session.select("x", known=KNOWN)

    async def script(wire: Wire) -> None:
        await opened(b"TAG BAD what\r\n", capabilities=capabilities, sent=sent)(wire)
        for _ in range(2):
            assert await wire.hear() == b"SELECT x"
            await wire.say(b"* 4 EXISTS\r\nTAG OK\r\n")

    play(script, work)


@pytest.mark.parametrize("answer", [b"TAG NO no\r\n", b"TAG BAD no\r\n"])
def test_a_refused_enable_means_the_next_step_of_the_ladder(answer: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.sign_in(QRESYNC)
        assert await wire.hear() == b"ENABLE QRESYNC"
        await wire.say(answer)

    async def work(session: Session) -> None:
        assert session.ladder == "condstore+esearch"

    play(script, work)


@pytest.mark.parametrize(
    ("capabilities", "ladder"),
    [
        (b"IMAP4rev1", "plain"),
        (b"IMAP4rev1 ESEARCH", "plain"),
        (b"IMAP4rev1 CONDSTORE", "condstore"),
        (b"IMAP4rev1 CONDSTORE ESEARCH QRESYNC", "condstore+esearch"),  # no ENABLE to turn QRESYNC on
    ],
)
def test_the_ladder(capabilities: bytes, ladder: str) -> None:
    async def work(session: Session) -> None:
        assert session.ladder == ladder

    async def script(wire: Wire) -> None:
        await wire.sign_in(capabilities)

    play(script, work)


def asked(sent: bytes, answer: bytes, capabilities: bytes = b"IMAP4rev1 CONDSTORE ESEARCH") -> Script:
    async def script(wire: Wire) -> None:
        await wire.sign_in(capabilities)
        assert await wire.hear() == sent
        await wire.say(answer + b"TAG OK\r\n")

    return script


def test_changes_since() -> None:
    async def work(session: Session) -> None:
        assert await session.uid_changes(17) == [Changed(4, SEEN, 20), Changed(9, NONE, None)]

    answer = b"* 3 FETCH (UID 9 FLAGS ())\r\n* 9 EXISTS\r\n* 2 FETCH (MODSEQ (20) FLAGS (\\Seen) UID 4)\r\n"
    play(asked(b"UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 17)", answer), work)


@pytest.mark.parametrize("since", [-1, 2**63])
def test_no_modseq(since: int) -> None:
    async def work(session: Session) -> None:
        with pytest.raises(ValueError, match="mod-sequence"):
            await session.uid_changes(since)

    async def script(wire: Wire) -> None:
        await wire.sign_in()

    play(script, work)


def test_flags_of_a_window() -> None:
    async def work(session: Session) -> None:
        assert await session.uid_flags("5:9") == [Changed(5, SEEN, None)]

    play(asked(b"UID FETCH 5:9 (UID FLAGS)", b"* 1 FETCH (UID 5 FLAGS (\\Seen))\r\n* 7 FETCH ()\r\n"), work)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b'* ESEARCH (TAG "TAG") UID ALL 1:4294967295\r\n', "1:4294967295"),
        (b'* ESEARCH (TAG "TAG") UID\r\n', ""),
        (b"* ESEARCH UID ALL 5,1:2\r\n", "1:2,5"),
        (b'* ESEARCH (TAG "other") UID ALL 9\r\n* ESEARCH (TAG "TAG") UID ALL 1\r\n', "1"),
        (b"* SEARCH 3 1 2\r\n", "1:3"),
    ],
)
def test_search_by_ranges(answer: bytes, found: str) -> None:
    async def work(session: Session) -> None:
        assert str(await session.uid_search_set("ALL")) == found

    play(asked(b"UID SEARCH RETURN (ALL) ALL", answer), work)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b'* ESEARCH (TAG "TAG") ALL 1:2\r\n',
        b'* ESEARCH (TAG "TAG") UID ALL 1:x\r\n',
        b"* SEARCH 1 2 x\r\n",
    ],
)
def test_a_listing_that_cannot_be_read_is_no_listing(answer: bytes) -> None:
    """I7: an empty answer made of nonsense would have every letter deleted."""

    async def work(session: Session) -> None:
        with pytest.raises(MailError) as caught:
            await session.uid_search_set("ALL")
        assert caught.value.code == "protocol_error"

    play(asked(b"UID SEARCH RETURN (ALL) ALL", answer), work)


def test_search_without_esearch() -> None:
    async def work(session: Session) -> None:
        assert str(await session.uid_search_set("UID 5:9")) == "5:6"

    play(asked(b"UID SEARCH UID 5:9", b"* SEARCH 5 6\r\n", b"IMAP4rev1"), work)


def test_a_list_of_more_than_a_million_is_refused() -> None:
    """S-116."""

    async def work(session: Session) -> None:
        with pytest.raises(MailError) as caught:
            await session.uid_search("ALL")
        assert caught.value.code == "protocol_error"
        assert session.closed

    play(asked(b"UID SEARCH RETURN (ALL) ALL", b"* ESEARCH UID ALL 1:4294967295\r\n"), work)
