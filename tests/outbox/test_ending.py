"""SIGTERM to the send process: the letter on its way is finished and noted, the next waits for the next worker (R-007)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from django.conf import settings

from postern.project.processes import DRAIN, this_program

from .test_compose import jobs
from .test_tasks import run_worker

pytestmark = pytest.mark.rule("R-007")


@pytest.fixture
def sender(server) -> Iterator[subprocess.Popen[bytes]]:
    """`postern send` on the database of this test."""
    environment = os.environ | {"POSTERN_ROLE": "send", "POSTERN_MAIL_HOSTS": settings.MAIL_HOSTS}
    child = subprocess.Popen(this_program("send"), env=environment)
    yield child
    if child.poll() is None:
        child.kill()
        child.wait()


def waiting(acting_as) -> list[int]:
    return [args["delivery_id"] for task, args, _, _ in jobs(acting_as) if task == "send"]


def test_the_letter_on_its_way_is_finished_and_the_next_is_left(outbox, server, sender, acting_as):
    later = []

    def asked_to_stop() -> None:
        """The whole letter is with the server, which thinks about it."""
        server.on_dot = lambda: None
        sender.send_signal(signal.SIGTERM)
        time.sleep(1)
        later.append(outbox.queue(subject="the next"))
        time.sleep(2)

    server.on_dot = asked_to_stop
    first = outbox.queue()
    assert sender.wait(60 + DRAIN) == 0
    assert outbox.look(first).state == "accepted" and len(server.taken) == 1
    [second] = later
    assert outbox.look(second).state == "queued" and waiting(acting_as) == [second.pk]
    run_worker(acting_as)
    assert outbox.look(second).state == "accepted" and len(server.taken) == 2


def test_a_letter_that_its_server_never_answers_is_unknown_and_not_sent_again(
    outbox, server, sender, acting_as
):
    """The process tree kills who does not end; the next worker finds the letter and asks its author."""
    at_dot = []

    def silent() -> None:
        at_dot.append(time.monotonic())
        sender.send_signal(signal.SIGTERM)
        time.sleep(2)
        sender.kill()

    server.on_dot = silent
    row = outbox.queue()
    assert sender.wait(60 + DRAIN) == -signal.SIGKILL
    server.on_dot = lambda: None
    assert at_dot and outbox.look(row).state == "sending"
    outbox.age(row)
    assert outbox.work(row).state == "unknown"
    run_worker(acting_as)
    assert len(server.taken) <= 1 and len(at_dot) == 1
