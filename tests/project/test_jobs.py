"""The job worker works as postern_send, and takes up what a killed worker left lying."""

import asyncio
import signal
import subprocess
import sys

import procrastinate
import pytest
from django.db import connection

from postern.project import children, jobs
from postern.project.database import libpq


def app_of(role: str, done: list[int]) -> procrastinate.App:
    """A job application of its own that signs in as `role` and has one task."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(kwargs=libpq(role)))

    @app.task(name="note")
    def note(number: int) -> None:
        done.append(number)

    return app


def statuses() -> list[str]:
    """What the job table says."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT status::text FROM procrastinate_jobs ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


async def defer(app: procrastinate.App, number: int) -> None:
    """Put one job into the queue."""
    async with app.open_async():
        await app.configure_task("note").defer_async(number=number)


def test_the_worker_does_its_work_as_the_send_role(db, acting_as):
    done: list[int] = []
    app = app_of("send", done)
    asyncio.run(defer(app, 7))
    asyncio.run(jobs.work(app, wait=False))
    assert done == [7]
    with acting_as("superuser"):
        assert statuses() == []  # what succeeded is not kept


def test_a_job_of_a_dead_worker_runs_again_and_one_of_a_living_worker_is_left_alone(db, acting_as):
    done: list[int] = []
    app = app_of("send", done)
    for number in (1, 2):
        asyncio.run(defer(app, number))
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat)"
            " VALUES (now() - interval '1 hour'), (now()) RETURNING id"
        )
        for (worker,), number in zip(cursor.fetchall(), ("1", "2"), strict=True):
            cursor.execute(
                "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE args->>'number' = %s",
                [worker, number],
            )
        assert statuses() == ["doing", "doing"]

    async def rescue() -> int:
        async with app.open_async():
            return await jobs.rescue(app)

    assert asyncio.run(rescue()) == 1
    with acting_as("superuser"):
        assert statuses() == ["todo", "doing"]
    asyncio.run(jobs.work(app, wait=False))
    assert done == [1]


def test_what_waits_for_the_job_before_it_follows_at_once(db, acting_as):
    """Nothing tells a worker that a lock is free: three jobs in a row are done before one that is due in 4 seconds."""
    done: list[int] = []
    app = app_of("send", done)

    async def fill_and_work() -> None:
        async with app.open_async():
            await app.configure_task("note", schedule_in={"seconds": 4}).defer_async(number=99)
            for number in (1, 2, 3):
                await app.configure_task("note", lock="in a row").defer_async(number=number)
        working = asyncio.create_task(jobs.work(app))
        async with asyncio.timeout(60):
            while 99 not in done:
                await asyncio.sleep(0.05)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    asyncio.run(fill_and_work())
    assert done == [1, 2, 3, 99]


def test_what_is_due_at_the_start_is_done_once(db, acting_as):
    done: list[str] = []
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(kwargs=libpq("send")))

    @app.task(name="freshen", queueing_lock="freshen")
    def freshen() -> None:
        done.append("freshen")

    asyncio.run(jobs.work(app, wait=False, at_start=["freshen", "freshen"]))
    assert done == ["freshen"]


def killed_in(what: str) -> None:
    """Let a worker of its own begin, and see it killed."""
    command = [sys.executable, "-m", "tests.project.killed", what]
    ended = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


def time_passes(acting_as) -> None:
    """As long as a worker may be silent and a second more."""
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - make_interval(secs => %s)",
            [jobs.STALLED_AFTER + 1],
        )


@pytest.mark.rule("R-006")
def test_killed_in_a_job_and_then_in_the_rescue_everything_is_done_in_the_end(db, acting_as):
    done: list[object] = []
    app = app_of("send", done)

    @app.task(name="freshen", queueing_lock="freshen")
    def freshen() -> None:
        done.append("freshen")

    async def ask(task: str, **arguments: int) -> None:
        async with app.open_async():
            await app.configure_task(
                task, queueing_lock="freshen" if task == "freshen" else None
            ).defer_async(**arguments)

    asyncio.run(ask("freshen"))
    for number in (1, 2):
        asyncio.run(ask("note", number=number))
    killed_in("job")
    with acting_as("superuser"):
        assert statuses() == ["doing"] * 3
    # The next of its kind is asked for while the first stands there as running: only one of them may wait.
    asyncio.run(ask("freshen"))
    asyncio.run(
        jobs.work(app, wait=False)
    )  # a new worker takes what waits; the dead one is not silent for long
    assert done == ["freshen"]
    asyncio.run(ask("freshen"))
    time_passes(acting_as)
    killed_in("rescue")
    with acting_as("superuser"):
        assert sorted(statuses()) == ["doing", "todo", "todo"]

    async def rescue() -> int:
        async with app.open_async():
            return await jobs.rescue(app)

    assert asyncio.run(rescue()) == 1
    asyncio.run(jobs.work(app, wait=False))
    assert sorted(map(str, done)) == ["1", "2", "freshen", "freshen"]
    with acting_as("superuser"):
        assert statuses() == []


@pytest.mark.rule("R-006")
def test_a_killed_worker_is_made_up_for_within_two_minutes():
    """The sum of the longest waits; test_workers.py shows it with processes."""
    assert 2 * jobs.HEARTBEAT < jobs.STALLED_AFTER
    assert jobs.STALLED_AFTER + children.LONGEST_PAUSE + jobs.RESCUE_EVERY + jobs.LOOKS_EVERY < 120
