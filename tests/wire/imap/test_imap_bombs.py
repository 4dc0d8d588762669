"""What a hostile answer may cost: time in proportion to its bytes, bounded memory, and the next letter comes (A12)."""

import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Known, Session
from postern.wire.imap.commands import Command, Literal, command
from postern.wire.imap.protocol import Protocol
from postern.wire.imap.responses import Event
from tests.wire.imap.scripted import play, signed_in, transcript

WHEN = b'"01-Jan-2024 00:00:00 +0000"'
ROOT = Path(__file__).parents[3]
CHUNK = 64 * 1024


def numbers(count: int, step: int = 2) -> bytes:
    return b",".join(b"%d" % (1 + step * n) for n in range(count))


# Each makes an answer of about n bytes. Those beyond a limit end in a clean error, the others are read.
BOMBS: dict[str, Callable[[int], bytes]] = {
    "line without end": lambda n: b"* OK " + b"x" * n,
    "flags without end": lambda n: b"* 1 FETCH (FLAGS (" + b"a " * (n // 2),
    "many flags": lambda n: b"* 1 FETCH (FLAGS (" + b"a " * (n // 2) + b"))\r\n",
    "many different flags": lambda n: b"* 1 FETCH (FLAGS (" + b" ".join(b"%d" % i for i in range(n // 7)) + b"))\r\n",
    "flags always others": lambda n: b"".join(b"* 1 FETCH (FLAGS (f%d))\r\n" % i for i in range(n // 25)),
    "brackets within brackets": lambda n: b"* LIST " + b"(" * n + b"\r\n",
    "brackets side by side": lambda n: b"* X (" + b"()" * (n // 2) + b")\r\n* LIST (" + b"()" * (n // 2) + b")\r\n",
    "quoted string without end": lambda n: b'* LIST () "' + b"a" * n + b"\r\n",
    "escapes without end": lambda n: b'* LIST () "/" "' + b"\\a" * (n // 2) + b"\r\n",
    "backslashes": lambda n: b'* LIST () "/" "' + b"\\" * n + b'"\r\n',
    "escapes": lambda n: b'* LIST () "/" "' + b'\\"' * (n // 2) + b'"\r\n',
    "tiny literals": lambda n: b"* LIST (" + b"{0}\r\n " * (n // 6),
    "tiny literals in FETCH": lambda n: b"* 1 FETCH (UID 1 X {0}\r\n" + b" Y {0}\r\n" * (n // 9) + b")\r\n",
    "literal lengths": lambda n: b"* 1 FETCH (BODY[] {" + b"9" * n + b"}\r\n",
    "digits": lambda n: b"* " + b"9" * n + b" EXISTS\r\n",
    "digits in UID": lambda n: b"* 1 FETCH (UID " + b"9" * n + b")\r\n",
    "digits in SEARCH": lambda n: b"* SEARCH " + b"9" * n + b"\r\n",
    "spaces": lambda n: b"* " + b" " * n + b"\r\n* 1 FETCH (" + b" " * n + b")\r\n",
    "empty lines": lambda n: b"\r\n" * (n // 2),
    "stars": lambda n: b"* \r\n" * (n // 4),
    "pluses": lambda n: b"+\r\n" * (n // 3),
    "untagged": lambda n: b"* 1 EXISTS\r\n" * (n // 12),
    "untagged nonsense": lambda n: b"* X\r\n" * (n // 5),
    "unreadable": lambda n: b"* 1 FETCH (UID\r\n" * (n // 16),
    "search": lambda n: b"* SEARCH " + numbers(n // 7).replace(b",", b" ") + b"\r\n",
    "search of the same": lambda n: b"* SEARCH " + b"1 " * (n // 2) + b"\r\n",
    "ranges": lambda n: b"* ESEARCH UID ALL " + numbers(n // 7) + b"\r\n",
    "ranges backwards": lambda n: b"* ESEARCH UID ALL " + b",".join(numbers(n // 7).split(b",")[::-1]) + b"\r\n",
    "everything, often": lambda n: b"* VANISHED " + b",".join([b"1:4294967295"] * (n // 13)) + b"\r\n",
    "everything, line by line": lambda n: b"* VANISHED 1:4294967295\r\n" * (n // 25),
    "status items": lambda n: b"* STATUS x (" + b"A 1 " * (n // 4) + b")\r\n",
    "namespaces": lambda n: b"* NAMESPACE (" + b'("" "/")' * (n // 8) + b") NIL NIL\r\n",
    "capabilities": lambda n: b"* CAPABILITY " + b" ".join(b"C%d" % i for i in range(n // 7)) + b"\r\n",
    "response code without end": lambda n: b"* OK [" + b"x" * n + b"\r\n",
    "section without end": lambda n: b"* 1 FETCH (BODY[" + b"x" * n + b"\r\n",
    "sections without end": lambda n: b"* 1 FETCH (BODY[\r\n" * (n // 18),
    "hot shape, almost": lambda n: (b"* 1 FETCH (UID 1 FLAGS (" + b"a" * 1990 + b") INTERNALDATE x\r\n") * (n // 2030),
    "dates": lambda n: b"".join(
        b'* 1 FETCH (INTERNALDATE "%02d-Jan-%04d 00:00:00 +0000")\r\n' % (i % 28 + 1, i % 9999) for i in range(n // 55)
    ),
    "NULs": lambda n: b"\0" * n + b"* OK\r\n",
    "NULs line by line": lambda n: b"\0\r\n" * (n // 3),
    "tags": lambda n: b"A" * n + b" OK\r\n",
    "letters of one byte": lambda n: b"".join(
        b"* 1 FETCH (UID %d FLAGS () INTERNALDATE %s BODY[] {1}\r\nx)\r\n" % (i + 1, WHEN) for i in range(n // 80)
    ),
}  # fmt: skip


def read(data: bytes) -> list[Event]:
    """Everything the protocol makes of an answer, up to its end or its error."""
    protocol = Protocol()
    protocol.receive(b"* OK hello\r\n")
    protocol.next_event()
    protocol.start(Command("NOOP", [b"NOOP"], max_untagged=100_000))
    events: list[Event] = []
    try:
        for at in range(0, len(data), CHUNK):
            protocol.receive(data[at : at + CHUNK])
            while (event := protocol.next_event()) is not None:
                events = [event]
    except MailError as error:
        assert error.code in ("protocol_error", "server_busy")
    return events


def seconds(data: bytes) -> float:
    """CPU time of the best of three: on a busy machine the others say more about their neighbours."""

    def once() -> float:
        begun = time.process_time()
        read(data)
        return time.process_time() - begun

    return min(once() for _ in range(3))


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_time_is_linear(bomb: Callable[[int], bytes]) -> None:
    """S-114, S-115, S-116: at n, 4n and 16n, where a quadratic one would take 256 times as long."""
    size = 15_000
    one = seconds(bomb(size))
    assert seconds(bomb(4 * size)) < 4 * 3 * one + 0.1
    assert seconds(bomb(16 * size)) < min(2.0, 16 * 3 * one + 0.1)


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_memory_is_bounded(bomb: Callable[[int], bytes]) -> None:
    """S-114: an answer costs some tens of times its bytes at worst."""
    data = bomb(1 << 16)
    tracemalloc.start()
    try:
        read(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_the_longest_answers_allowed_stay_below_256_megabytes() -> None:
    """S-114, S-116: 12 MB of SEARCH and of VANISHED, in a process of their own."""
    code = """
import resource, sys, time
from tests.wire.imap.test_imap_bombs import numbers, read
many = numbers(1_200_000, step=3000)[: (12 << 20) - 100].rpartition(b",")[0]
data = (b"* VANISHED " + many if sys.argv[1] == "ranges" else b"* SEARCH " + many.replace(b",", b" ")) + b"\\r\\n"
before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
[event] = read(data)
assert len(event.uids) > 1_000_000
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(grown // 1024, "MB", time.process_time() - begun, "s")
assert grown < 256 * 1024
assert time.process_time() - begun < 8
"""
    for kind in ("ranges", "search"):
        subprocess.run([sys.executable, "-c", code, kind], check=True, timeout=120, cwd=ROOT)


@pytest.mark.parametrize(
    "length", [b"4294967295", b"-1", b"", b"99999999999999999999", b"1e9", b" 1", b"+5", b"0x10"]
)
def test_lengths_of_literals(length: bytes) -> None:
    """S-115: nothing is reserved and nothing is waited for."""
    tracemalloc.start()
    assert read(b"* 1 FETCH (UID 1 BODY[] {" + length + b"}\r\n" + b"x" * 1000 + b")\r\n") != [None]
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "line",
    ["+ more", "* 1 EXISTS", "* OK [ALERT] x", "* 1 FETCH (FLAGS ())", "* VANISHED 1:4294967295", "* X"],
)
def test_endless_answers_have_an_end(line: str) -> None:
    """S-115: to one command, however short each of them is."""
    protocol = Protocol()
    protocol.receive(b"* OK hello\r\n")
    protocol.next_event()
    protocol.start(command("NOOP"))
    with pytest.raises(MailError):
        for _ in range(20_001):
            protocol.receive(line.encode() + b"\r\n")
            protocol.next_event()


def test_an_endless_go_ahead_sends_nothing_twice() -> None:
    """S-115."""
    protocol = Protocol()
    protocol.receive(b"* OK hello\r\n")
    protocol.next_event()
    protocol.start(command("X", Literal(b"once")))
    protocol.receive(b"+ go\r\n" * 100)
    with pytest.raises(MailError):
        protocol.next_event()
    assert b"".join(protocol.outgoing()).count(b"once") == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        "* 1 FETCH (UID 5 ENVELOPE (" + "(" * 15,
        "* 1 FETCH (UID " + "9" * 1000 + ")",
        "* VANISHED 0:*",
        "* SEARCH 1 2 x",
        '* LIST () "',
        "* STATUS x (MESSAGES",
        "* X " + "()" * 5000,
    ],
)
def test_the_next_letter_comes_all_the_same(nonsense: str) -> None:
    """S-114: one answer that cannot be read is one answer less."""

    async def work(session: Session) -> None:
        assert [one.raw async for one in session.uid_fetch_bodies([5, 6])] == [b"ab"]

    play(
        transcript(
            signed_in()
            + "C: UID FETCH 5:6 (UID FLAGS INTERNALDATE BODY.PEEK[])\n"
            + f"S: {nonsense}\nS: * 2 FETCH (UID 6 BODY[] {{2}}\nS: ab)\nS: TAG OK done"
        ),
        work,
    )


@pytest.mark.parametrize(
    "answer",
    [
        "* OK [COPYUID 7 1:4294967295 1:4294967295] .\nS: TAG OK done",
        "TAG OK [COPYUID 7 1:4294967295 1:4294967295] done",
        "TAG OK [COPYUID 7 " + ",".join(["1:4294967295"] * 3000) + " 1] done",
    ],
)
def test_hostile_sets_behind_a_move(answer: str) -> None:
    """S-116."""

    async def work(session: Session) -> None:
        begun = time.process_time()
        told = await session.uid_move([5, 6], "Trash")
        assert set(told.uids) <= {5, 6}
        assert time.process_time() - begun < 0.5

    play(transcript(signed_in("IMAP4rev1 MOVE") + f"C: UID MOVE 5:6 Trash\nS: {answer}"), work)


def test_a_hostile_resync_costs_its_bytes() -> None:
    """S-116: every UID is said to be gone, a thousand times, and what is not known is said to have changed."""
    vanished = "S: * VANISHED (EARLIER) 1:4294967295\n" * 1000
    changed = "".join(f"S: * {n} FETCH (UID {n} FLAGS (f{n}) MODSEQ ({n}))\n" for n in range(1, 5000))

    async def work(session: Session) -> None:
        begun = time.process_time()
        found = await session.select("INBOX", known=Known(7, 1))
        assert found.resynced
        assert len(found.vanished) == 2**32 - 1
        assert found.vanished.among(range(1, 1000)) == list(range(1, 1000))
        assert len(found.changed) == 4999
        assert time.process_time() - begun < 2

    play(
        transcript(
            signed_in("IMAP4rev1 ENABLE QRESYNC CONDSTORE")
            + "C: ENABLE QRESYNC\nS: * ENABLED QRESYNC\nS: TAG OK .\n"
            + "C: SELECT INBOX (QRESYNC (7 1))\n"
            + "S: * OK [UIDVALIDITY 7] .\nS: * OK [HIGHESTMODSEQ 9] .\n"
            + vanished
            + changed
            + "S: TAG OK open"
        ),
        work,
        timeout=10,
    )
