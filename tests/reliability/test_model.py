"""A model of a mailbox against a real Dovecot: whatever people and crashes do, what is here follows (R-024: I1, I6, I7).

`./dev test` plays a few short lives with a fixed seed, `./dev soak` many long ones. Hypothesis shortens what fails.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from postern.mail.access import at_mailbox
from postern.mail.models import Message
from tests.reliability.scale import SOAK, amount
from tests.reliability.test_kills import Nursery, _set_leases_free
from tests.reliability.world import World

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-024")]
LIVES, STEPS = amount(4, 300), 40 if SOAK else 10


class Life(RuleBasedStateMachine):
    """`inbox` and `trash` hold the subjects that must lie there. Every letter's subject is its number."""

    make_world: Callable[[], World]
    nursery: Nursery
    acting_as: Any
    played = 0

    @initialize()
    def begin(self) -> None:
        type(self).played += 1
        self.world = self.make_world()
        self.inbox: list[str] = []
        self.trash: list[str] = []
        self.count = 0
        self.ever: set[str] = set()
        self.world.sync()

    @rule(letters=st.integers(1, 4))
    def letters_arrive(self, letters: int) -> None:
        for _ in range(letters):
            self.count += 1
            self.inbox.append(str(self.count))
            self.world.put(str(self.count))

    @precondition(lambda self: self.inbox)
    @rule(data=st.data())
    def a_letter_is_flagged(self, data: st.DataObject) -> None:
        self.world.flag(
            data.draw(st.sampled_from(self.inbox)),
            data.draw(st.sampled_from(("\\Seen", "\\Flagged", "Work"))),
        )

    @precondition(lambda self: self.inbox)
    @rule(data=st.data())
    def a_letter_is_deleted(self, data: st.DataObject) -> None:
        subject = data.draw(st.sampled_from(self.inbox))
        self.inbox.remove(subject)
        self.world.expunge(subject)

    @precondition(lambda self: self.inbox)
    @rule(data=st.data())
    def a_letter_goes_to_trash(self, data: st.DataObject) -> None:
        subject = data.draw(st.sampled_from(self.inbox))
        self.inbox.remove(subject)
        self.trash.append(subject)
        self.world.move(subject, "INBOX", "Trash")

    @precondition(lambda self: self.trash)
    @rule(data=st.data())
    def a_letter_comes_back(self, data: st.DataObject) -> None:
        subject = data.draw(st.sampled_from(self.trash))
        self.trash.remove(subject)
        self.inbox.append(subject)
        self.world.move(subject, "Trash", "INBOX")

    @rule()
    def the_server_is_restored(self) -> None:
        """A new UIDVALIDITY, the same letters."""
        server, user = self.world.server, self.world.user
        with contextlib.suppress(KeyError):
            server.set_uidvalidity(user, "INBOX", server.status(user)["UIDVALIDITY"] + 1)
        for memory in self.world.box.memories.folders.values():
            memory.recreations.clear()  # three a day are believed; ours are many a minute

    @rule(after=st.floats(0, 0.5))
    def a_sync_is_killed(self, after: float) -> None:
        pid = self.nursery.ask(f"once {self.world.box.mailbox.pk}")
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.nursery.ask("reap")
        _set_leases_free(self.acting_as)

    @rule()
    def a_sync(self) -> None:
        self.world.sync(3)  # a listing in which nothing is left is believed at the second time
        assert self.world.accounted() == []
        with at_mailbox(self.world.box.mailbox.pk):
            rows = list(
                Message.objects.filter(mailbox=self.world.box.mailbox).values_list("subject", "gone_at")
            )
        known = {subject for subject, _ in rows}
        assert len(rows) == len(known), "a letter is here twice"
        assert {subject for subject, gone in rows if gone is None} == set(self.inbox)
        assert self.ever <= known, "a letter was deleted here"
        self.ever = known

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.a_sync()


def test_whatever_happens_there_is_followed_here(
    servers: Callable[[str], Any],
    anyone: Callable[[], str],
    as_sync: Any,
    tmp_path: Path,
    record_property: Callable[..., None],
) -> None:
    server = servers("dovecot")
    with Nursery(tmp_path / "log") as nursery:
        Life.make_world = staticmethod(lambda: World.open(server, "dovecot", anyone(), as_sync))
        Life.nursery, Life.acting_as = nursery, staticmethod(as_sync)
        run_state_machine_as_test(
            Life,
            settings=settings(
                max_examples=LIVES,
                stateful_step_count=STEPS,
                deadline=None,
                derandomize=not SOAK,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    record_property("figure", f"R-024: {Life.played} lives of up to {STEPS} steps on Dovecot")
