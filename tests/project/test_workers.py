"""Real job workers, killed and asked to stop in the middle of a job: what becomes of it, and how soon (R-006, R-007).

Their times are production's own, all divided by the same number; nobody edits a row.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import procrastinate
import pytest

from postern.project import children, jobs
from postern.project.children import Child
from postern.project.database import libpq

from .working import SHORTER

PROMISED = 120 / SHORTER
"""Seconds: two minutes without hand work, for workers in a hurry."""
ROOT = str(Path(__file__).parents[2])


class Office:
    """Workers by name, and what they wrote down."""

    def __init__(self, place: Path) -> None:
        self.book, self.lock = place / "book", place / "lock"
        self.lock.touch()
        self.workers: dict[str, Child] = {}

    def hire(self, name: str) -> Child:
        """Start a worker as the process tree does."""
        command = [sys.executable, "-m", "tests.project.working", name, str(self.book), str(self.lock)]
        worker = Child(name, command, {"PYTHONPATH": ROOT})
        worker.start()
        self.workers[name] = worker
        self.until(lambda: self.said(f"{name} is up"))
        return worker

    def said(self, words: str) -> int:
        """How often it stands in the book."""
        return self.book.read_text().splitlines().count(words) if self.book.exists() else 0

    def until(self, true: Callable[[], object], seconds: float = 60.0) -> float:
        """Wait, with the process tree looking after those of its workers that died; return how long it took."""
        begun = time.monotonic()
        while not true():
            assert time.monotonic() - begun < seconds, (
                self.book.read_text() if self.book.exists() else "nothing"
            )
            for worker in self.workers.values():
                worker.tend()
            time.sleep(0.05)
        return time.monotonic() - begun

    def ask(self, number: int) -> None:
        """Put a job into the queue."""

        async def defer() -> None:
            app = procrastinate.App(connector=procrastinate.PsycopgConnector(kwargs=libpq("send")))
            async with app.open_async():
                await app.configure_task("note").defer_async(number=number)

        asyncio.run(defer())

    def dismiss(self, name: str) -> None:
        """Nobody brings this one back."""
        worker = self.workers.pop(name)
        assert worker.process is not None
        worker.process.wait(30)


@pytest.fixture
def office(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    for name in ("FIRST_PAUSE", "LONGEST_PAUSE"):
        monkeypatch.setattr(children, name, getattr(children, name) / SHORTER)
    office = Office(tmp_path)
    yield office
    for worker in office.workers.values():
        if worker.process is not None and worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()


def kill(worker: Child) -> None:
    assert worker.process is not None
    os.kill(worker.process.pid, signal.SIGKILL)
    worker.process.wait()


@pytest.mark.rule("R-006")
def test_killed_in_a_job_another_worker_takes_it_in_time(office: Office) -> None:
    first = office.hire("first")
    office.ask(0)
    office.until(lambda: office.said("first begins 0"))
    office.hire("second")
    kill(first)
    office.dismiss("first")
    office.lock.unlink()
    assert office.until(lambda: office.said("second ends 0")) < PROMISED
    assert office.said("first ends 0") == 0 and office.said("second begins 0") == 1


@pytest.mark.rule("R-006")
def test_killed_in_a_job_and_started_again_under_the_same_name_it_takes_its_own_job_in_time(
    office: Office,
) -> None:
    """Alone, brought back by the process tree; also where it has died so often that the tree waits longest."""
    worker = office.hire("only")
    worker.pause = children.LONGEST_PAUSE
    office.ask(0)
    office.until(lambda: office.said("only begins 0"))
    kill(worker)
    office.lock.unlink()
    assert office.until(lambda: office.said("only ends 0")) < PROMISED
    assert office.said("only is up") == 2 and office.said("only begins 0") == 2


@pytest.mark.rule("R-006")
def test_a_job_that_takes_long_is_left_to_the_worker_that_lives(office: Office) -> None:
    office.hire("first")
    office.ask(0)
    office.until(lambda: office.said("first begins 0"))
    office.hire("second")
    time.sleep((jobs.STALLED_AFTER + 2 * jobs.RESCUE_EVERY) / SHORTER)
    office.lock.unlink()
    office.until(lambda: office.said("first ends 0"))
    assert office.said("second begins 0") == 0


@pytest.mark.rule("R-007")
def test_asked_to_stop_in_a_job_it_finishes_that_takes_no_other_and_nobody_does_it_twice(
    office: Office,
) -> None:
    first = office.hire("first")
    office.ask(0)
    office.until(lambda: office.said("first begins 0"))
    office.hire("second")
    first.ask_to_stop()
    time.sleep(3 * jobs.LOOKS_EVERY / SHORTER)
    for number in (1, 2, 3, 4):
        office.ask(number)
    office.until(lambda: all(office.said(f"second ends {number}") for number in (1, 2, 3, 4)))
    time.sleep(jobs.DRAIN / 2 / SHORTER)
    office.lock.unlink()
    office.dismiss("first")
    assert first.process is not None and first.process.returncode == 0
    time.sleep((jobs.STALLED_AFTER + jobs.RESCUE_EVERY) / SHORTER)
    assert office.said("first ends 0") == 1 and office.said("second begins 0") == 0


def test_who_finishes_after_the_wish_to_stop_is_not_taken_for_dead() -> None:
    assert jobs.HEARTBEAT + jobs.DRAIN < jobs.STALLED_AFTER
