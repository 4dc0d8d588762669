"""The jobs, worked off by a real worker as postern_send."""

import asyncio
import re
import time
from datetime import timedelta
from pathlib import Path

from django.db import OperationalError, connection
from django.utils import timezone
from procrastinate import App
from procrastinate.contrib.django import app
from procrastinate.periodic import PeriodicDeferrer, PeriodicRegistry

from postern.mail import pairing, wall
from postern.mail.access import viewing_as
from postern.outbox import compose
from postern.project.jobs import work

from .server import DROP
from .test_compose import jobs


def run_worker(acting_as) -> None:
    """Work off what is due, as the send process does."""
    with acting_as("send"), app.replace_connector(app.connector.get_worker_connector()) as worker_app:
        asyncio.run(work(worker_app, wait=False))


def test_every_task_that_web_may_ask_for_exists():
    asked = re.search(r"task NOT IN \(([^)]*)\)", Path(wall.__file__).read_text())
    names = set(re.findall(r"'(\w+)'", asked[1]))
    assert names and names <= set(app.tasks)


def test_a_worker_sends_what_is_due(outbox, server, acting_as):
    now, later = outbox.queue(), outbox.queue(undo_seconds=60)
    run_worker(acting_as)
    assert outbox.look(now).state == "accepted" and len(server.taken) == 1
    assert outbox.look(later).state == "queued"
    assert [args["delivery_id"] for task, args, _, _ in jobs(acting_as) if task == "send"] == [later.pk]


def test_what_its_author_says_of_a_letter_is_heeded_at_once(outbox, server, marta, acting_as):
    """Not when the next look for it is due, which may be half a day away."""
    server.says = {"DOT": DROP}
    row = outbox.queue()
    run_worker(acting_as)
    assert outbox.look(row).state == "unknown"
    assert [task for task, *_ in jobs(acting_as)] == ["send"]
    with viewing_as(marta):
        compose.settle(delivery=row, arrived=True)
    run_worker(acting_as)
    assert outbox.look(row).state == "accepted" and len(server.taken) == 1


def test_the_worker_may_ask_for_all_that_is_due_by_the_clock_and_do_it(db, acting_as, clockwork):
    registry = PeriodicRegistry()
    registry.periodic_tasks = clockwork
    clock = PeriodicDeferrer(registry, max_delay=timedelta(days=1).total_seconds())

    async def a_day_passes(worker_app: App) -> None:
        async with worker_app.open_async():
            await clock.defer_jobs(clock.get_previous_tasks(at=time.time()))

    with acting_as("send"), app.replace_connector(app.connector.get_worker_connector()) as worker_app:
        asyncio.run(a_day_passes(worker_app))
    due = {task for task, *_ in jobs(acting_as)}
    assert due == {task for task, _ in clockwork} >= {"recover", "digest", "heal"}
    run_worker(acting_as)
    assert jobs(acting_as) == []


def test_filing_that_fails_is_tried_again(db, acting_as, monkeypatch):
    asked: list[list[int]] = []

    def file_mail(customer_ids: list[int]) -> None:
        asked.append(customer_ids)
        if len(asked) == 1:
            raise OperationalError("deadlock detected")

    monkeypatch.setattr(pairing, "file_mail", file_mail)
    with acting_as("web"):
        pairing.ask_to_unmake(7)
    run_worker(acting_as)
    [(at, lock)] = [(at, lock) for task, _, at, lock in jobs(acting_as) if task == "file_mail"]
    assert lock == "file_mail" and at > timezone.now()
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET scheduled_at = now()")
    run_worker(acting_as)
    assert len(asked) == 2
    assert "file_mail" not in [task for task, *_ in jobs(acting_as)]
