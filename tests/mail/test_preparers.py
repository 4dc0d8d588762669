"""Reading letters in other processes: the same result, and a letter that kills one harms nobody else."""

import os
import sys
import threading
import time
from datetime import UTC, datetime

import pytest

from postern.mail.preparers import LARGE, MANY, Preparers
from postern.mail.preparing import Arrival, prepare
from postern.mail.tray import KEPT, Tray

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
# A process whose reader does what a letter says.
FRAGILE = """
import os, time
import postern.mail.preparers as preparers, postern.mail.preparing as preparing
real = preparing.read
def fragile(raw):
    if b"die" in raw: os.kill(os.getpid(), 11)
    if b"stall" in raw:
        while True: pass
    if b"eat" in raw: bytearray(8 * 1024**3)
    return real(raw)
preparing.read = fragile
preparers.LETTER_SECONDS = 0.7
preparers.main()
"""


def letters(*subjects: str) -> list[Arrival]:
    """Arrivals with UIDs from 1."""
    raw = "From: Zoë <z@x.example>\r\nSubject: {}\r\nDate: Mon, 23 Nov 2026 10:31:00 +0100\r\n\r\nHello\r\n"
    return [
        Arrival(uid, frozenset({"\\Seen"}), NOON, raw.format(subject).encode())
        for uid, subject in enumerate(subjects, 1)
    ]


@pytest.fixture
def preparers():
    made: list[Preparers] = []

    def make(**options) -> Preparers:
        made.append(Preparers(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_another_process_gives_what_this_one_gives(preparers):
    many = letters(*(f"letter {n}" for n in range(60)))
    pool = preparers(most=1)
    assert pool.prepare_many(many, wait=True) == [prepare(one) for one in many]
    assert pool.prepare_many(many, outgoing=True, wait=True) == [prepare(one, outgoing=True) for one in many]
    assert pool.running == 1


@pytest.mark.parametrize(
    ("bad", "reason"), [("die", "more than"), ("stall", "more than"), ("eat", "MemoryError")]
)
def test_a_letter_that_kills_its_process_is_told_and_the_others_are_read(preparers, bad, reason):
    pool = preparers(most=1, command=(sys.executable, "-c", FRAGILE))
    many = letters("one", *["fine"] * MANY, bad, "two", bad, "three")
    done = pool.prepare_many(many, wait=True)
    assert [one.uid for one in done] == [one.uid for one in many]
    assert [one.subject for one in done if not one.broken] == ["one", *["fine"] * MANY, "two", "three"]
    assert [reason in one.broken for one in done if one.broken] == [True, True]
    assert all(len(one.raw) > 0 and len(one.sha256) == 32 for one in done)
    assert pool.running == 1


@pytest.mark.parametrize("script", ["raise SystemExit(1)", "print('hello', flush=True)", "pass"])
def test_where_no_process_can_be_started_the_letters_are_read_here(preparers, script):
    pool = preparers(most=1, command=(sys.executable, "-c", script))
    many = letters(*["fine"] * MANY)
    assert pool.prepare_many(many, wait=True) == [prepare(one) for one in many]
    assert pool.running == 0


def test_a_process_that_died_between_two_batches_is_nobodys_fault(preparers):
    pool = preparers(most=1)
    many = letters(*["fine"] * MANY)
    pool.prepare_many(many, wait=True)
    process = pool._free.get()
    process._child.kill()
    process._child.wait()
    pool._free.put(process)
    assert pool.prepare_many(many, wait=True) == [prepare(one) for one in many]
    assert pool.running == 1


def test_few_letters_start_no_process_and_a_large_one_does(preparers):
    pool = preparers(most=1)
    assert [one.subject for one in pool.prepare_many(letters("a", "b"))] == ["a", "b"]
    assert pool.running == 0
    (large,) = letters("big")
    large = Arrival(1, large.flags, NOON, large.raw + b"x" * LARGE)
    assert pool.prepare_many([large]) == [prepare(large)]
    assert pool.running == 1


def test_several_threads_share_the_processes(preparers):
    pool = preparers(most=2)
    many = letters(*(f"letter {n}" for n in range(40)))
    results: list[bool] = []

    def work() -> None:
        results.append(pool.prepare_many(many, wait=True) == [prepare(one) for one in many])

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 5
    assert pool.running <= 2


def test_processes_nobody_needs_end_and_come_back_when_wanted(preparers):
    pool = preparers(most=1, idle=0.1)
    many = letters(*["x"] * MANY)
    pool.prepare_many(many, wait=True)
    deadline = time.monotonic() + 20
    while pool.running and time.monotonic() < deadline:
        time.sleep(0.02)
    assert pool.running == 0
    assert len(pool.prepare_many(many, wait=True)) == MANY


def test_letters_come_out_of_a_tray_as_they_were_laid_in_each_time_anew():
    tray = Tray.new()
    try:
        for many in ([b"one", b"", b"three"], [b"%d" % n * n for n in range(1500)], [b"x"], []):
            assert list(tray.read(tray.lay(many))) == many
    finally:
        tray.close()


def test_a_tray_tells_which_letter_is_being_read_and_gives_back_what_large_ones_took():
    tray = Tray.new()
    try:
        reading = tray.read(tray.lay([b"a", b"b", b"c" * (KEPT + 1)]))
        assert [(len(next(reading)), tray.noted()) for _ in range(3)] == [(1, 0), (1, 1), (KEPT + 1, 2)]
        tray.clear()
        assert os.fstat(tray.fd).st_size == KEPT
        os.ftruncate(tray.fd, 0)  # as a process that was taken over might
        assert tray.noted() == 0
        assert list(tray.read(tray.lay([b"again"]))) == [b"again"]
    finally:
        tray.close()
