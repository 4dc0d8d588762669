"""The worker of background jobs: sending, undo windows, retries, housekeeping. Runs as postern_send.

Procrastinate delivers each job at least once and leaves the jobs of a killed worker lying; the rescuer
beside the worker puts them back. It is a plain loop, not a job: a job could stall itself.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

import django
from procrastinate import App
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status

log = logging.getLogger(__name__)

CONCURRENCY = 4
RESCUE_EVERY = 15.0  # seconds
LOOKS_EVERY = 0.5
"""Seconds between two looks for work. PostgreSQL tells the worker of what is new and due, but neither of what becomes
due (the end of an undo window) nor of what waited for the job before it (its lock)."""
HEARTBEAT = 10.0  # seconds between two signs of life
DRAIN = 25.0  # seconds that running jobs get after SIGTERM
STALLED_AFTER = 45.0
"""Seconds without a sign of life from the worker that took the job. One that was asked to stop gives none while it
finishes what it does: HEARTBEAT and DRAIN together are less, or its job would be begun a second time beside it."""


async def rescue(app: App) -> int:
    """Put the jobs of dead workers back into the queue; return how many of them were taken care of.

    One that cannot be put back keeps none of the others (R-006).
    """
    stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER))
    return sum([await _put_back(app, job) for job in stalled])


async def _put_back(app: App, job: Job) -> bool:
    log.warning("job %s (%s) was left by a worker that died; it runs again", job.id, job.task_name)
    try:
        await app.job_manager.retry_job(job)
    except UniqueViolation:
        # The next of its kind waits already (queueing_lock), and will do the same work. The database refuses
        # two of them waiting: this one would stand there as running for ever (procrastinate #1543).
        await app.job_manager.finish_job(job, Status.FAILED, delete_job=True)
    except ConnectorException:
        # Another worker's rescuer was quicker, or the job's own worker was alive after all and finished it.
        log.info("job %s was taken care of meanwhile", job.id, exc_info=True)
        return False
    return True


async def _rescue_for_ever(app: App) -> None:
    while True:
        try:
            await rescue(app)
        except Exception:
            log.exception("could not look for stalled jobs; trying again")
        await asyncio.sleep(RESCUE_EVERY)


AT_START = ("heal",)
"""Tasks that are due after each start: an upgrade may read what the version before could not."""


async def _ask_for(app: App, tasks: Sequence[str]) -> None:
    for task in tasks:
        with contextlib.suppress(AlreadyEnqueued):
            await app.configure_task(task, queueing_lock=task).defer_async()


async def work(
    app: App, *, concurrency: int = CONCURRENCY, wait: bool = True, at_start: Sequence[str] = ()
) -> None:
    """Work until SIGTERM or SIGINT: no new job is taken then, running ones get DRAIN seconds.

    wait=False: work off what is there and return. at_start: tasks without arguments to put into the queue first.
    """
    async with app.open_async():
        await _ask_for(app, at_start)
        rescuer = asyncio.create_task(_rescue_for_ever(app))
        try:
            await app.run_worker_async(
                concurrency=concurrency,
                fetch_job_polling_interval=LOOKS_EVERY,
                wait=wait,
                delete_jobs="successful",
                shutdown_graceful_timeout=DRAIN,
                update_heartbeat_interval=HEARTBEAT,
                stalled_worker_timeout=STALLED_AFTER,
                install_signal_handlers=wait,
            )
        finally:
            rescuer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await rescuer


def main() -> None:
    """Run the worker in this process."""
    django.setup()
    from procrastinate.contrib.django import app
    from procrastinate.contrib.django.django_connector import DjangoConnector

    if not isinstance(app.connector, DjangoConnector):
        raise TypeError("the worker must be started once per process")
    with app.replace_connector(app.connector.get_worker_connector()) as worker_app:
        asyncio.run(work(worker_app, at_start=AT_START))
