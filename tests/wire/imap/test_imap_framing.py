"""Literals of every size, cut at every byte, wherever they come to lie: scratch, memory, file."""

import gc
import mmap
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import spool
from postern.wire.imap.commands import command
from postern.wire.imap.framing import Limits
from postern.wire.imap.protocol import Protocol
from postern.wire.imap.responses import Event, Fetch, Line
from postern.wire.imap.spool import InMemory, Spool

WHEN = b'"01-Jan-2024 00:00:00 +0000"'
Feed = Callable[[Protocol, bytes], None]


@pytest.fixture
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place from 8 bytes on, to a file above 40."""
    monkeypatch.setattr(spool, "IN_PLACE_FROM", 8)
    monkeypatch.setattr(spool, "SPOOL_FROM", 40)


def fed(protocol: Protocol, data: bytes) -> None:
    protocol.receive(data)


def placed(protocol: Protocol, data: bytes, scratch: bytearray | None = None) -> None:
    """As the socket does: wherever there is room, which is as much as there is room for."""
    # What an earlier connection left in the buffer is no part of the answer.
    scratch = bytearray(b"\xee" * 200) if scratch is None else scratch
    while data:
        room = protocol.room(memoryview(scratch))
        count = min(len(room), len(data))
        assert count > 0
        room[:count] = data[:count]
        data = data[count:]
        protocol.got(count, memoryview(scratch))


def letter(uid: int, size: int, *, hot: bool = True) -> bytes:
    text = (b"%d)\r\n* 1 EXISTS\r\n" % uid * (size // 4 + 1))[:size]
    head = b"* %d FETCH (UID %d FLAGS (\\Seen) " % (uid, uid)
    when = b"INTERNALDATE " + WHEN + b" "
    if hot:
        return head + when + b"BODY[] {%d}\r\n" % size + text + b")\r\n"
    return head + b"BODY[] {%d}\r\n" % size + text + b" " + when.strip() + b")\r\n"


def read(feed: Feed, pieces: list[bytes]) -> tuple[list[tuple[int | None, bytes]], int]:
    """The letters, and how many other events there were."""
    protocol = Protocol()
    protocol.receive(b"* OK hello\r\n")
    protocol.next_event()
    tag = protocol.start(command("X"))
    for piece in pieces:
        feed(protocol, piece.replace(b"TAG", tag.encode()))
    found: list[Event] = []
    while (event := protocol.next_event()) is not None:
        found.append(event)
    assert (protocol.queued, protocol.announced, protocol.buffered) == (0, 0, 0)
    letters = [(one.uid, one.body[:]) for one in found if isinstance(one, Fetch) and one.body is not None]
    return letters, len(found) - len(letters)


SIZES = (0, 1, 7, 8, 9, 39, 40, 41, 90)


@pytest.mark.parametrize("feed", [fed, placed])
@pytest.mark.parametrize("hot", [True, False])
def test_letters_of_every_size_cut_at_every_byte(small_sizes: None, feed: Feed, hot: bool) -> None:
    """R-026: hot and general reading, with what follows in the same segment or later."""
    said = b"".join(letter(5 + size, size, hot=hot) for size in SIZES) + b"* 7 EXISTS\r\n"
    whole = read(feed, [said])
    assert [(uid, len(body)) for uid, body in whole[0]] == [(5 + size, size) for size in SIZES]
    assert whole == read(fed, [said])
    assert whole[1] == 1
    for cut in range(1, len(said)):
        assert read(feed, [said[:cut], said[cut:]]) == whole
    assert read(feed, [said[at : at + 1] for at in range(len(said))]) == whole
    assert read(feed, [said[a:b] for a, b in pairwise([*range(0, len(said), 7), len(said)])]) == whole


@pytest.mark.parametrize(
    ("size", "kind"),
    [
        (spool.IN_PLACE_FROM - 1, bytes),
        (spool.IN_PLACE_FROM, bytes),
        (spool.SPOOL_FROM, bytes),
        (spool.SPOOL_FROM + 1, mmap.mmap),
    ],
)
def test_where_a_letter_lies(size: int, kind: type) -> None:
    protocol = Protocol()
    protocol.receive(b"* OK hello\r\n")
    assert isinstance(protocol.next_event(), Line)
    scratch = bytearray(256 * 1024)
    left = memoryview(letter(3, size))
    while left:
        room = protocol.room(memoryview(scratch))
        count = min(len(room), len(left), 50_000)
        room[:count] = left[:count]
        protocol.got(count, memoryview(scratch))
        left = left[count:]
    event = protocol.next_event()
    assert isinstance(event, Fetch)
    assert type(event.body) is kind
    assert event.body is not None
    assert event.body[:] == letter(3, size).partition(b"}\r\n")[2][:-3]
    if isinstance(event.body, mmap.mmap):
        with pytest.raises(TypeError):
            event.body[0] = 1


def test_a_large_letter_in_memory_is_not_held_twice() -> None:
    size = 4 << 20
    piece = memoryview(bytes(64 * 1024))
    gc.collect()
    tracemalloc.start()
    held = InMemory(size)
    while held.missing:
        held.write(piece)
    whole = held.value()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(whole) == size
    assert peak < 1.1 * size


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield tmp_path
    monkeypatch.undo()


def test_a_letter_in_a_file_has_no_name_and_goes_with_the_last_reference(folder: Path) -> None:
    def open_files() -> int:
        links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
        return sum(1 for link in links if link.is_symlink() and str(folder) in str(link.readlink()))

    spooled = Spool(100)
    assert list(folder.iterdir()) == []
    spooled.write(memoryview(b"x" * 100))
    raw = spooled.value().raw
    assert (raw[:], list(folder.iterdir()), open_files()) == (b"x" * 100, [], 1)
    del raw, spooled
    gc.collect()
    assert open_files() == 0


def test_a_letter_that_is_cut_off_leaves_nothing(folder: Path) -> None:
    protocol = Protocol()
    protocol.receive(b"* OK hello\r\n" + letter(3, spool.SPOOL_FROM + 1)[:-10])
    protocol.discard()
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_told_as_such() -> None:
    """R-009: a passing trouble of ours, not the server's fault."""
    with pytest.raises(MailError) as caught, Path("/dev/full").open("wb", buffering=0) as full:
        spooled = Spool(100)
        spooled.discard()
        spooled._file = cast(BinaryIO, full)
        spooled.write(memoryview(b"x"))
    assert (caught.value.code, caught.value.temporary) == ("disk_full", True)


def test_a_full_disk_comes_behind_the_letters_that_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "begin", lambda length: (_ for _ in ()).throw(spool._disk_full()))
    protocol = Protocol()
    protocol.receive(b"* OK hello\r\n" + letter(2, 10) + letter(3, 2 << 20))
    assert isinstance(protocol.next_event(), Line)
    assert isinstance(protocol.next_event(), Fetch)
    with pytest.raises(MailError) as caught:
        protocol.next_event()
    assert caught.value.code == "disk_full"


@pytest.mark.parametrize("size", [500, spool.LARGEST_LETTER + 1])
def test_a_letter_above_the_cap_ends_the_reading(size: int) -> None:
    """S-115: before a byte of it is taken."""
    protocol = Protocol(Limits(letter=499) if size == 500 else None)
    protocol.receive(b"* OK hello\r\n* 1 FETCH (UID 1 BODY[] {%d}\r\n" % size)
    protocol.next_event()
    with pytest.raises(MailError) as caught:
        protocol.next_event()
    assert caught.value.code == "protocol_error"


def test_time_stays_linear() -> None:
    """S-114: n, 2n and 4n small literals, letters and pieces."""

    def seconds(count: int) -> float:
        said = letter(1, 3000) * count + (b"* X " + b"{1}\r\nx " * 500 + b"\r\n") * (count // 50)
        begun = time.process_time()
        protocol = Protocol()
        protocol.receive(b"* OK hello\r\n")
        for at in range(0, len(said), 1000):
            placed(protocol, said[at : at + 1000], scratch)
            while protocol.next_event() is not None:
                pass
        return time.process_time() - begun

    scratch = bytearray(256 * 1024)
    seconds(200)
    one, four = seconds(1000), seconds(4000)
    assert four < 8 * one + 0.1
    assert four < 2
