"""kill -9 of the whole sync process at random moments while mail arrives: every letter is here, once (R-002, I1, I6).

`./dev test` kills a few times with a fixed seed, `./dev soak` a thousand times.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from postern.mail.access import at_mailbox
from postern.mail.models import Message, Raw, Sighting
from postern.project.children import end_with_parent
from tests.reliability.scale import amount
from tests.reliability.world import World

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-002")]
KILLS = amount(8, 1000)


class Nursery:
    """See nursery.py."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def __enter__(self) -> Nursery:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("ab"),
            env={**os.environ, "POSTERN_MAIL_HOSTS": "127.0.0.1", "POSTERN_ROLE": "sync"},
            preexec_fn=end_with_parent(signal.SIGTERM),
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()

    def ask(self, words: str) -> int:
        """Say something and return the number in the answer."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.log.read_text()[-2000:]
        return int(answer.split()[1])

    @contextlib.contextmanager
    def child(self, words: str = "go") -> Iterator[int]:
        """A process for a while; it is killed at the end."""
        pid = self.ask(words)
        try:
            yield pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self.ask("reap")


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    with Nursery(tmp_path / "log") as started:
        yield started


def test_every_letter_is_here_once_however_often_the_process_is_killed(
    servers: Callable[[str], Any],
    anyone: Callable[[], str],
    as_sync: Any,
    nursery: Nursery,
    record_property: Callable[..., None],
) -> None:
    dice = random.Random(2)
    world = World.open(servers("dovecot"), "dovecot", anyone(), as_sync)
    world.settings(mark_as_read=True)
    world.sync()
    for n in range(KILLS):
        with nursery.child():
            for m in range(dice.randrange(1, 4)):
                world.put(
                    f"kill {n} letter {m}",
                    dice.choice(("INBOX", "INBOX", "Sent")),
                    body="x" * dice.randrange(4000),
                )
                time.sleep(dice.random() * 0.15)
            time.sleep(dice.random() * 0.4)
    halfway = len(_stored(world))
    _set_leases_free(as_sync)
    world.sync(2)
    truth = {sha for folder in ("INBOX", "Sent") for sha in world.look.digests(world.user, folder).values()}
    stored = _stored(world)
    assert set(stored) == truth
    assert max(stored.values()) == 1
    assert world.accounted() == []
    assert _raw_is_whole(world)
    assert {flags for _, flags in world.there().values()} == {frozenset({"\\Seen"})}
    record_property(
        "figure",
        f"R-002: {KILLS} kills, {len(truth)} letters on the server and here; {halfway} came before the last",
    )


def _stored(world: World) -> Counter[str]:
    """SHA-256 of every message, and how often."""
    with at_mailbox(world.box.mailbox.pk):
        rows = Message.objects.filter(mailbox=world.box.mailbox).values_list("sha256", flat=True)
        return Counter(bytes(sha).hex() for sha in rows)


def _raw_is_whole(world: World) -> bool:
    with at_mailbox(world.box.mailbox.pk):
        messages = set(Message.objects.filter(mailbox=world.box.mailbox).values_list("pk", flat=True))
        seen = set(Sighting.objects.filter(mailbox=world.box.mailbox).values_list("message", flat=True))
        return (
            messages
            == seen
            == set(Raw.objects.filter(mailbox=world.box.mailbox).values_list("pk", flat=True))
        )


def _set_leases_free(acting_as: Any) -> None:
    """What the killed process held would end by itself after half a minute."""
    from postern.mailboxes.models import Lease

    with acting_as("superuser"):
        Lease.objects.all().delete()
