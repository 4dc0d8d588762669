"""A job worker that kills itself: `python -m tests.project.killed job|rescue`.

`job`: by SIGKILL, as soon as all that waits in the queue is being worked on. `rescue`: after the first job of a
dead worker was put back, before the second.
"""

import asyncio
import os
import signal
import sys
import threading

import procrastinate

from postern.project import jobs
from postern.project.database import libpq


def main() -> None:
    """Work or rescue, and die in time."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(kwargs=libpq("send")))
    together = threading.Barrier(3)

    def end() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @app.task(name="freshen", queueing_lock="freshen")
    def freshen() -> None:
        together.wait()

    @app.task(name="note")
    def note(number: int) -> None:
        together.wait()
        end()

    if sys.argv[1] == "job":
        asyncio.run(jobs.work(app, wait=False))
    put_back = app.job_manager.retry_job

    async def once(job: procrastinate.jobs.Job) -> None:
        await put_back(job)
        end()

    app.job_manager.retry_job = once  # type: ignore[method-assign, assignment]

    async def rescue() -> None:
        async with app.open_async():
            await jobs.rescue(app)

    asyncio.run(rescue())


if __name__ == "__main__":
    main()
