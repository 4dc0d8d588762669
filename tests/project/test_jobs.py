"""The job worker works as postern_send, and takes up what a killed worker left lying."""

import asyncio

import procrastinate
from django.db import connection

from postern.project import jobs
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


def test_what_is_due_at_the_start_is_done_once(db, acting_as):
    done: list[str] = []
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(kwargs=libpq("send")))

    @app.task(name="freshen", queueing_lock="freshen")
    def freshen() -> None:
        done.append("freshen")

    asyncio.run(jobs.work(app, wait=False, at_start=["freshen", "freshen"]))
    assert done == ["freshen"]
